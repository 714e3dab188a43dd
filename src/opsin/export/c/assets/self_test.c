
/* The images of the self-test: noise, brighter in some, and their results when this file was written. */
static uint8_t golden_byte(uint32_t number, uint32_t place)
{
  uint32_t x = 0x9e3779b9u * (number + 1) + place;
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return (uint8_t)((x >> 24) >> (number % 4));
}

#if MODEL_FRAMES == 1
static void golden_pixels(uint32_t number, uint32_t first)
{
  uint8_t *const resized = resized_image();
  uint32_t i;
  for (i = 0; i < (uint32_t)PIXELS; i++) resized[i] = golden_byte(number, first + i);
}
#endif

static void golden_image(uint32_t number)
{
#if MODEL_FRAMES > 1
  int32_t i, frame_number, channel;
  uint32_t place = 0;
  for (i = 0; i < PIXELS; i += MODEL_CHANNELS)
    for (frame_number = 0; frame_number < MODEL_FRAMES; frame_number++)
      for (channel = 0; channel < MODEL_CHANNELS; channel++)
        film[frame_number][i + channel] = golden_byte(number, place++);
  model_restart();
#elif MODEL_STREAMED
  int32_t row;
  for (row = 0; row < MODEL_HEIGHT; row++) {
    golden_pixels(number, (uint32_t)(row * ROW));
    feed(row);
  }
#else
  golden_pixels(number, 0);
#endif
}

static const uint32_t golden_bits[MODEL_GOLDENS][MODEL_GOLDEN_VALUES] = {
@goldens@
};

/* Constants are read as volatile ones: otherwise, compilers would compute with values that they know. */
@functions@
uint32_t model_checksum(void)
{
  uint32_t sum = add_words(0, weights.words, sizeof weights.words / sizeof *weights.words);
@sums@
  return sum;
}

int model_self_test(void)
{
  uint32_t number, i;
  if (model_checksum() != @checksum@u) return MODEL_BAD_WEIGHTS;
  for (number = 0; number < MODEL_GOLDENS; number++) {
    const float *found;
    golden_image(number);
    found = model_run();
    for (i = 0; i < MODEL_GOLDEN_VALUES; i++) {
      union { float f; uint32_t u; } value;
      value.f = MODEL_GOLDEN_AT(i);
      if (value.u != golden_bits[number][i]) return MODEL_BAD_BITS;
    }
  }
  return MODEL_OK;
}
