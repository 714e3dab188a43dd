
/* Positions are points of several maps; boxes are given by the distances of their edges, in strides. */
static const int32_t strides[] = {@strides@};

static void box_of(int32_t position, const float *offsets, double *box)
{
  double x, y, stride;
  int32_t level = 0, columns, points;
  for (;; level++) {
    columns = (MODEL_WIDTH + strides[level] - 1) / strides[level];
    points = (MODEL_HEIGHT + strides[level] - 1) / strides[level] * columns;
    if (position < points) break;
    position -= points;
  }
  stride = strides[level];
  x = (position % columns + 0.5) * stride;
  y = (position / columns + 0.5) * stride;
  box[0] = (x - offsets[0] * stride) / MODEL_WIDTH;
  box[1] = (y - offsets[1] * stride) / MODEL_HEIGHT;
  box[2] = (x + offsets[2] * stride) / MODEL_WIDTH;
  box[3] = (y + offsets[3] * stride) / MODEL_HEIGHT;
}

/* Replace the logits of a position by scores. */
static void scores_of(float *logits)
{
  int32_t i;
  for (i = 0; i < MODEL_LOGITS; i++) {
    const float x = logits[i], e = exponential(x < 0.0f ? x : -x);
    logits[i] = (x < 0.0f ? e : 1.0f) / (1.0f + e);
  }
}
