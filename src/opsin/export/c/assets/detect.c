
const float *model_offsets(void) { return arena.f + MODEL_OFFSETS_AT / 4; }

static float smaller(float a, float b) { return a < b ? a : b; }
static float larger(float a, float b) { return a > b ? a : b; }

/* Return whether the intersection of two boxes is more than MODEL_MAX_OVERLAP of their union. */
static int overlap(const model_box *a, const model_box *b)
{
  const float width = larger(smaller(a->right, b->right) - larger(a->left, b->left), 0.0f);
  const float height = larger(smaller(a->bottom, b->bottom) - larger(a->top, b->top), 0.0f);
  const float shared = width * height;
  const float area = (a->right - a->left) * (a->bottom - a->top);
  const float other = (b->right - b->left) * (b->bottom - b->top);
  const float both = area + other;
  return shared > 0.0f && (double)(shared / (both - shared)) > MODEL_MAX_OVERLAP;
}

static float share(double x) { return (float)(x < 0.0 ? 0.0 : x > 1.0 ? 1.0 : x); }

/* Return the number of the best score after number `last`: equal scores follow in order. -1: there is none. */
static int32_t next_best(const float *scores, int32_t last)
{
  int32_t best = -1, i;
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    if (i % MODEL_LOGITS < MODEL_BACKGROUND || !(scores[i] > MODEL_SCORE)) continue;
    if (last >= 0 && (scores[i] > scores[last] || (scores[i] == scores[last] && i <= last))) continue;
    if (best < 0 || scores[i] > scores[best]) best = i;
  }
  return best;
}

/* Write the boxes as shares of the image's sides, and return how many there are. The scores replace the logits. */
static int32_t find_boxes(model_box *boxes, int32_t most)
{
  float *const scores = arena.f + MODEL_OUTPUT_AT / 4;
  int32_t count = 0, candidates, last = -1, i;
  if (most > MODEL_MAX_BOXES) most = MODEL_MAX_BOXES;
  for (i = 0; i < MODEL_OUTPUTS; i += MODEL_LOGITS) scores_of(scores + i);
  for (candidates = 0; candidates < MODEL_MAX_CANDIDATES && count < most; candidates++) {
    model_box *const box = boxes + count;
    double edges[4];
    last = next_best(scores, last);
    if (last < 0) break;
    box_of(last / MODEL_LOGITS, model_offsets() + last / MODEL_LOGITS * 4, edges);
    box->left = share(edges[0]);
    box->top = share(edges[1]);
    box->right = share(edges[2]);
    box->bottom = share(edges[3]);
    box->score = scores[last];
    box->label = last % MODEL_LOGITS - MODEL_BACKGROUND;
    for (i = 0; i < count; i++)
      if (boxes[i].label == box->label && overlap(boxes + i, box)) break;
    if (i == count) count++;
  }
  return count;
}

int model_detect(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, model_box *boxes, int32_t most)
{
  const int state = model_load(pixels, width, height, channels);
  int32_t count, i;
  if (state != MODEL_OK) return state;
  (void)outputs();
  count = find_boxes(boxes, most);
  for (i = 0; i < count; i++) {
    boxes[i].left = (float)((double)boxes[i].left * width);
    boxes[i].top = (float)((double)boxes[i].top * height);
    boxes[i].right = (float)((double)boxes[i].right * width);
    boxes[i].bottom = (float)((double)boxes[i].bottom * height);
  }
  return (int)count;
}
