
int model_embed(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *vector)
{
  const int state = model_outputs(pixels, width, height, channels, vector);
  double sum = 0.0;
  float length;
  int i;
  if (state != MODEL_OK) return state;
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    const double square = (double)vector[i] * vector[i];
    sum += square;
  }
  length = f_sqrt((float)sum);
  for (i = 0; i < MODEL_OUTPUTS; i++) vector[i] /= length < 1e-12f ? 1e-12f : length;
  return MODEL_OK;
}

float model_similarity(const float *first, const float *second)
{
  double sum = 0.0;
  int i;
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    const double product = (double)first[i] * second[i];
    sum += product;
  }
  return (float)sum;
}
