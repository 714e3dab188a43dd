
float model_probability(float similarity)
{
  static const float slope = @slope@, offset = @offset@;
  const float scaled = slope * similarity, x = scaled + offset, e = exponential(x < 0.0f ? x : -x);
  return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}
