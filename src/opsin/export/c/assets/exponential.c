
/* e^x for x <= 0: with x = n ln 2 + r, a polynomial in r (Cephes), multiplied by 2^n. */
static const float exponential_factors[] = {@factors@};

static float exponential(float x)
{
  union { float f; uint32_t u; } power;
  float n, r, sum = 0.0f;
  size_t i;
  if (!(x > -87.0f)) return 0.0f;
  n = (float)(int32_t)(x * 1.44269504f - 0.5f);
  r = x - n * 0.693359375f + n * 2.12194440e-4f;
  for (i = 0; i < sizeof exponential_factors / sizeof *exponential_factors; i++) sum = sum * r + exponential_factors[i];
  power.u = (uint32_t)((int32_t)n + 127) << 23;
  return (sum * r * r + r + 1.0f) * power.f;
}
