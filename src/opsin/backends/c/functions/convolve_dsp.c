#ifdef WINDOWS_DSP_TILES
/* Two pixels by two channels at a time with DSP. Sums are in r0 to r3: of the first pixel, then of the second. r4 is in
   the windows, r5 in the weights. */
typedef struct {
  const int8_t *x, *u;
  const int8_t *whole, *end; /* where the terms end that are multiplied 16 at a time, and all of them */
  int8_t *y, *y2;
  idx left, move, both; /* from the scales to the next two channels of four, and to these and the following two */
  const int8_t *skip, *skip2;
  int32_t zero;
  int limits; /* whether they are narrower than those of bytes */
  const window *n;
} tile;

#define AT(member) [member] "m"(t.member) /* by the stack or frame pointer: all other registers are used */
#define OF(member) [member] "i"(offsetof(window, member))
#define FOUR_TERMS \
  "ldrd r6, lr, [r5], #16\n\tldmia r4!, {r8, r9, r10, r11}\n\tsxtb16 r12, r6, ror #8\n\tsxtb16 r6, r6\n\t" \
  "smlad r0, r6, r8, r0\n\tsmlad r2, r6, r10, r2\n\tsmlad r0, r12, r9, r0\n\tsmlad r2, r12, r11, r2\n\t" \
  "sxtb16 r12, lr, ror #8\n\tsxtb16 lr, lr\n\t" \
  "smlad r1, lr, r8, r1\n\tsmlad r3, lr, r10, r3\n\tsmlad r1, r12, r9, r1\n\tsmlad r3, r12, r11, r3\n\t"
#define SCALED(sum, scale) "smmla " sum ", " sum ", " scale ", r12\n\tssat " sum ", #8, " sum "\n\t"
#define LIMITED(sum) /* from r8 to r9 */ \
  "cmp " sum ", r8\n\tit lt\n\tmovlt " sum ", r8\n\tcmp " sum ", r9\n\tit gt\n\tmovgt " sum ", r9\n\t"
#define ADDED(sum, skip) "ldrsb r4, [" skip "]\n\tmul r4, r4, r9\n\tmla " sum ", " sum ", r8, r4\n\t"
#define SHIFTED(sum) "add " sum ", r8\n\tasr " sum ", r9\n\t"

/* Compute the results of two pixels that are `distance` apart; with 0, they are one and the same. Their windows are
   widened, four terms of each in turn. */
static NOINLINE void convolve(const layer *l, const int8_t *a, const int8_t *b, const int8_t *skip, int8_t *y, idx distance, idx pairs)
{
  tile t;
  (void)b;
  (void)pairs; /* one */
  t.n = l->n;
  t.x = a;
  t.whole = a + 4 * (l->terms & ~15);
  t.end = a + 4 * l->terms;
  t.u = l->u;
  t.y = y;
  t.y2 = y + distance;
  t.left = t.n->filters;
  t.both = -4 * l->terms;
  t.move = t.both - 8;
  t.skip = skip;
  t.skip2 = skip ? skip + distance : skip;
  t.zero = t.n->zero;
  t.limits = t.n->low > -128 || t.n->high < 127;
  __asm__ volatile(
    "ldr r5, %[u]\n"
    "1:\n\tldrd r0, r1, [r5]\n\tldr r4, %[x]\n\tmov r2, r0\n\tmov r3, r1\n\tadds r5, #16\n"
    "2:\n\tldr r6, %[whole]\n\tcmp r4, r6\n\tbeq 3f\n\t" FOUR_TERMS FOUR_TERMS FOUR_TERMS FOUR_TERMS "b 2b\n"
    "3:\n\tldr r6, %[end]\n\tcmp r4, r6\n\tbeq 4f\n\t" FOUR_TERMS "b 3b\n"
    /* From sums to bytes. */
    "4:\n\tldrd r6, lr, [r5]\n\tldrd r12, r8, %[zero]\n\t"
    SCALED("r0", "r6") SCALED("r1", "lr") SCALED("r2", "r6") SCALED("r3", "lr")
    "ldr r10, %[skip]\n\torrs r6, r8, r10\n\tbne 7f\n"
    "5:\n\tldrd r6, r12, %[left]\n\tldrd r8, r9, %[y]\n\tsubs r6, #2\n\tblt 6f\n\t"
    "bfi r0, r1, #8, #24\n\tbfi r2, r3, #8, #24\n\tstrh r0, [r8], #2\n\tstrh r2, [r9], #2\n\tstrd r8, r9, %[y]\n\t"
    "beq 9f\n\tadd r5, r12\n\tldr lr, %[both]\n\tsub r12, lr, r12\n\tstrd r6, r12, %[left]\n\tb 1b\n"
    "6:\n\tstrb r0, [r8]\n\tstrb r2, [r9]\n\tb 9f\n"
    /* Narrower limits, and the addition of another array. */
    "7:\n\tldr r6, %[n]\n\tcmp r8, #0\n\tbeq 8f\n\tldrd r8, r9, [r6, %[low]]\n\t"
    LIMITED("r0") LIMITED("r1") LIMITED("r2") LIMITED("r3")
    "8:\n\tcmp r10, #0\n\tbeq 5b\n\tldr r11, %[skip2]\n\tldrd r8, r9, [r6, %[factor]]\n\t"
    ADDED("r0", "r10") ADDED("r2", "r11")
    /* The second channel, if there is one. */
    "ldr r12, %[left]\n\tcmp r12, #1\n\tbeq 8f\n\t" ADDED("r1", "r10, #1") ADDED("r3", "r11, #1")
    "8:\n\tadd r10, #2\n\tadd r11, #2\n\tstrd r10, r11, %[skip]\n\tldrd r8, r9, [r6, %[skip_bias]]\n\t"
    SHIFTED("r0") SHIFTED("r1") SHIFTED("r2") SHIFTED("r3") "ldrd r8, r9, [r6, %[add_low]]\n\t"
    LIMITED("r0") LIMITED("r1") LIMITED("r2") LIMITED("r3") "b 5b\n"
    "9:"
    :
    : "m"(t), AT(u), AT(x), AT(whole), AT(end), AT(zero), AT(skip), AT(skip2), AT(left), AT(y), AT(both), AT(n),
      OF(low), OF(factor), OF(skip_bias), OF(add_low)
    : "r0", "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory");
}
#undef AT
#undef OF
#undef SCALED
#undef LIMITED
#endif
