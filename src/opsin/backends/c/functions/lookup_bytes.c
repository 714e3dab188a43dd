typedef struct {
  int32_t count, block;
} lookup_size;

/* y = table[x + 128]. */
static NOINLINE void lookup_bytes(const lookup_size *n, const int8_t *x, const int8_t *table, int8_t *y, idx begin, idx end, void *scratch)
{
  const idx first = begin * n->block, stop = end * n->block < n->count ? end * n->block : n->count;
  const idx left = stop - first;
  x += first;
  y += first;
#ifdef WINDOWS_MVE
  __asm__ volatile(
    "vmov.i8 q1, #128\n\twlstp.8 lr, %[left], 2f\n"
    "1:\n\tvldrb.u8 q0, [%[x]], #16\n\tveor q0, q0, q1\n\tvldrb.u8 q2, [%[table], q0]\n\tvstrb.8 q2, [%[y]], #16\n\tletp lr, 1b\n"
    "2:"
    : [x] "+r"(x), [y] "+r"(y) : [left] "r"(left), [table] "r"(table) : "lr", "q0", "q1", "q2", "memory");
#else
  const int8_t *const whole = x + (left & ~(idx)7), *const all = x + left;
  table += 128;
  while (x != whole) {
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
    *y++ = table[*x++];
  }
  while (x != all) *y++ = table[*x++];
#endif
  (void)scratch;
}
