
const float model_thresholds[MODEL_OUTPUTS] = {@thresholds@};

int model_probabilities(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *probabilities)
{
  const int state = model_outputs(pixels, width, height, channels, probabilities);
  int i;
  if (state != MODEL_OK) return state;
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    const float x = probabilities[i], e = exponential(x < 0.0f ? x : -x);
    probabilities[i] = (x < 0.0f ? e : 1.0f) / (1.0f + e);
  }
  return MODEL_OK;
}
