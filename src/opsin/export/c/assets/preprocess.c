/* ---- From an image to the network's input -------------------------------------------------------------------- */

/* The resized image, or one row of it, is at the end of the input: each byte is replaced from the front by the bytes of
   a number. */
#define ROW (MODEL_WIDTH * MODEL_CHANNELS)
#define PIXELS ((MODEL_STREAMED ? 1 : MODEL_HEIGHT) * ROW)
#if MODEL_STREAMED
/* Resizing needs memory besides the arena. */
#define SCRATCH_BYTES ((size_t)(MODEL_EXTRA_BYTES + 3) / 4 * 4)
static NOINLINE void *scratch_memory(void) { return arena.f + (sizeof arena - SCRATCH_BYTES) / 4; }
#else
/* Resizing needs memory: the arena, which is free before the network runs, but for the bytes of the resized image. */
#define BEFORE ((size_t)MODEL_INPUT_AT + (MODEL_INPUT_BYTES - 1) * (size_t)PIXELS)
#define AFTER_AT (((size_t)MODEL_INPUT_AT + MODEL_INPUT_BYTES * (size_t)PIXELS + 3) / 4 * 4)
#define AFTER (sizeof arena - AFTER_AT)
#define SCRATCH_BYTES (BEFORE >= AFTER ? BEFORE : AFTER)
static NOINLINE void *scratch_memory(void) { return arena.f + (BEFORE >= AFTER ? 0 : AFTER_AT / 4); }
#endif

static NOINLINE uint8_t *resized_image(void)
{
  return arena.bytes + MODEL_INPUT_AT + (MODEL_INPUT_BYTES - 1) * (size_t)PIXELS;
}
#if MODEL_INPUT_BYTES == 4
static NOINLINE float *network_input(void) { return arena.f + MODEL_INPUT_AT / 4; }
static const float input_scale[] = {@scale@}, input_shift[] = {@shift@};
#endif

typedef struct {
  const uint8_t *data;
  int32_t width, height, channels;
} image;

/* Of an axis of `size` pixels, the part from `first` on, resized by 1 / `scale`; the network takes `count` pixels of it,
   from number `offset` on. Each is a sum over `taps` pixels of the image. */
typedef struct {
  double first, scale;
  int32_t size, count, offset, taps;
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

/* Pillow's filters, which are widened when shrinking; bicubic is that of Keys with a = -1/2. */
#if MODEL_BICUBIC
#define SUPPORT 2.0
static double filter(double x)
{
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
}
#else
#define SUPPORT 1.0
static double filter(double x) { return 1 - x; }
#endif

/* Return the first pixel that pixel `number` of the network depends on, and the one past the last. */
static int32_t range_of(const axis *a, int32_t number, int32_t *stop)
{
  const double center = a->first + (a->offset + number + 0.5) * a->scale;
  const double reach = SUPPORT * (a->scale > 1.0 ? a->scale : 1.0);
  const int32_t start = (int32_t)(center - reach + 0.5), end = (int32_t)(center + reach + 0.5);
  *stop = end < a->size ? end : a->size;
  return start < 0 ? 0 : start;
}

static void count_taps(axis *a)
{
  int32_t number;
  a->taps = 0;
  for (number = 0; number < a->count; number++) {
    int32_t stop;
    const int32_t start = range_of(a, number, &stop);
    if (stop - start > a->taps) a->taps = stop - start;
  }
}

/* Write the weights of a pixel, and return the first pixel of the image that they belong to. */
static int32_t weights_of(const axis *a, int32_t number, float *to)
{
  const double center = a->first + (a->offset + number + 0.5) * a->scale, stretch = a->scale > 1.0 ? a->scale : 1.0;
  double total = 0.0;
  int32_t stop, start = range_of(a, number, &stop), i, pass;
  if (start > a->size - a->taps) start = a->size - a->taps;
  for (pass = 0; pass < 2; pass++)
    for (i = 0; i < a->taps; i++) {
      double x = start + i - center + 0.5;
      x = (x < 0 ? -x : x) / stretch;
      x = x >= SUPPORT || start + i >= stop ? 0.0 : filter(x);
      if (pass) to[i] = (float)(x / total);
      else total += x;
    }
  return start;
}

#if MODEL_STREAMED
enum { FEED, INVERT, MEASURE };
static void take_row(int32_t number, int32_t purpose);

static int is_same(const axis *a) { return a->size == a->count && a->offset == 0 && a->first == 0.0 && a->scale == 1.0; }

/* Take the rows of an image that has the size of the network's. */
static int take_rows(const image *im, int32_t purpose)
{
  uint8_t *const to = resized_image();
  int32_t row, column, channel;
  for (row = 0; row < MODEL_HEIGHT; row++) {
    for (column = 0; column < MODEL_WIDTH; column++)
      for (channel = 0; channel < MODEL_CHANNELS; channel++)
        to[column * MODEL_CHANNELS + channel] = (uint8_t)channel_at(im, row, column, channel);
    take_row(row, purpose);
  }
  return MODEL_OK;
}
#endif

/* Sum over the rows of the image first, then over its columns, and round. Rows are taken one by one for a purpose, or
   follow each other in memory. */
static int resize(const image *im, const axis *rows, const axis *columns, int32_t purpose)
{
  word *const starts = scratch_memory();
  float *const table = (float *)(void *)(starts + MODEL_WIDTH), *sums = table + (size_t)MODEL_WIDTH * (size_t)columns->taps;
  float *const across = sums + MODEL_WIDTH * MODEL_CHANNELS;
  uint8_t *to = resized_image();
  int32_t row, column, i, channel, pixel, right;
#if MODEL_STREAMED
  if (is_same(rows) && is_same(columns)) return take_rows(im, purpose);
#endif
  if (((size_t)MODEL_WIDTH * ((size_t)columns->taps + 1 + MODEL_CHANNELS) + (size_t)rows->taps) * 4 > SCRATCH_BYTES)
    return MODEL_TOO_LARGE;
  for (column = 0; column < MODEL_WIDTH; column++)
    starts[column] = weights_of(columns, column, table + (size_t)column * (size_t)columns->taps);
  right = starts[MODEL_WIDTH - 1] + columns->taps;
  for (row = 0; row < MODEL_HEIGHT; row++) {
    const int32_t top = weights_of(rows, row, across);
    int32_t oldest = 0;
    for (i = 0; i < MODEL_WIDTH * MODEL_CHANNELS; i++) sums[i] = 0.0f;
    for (pixel = starts[0]; pixel < right; pixel++) {
      float values[MODEL_CHANNELS];
      for (channel = 0; channel < MODEL_CHANNELS; channel++) values[channel] = 0.0f;
      for (i = 0; i < rows->taps; i++)
        for (channel = 0; channel < MODEL_CHANNELS; channel++) {
          const float product = (float)channel_at(im, top + i, pixel, channel) * across[i];
          values[channel] = values[channel] + product;
        }
      while (starts[oldest] + columns->taps <= pixel) oldest++;
      for (column = oldest; column < MODEL_WIDTH && starts[column] <= pixel; column++)
        for (channel = 0; channel < MODEL_CHANNELS; channel++) {
          const float product = values[channel] * table[column * columns->taps + pixel - starts[column]];
          sums[column * MODEL_CHANNELS + channel] = sums[column * MODEL_CHANNELS + channel] + product;
        }
    }
    for (i = 0; i < MODEL_WIDTH * MODEL_CHANNELS; i++) {
      float value = sums[i] + 0.5f;
      value = value > 0.0f ? value : 0.0f;
      *to++ = (uint8_t)(value < 255.0f ? value : 255.0f);
    }
#if MODEL_STREAMED
    to = resized_image();
    take_row(row, purpose);
#else
    (void)purpose;
#endif
  }
  return MODEL_OK;
}

static axis whole_axis(int32_t size, int32_t count)
{
  axis a;
  a.first = 0.0;
  a.scale = (double)size / count;
  a.size = size;
  a.count = count;
  a.offset = 0;
  a.taps = 0;
  return a;
}

/* Say which part of the image the network sees. */
#if MODEL_FRAMING == 2 /* the shorter side is resized to MODEL_SHORTER, and the centre cropped */
static void frame_axis(axis *a, int32_t shorter)
{
  const int32_t limited = a->size < 16 * shorter ? a->size : 16 * shorter;
  const int32_t whole = limited == shorter ? MODEL_SHORTER : (int32_t)((double)MODEL_SHORTER * limited / shorter);
  const int32_t excess = whole - a->count, half = excess / 2;
  a->first = (a->size - limited) / 2;
  a->scale = (double)limited / whole;
  a->offset = excess % 2 && half % 2 ? half + 1 : half; /* halves are rounded to even */
}

static void frame(axis *rows, axis *columns)
{
  const int32_t shorter = rows->size < columns->size ? rows->size : columns->size;
  frame_axis(rows, shorter);
  frame_axis(columns, shorter);
}
#elif MODEL_FRAMING == 1 /* all of it, whatever its shape */
static void frame(const axis *rows, const axis *columns)
{
  (void)rows;
  (void)columns;
}
#else /* the largest centred part of the right shape */
static void frame_axis(axis *a, const axis *other)
{
  const double fitting = (double)other->size * a->count / other->count;
  const double part = a->size < fitting ? a->size : fitting;
  a->first = (a->size - part) / 2;
  a->scale = part / a->count;
}

static void frame(axis *rows, axis *columns)
{
  frame_axis(rows, columns);
  frame_axis(columns, rows);
}
#endif

#if MODEL_DARK_BACKGROUND
/* The network was trained on light strokes on black: an image with a light border is inverted. Return whether it has
   one, from the sums of the first and last rows and columns. */
static int is_light(int32_t rows, int32_t columns)
{
  return ((double)rows / (2 * MODEL_WIDTH) + (double)columns / (2 * MODEL_HEIGHT)) / 2 > 160;
}
#endif

#if MODEL_DARK_BACKGROUND && !MODEL_STREAMED
static void invert_light(void)
{
  uint8_t *const resized = resized_image();
  int32_t rows = 0, columns = 0, i;
  for (i = 0; i < MODEL_WIDTH; i++) rows += resized[i] + resized[(MODEL_HEIGHT - 1) * MODEL_WIDTH + i];
  for (i = 0; i < MODEL_HEIGHT; i++)
    columns += resized[i * MODEL_WIDTH] + resized[i * MODEL_WIDTH + MODEL_WIDTH - 1];
  if (is_light(rows, columns))
    for (i = 0; i < PIXELS; i++) resized[i] = (uint8_t)(255 - resized[i]);
}
#endif

#if MODEL_FRAMES > 1
/* The last frames of a film, the newest first; the first one also stands for those before it. */
static uint8_t film[MODEL_FRAMES][PIXELS];
static int is_film;

/* Add the resized image to the film. */
static void keep_frame(void)
{
  const uint8_t *const resized = resized_image();
  int32_t i, number;
  for (i = 0; i < PIXELS; i++) {
    for (number = MODEL_FRAMES - 1; number > 0; number--) film[number][i] = is_film ? film[number - 1][i] : resized[i];
    film[0][i] = resized[i];
  }
  is_film = 1;
}

/* The numbers of a pixel are the channels of the newest frame, then those of the one before it, and so on. */
static void normalise(void)
{
  int32_t i, number, channel, at = 0;
  for (i = 0; i < PIXELS; i += MODEL_CHANNELS)
    for (number = 0; number < MODEL_FRAMES; number++)
      for (channel = 0; channel < MODEL_CHANNELS; channel++, at++) {
        const uint8_t byte = film[number][i + channel];
#if MODEL_INPUT_BYTES == 4
        const float product = (float)byte * input_scale[number * MODEL_CHANNELS + channel];
        network_input()[at] = product + input_shift[number * MODEL_CHANNELS + channel];
#else
        arena.bytes[MODEL_INPUT_AT + at] = (uint8_t)(byte ^ 128u);
#endif
      }
}
#elif MODEL_INPUT_BYTES == 4
/* Bytes become floats: each channel is multiplied and shifted. */
static void normalise(void)
{
  const uint8_t *const resized = resized_image();
  float *const input = network_input();
  int32_t i, channel = 0;
  for (i = 0; i < PIXELS; i++) {
    const float product = (float)resized[i] * input_scale[channel];
    input[i] = product + input_shift[channel];
    channel = channel + 1 < MODEL_CHANNELS ? channel + 1 : 0;
  }
}
#else
/* The network takes bytes minus 128, as signed ones. */
static void normalise(void)
{
  uint8_t *const resized = resized_image();
  word *const words = (word *)(void *)resized;
  int32_t i;
  for (i = 0; i < PIXELS / 4; i++) words[i] = (word)((uint32_t)words[i] ^ 0x80808080u);
  for (i *= 4; i < PIXELS; i++) resized[i] = (uint8_t)(resized[i] ^ 128u);
}
#endif

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
