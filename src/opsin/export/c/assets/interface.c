#if MODEL_STREAMED
/* ---- Rows of the image ----------------------------------------------------------------------------------------- */

/* The row that comes next; after the last one, the network may run. */
static int32_t next_row;

/* Run the steps for the row that is in memory; after the last row, also those that remain. */
static void feed(int32_t number)
{
  idx tick = number;
  if (number == 0) begin_image();
  normalise();
  run_tick(tick);
  next_row = number + 1;
  if (next_row == MODEL_HEIGHT)
    while (++tick < TICKS) run_tick(tick);
}

int model_feed_row(int32_t number, const uint8_t *pixels)
{
  uint8_t *const to = resized_image();
  int32_t i;
  if (!pixels || number < 0 || number >= MODEL_HEIGHT || (number && number != next_row)) return MODEL_BAD_IMAGE;
  for (i = 0; i < ROW; i++) to[i] = pixels[i];
  feed(number);
  return MODEL_OK;
}

#if MODEL_DARK_BACKGROUND
/* The sums of the first and last rows, and of the first and last columns. */
static int32_t border_rows, border_columns;
#endif

static void take_row(int32_t number, int32_t purpose)
{
#if MODEL_DARK_BACKGROUND
  uint8_t *const row = resized_image();
  int32_t i;
  if (purpose == MEASURE) {
    border_columns += row[0] + row[MODEL_WIDTH - 1];
    if (number == 0 || number == MODEL_HEIGHT - 1)
      for (i = 0; i < MODEL_WIDTH; i++) border_rows += row[i];
    return;
  }
  if (purpose == INVERT)
    for (i = 0; i < ROW; i++) row[i] = (uint8_t)(255 - row[i]);
#else
  (void)purpose;
#endif
  feed(number);
}
#endif

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
#if MODEL_DARK_BACKGROUND && MODEL_STREAMED
  border_rows = border_columns = 0;
  state = resize(&im, &rows, &columns, MEASURE);
  if (state != MODEL_OK) return state;
  return resize(&im, &rows, &columns, is_light(border_rows, border_columns) ? INVERT : FEED);
#else
  state = resize(&im, &rows, &columns, 0);
#if MODEL_DARK_BACKGROUND
  if (state == MODEL_OK) invert_light();
#endif
#if MODEL_FRAMES > 1
  if (state == MODEL_OK) keep_frame();
#endif
  return state;
#endif
}

#if MODEL_STREAMED
const float *model_run(void)
{
  if (next_row != MODEL_HEIGHT) return NULL;
  next_row = 0;
  compute();
  return arena.f + MODEL_OUTPUT_AT / 4;
}
#else
const float *model_run(void)
{
  normalise();
  compute();
  return arena.f + MODEL_OUTPUT_AT / 4;
}
#endif

#if MODEL_FRAMES > 1
void model_restart(void) { is_film = 0; }
#endif

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
    const float sum = mean[i] + found[MODEL_MIRRORED_BACK(i)];
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
