#ifdef WINDOWS_MVE
/* Eight channels at a time with MVE: products and sums of two of them have 16 bits, and are then added in 32 bits, the
   channels of even numbers in q0 and the others in q1. Loads that widen need one of the first eight registers: five taps
   have one, and the others the end of their channels, from which the number of channels that are left is subtracted. */
typedef struct {
  const int8_t *taps[9], *u;
  idx channels, step, move, pixels;
  int8_t *end; /* of the results of a pixel */
  const window *n;
} run;

#define AT(member) [member] "i"(offsetof(run, member))
#define OF(member) [member] "i"(offsetof(window, member))
#define LIMITS /* from r0, where the window is; it is lost */ \
  "ldrd r1, r2, [r0, %[low]]\n\tvdup.16 q6, r1\n\tvdup.16 q7, r2\n\tldr r0, [r0, %[zero]]\n\tvdup.16 q5, r0\n\t"
#define BIASES "vld20.32 {q0, q1}, [r5]\n\tvld21.32 {q0, q1}, [r5]!\n\t"
#define PRODUCT(to, with, x) \
  "vldrb.s16 " to ", [" x "\n\tvldrb.s16 " with ", [r5], #8\n\tvmul.i16 " to ", " to ", " with "\n\t"
#define FAR(to, with, end) "sub r6, " end ", lr\n\t" PRODUCT(to, with, "r6]")
#define ADD_SUMS "vmovlb.s16 q3, q2\n\tvmovlt.s16 q2, q2\n\tvadd.i32 q0, q0, q3\n\tvadd.i32 q1, q1, q2\n\t"
#define TWO(first, second) first second "vadd.i16 q2, q2, q3\n\t" ADD_SUMS
#define STORE_SCALED(left) \
  "vld20.32 {q2, q3}, [r5]\n\tvld21.32 {q2, q3}, [r5]!\n\tvmulh.s32 q0, q0, q2\n\tvmulh.s32 q1, q1, q3\n\t" \
  "vqmovnb.s32 q0, q0\n\tvqmovnt.s32 q0, q1\n\tvqadd.s16 q0, q0, q5\n\tvmax.s16 q0, q0, q6\n\tvmin.s16 q0, q0, q7\n\t" \
  "vctp.16 " left "\n\tvpst\n\tvstrbt.16 q0, [r6], #8\n\tsubs " left ", #8\n\t"

static NOINLINE void convolve_nine(const run *t)
{
  __asm__ volatile(
    "ldr r0, [%[t], %[n]]\n\t" LIMITS "ldm %[t], {r0, r1, r2, r3, r4, r8, r9, r10, r12}\n"
    "1:\n\tldrd r5, lr, [%[t], %[u]]\n"
    "2:\n\t" BIASES TWO(PRODUCT("q2", "q3", "r0], #8"), PRODUCT("q3", "q4", "r1], #8"))
    TWO(PRODUCT("q2", "q3", "r2], #8"), PRODUCT("q3", "q4", "r3], #8"))
    TWO(PRODUCT("q2", "q3", "r4], #8"), FAR("q3", "q4", "r8")) TWO(FAR("q2", "q3", "r9"), FAR("q3", "q4", "r10"))
    FAR("q2", "q3", "r12") ADD_SUMS "ldr r6, [%[t], %[end]]\n\tsub r6, r6, lr\n\t" STORE_SCALED("lr") "bgt 2b\n\t"
    /* The next pixel. */
    "ldrd lr, r6, [%[t], %[step]]\n\tadd r0, lr\n\tadd r1, lr\n\tadd r2, lr\n\tadd r3, lr\n\tadd r4, lr\n\t"
    "add r8, r6\n\tadd r9, r6\n\tadd r10, r6\n\tadd r12, r6\n\tldrd lr, r6, [%[t], %[pixels]]\n\t"
    "ldr r5, [%[t], %[channels]]\n\tadd r6, r5\n\tsubs lr, #1\n\tstrd lr, r6, [%[t], %[pixels]]\n\tbgt 1b"
    :
    : [t] "r"(t), AT(n), AT(u), AT(channels), AT(step), AT(pixels), AT(end), OF(low), OF(zero)
    : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6",
      "q7", "cc", "memory");
}

static NOINLINE void convolve_any(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y)
{
  const struct { const window *n; const int8_t *x; const word *at; idx taps; const int8_t *u; int8_t *y; } t = {
    n, x, at, n->kh * n->kw, u, y};
  __asm__ volatile(
    "ldr r0, [%[t]]\n\tldr r8, [r0, %[pixel]]\n\t" LIMITS "ldr r3, [%[t], #4]\n\tldrd r5, r6, [%[t], #16]\n"
    "1:\n\t" BIASES "ldrd r4, lr, [%[t], #8]\n\tdls lr, lr\n"
    "2:\n\tldr r2, [r4], #4\n\tadd r2, r3\n\t" PRODUCT("q2", "q3", "r2]") ADD_SUMS
    "le lr, 2b\n\tadds r3, #8\n\t" STORE_SCALED("r8") "bgt 1b"
    :
    : [t] "r"(&t), OF(pixel), OF(low), OF(zero)
    : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "lr", "q0", "q1", "q2", "q3", "q5", "q6", "q7", "cc", "memory");
}

/* Compute the results of `count` pixels, whose windows are inside the image. For each eight channels, u has their
   biases, weights, and scales. */
static void convolve_run(const window *n, const int8_t *x, const word *at, const int8_t *u, int8_t *y, idx count)
{
  if (n->kh * n->kw == 9) {
    run t;
    idx tap;
    for (tap = 0; tap < 9; tap++) t.taps[tap] = x + at[tap] + (tap < 5 ? 0 : n->pixel);
    t.u = u;
    t.channels = n->pixel;
    t.move = n->sw * n->pixel;
    t.step = t.move - (n->pixel + 7) / 8 * 8;
    t.pixels = count;
    t.end = y + n->pixel;
    t.n = n;
    convolve_nine(&t);
    return;
  }
  for (; count; count--, x += n->sw * n->pixel, y += n->pixel) convolve_any(n, x, at, u, y);
}
#undef AT
#undef OF
#endif
