typedef struct {
  const window *n;
  const int8_t *x, *u;
  int8_t *bytes; /* scratch memory for windows */
  idx terms;
  int in_place; /* windows are in the image as they are multiplied */
  int row_is_inside;
  idx row, column, first, stop; /* the next result, rows counted through all images, and `inside_columns` */
  const int8_t *image, *from; /* where its window begins, perhaps outside of its image */
} layer;

#if !defined(WINDOWS_MVE) && !defined(WINDOWS_DSP_TILES)
/* u has four terms of each of four channels in turn. Two windows are multiplied by the weights of two of them at a time;
   sums are those of the first window, then of the second. */
/* Two windows of `terms` terms; `whole` and `end` are where those of a that are multiplied 16 at a time end, and all. */
typedef struct {
  const int8_t *a, *b, *whole, *end;
  idx terms;
} windows;

#if defined(WINDOWS_DSP)
#define FOUR_TERMS \
  "ldr %[v], [%[u]], #4\n\tldmia %[x]!, {r8, r9, r10, r11}\n\tsxtb16 %[t], %[v], ror #8\n\tsxtb16 %[v], %[v]\n\t" \
  "smlad %[s0], %[v], r8, %[s0]\n\tsmlad %[s2], %[v], r10, %[s2]\n\t" \
  "smlad %[s0], %[t], r9, %[s0]\n\tsmlad %[s2], %[t], r11, %[s2]\n\t" \
  "ldr %[v], [%[u]], #12\n\tsxtb16 %[t], %[v], ror #8\n\tsxtb16 %[v], %[v]\n\t" \
  "smlad %[s1], %[v], r8, %[s1]\n\tsmlad %[s3], %[v], r10, %[s3]\n\t" \
  "smlad %[s1], %[t], r9, %[s1]\n\tsmlad %[s3], %[t], r11, %[s3]\n\t"
#define MULTIPLY(terms) \
  __asm__ volatile(terms \
                   : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(x), [u] "+r"(u), \
                     [v] "=&r"(v), [t] "=&r"(t) \
                   : : "r8", "r9", "r10", "r11", "memory")

INLINE const int8_t *multiply(const windows *p, const int8_t *u, int32_t *sums)
{
  int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  const int8_t *x = p->a;
  uint32_t v, t;
  while (x != p->whole) MULTIPLY(FOUR_TERMS FOUR_TERMS FOUR_TERMS FOUR_TERMS);
  while (x != p->end) MULTIPLY(FOUR_TERMS);
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  return u;
}
#elif defined(WINDOWS_VECTORS)
static void widen(int8_t *to, const int8_t *from, idx count)
{
  for (; count >= 8; count -= 8, from += 8, to += 16) p4_store((pair *)(void *)to, b4_load_pairs(from));
  for (; count > 0; count--, to += 2) *(short_word *)(void *)to = *from++;
}

/* Add the products of eight terms: four of each channel, and four more. */
#define EIGHT_TERMS(weights) \
  do { \
    const i4 w = __builtin_shufflevector(weights, weights, 0, 2, 1, 3), first = widened_low(w), second = widened_high(w); \
    const i4 x = *(const i4_pairs *)(const void *)a, y = *(const i4_pairs *)(const void *)b; \
    s0 = i4_dot(first, x, s0); \
    s1 = i4_dot(second, x, s1); \
    s2 = i4_dot(first, y, s2); \
    s3 = i4_dot(second, y, s3); \
  } while (0)

INLINE const int8_t *multiply(const windows *p, const int8_t *u, int32_t *sums)
{
  const int8_t *a = p->a, *b = p->b, *const end = u + 4 * p->terms;
  i4 s0 = i4_all(0), s1 = s0, s2 = s0, s3 = s0, left, right;
  for (; end - u >= 32; u += 32, a += 16, b += 16) {
    const word *const w = (const word *)(const void *)u;
    const i4 weights = {w[0], w[1], w[4], w[5]};
    EIGHT_TERMS(weights);
  }
  if (u != end) {
    const i4 weights = {((const word *)(const void *)u)[0], ((const word *)(const void *)u)[1], 0, 0};
    EIGHT_TERMS(weights);
    u = end;
  }
  left = i4_add(__builtin_shufflevector(s0, s1, 0, 4, 1, 5), __builtin_shufflevector(s0, s1, 2, 6, 3, 7));
  right = i4_add(__builtin_shufflevector(s2, s3, 0, 4, 1, 5), __builtin_shufflevector(s2, s3, 2, 6, 3, 7));
  left = i4_add(__builtin_shufflevector(left, right, 0, 1, 4, 5), __builtin_shufflevector(left, right, 2, 3, 6, 7));
  *(i4_memory *)(void *)sums = i4_add(*(i4_memory *)(void *)sums, left);
  return u;
}
#else
INLINE const int8_t *multiply(const windows *p, const int8_t *u, int32_t *sums)
{
  const int8_t *a = p->a, *b = p->b, *const end = u + 4 * p->terms;
  uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];
#define TERM(i) \
  s0 += (uint32_t)(a[i] * u[i]), s1 += (uint32_t)(a[i] * u[i + 4]), s2 += (uint32_t)(b[i] * u[i]), s3 += (uint32_t)(b[i] * u[i + 4])
#if defined(__GNUC__) && defined(__thumb__) /* in this order, there are registers for all */
#define KEEP_ORDER __asm__ volatile("" : "+r"(s0), "+r"(s1), "+r"(s2), "+r"(s3) : : "memory")
#else
#define KEEP_ORDER (void)0
#endif
  for (; u != end; u += 16, a += 4, b += 4) {
    TERM(0);
    KEEP_ORDER;
    TERM(1);
    KEEP_ORDER;
    TERM(2);
    KEEP_ORDER;
    TERM(3);
    KEEP_ORDER;
  }
  sums[0] = (int32_t)s0;
  sums[1] = (int32_t)s1;
  sums[2] = (int32_t)s2;
  sums[3] = (int32_t)s3;
  return u;
}
#endif

/* The addition of another array. */
INLINE int32_t added(const window *n, int32_t a, int32_t b)
{
  const int32_t sum = i_add(i_add(i_mul(a, n->factor), i_mul(b, n->skip_factor)), n->skip_bias);
  return limited(i_sar(sum, n->shift), n->add_low, n->add_high);
}

/* Compute the results of two pixels that are `distance` apart; with 0, they are one and the same. */
static NOINLINE void convolve(const layer *l, const int8_t *a, const int8_t *b, const int8_t *skip, int8_t *y, idx distance, idx pairs)
{
  const window *const n = l->n;
  const int narrow = n->low > -128 || n->high < 127, is_plain = !narrow && !skip;
  const int8_t *u = l->u;
  windows pair;
  idx left;
  int is_first = 1;
  (void)pairs; /* one */
  pair.a = a;
  pair.b = b;
  pair.whole = a + 4 * (l->terms & ~15);
  pair.end = a + 4 * l->terms;
  pair.terms = l->terms;
  for (left = n->filters; left > 0; left -= 2, is_first = !is_first) {
    int32_t sums[4];
    const word *scale;
    sums[0] = sums[2] = ((const word *)(const void *)u)[0];
    sums[1] = sums[3] = ((const word *)(const void *)u)[1];
    u = multiply(&pair, u + 16, sums);
    scale = (const word *)(const void *)u;
    u += 8; /* the next two channels */
    if (is_first) u -= 16 + 4 * l->terms;
    sums[0] = scaled(n, sums[0], scale[0]);
    sums[1] = scaled(n, sums[1], scale[1]);
    sums[2] = scaled(n, sums[2], scale[0]);
    sums[3] = scaled(n, sums[3], scale[1]);
    if (!is_plain) {
      if (narrow) {
        sums[0] = limited(sums[0], n->low, n->high);
        sums[1] = limited(sums[1], n->low, n->high);
        sums[2] = limited(sums[2], n->low, n->high);
        sums[3] = limited(sums[3], n->low, n->high);
      }
      if (skip) {
        sums[0] = added(n, sums[0], skip[0]);
        sums[2] = added(n, sums[2], skip[distance]);
        if (left > 1) {
          sums[1] = added(n, sums[1], skip[1]);
          sums[3] = added(n, sums[3], skip[distance + 1]);
        }
        skip += 2;
      }
    }
    y[0] = (int8_t)sums[0];
    y[distance] = (int8_t)sums[2];
    if (left == 1) return;
    y[1] = (int8_t)sums[1];
    y[distance + 1] = (int8_t)sums[3];
    y += 2;
  }
}
#endif
