
/* e^x in double precision, by the series of the part of x that no power of 2 makes up. */
static double growth(double x)
{
  double n = 0.0, sum = 1.0, power = 1.0;
  int i;
  if (x < -80.0) return 0.0;
  for (; x > 0.35; x -= 0x1.62e42fefa39efp-1) n++;
  for (; x < -0.35; x += 0x1.62e42fefa39efp-1) n--;
  for (i = 14; i > 0; i--) sum = 1.0 + sum * x / i;
  for (; n > 0.0; n--) power *= 2.0;
  for (; n < 0.0; n++) power *= 0.5;
  return sum * power;
}

/* Positions are default boxes of several maps; boxes are given relative to them, by centre and size. */
enum { COLUMNS, BOXES, FIRST, SHAPES }; /* of a map */
static const int32_t maps[][4] = {
@maps@
};
/* How many cells fill the image, from top to bottom and across. */
static const double cells[][2] = {
@cells@
};
static const double shapes[][2] = {
@shapes@
};

static void box_of(int32_t position, const float *offsets, double *box)
{
  double centre[2], size[2];
  int32_t level = 0, cell, i;
  while (position >= maps[level][BOXES]) position -= maps[level++][BOXES];
  cell = position / maps[level][SHAPES];
  centre[0] = (cell % maps[level][COLUMNS] + 0.5) / cells[level][1];
  centre[1] = (cell / maps[level][COLUMNS] + 0.5) / cells[level][0];
  for (i = 0; i < 2; i++) {
    const double side = shapes[maps[level][FIRST] + position % maps[level][SHAPES]][i];
    const double shift = offsets[i] / 10.0 * side, ratio = offsets[2 + i] / 5.0;
    centre[i] = centre[i] + shift;
    size[i] = side * growth(ratio < @max_log_ratio@ ? ratio : @max_log_ratio@);
    box[i] = centre[i] - size[i] / 2;
    box[2 + i] = centre[i] + size[i] / 2;
  }
}

/* Replace the logits of a position by scores; the first is the background. */
static void scores_of(float *logits)
{
  float largest = logits[0], sum = 0.0f;
  int32_t i;
  for (i = 1; i < MODEL_LOGITS; i++)
    if (logits[i] > largest) largest = logits[i];
  for (i = 0; i < MODEL_LOGITS; i++) {
    logits[i] = exponential(logits[i] - largest);
    sum += logits[i];
  }
  for (i = 0; i < MODEL_LOGITS; i++) logits[i] /= sum;
}
