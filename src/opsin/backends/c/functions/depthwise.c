#ifndef WINDOWS_MVE
#if defined(WINDOWS_DSP)
#define ONE_TAP \
  "ldr %[a], [%[at]], #4\n\tldr %[w], [%[u]], #8\n\tldr %[a], [%[x], %[a]]\n\t" \
  "sxtb16 %[v], %[w], ror #8\n\tsxtb16 %[w], %[w]\n\tsxtb16 %[t], %[a], ror #8\n\tsxtb16 %[a], %[a]\n\t" \
  "smlabb %[s0], %[a], %[w], %[s0]\n\tsmlabb %[s1], %[t], %[v], %[s1]\n\t" \
  "smlatt %[s2], %[a], %[w], %[s2]\n\tsmlatt %[s3], %[t], %[v], %[s3]\n\t"
#define MULTIPLY_TAPS(taps) \
  __asm__ volatile(taps \
                   : [s0] "+r"(s0), [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [at] "+r"(at), [u] "+r"(u), \
                     [a] "=&r"(a), [w] "=&r"(w), [t] "=&r"(t), [v] "=&r"(v) \
                   : [x] "r"(x) : "memory")
#endif

#ifdef WINDOWS_VECTORS
/* Return four bytes and four others in turn, widened. */
INLINE i4 paired(uint32_t a, uint32_t b)
{
  const i4 first = {(int32_t)a, 0, 0, 0}, second = {(int32_t)b, 0, 0, 0};
  return widened_low((i4)__builtin_shufflevector((b16)first, (b16)second, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
}
#endif

/* Add the products of the windows of four channels; u has eight weights for each tap, whose place is in `at`. */
INLINE void multiply_channels(const int8_t *x, const word *at, idx taps, const int8_t *u, int32_t *sums)
{
  const word *const stop = at + taps;
#if defined(WINDOWS_DSP)
  int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  uint32_t a, w, t, v;
  while (at != stop) MULTIPLY_TAPS(ONE_TAP);
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
#elif defined(WINDOWS_VECTORS)
  i4 s = *(i4_memory *)(void *)sums;
  for (; at != stop; u += 16) { /* two taps of a channel are next to each other; the last one may be alone */
    const uint32_t a = ((const four *)(const void *)(x + *at++))->all, w = ((const four *)(const void *)u)->all;
    uint32_t b = 0, v = 0;
    if (at != stop) {
      b = ((const four *)(const void *)(x + *at++))->all;
      v = ((const four *)(const void *)(u + 8))->all;
    }
    s = i4_dot(paired(a, b), paired(w, v), s);
  }
  *(i4_memory *)(void *)sums = s;
#else
  uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];
  do {
    const int8_t *const a = x + *at++;
    s0 += (uint32_t)(a[0] * u[0]);
    s1 += (uint32_t)(a[1] * u[1]);
    s2 += (uint32_t)(a[2] * u[2]);
    s3 += (uint32_t)(a[3] * u[3]);
    u += 8;
  } while (at != stop);
  sums[0] = (int32_t)s0;
  sums[1] = (int32_t)s1;
  sums[2] = (int32_t)s2;
  sums[3] = (int32_t)s3;
#endif
}

/* Compute the results of a pixel. For each eight channels, u has their biases, weights, and scales. */
static NOINLINE void convolve_channels(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y)
{
  const idx taps = n->kh * n->kw;
  const int narrow = n->low > -128 || n->high < 127;
  idx left, half = 0;
  for (left = n->pixel; left > 0; left -= 4, x += 4, y += 4, half ^= 4) {
    const word *const bias = (const word *)(const void *)u + half, *const scale = bias + 8 + 2 * taps;
    int32_t sums[4];
    sums[0] = bias[0];
    sums[1] = bias[1];
    sums[2] = bias[2];
    sums[3] = bias[3];
    multiply_channels(x, at, taps, u + 32 + half, sums);
    if (half) u += 64 + 8 * taps;
    sums[0] = scaled(n, sums[0], scale[0]);
    sums[1] = scaled(n, sums[1], scale[1]);
    sums[2] = scaled(n, sums[2], scale[2]);
    sums[3] = scaled(n, sums[3], scale[3]);
    if (narrow) {
      sums[0] = limited(sums[0], n->low, n->high);
      sums[1] = limited(sums[1], n->low, n->high);
      sums[2] = limited(sums[2], n->low, n->high);
      sums[3] = limited(sums[3], n->low, n->high);
    }
    y[0] = (int8_t)sums[0];
    if (left < 4) {
      if (left > 1) y[1] = (int8_t)sums[1];
      if (left > 2) y[2] = (int8_t)sums[2];
      return;
    }
    y[1] = (int8_t)sums[1];
    y[2] = (int8_t)sums[2];
    y[3] = (int8_t)sums[3];
  }
}

#ifdef WINDOWS_DSP_TILES
/* Four channels at a time: sums are in r0 to r3. r4 is in the image, r5 the places of the taps, r8 in the weights, and r9
   where the biases are, and 104 bytes further the scales. */
typedef struct {
  const int8_t *x;
  const word *at;
  const int8_t *weights, *bias;
  int8_t *y;
  idx left, weights_move, bias_move; /* to the other four of eight channels */
  int32_t zero;
  int limits;
  const window *n;
} run;

#define AT(member) [member] "i"(offsetof(run, member))
#define OF(member) [member] "i"(offsetof(window, member))
#define TAP(at) \
  "ldr r10, [r5, #" at "]\n\tldr r11, [r8], #8\n\tldr r10, [r4, r10]\n\tsxtb16 lr, r11, ror #8\n\tsxtb16 r11, r11\n\t" \
  "sxtb16 r12, r10, ror #8\n\tsxtb16 r10, r10\n\tsmlabb r0, r10, r11, r0\n\tsmlabb r1, r12, lr, r1\n\t" \
  "smlatt r2, r10, r11, r2\n\tsmlatt r3, r12, lr, r3\n\t"
#define SCALED(sum, scale) "smmla " sum ", " sum ", " scale ", r5\n\tssat " sum ", #8, " sum "\n\t"
#define LIMITED(sum) /* from r10 to r11 */ \
  "cmp " sum ", r10\n\tit lt\n\tmovlt " sum ", r10\n\tcmp " sum ", r11\n\tit gt\n\tmovgt " sum ", r11\n\t"

static NOINLINE void convolve_nine(run *t)
{
  __asm__ volatile(
    "ldrd r8, r9, [%[t], %[weights]]\n\tldrd r4, r5, [%[t]]\n"
    "1:\n\tldrd r0, r1, [r9]\n\tldrd r2, r3, [r9, #8]\n\tldr r5, [%[t], %[at]]\n\t"
    TAP("0") TAP("4") TAP("8") TAP("12") TAP("16") TAP("20") TAP("24") TAP("28") TAP("32")
    "ldr r5, [%[t], %[zero]]\n\tldrd r10, r11, [r9, #104]\n\tldrd r12, lr, [r9, #112]\n\t"
    SCALED("r0", "r10") SCALED("r1", "r11") SCALED("r2", "r12") SCALED("r3", "lr")
    "ldr r5, [%[t], %[limits]]\n\tcbz r5, 2f\n\tldr r5, [%[t], %[n]]\n\tldrd r10, r11, [r5, %[low]]\n\t"
    LIMITED("r0") LIMITED("r1") LIMITED("r2") LIMITED("r3")
    "2:\n\tldrd r5, r10, [%[t], %[y]]\n\tsubs r10, #4\n\tblt 3f\n\tbfi r0, r1, #8, #8\n\tbfi r0, r2, #16, #8\n\t"
    "bfi r0, r3, #24, #8\n\tstr r0, [r5], #4\n\tbeq 4f\n\tstrd r5, r10, [%[t], %[y]]\n\t"
    "ldrd r0, r1, [%[t], %[weights_move]]\n\tadds r4, #4\n\tadd r8, r0\n\tadd r9, r1\n\tmvn r0, r0\n\tsubs r0, #7\n\t"
    "rsb r1, r1, #136\n\tstrd r0, r1, [%[t], %[weights_move]]\n\tb 1b\n"
    "3:\n\tstrb r0, [r5]\n\tcmp r10, #-3\n\tbeq 4f\n\tstrb r1, [r5, #1]\n\tcmp r10, #-2\n\tbeq 4f\n\tstrb r2, [r5, #2]\n"
    "4:"
    :
    : [t] "r"(t), AT(weights), AT(at), AT(zero), AT(limits), AT(n), AT(y), AT(weights_move), OF(low)
    : "r0", "r1", "r2", "r3", "r4", "r5", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}
#undef AT
#undef OF
#undef SCALED
#undef LIMITED
#endif

/* Compute the results of `count` pixels, whose windows are inside the image. */
static void convolve_run(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y, idx count)
{
#ifdef WINDOWS_DSP_TILES
  run t;
  t.at = at;
  t.zero = n->zero;
  t.limits = n->low > -128 || n->high < 127;
  t.n = n;
  if (n->kh * n->kw == 9) {
    for (; count; count--, x += n->sw * n->pixel, y += n->pixel) {
      t.x = x;
      t.weights = u + 32;
      t.bias = u;
      t.y = y;
      t.left = n->pixel;
      t.weights_move = -68;
      t.bias_move = 16;
      convolve_nine(&t);
    }
  }
#endif
  for (; count; count--, x += n->sw * n->pixel, y += n->pixel) convolve_channels(n, x, at, u, y);
}
#endif
