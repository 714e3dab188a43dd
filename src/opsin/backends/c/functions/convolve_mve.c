#ifdef WINDOWS_MVE
/* Two pixels by four channels at a time. Sums are in registers of even numbers, which vmlava needs: those of the first
   pixel in r0, r2, r4 and r6, and those of the second one in r8, r10, r12 and lr. */
typedef struct {
  const int8_t *a, *b, *u;
  idx terms;
  int8_t *y, *y2;
  const int8_t *skip, *skip2;
  idx left, step, back, pairs;
  const window *n;
} tile;

#define AT(member) [member] "i"(offsetof(tile, member))
#define OF(member) [member] "i"(offsetof(window, member))
#define MULTIPLY_SIXTEEN \
  "vmlava.s8 r0, q0, q4\n\tvmlava.s8 r2, q1, q4\n\tvmlava.s8 r4, q2, q4\n\tvmlava.s8 r6, q3, q4\n\t" \
  "vmlava.s8 r8, q0, q5\n\tvmlava.s8 r10, q1, q5\n\tvmlava.s8 r12, q2, q5\n\tvmlava.s8 lr, q3, q5\n\t"

/* Compute the results of two pixels that are `distance` apart; with 0, they are one and the same. If there are further
   `pairs`, their windows follow in the image. */
static NOINLINE void convolve(const layer *l, const int8_t *a, const int8_t *b, const int8_t *skip, int8_t *y, idx distance, idx pairs)
{
  tile t;
  t.a = a;
  t.b = b;
  t.u = l->u;
  t.terms = l->terms;
  t.y = y;
  t.y2 = y + distance;
  t.skip = skip;
  t.skip2 = skip ? skip + distance : skip;
  t.left = l->n->filters;
  t.step = 2 * l->n->pixel;
  t.back = 2 * distance - (l->n->filters + 3) / 4 * 4;
  t.pairs = pairs;
  t.n = l->n;
  __asm__ volatile(
    "ldr r4, [%[t], %[n]]\n\tldrd r0, r2, [r4, %[low]]\n\tvdup.32 q6, r0\n\tvdup.32 q7, r2\n"
    "0:\n\tldr r5, [%[t], %[u]]\n"
    /* The biases, and the terms: 16 at a time, and then the rest, with zeros for what is no part of the windows. */
    "1:\n\tldrd r1, r3, [%[t], %[a]]\n\tldr r9, [%[t], %[terms]]\n\t"
    "ldrd r0, r2, [r5], #8\n\tldrd r4, r6, [r5], #8\n\tmov r8, r0\n\tmov r10, r2\n\tmov r12, r4\n\tmov lr, r6\n\t"
    "subs r9, #16\n\tblt 3f\n"
    "2:\n\tvld40.32 {q0, q1, q2, q3}, [r5]\n\tvld41.32 {q0, q1, q2, q3}, [r5]\n\tvld42.32 {q0, q1, q2, q3}, [r5]\n\t"
    "vld43.32 {q0, q1, q2, q3}, [r5]!\n\tvldrb.u8 q4, [r1], #16\n\tvldrb.u8 q5, [r3], #16\n\t" MULTIPLY_SIXTEEN
    "subs r9, #16\n\tbge 2b\n"
    "3:\n\tadds r9, #16\n\tbeq 4f\n\tvctp.8 r9\n\tvpstt\n\tvldrbt.u8 q4, [r1]\n\tvldrbt.u8 q5, [r3]\n\t"
    "vld40.32 {q0, q1, q2, q3}, [r5]\n\tvld41.32 {q0, q1, q2, q3}, [r5]\n\tvld42.32 {q0, q1, q2, q3}, [r5]\n\t"
    "vld43.32 {q0, q1, q2, q3}, [r5]\n\t" MULTIPLY_SIXTEEN "add r5, r5, r9, lsl #2\n"
    /* From sums to bytes. */
    "4:\n\tvmov q0[2], q0[0], r0, r4\n\tvmov q0[3], q0[1], r2, r6\n\tvmov q1[2], q1[0], r8, r12\n\t"
    "vmov q1[3], q1[1], r10, lr\n\tvldrw.u32 q2, [r5], #16\n\tldr r4, [%[t], %[n]]\n\tldr r6, [r4, %[zero]]\n\t"
    "vmulh.s32 q0, q0, q2\n\tvmulh.s32 q1, q1, q2\n\tvadd.i32 q0, q0, r6\n\tvadd.i32 q1, q1, r6\n\t"
    "vmax.s32 q0, q0, q6\n\tvmax.s32 q1, q1, q6\n\tvmin.s32 q0, q0, q7\n\tvmin.s32 q1, q1, q7\n\t"
    /* The addition of another array. */
    "ldrd r0, r2, [%[t], %[skip]]\n\tcbz r0, 5f\n\t"
    "vldrb.s32 q2, [r0]\n\tvldrb.s32 q3, [r2]\n\tadds r0, #4\n\tadds r2, #4\n\tstrd r0, r2, [%[t], %[skip]]\n\t"
    "ldrd r6, r8, [r4, %[factor]]\n\tvmul.i32 q0, q0, r6\n\tvmul.i32 q1, q1, r6\n\tvmla.s32 q0, q2, r8\n\t"
    "vmla.s32 q1, q3, r8\n\tldrd r6, r8, [r4, %[skip_bias]]\n\tvadd.i32 q0, q0, r6\n\tvadd.i32 q1, q1, r6\n\t"
    "rsb r8, r8, #0\n\tvshl.s32 q0, r8\n\tvshl.s32 q1, r8\n\tldrd r6, r8, [r4, %[add_low]]\n\t"
    "vdup.32 q2, r6\n\tvdup.32 q3, r8\n\tvmax.s32 q0, q0, q2\n\tvmax.s32 q1, q1, q2\n\tvmin.s32 q0, q0, q3\n\t"
    "vmin.s32 q1, q1, q3\n"
    "5:\n\tldr r4, [%[t], %[left]]\n\tldrd r0, r2, [%[t], %[y]]\n\tvctp.32 r4\n\tvpstt\n\tvstrbt.32 q0, [r0], #4\n\t"
    "vstrbt.32 q1, [r2], #4\n\tstrd r0, r2, [%[t], %[y]]\n\tsubs r4, #4\n\tstr r4, [%[t], %[left]]\n\tbgt 1b\n\t"
    /* The next pair. */
    "ldrd r4, r6, [%[t], %[back]]\n\tsubs r6, #1\n\tbeq 7f\n\tstr r6, [%[t], %[pairs]]\n\tadd r0, r4\n\tadd r2, r4\n\t"
    "strd r0, r2, [%[t], %[y]]\n\tldrd r0, r2, [%[t], %[skip]]\n\tcbz r0, 6f\n\tadd r0, r4\n\tadd r2, r4\n\t"
    "strd r0, r2, [%[t], %[skip]]\n"
    "6:\n\tldrd r0, r2, [%[t], %[a]]\n\tldr r4, [%[t], %[step]]\n\tadd r0, r4\n\tadd r2, r4\n\tstrd r0, r2, [%[t], %[a]]\n\t"
    "ldr r4, [%[t], %[n]]\n\tldr r4, [r4, %[filters]]\n\tstr r4, [%[t], %[left]]\n\tb 0b\n"
    "7:"
    :
    : [t] "r"(&t), AT(a), AT(u), AT(terms), AT(y), AT(skip), AT(left), AT(back), AT(pairs), AT(step), AT(n), OF(filters), OF(low), OF(zero), OF(factor),
      OF(skip_bias), OF(add_low)
    : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "q0", "q1", "q2", "q3", "q4", "q5", "q6",
      "q7", "cc", "memory");
}
#undef AT
#undef OF
#endif
