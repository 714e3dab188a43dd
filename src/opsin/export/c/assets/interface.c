/* ---- The functions of the header ------------------------------------------------------------------------------ */

int model_load(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels)
{
  image im;
  axis rows, columns;
  int state;
  if (!pixels || width < 1 || height < 1 || (channels != 1 && channels != 3)) return MODEL_BAD_IMAGE;
  if (width > 65535 || height > 65535) return MODEL_TOO_LARGE;
  im.data = pixels;
  im.width = width;
  im.height = height;
  im.channels = channels;
  rows = whole_axis(height, MODEL_HEIGHT);
  columns = whole_axis(width, MODEL_WIDTH);
  frame(&rows, &columns);
  count_taps(&rows);
  count_taps(&columns);
  state = resize(&im, &rows, &columns);
  if (state != MODEL_OK) return state;
#if MODEL_DARK_BACKGROUND
  invert_light();
#endif
  return MODEL_OK;
}

const float *model_run(void)
{
  normalise();
  compute();
  return arena.f + MODEL_OUTPUT_AT / 4;
}

/* Opsin's `Model.outputs`, from a loaded image. */
static const float *outputs(void)
{
#if MODEL_MIRRORED
  static float mean[MODEL_OUTPUTS];
  static uint8_t kept[PIXELS];
  uint8_t *const resized = resized_image();
  const float *found;
  int32_t i;
  for (i = 0; i < PIXELS; i++) kept[i] = resized[i];
  found = model_run();
  for (i = 0; i < MODEL_OUTPUTS; i++) mean[i] = found[i];
  for (i = 0; i < PIXELS; i++) resized[i] = kept[i];
  mirror();
  found = model_run();
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    const float sum = mean[i] + found[i];
    mean[i] = sum / 2;
  }
  return mean;
#else
  return model_run();
#endif
}

int model_outputs(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *values)
{
  const int state = model_load(pixels, width, height, channels);
  const float *found;
  int32_t i;
  if (state != MODEL_OK) return state;
  found = outputs();
  for (i = 0; i < MODEL_OUTPUTS; i++) values[i] = found[i];
  return MODEL_OK;
}
