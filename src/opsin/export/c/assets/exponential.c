
/* e^x for x <= 0: with x = n ln 2 + r, a polynomial in r (Cephes), multiplied by 2^n. */
static float exponential(float x)
{
  static const float factors[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                                  4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
  union { float f; uint32_t u; } power;
  float n, r, sum = 0.0f;
  size_t i;
  if (!(x > -87.0f)) return 0.0f;
  n = (float)(int32_t)(x * 1.44269504f - 0.5f);
  r = x - n * 0.693359375f + n * 2.12194440e-4f;
  for (i = 0; i < sizeof factors / sizeof *factors; i++) sum = sum * r + factors[i];
  power.u = (uint32_t)((int32_t)n + 127) << 23;
  return (sum * r * r + r + 1.0f) * power.f;
}
