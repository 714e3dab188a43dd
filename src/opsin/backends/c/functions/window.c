/* A convolution: the windows that move over an image, and how sums become bytes. Taps outside the image have the value
   x_zero. */
typedef struct {
  int32_t H, W, OH, OW, kh, kw, sh, sw, dh, dw, top, left, pixel, x_zero;
  int32_t channels, filters, out_pixel, zero, low, high;
  int32_t factor, skip_factor, skip_bias, shift, add_low, add_high;
} window;

#if defined(__GNUC__)
typedef uint32_t FOUR;
typedef struct { uint32_t all[4]; } __attribute__((packed, may_alias)) sixteen;

typedef struct { FOUR all; } __attribute__((packed, may_alias)) four; /* bytes at any place */
#else
typedef uint8_t FOUR;
typedef struct { uint8_t all[16]; } sixteen;
typedef struct { FOUR all; } four;
#endif

#if defined(VECTORS) && (defined(__clang__) || __GNUC__ >= 12)
#define WINDOWS_VECTORS 1
typedef int8_t b16 __attribute__((vector_size(16)));

/* Widen the first eight bytes, or the last eight. */
INLINE i4 widened_low(i4 a)
{
  const b16 bytes = (b16)a, signs = bytes < 0;
  return (i4)__builtin_shufflevector(bytes, signs, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}

INLINE i4 widened_high(i4 a)
{
  const b16 bytes = (b16)a, signs = bytes < 0;
  return (i4)__builtin_shufflevector(bytes, signs, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#endif

#ifdef WINDOWS_DSP
/* Widen four bytes: the first and the third share a word, as two sign extensions leave them. The words of two windows
   take turns. */
#define WIDEN_FOUR "ldr %[a], [%[from]], #4\n\tsxtb16 %[b], %[a], ror #8\n\tsxtb16 %[a], %[a]\n\tstrd %[a], %[b], [%[to]], #16\n\t"
#define WIDEN(bytes) \
  __asm__ volatile(bytes : [to] "+r"(to), [from] "+r"(from), [a] "=&r"(a), [b] "=&r"(b) : : "memory")

static NOINLINE void widen(int8_t *to, const int8_t *from, idx count)
{
  const int8_t *end = from + (count & ~15);
  uint32_t a, b;
  while (from != end) WIDEN(WIDEN_FOUR WIDEN_FOUR WIDEN_FOUR WIDEN_FOUR);
  for (end += count & 15; from != end;) WIDEN(WIDEN_FOUR);
}

static void fill_wide(int8_t *to, idx count, int32_t value)
{
  const uint32_t both = (uint32_t)(value & 0xffff) * 0x10001u;
  for (; count > 0; count -= 4, to += 16) ((word *)(void *)to)[0] = ((word *)(void *)to)[1] = (int32_t)both;
}
#endif

static void fill_bytes(int8_t *to, idx count, int32_t value)
{
  four bytes;
  bytes.all = (uint8_t)value * (FOUR)0x01010101u;
  for (; count >= (idx)sizeof bytes; count -= (idx)sizeof bytes, to += sizeof bytes) *(four *)(void *)to = bytes;
  for (; count > 0; count--) *to++ = (int8_t)value;
}

static void copy_bytes(int8_t *to, const int8_t *from, idx count)
{
#ifdef WINDOWS_MVE
  for (; count > 0; count -= 16)
    __asm__ volatile("vctp.8 %2\n\tvpstt\n\tvldrbt.u8 q0, [%1], #16\n\tvstrbt.8 q0, [%0], #16"
                     : "+r"(to), "+r"(from) : "r"(count) : "q0", "p0", "memory");
#else
  for (; count >= 16; count -= 16, from += 16, to += 16) *(sixteen *)(void *)to = *(const sixteen *)(const void *)from;
  for (; count >= (idx)sizeof(four); count -= (idx)sizeof(four), from += sizeof(four), to += sizeof(four))
    *(four *)(void *)to = *(const four *)(const void *)from;
  for (; count > 0; count--) *to++ = *from++;
#endif
}

static NOINLINE void fill(int8_t *to, idx count, int32_t value, int wide)
{
#ifdef WINDOWS_DSP
  if (wide) fill_wide(to, count, value);
  else
#endif
    fill_bytes(to, count, value);
  (void)wide;
}

INLINE void copy(int8_t *to, const int8_t *from, idx count, int wide)
{
#ifdef WINDOWS_DSP
  if (wide) widen(to, from, count);
  else
#endif
    copy_bytes(to, from, count);
  (void)wide;
}

/* The columns of results whose windows are inside the image, from `first` to before `stop`. */
static void inside_columns(const window *n, idx *first, idx *stop)
{
  const idx last = n->W - (n->kw - 1) * n->dw - 1; /* where such a window may begin */
  *first = (n->left + n->sw - 1) / n->sw;
  *stop = last >= 0 ? (last + n->left) / n->sw + 1 : 0;
  if (*stop > n->OW) *stop = n->OW;
}

INLINE int32_t limited(int32_t a, int32_t low, int32_t high) { return a < low ? low : a > high ? high : a; }

/* zero + mulh(sum, scale), limited to bytes; the limits of a layer may be narrower. */
INLINE int32_t scaled(const window *n, int32_t sum, int32_t scale)
{
#if defined(WINDOWS_DSP) || defined(WINDOWS_MVE)
  int32_t value;
  __asm__("smmla %0, %1, %2, %3\n\tssat %0, #8, %0" : "=r"(value) : "r"(sum), "r"(scale), "r"(n->zero));
  return value;
#else
  return limited((int32_t)(((int64_t)sum * scale) >> 32) + n->zero, -128, 127);
#endif
}
