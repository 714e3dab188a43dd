/* ---- From an image to the network's input -------------------------------------------------------------------- */

/* Resizing needs memory: the arena, which is free before the network runs, but for the bytes of the resized image.
   These are in the last quarter of the input, where each is replaced from the front by four bytes of a float. */
#define PIXELS (MODEL_HEIGHT * MODEL_WIDTH * MODEL_CHANNELS)
#define BEFORE ((size_t)MODEL_INPUT_AT + 3 * (size_t)PIXELS)
#define AFTER_AT ((size_t)MODEL_INPUT_AT + 4 * (size_t)PIXELS)
#define AFTER (sizeof arena - AFTER_AT)
#define SCRATCH_BYTES (BEFORE >= AFTER ? BEFORE : AFTER)

static NOINLINE uint8_t *resized_image(void) { return arena.bytes + MODEL_INPUT_AT + 3 * (size_t)PIXELS; }
static NOINLINE void *scratch_memory(void) { return arena.f + (BEFORE >= AFTER ? 0 : AFTER_AT / 4); }
static NOINLINE float *network_input(void) { return arena.f + MODEL_INPUT_AT / 4; }

typedef struct {
  const uint8_t *data;
  int32_t width, height, channels;
} image;

/* Where the pixels of one axis come from: `grid` of them cover `size` pixels of the image from `first` to `last`;
   the network takes those from number `offset` on. */
typedef struct {
  double first, last;
  int32_t size, grid, offset;
} axis;

/* A channel of a pixel as the network takes it: grey is repeated, and colours become their luma. */
static int32_t channel_at(const image *im, int32_t row, int32_t column, int32_t channel)
{
  const uint8_t *p = im->data + ((size_t)row * (size_t)im->width + (size_t)column) * (size_t)im->channels;
#if MODEL_CHANNELS == 1
  (void)channel;
  if (im->channels == 3)
    return (int32_t)(((uint32_t)p[0] * 19595u + (uint32_t)p[1] * 38470u + (uint32_t)p[2] * 7471u + 0x8000u) >> 16);
  return p[0];
#else
  return im->channels == 1 ? p[0] : p[channel];
#endif
}

#if MODEL_BICUBIC
static const double SUPPORT = 2.0;

/* Keys' filter with a = -1/2, as Pillow writes it. */
static double filter(double x)
{
  const double a = -0.5;
  if (x < 0.0) x = -x;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}
#else
static const double SUPPORT = 1.0;

static double filter(double x)
{
  if (x < 0.0) x = -x;
  return x < 1.0 ? 1.0 - x : 0.0;
}
#endif

/* Pillow's resampling: weights are whole numbers, in units of 2^-22, and rows are resized before columns. */
#define UNIT ((int32_t)1 << 22)

typedef struct {
  double scale, stretch, support;
} spread;

static spread spread_of(const axis *a)
{
  spread s;
  s.scale = (double)((float)a->last - (float)a->first) / a->grid;
  s.stretch = s.scale < 1.0 ? 1.0 : s.scale;
  s.support = SUPPORT * s.stretch;
  return s;
}

/* The most weights of a pixel. */
static int32_t weight_limit(const axis *a)
{
  const double support = spread_of(a).support;
  const int32_t whole = (int32_t)support;
  return 2 * (whole < support ? whole + 1 : whole) + 1;
}

/* Write the weights of pixel `number` of the network, and return how many there are; they begin at `*start`. */
static int32_t weights_of(const axis *a, int32_t number, int32_t *start, word *weights_out)
{
  const spread s = spread_of(a);
  const double center = (double)(float)a->first + (number + a->offset + 0.5) * s.scale, inverse = 1.0 / s.stretch;
  double total = 0.0;
  int32_t first = (int32_t)(center - s.support + 0.5), last = (int32_t)(center + s.support + 0.5), i;
  if (first < 0) first = 0;
  if (last > a->size) last = a->size;
  for (i = first; i < last; i++) total += filter((i - center + 0.5) * inverse);
  for (i = first; i < last; i++) {
    double w = filter((i - center + 0.5) * inverse);
    if (total != 0.0) w /= total;
    weights_out[i - first] = (int32_t)(w < 0 ? -0.5 + w * UNIT : 0.5 + w * UNIT);
  }
  *start = first;
  return last - first;
}

static uint8_t to_byte(int32_t sum)
{
  if (sum < 0) return 0;
  sum /= UNIT;
  return (uint8_t)(sum > 255 ? 255 : sum);
}

/* Resize with whole numbers. The rows that a row of the result needs are kept, each resized along its columns. */
static int resize_exact(const image *im, const axis *columns, const axis *rows)
{
  const int32_t limit = weight_limit(columns), kept = weight_limit(rows), line = MODEL_WIDTH * MODEL_CHANNELS;
  word *const starts = scratch_memory(), *const counts = starts + MODEL_WIDTH;
  word *const along = counts + MODEL_WIDTH, *const across = along + (size_t)MODEL_WIDTH * (size_t)limit;
  uint8_t *const lines = (uint8_t *)(across + kept);
  uint8_t *const resized = resized_image();
  int32_t row, column, channel, i, next = 0;
  if (((size_t)MODEL_WIDTH * ((size_t)limit + 2) + (size_t)kept) * 4 + (size_t)kept * (size_t)line > SCRATCH_BYTES)
    return MODEL_TOO_LARGE;
  for (column = 0; column < MODEL_WIDTH; column++) {
    counts[column] = weights_of(columns, column, &next, along + column * limit);
    starts[column] = next;
  }
  next = 0;
  for (row = 0; row < MODEL_HEIGHT; row++) {
    int32_t first;
    const int32_t count = weights_of(rows, row, &first, across);
    for (next = next < first ? first : next; next < first + count; next++) {
      uint8_t *to = lines + next % kept * line;
      for (column = 0; column < MODEL_WIDTH; column++)
        for (channel = 0; channel < MODEL_CHANNELS; channel++) {
          int32_t sum = UNIT / 2;
          for (i = 0; i < counts[column]; i++)
            sum += channel_at(im, next, starts[column] + i, channel) * along[column * limit + i];
          *to++ = to_byte(sum);
        }
    }
    for (column = 0; column < line; column++) {
      int32_t sum = UNIT / 2;
      for (i = 0; i < count; i++) sum += lines[(first + i) % kept * line + column] * across[i];
      resized[row * line + column] = to_byte(sum);
    }
  }
  return MODEL_OK;
}

#if MODEL_FLOAT_RESIZE
/* Opsin's resampling of colour images, in float: sums over rows first, then over columns. */
typedef struct {
  double scale, stretch;
  int32_t taps;
} taps;

static int32_t start_of(const axis *a, const taps *t, int32_t number, int32_t *stop)
{
  const double center = a->first + (number + 0.5) * t->scale;
  int32_t start = (int32_t)(center - SUPPORT * t->stretch + 0.5), end = (int32_t)(center + SUPPORT * t->stretch + 0.5);
  *stop = end < a->size ? end : a->size;
  return start < 0 ? 0 : start;
}

static taps taps_of(const axis *a)
{
  taps t;
  int32_t number;
  t.scale = (a->last - a->first) / a->grid;
  t.stretch = t.scale > 1.0 ? t.scale : 1.0;
  t.taps = 0;
  for (number = 0; number < a->grid; number++) {
    int32_t stop;
    const int32_t start = start_of(a, &t, number, &stop);
    if (stop - start > t.taps) t.taps = stop - start;
  }
  return t;
}

static double float_filter(double x, int32_t is_inside)
{
  if (x >= 2 || !is_inside) return 0.0;
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
}

/* Write the `t->taps` weights of a pixel, and return the first pixel of the image that it depends on. */
static int32_t float_weights(const axis *a, const taps *t, int32_t number, float *weights_out)
{
  const double center = a->first + (number + 0.5) * t->scale;
  double total = 0.0;
  int32_t stop, start = start_of(a, t, number, &stop), i, pass;
  if (start > a->size - t->taps) start = a->size - t->taps;
  for (pass = 0; pass < 2; pass++)
    for (i = 0; i < t->taps; i++) {
      double x = start + i - center + 0.5;
      x = (x < 0 ? -x : x) / t->stretch;
      x = float_filter(x, start + i < stop);
      if (pass) weights_out[i] = (float)(x / total);
      else total += x;
    }
  return start;
}

static int resize_float(const image *im, const axis *columns, const axis *rows)
{
  const taps along = taps_of(columns), across = taps_of(rows);
  word *const starts = scratch_memory();
  float *const table = (float *)(void *)(starts + MODEL_WIDTH), *sums = table + (size_t)MODEL_WIDTH * (size_t)along.taps;
  float *const row_weights = sums + 3 * MODEL_WIDTH;
  uint8_t *const resized = resized_image();
  int32_t row, column, i, pixel, left, right;
  if (((size_t)MODEL_WIDTH * ((size_t)along.taps + 4) + (size_t)across.taps) * 4 > SCRATCH_BYTES) return MODEL_TOO_LARGE;
  for (column = 0; column < MODEL_WIDTH; column++)
    starts[column] = float_weights(columns, &along, column, table + column * along.taps);
  left = starts[0];
  right = starts[MODEL_WIDTH - 1] + along.taps;
  for (row = 0; row < MODEL_HEIGHT; row++) {
    const int32_t top = float_weights(rows, &across, row, row_weights);
    int32_t oldest = 0;
    for (i = 0; i < 3 * MODEL_WIDTH; i++) sums[i] = 0.0f;
    for (pixel = left; pixel < right; pixel++) {
      float values[3] = {0.0f, 0.0f, 0.0f};
      for (i = 0; i < across.taps; i++) {
        int32_t channel;
        for (channel = 0; channel < 3; channel++) {
          const float product = (float)channel_at(im, top + i, pixel, channel) * row_weights[i];
          values[channel] = values[channel] + product;
        }
      }
      while (oldest < MODEL_WIDTH && starts[oldest] + along.taps <= pixel) oldest++;
      for (column = oldest; column < MODEL_WIDTH && starts[column] <= pixel; column++) {
        const float weight = table[column * along.taps + pixel - starts[column]];
        for (i = 0; i < 3; i++) {
          const float product = values[i] * weight;
          sums[3 * column + i] = sums[3 * column + i] + product;
        }
      }
    }
    for (i = 0; i < 3 * MODEL_WIDTH; i++) {
      float value = sums[i] + 0.5f;
      value = value > 0.0f ? value : 0.0f;
      value = value < 255.0f ? value : 255.0f;
      resized[row * 3 * MODEL_WIDTH + i] = (uint8_t)value;
    }
  }
  return MODEL_OK;
}

/* Whether Opsin's own resampling takes this image; Pillow's takes the others. */
static int takes_float(const image *im, const axis *columns)
{
  const taps t = taps_of(columns);
  int32_t stop, start = start_of(columns, &t, 0, &stop), last = start_of(columns, &t, MODEL_WIDTH - 1, &stop);
  if (start > columns->size - t.taps) start = columns->size - t.taps;
  if (last > columns->size - t.taps) last = columns->size - t.taps;
  if (im->height == MODEL_HEIGHT && im->width == MODEL_WIDTH) return 0;
  return last + t.taps - start >= 16 && (double)im->width * im->height <= 16777216.0;
}
#endif

/* Which part of the image the network sees. */
static int frame(const image *im, axis *columns, axis *rows)
{
  const double width = im->width, height = im->height;
  columns->size = im->width;
  rows->size = im->height;
  columns->first = rows->first = 0.0;
  columns->last = width;
  rows->last = height;
  columns->grid = MODEL_WIDTH;
  rows->grid = MODEL_HEIGHT;
  columns->offset = rows->offset = 0;
#if MODEL_FRAMING == 0 /* the largest centred part of the right shape */
  {
    const double fitting_width = height * MODEL_WIDTH / MODEL_HEIGHT, fitting_height = width * MODEL_HEIGHT / MODEL_WIDTH;
    const double box_width = width < fitting_width ? width : fitting_width;
    const double box_height = height < fitting_height ? height : fitting_height;
    columns->first = (width - box_width) / 2;
    rows->first = (height - box_height) / 2;
    columns->last = columns->first + box_width;
    rows->last = rows->first + box_height;
  }
#elif MODEL_FRAMING == 2 /* the shorter side is resized to MODEL_SHORTER, and the centre cropped */
  {
    const int32_t shorter = im->width < im->height ? im->width : im->height;
    const int32_t longer = im->width < im->height ? im->height : im->width;
    int32_t i;
    if (longer > 16 * shorter) return MODEL_BAD_IMAGE;
    columns->grid = im->width == shorter ? MODEL_SHORTER : (int32_t)(MODEL_SHORTER * width / shorter);
    rows->grid = im->height == shorter ? MODEL_SHORTER : (int32_t)(MODEL_SHORTER * height / shorter);
    for (i = 0; i < 2; i++) { /* halves are rounded to even */
      axis *const a = i ? rows : columns;
      const int32_t excess = a->grid - (i ? MODEL_HEIGHT : MODEL_WIDTH), half = excess / 2;
      a->offset = excess % 2 && half % 2 ? half + 1 : half;
    }
  }
#endif
  return MODEL_OK;
}

/* Write the bytes of the resized image, channel after channel of each pixel, as the network takes them. */
static int resize(const image *im)
{
  axis columns, rows;
  const int state = frame(im, &columns, &rows);
  if (state != MODEL_OK) return state;
#if MODEL_FLOAT_RESIZE
  if (takes_float(im, &columns)) return resize_float(im, &columns, &rows);
#endif
  return resize_exact(im, &columns, &rows);
}

#if MODEL_DARK_BACKGROUND
/* The network was trained on light strokes on black: invert an image with a light border. */
static void invert_light(void)
{
  uint8_t *const resized = resized_image();
  int32_t rows = 0, columns = 0, i;
  for (i = 0; i < MODEL_WIDTH; i++) rows += resized[i] + resized[(MODEL_HEIGHT - 1) * MODEL_WIDTH + i];
  for (i = 0; i < MODEL_HEIGHT; i++)
    columns += resized[i * MODEL_WIDTH] + resized[i * MODEL_WIDTH + MODEL_WIDTH - 1];
  if (((double)rows / (2 * MODEL_WIDTH) + (double)columns / (2 * MODEL_HEIGHT)) / 2 > 160)
    for (i = 0; i < PIXELS; i++) resized[i] = (uint8_t)(255 - resized[i]);
}
#endif

/* Bytes become floats: each channel is multiplied and shifted. */
static void normalise(void)
{
  static const float scale[MODEL_CHANNELS] = {@scale@}, shift[MODEL_CHANNELS] = {@shift@};
  const uint8_t *const resized = resized_image();
  float *const input = network_input();
  int32_t i, channel = 0;
  for (i = 0; i < PIXELS; i++) {
    const float product = (float)resized[i] * scale[channel];
    input[i] = product + shift[channel];
    channel = channel + 1 < MODEL_CHANNELS ? channel + 1 : 0;
  }
}

#if MODEL_MIRRORED
static void mirror(void)
{
  uint8_t *const resized = resized_image();
  int32_t row, column, channel;
  for (row = 0; row < MODEL_HEIGHT; row++)
    for (column = 0; column < MODEL_WIDTH / 2; column++)
      for (channel = 0; channel < MODEL_CHANNELS; channel++) {
        uint8_t *const a = resized + (row * MODEL_WIDTH + column) * MODEL_CHANNELS + channel;
        uint8_t *const b = resized + (row * MODEL_WIDTH + MODEL_WIDTH - 1 - column) * MODEL_CHANNELS + channel;
        const uint8_t kept = *a;
        *a = *b;
        *b = kept;
      }
}
#endif
