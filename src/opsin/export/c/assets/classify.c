
int model_predict(const uint8_t *pixels, int32_t width, int32_t height, int32_t channels, float *probabilities)
{
  static const float temperature = @temperature@;
  const int state = model_load(pixels, width, height, channels);
  const float *logits;
  float sum = 0.0f, largest;
  int best = 0, i;
  if (state != MODEL_OK) return state;
  logits = outputs();
  for (i = 1; i < MODEL_OUTPUTS; i++)
    if (logits[i] > logits[best]) best = i;
  if (!probabilities) return best;
  largest = logits[best];
  for (i = 0; i < MODEL_OUTPUTS; i++) {
    probabilities[i] = exponential((logits[i] - largest) / temperature);
    sum += probabilities[i];
  }
  for (i = 0; i < MODEL_OUTPUTS; i++) probabilities[i] /= sum;
  return best;
}
