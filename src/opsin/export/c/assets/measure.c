
const char *const model_units[MODEL_OUTPUTS] = {@units@};
const float model_margins[MODEL_OUTPUTS] = {@margins@};
static const float scales[MODEL_OUTPUTS] = {@scales@}, means[MODEL_OUTPUTS] = {@means@};

int model_measure(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *values)
{
  const int state = model_outputs(pixels, width, height, channels, values);
  int i;
  if (state != MODEL_OK) return state;
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    const float product = values[i] * scales[i];
    values[i] = product + means[i];
  }
  return MODEL_OK;
}
