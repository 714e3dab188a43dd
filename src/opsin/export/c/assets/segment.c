
/* Return which of `size` numbers is before the centre of pixel `number` of `count`, and how near the next one is. */
static int32_t before(int32_t number, int32_t count, int32_t size, float *weight)
{
  double centre = (number + 0.5) * size / count - 0.5;
  int32_t first;
  if (centre < 0.0) centre = 0.0;
  if (centre > size - 1) centre = size - 1;
  first = (int32_t)centre;
  *weight = (float)(centre - first);
  return first;
}

static float between(float a, float b, float weight)
{
  const float rest = 1.0f - weight, left = a * rest, right = b * weight;
  return left + right;
}

int model_segment(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, uint8_t *classes,
                  int32_t map_width, int32_t map_height)
{
  const int state = model_load(pixels, width, height, channels);
  const float *logits;
  int32_t row, column, i;
  if (state != MODEL_OK) return state;
  if (map_width < 1 || map_height < 1) return MODEL_BAD_IMAGE;
  logits = outputs();
  for (row = 0; row < map_height; row++) {
    float down;
    const int32_t top = before(row, map_height, MODEL_MAP_HEIGHT, &down);
    const float *const above = logits + (size_t)top * MODEL_MAP_WIDTH * MODEL_CLASSES;
    const float *const below = top + 1 < MODEL_MAP_HEIGHT ? above + MODEL_MAP_WIDTH * MODEL_CLASSES : above;
    for (column = 0; column < map_width; column++) {
      float across, largest = 0.0f;
      const int32_t left = before(column, map_width, MODEL_MAP_WIDTH, &across) * MODEL_CLASSES;
      const int32_t right = left / MODEL_CLASSES + 1 < MODEL_MAP_WIDTH ? left + MODEL_CLASSES : left;
      uint8_t best = 0;
      for (i = 0; i < MODEL_CLASSES; i++) {
        const float one = between(above[left + i], below[left + i], down);
        const float other = between(above[right + i], below[right + i], down);
        const float value = between(one, other, across);
        if (i == 0 || value > largest) {
          largest = value;
          best = (uint8_t)i;
        }
      }
      *classes++ = best;
    }
  }
  return MODEL_OK;
}
