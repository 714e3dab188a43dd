#if defined(WINDOWS_DSP)
#define ONE_TAP \
  "ldr %[a], [%[at]], #4\n\tldr %[w], [%[u]], #4\n\tldr %[a], [%[x], %[a]]\n\t" \
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

#ifndef WINDOWS_MVE
/* Add the products of the windows of four channels; u has four weights for each tap, whose place is in `at`. */
INLINE const int8_t *multiply_channels(const int8_t *x, const word *at, idx taps, const int8_t *u, int32_t *sums)
{
  const word *const stop = at + taps;
#if defined(WINDOWS_DSP)
  int32_t s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  uint32_t a, w, t, v;
  if (taps == 9) MULTIPLY_TAPS(ONE_TAP ONE_TAP ONE_TAP ONE_TAP ONE_TAP ONE_TAP ONE_TAP ONE_TAP ONE_TAP);
  while (at != stop) MULTIPLY_TAPS(ONE_TAP);
  sums[0] = s0;
  sums[1] = s1;
  sums[2] = s2;
  sums[3] = s3;
  return u;
#elif defined(WINDOWS_VECTORS)
  i4 s = *(i4_memory *)(void *)sums;
  for (; at != stop; u += 8) { /* two taps of a channel are next to each other; the last one may be alone */
    const uint32_t a = ((const four *)(const void *)(x + *at++))->all, w = ((const four *)(const void *)u)->all;
    uint32_t b = 0, v = 0;
    if (at != stop) {
      b = ((const four *)(const void *)(x + *at++))->all;
      v = ((const four *)(const void *)(u + 4))->all;
    } else {
      u -= 4;
    }
    s = i4_dot(paired(a, b), paired(w, v), s);
  }
  *(i4_memory *)(void *)sums = s;
  return u;
#else
  uint32_t s0 = (uint32_t)sums[0], s1 = (uint32_t)sums[1], s2 = (uint32_t)sums[2], s3 = (uint32_t)sums[3];
  do {
    const int8_t *const a = x + *at++;
    s0 += (uint32_t)(a[0] * u[0]);
    s1 += (uint32_t)(a[1] * u[1]);
    s2 += (uint32_t)(a[2] * u[2]);
    s3 += (uint32_t)(a[3] * u[3]);
    u += 4;
  } while (at != stop);
  sums[0] = (int32_t)s0;
  sums[1] = (int32_t)s1;
  sums[2] = (int32_t)s2;
  sums[3] = (int32_t)s3;
  return u;
#endif
}
#endif

/* Compute the results of a pixel. For each four channels, u has their biases, weights, and scales. */
#ifdef WINDOWS_MVE
static NOINLINE void convolve_channels(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y)
{
  const idx taps = n->kh * n->kw;
  idx left;
  for (left = n->pixel; left > 0; left -= 4, x += 4) {
    const word *places = at;
    const int8_t *there;
    int32_t sums[4];
    __asm__ volatile(
      "vldrw.u32 q2, [%[u]], #16\n\tdls lr, %[taps]\n1:\n\tldr %[there], [%[places]], #4\n\tadd %[there], %[x]\n\t"
      "vldrb.s32 q0, [%[there]]\n\tvldrb.s32 q1, [%[u]], #4\n\tvmul.i32 q0, q0, q1\n\tvadd.i32 q2, q2, q0\n\tle lr, 1b\n\t"
      "vstrw.32 q2, [%[sums]]"
      : [u] "+l"(u), [places] "+r"(places), [there] "=&l"(there)
      : [taps] "r"(taps), [x] "r"(x), [sums] "r"(sums) : "q0", "q1", "q2", "lr", "memory");
    __asm__ volatile(
      "vldrw.u32 q2, [%[sums]]\n\tvldrw.u32 q0, [%[u]], #16\n\tvmulh.s32 q2, q2, q0\n\tvadd.i32 q2, q2, %[zero]\n\t"
      "vdup.32 q0, %[low]\n\tvdup.32 q1, %[high]\n\tvmax.s32 q2, q2, q0\n\tvmin.s32 q2, q2, q1\n\t"
      "vctp.32 %[left]\n\tvpst\n\tvstrbt.32 q2, [%[y]], #4"
      : [u] "+r"(u), [y] "+l"(y)
      : [sums] "r"(sums), [zero] "r"(n->zero), [low] "r"(n->low), [high] "r"(n->high), [left] "r"(left)
      : "q0", "q1", "q2", "p0", "memory");
  }
}
#else
static NOINLINE void convolve_channels(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y)
{
  const idx taps = n->kh * n->kw;
  const int narrow = n->low > -128 || n->high < 127;
  idx left;
  for (left = n->pixel; left > 0; left -= 4, x += 4, y += 4) {
    const word *const bias = (const word *)(const void *)u, *scale;
    int32_t sums[4];
    sums[0] = bias[0];
    sums[1] = bias[1];
    sums[2] = bias[2];
    sums[3] = bias[3];
    u = multiply_channels(x, at, taps, u + 16, sums);
    scale = (const word *)(const void *)u;
    u += 16;
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
#endif

/* Write the places of the taps of a window whose first tap is in a row and a column, from the image on: those outside
   of it are where the padding is. */
static void place_taps(const window *n, idx row, idx column, idx padding, word *at)
{
  idx r, s;
  for (r = 0; r < n->kh; r++, row += n->dh)
    for (s = 0; s < n->kw; s++) {
      const idx there = column + s * n->dw;
      const int inside = row >= 0 && row < n->H && there >= 0 && there < n->W;
      *at++ = (word)(inside ? (row * n->W + there) * n->pixel : padding);
    }
}

static NOINLINE void depthwise_windows(const window *n, const int8_t *x, const int8_t *u, int8_t *y, idx begin, idx end, void *scratch)
{
  word *const inside = scratch, *const border = inside + n->kh * n->kw; /* the places of the taps */
  int8_t *const padding = (int8_t *)(border + n->kh * n->kw);
  const idx last_row = n->H - (n->kh - 1) * n->dh, last_column = n->W - (n->kw - 1) * n->dw;
  idx row, column;
  fill_bytes(padding, n->pixel, n->x_zero);
  place_taps(n, 0, 0, 0, inside);
  y += begin * n->OW * n->pixel;
  for (row = begin; row < end; row++) {
    const int8_t *const image = x + row / n->OH * n->H * n->W * n->pixel;
    idx y0 = row % n->OH * n->sh - n->top, x0 = -n->left;
    for (column = 0; column < n->OW; column++, x0 += n->sw, y += n->pixel) {
      if (y0 >= 0 && y0 < last_row && x0 >= 0 && x0 < last_column) {
        convolve_channels(n, image + (y0 * n->W + x0) * n->pixel, inside, u, y);
      } else {
        place_taps(n, y0, x0, padding - image, border);
        convolve_channels(n, image, border, u, y);
      }
    }
  }
}
