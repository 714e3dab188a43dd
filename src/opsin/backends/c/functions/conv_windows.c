/* Two windows are multiplied by the weights of two channels at a time: u has four terms of one channel, then of the
   other. Sums are those of the first window, then of the second. */
#if defined(WINDOWS_DSP) || defined(WINDOWS_VECTORS)
#define WINDOWS_WIDE 1 /* windows are widened to 16 bits */
#endif

/* Two windows of `terms` terms; `whole` and `end` are where those of a that are multiplied 16 at a time end, and all. */
typedef struct {
  const int8_t *a, *b, *whole, *end;
  idx terms;
} windows;

#if defined(WINDOWS_DSP)
#if defined(__clang__) /* which keeps two registers for itself */
#define LOAD_FIRST "ldr %[v], [%[u]], #4\n\t"
#define LOAD_SECOND "ldr %[v], [%[u]], #4\n\t"
#define SECOND "%[v]"
#define OTHER_SECOND
#else
#define LOAD_FIRST "ldrd %[v], %[w], [%[u]], #8\n\t"
#define LOAD_SECOND
#define SECOND "%[w]"
#define OTHER_SECOND , [w] "=&r"(w)
#endif
#define FOUR_TERMS \
  LOAD_FIRST "ldmia %[x]!, {r8, r9, r10, r11}\n\tsxtb16 %[t], %[v], ror #8\n\tsxtb16 %[v], %[v]\n\t" \
  "smlad %[s0], %[v], r8, %[s0]\n\tsmlad %[s2], %[v], r10, %[s2]\n\t" \
  "smlad %[s0], %[t], r9, %[s0]\n\tsmlad %[s2], %[t], r11, %[s2]\n\t" \
  LOAD_SECOND "sxtb16 %[t], " SECOND ", ror #8\n\tsxtb16 " SECOND ", " SECOND "\n\t" \
  "smlad %[s1], " SECOND ", r8, %[s1]\n\tsmlad %[s3], " SECOND ", r10, %[s3]\n\t" \
  "smlad %[s1], %[t], r9, %[s1]\n\tsmlad %[s3], %[t], r11, %[s3]\n\t"
#define MULTIPLY(terms) \
  __asm__ volatile(terms \
                   : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [x] "+r"(x), [u] "+r"(u), \
                     [v] "=&r"(v), [t] "=&r"(t) OTHER_SECOND \
                   : : "r8", "r9", "r10", "r11", "memory")

INLINE const int8_t *multiply(const windows *p, const int8_t *u, int32_t *sums)
{
  int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  const int8_t *x = p->a;
  uint32_t v, w = 0, t;
  (void)w;
  while (x != p->whole) MULTIPLY(FOUR_TERMS FOUR_TERMS FOUR_TERMS FOUR_TERMS);
  while (x != p->end) MULTIPLY(FOUR_TERMS);
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  return u;
}
#elif defined(WINDOWS_MVE)
/* 16 terms of two channels are separated when they are loaded. */
INLINE const int8_t *multiply(const windows *p, const int8_t *u, int32_t *sums)
{
  const int8_t *a = p->a, *b = p->b;
  idx terms = p->terms;
  int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  for (; terms >= 16; terms -= 16)
    __asm__ volatile(
      "vld20.32 {q0, q1}, [%[u]]\n\tvld21.32 {q0, q1}, [%[u]]!\n\t"
      "vldrb.u8 q2, [%[a]], #16\n\tvldrb.u8 q3, [%[b]], #16\n\t"
      "vmlava.s8 %[s0], q0, q2\n\tvmlava.s8 %[s1], q1, q2\n\tvmlava.s8 %[s2], q0, q3\n\tvmlava.s8 %[s3], q1, q3"
      : [u] "+r"(u), [a] "+r"(a), [b] "+r"(b), [s0] "+Te"(s0), [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3)
      : : "q0", "q1", "q2", "q3", "memory");
  if (terms) {
    uint32_t zero = 0;
    __asm__ volatile(
      "vidup.u32 q4, %[z], #8\n\tvctp.8 %[n]\n\tvpstttt\n\tvldrwt.u32 q0, [%[u], q4]\n\tvldrwt.u32 q1, [%[v], q4]\n\t"
      "vldrbt.u8 q2, [%[a]]\n\tvldrbt.u8 q3, [%[b]]\n\t"
      "vmlava.s8 %[s0], q0, q2\n\tvmlava.s8 %[s1], q1, q2\n\tvmlava.s8 %[s2], q0, q3\n\tvmlava.s8 %[s3], q1, q3"
      : [s0] "+Te"(s0), [s1] "+Te"(s1), [s2] "+Te"(s2), [s3] "+Te"(s3), [z] "+Te"(zero)
      : [n] "r"(terms), [u] "r"(u), [v] "r"(u + 4), [a] "r"(a), [b] "r"(b)
      : "q0", "q1", "q2", "q3", "q4", "p0", "memory");
    u += 2 * terms;
  }
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
  const int8_t *a = p->a, *b = p->b, *const end = u + 2 * p->terms;
  i4 s0 = i4_all(0), s1 = s0, s2 = s0, s3 = s0, left, right;
  for (; end - u >= 16; u += 16, a += 16, b += 16) {
    const i4 weights = *(const i4_memory *)(const void *)u;
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
  const int8_t *a = p->a, *b = p->b, *const end = u + 2 * p->terms;
  uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];
#define TERM(i) \
  s0 += (uint32_t)(a[i] * u[i]), s1 += (uint32_t)(a[i] * u[i + 4]), s2 += (uint32_t)(b[i] * u[i]), s3 += (uint32_t)(b[i] * u[i + 4])
#if defined(__GNUC__) && defined(__thumb__) /* in this order, there are registers for all */
#define KEEP_ORDER __asm__ volatile("" : "+r"(s0), "+r"(s1), "+r"(s2), "+r"(s3) : : "memory")
#else
#define KEEP_ORDER (void)0
#endif
  for (; u != end; u += 8, a += 4, b += 4) {
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

typedef struct {
  const window *n;
  const int8_t *x, *u;
  int8_t *bytes; /* scratch memory for windows */
  idx terms;
  int in_place; /* windows are in the image as they are multiplied */
} layer;

/* Return the window of a result as `multiply` reads it; `which` is 0 or 1. */
static NOINLINE const int8_t *window_at(const layer *l, idx pixel, int which)
{
  const window *const n = l->n;
  const int8_t *from = l->x + pixel * n->pixel;
#if defined(WINDOWS_DSP)
  int8_t *const to = l->bytes + 8 * which, *const bytes = l->bytes + 4 * l->terms;
  const int wide = n->channels % 4 == 0;
#elif defined(WINDOWS_WIDE)
  int8_t *const to = l->bytes + 2 * which * l->terms, *const bytes = l->bytes + 4 * l->terms;
  const int wide = 0;
#else
  int8_t *const bytes = l->bytes + which * l->terms;
  const int wide = 0;
#endif
#ifdef WINDOWS_WIDE
  if (!l->in_place) {
    gather(n, l->x, n->channels, pixel / n->OW, pixel % n->OW, wide ? to : bytes, wide);
    from = bytes;
  }
  if (l->in_place || !wide) widen(to, from, l->terms);
  return to;
#else
  if (l->in_place) return from;
  gather(n, l->x, n->channels, pixel / n->OW, pixel % n->OW, bytes, wide);
  return bytes;
#endif
}

/* The addition of another array. */
INLINE int32_t added(const window *n, int32_t a, int32_t b)
{
  const int32_t sum = i_add(i_add(i_mul(a, n->factor), i_mul(b, n->skip_factor)), n->skip_bias);
  return limited(i_sar(sum, n->shift), n->add_low, n->add_high);
}

/* Compute the results of two pixels that are `distance` apart; with 0, they are one and the same. */
static NOINLINE void convolve(const layer *l, const int8_t *a, const int8_t *b, const int8_t *skip, int8_t *y, idx distance)
{
  const window *const n = l->n;
  const int narrow = n->low > -128 || n->high < 127, is_plain = !narrow && !skip;
  const int8_t *u = l->u;
  windows pair;
  idx left;
  pair.a = a;
  pair.b = b;
  pair.whole = a + 4 * (l->terms & ~15);
  pair.end = a + 4 * l->terms;
  pair.terms = l->terms;
  for (left = n->filters; left > 0; left -= 2) {
    int32_t sums[4];
    const word *scale;
    sums[0] = sums[2] = ((const word *)(const void *)u)[0];
    sums[1] = sums[3] = ((const word *)(const void *)u)[1];
    u = multiply(&pair, u + 8, sums);
    scale = (const word *)(const void *)u;
    u += 8;
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

static NOINLINE void conv_windows(const window *n, const int8_t *x, const int8_t *u, const int8_t *skip, int8_t *y, idx begin, idx end, void *scratch)
{
  layer l;
  const idx stop = end * n->OW;
  idx pixel;
  l.n = n;
  l.x = x;
  l.u = u;
  l.bytes = scratch;
  l.terms = (n->kh * n->kw * n->channels + 3) / 4 * 4;
  l.in_place = n->kh * n->kw * n->sh * n->sw == 1 && n->top == 0 && n->left == 0 && n->H == n->OH && n->W == n->OW;
  for (pixel = begin * n->OW; pixel < stop; pixel += 2) {
    const idx other = pixel + 1 < stop ? pixel + 1 : pixel, at = pixel * n->out_pixel;
    const int8_t *const a = window_at(&l, pixel, 0), *const b = window_at(&l, other, 1);
    convolve(&l, a, b, skip ? skip + at : skip, y + at, (other - pixel) * n->out_pixel);
  }
}
