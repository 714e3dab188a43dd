#if defined(WINDOWS_DSP) || defined(WINDOWS_VECTORS)
#define WINDOWS_WIDE 1 /* windows are widened to 16 bits */
#endif

/* Copy rows of `size` bytes, which are `step` apart, one after the other, or widen them if they are `wide`. */
INLINE void copy_rows(int8_t *to, const int8_t *from, idx rows, idx size, idx step, int wide)
{
#if defined(WINDOWS_MVE)
  const int8_t *source;
  int8_t *target;
  __asm__ volatile(
    "1:\n\tmov %[source], %[from]\n\tmov %[target], %[to]\n\twlstp.8 lr, %[size], 3f\n"
    "2:\n\tvldrb.u8 q0, [%[source]], #16\n\tvstrb.8 q0, [%[target]], #16\n\tletp lr, 2b\n"
    "3:\n\tadd %[from], %[step]\n\tadd %[to], %[size]\n\tsubs %[rows], #1\n\tbgt 1b"
    : [to] "+r"(to), [from] "+r"(from), [rows] "+r"(rows), [source] "=&r"(source), [target] "=&r"(target)
    : [size] "r"(size), [step] "r"(step) : "lr", "q0", "cc", "memory");
#else
  const idx words = size < 16 ? (size + (idx)sizeof(four) - 1) / (idx)sizeof(four) : 0;
  if (!wide && words)
    for (; rows > 1; rows--, from += step, to += size) { /* the next row replaces what is copied too much */
      four *const target = (four *)(void *)to;
      const four *const source = (const four *)(const void *)from;
      idx i;
      for (i = 0; i < words; i++) target[i] = source[i];
    }
  for (; rows > 0; rows--, from += step, to += size << (wide ? 2 : 0)) copy(to, from, size, wide);
#endif
  (void)wide;
}

/* Copy the bytes under the window of the next result, or widen them if they are `wide`. */
static NOINLINE void gather(const layer *l, int8_t *to, int wide)
{
  const window *const n = l->n;
  const idx channels = n->channels, run = n->dw == 1 && channels == n->pixel ? n->kw : 1; /* pixels next to each other */
  const idx size = channels << (wide ? 2 : 0), y0 = l->row % n->OH * n->sh - n->top;
  idx r, s;
  for (s = 0; s < n->kw; s += run) {
    const idx at = l->column * n->sw - n->left + s * n->dw;
    idx first = at < 0 ? -at : 0, stop = n->W - at, y = y0;
    int8_t *part = to + s * size;
    if (first > run) first = run;
    if (stop > run) stop = run;
    if (stop < first) stop = first;
    for (r = 0; r < n->kh; r++, y += n->dh, part += n->kw * size) {
      const int8_t *const from = l->image + (y * n->W + at + first) * n->pixel;
      const int is_outside = y < 0 || y >= n->H;
      if (is_outside || first) fill(part, (is_outside ? run : first) * channels, n->x_zero, wide);
      if (is_outside) continue;
      copy(part + first * size, from, (stop - first) * channels, wide);
      if (stop < run) fill(part + stop * size, (run - stop) * channels, n->x_zero, wide);
    }
  }
}

/* Return the window of the next result as `multiply` reads it; `which` is 0 or 1. */
static NOINLINE const int8_t *window_at(const layer *l, int which)
{
  const window *const n = l->n;
#if defined(WINDOWS_DSP)
  int8_t *const to = l->bytes + 8 * which, *const bytes = l->bytes + 4 * l->terms;
  const int wide = n->channels % 4 == 0;
#elif defined(WINDOWS_WIDE)
  int8_t *const to = l->bytes + 2 * which * l->terms, *const bytes = l->bytes + 4 * l->terms;
  const int wide = 0;
#else
  int8_t *const bytes = l->bytes + which * l->terms, *const to = bytes;
  const int wide = 0;
#endif
  if (!l->in_place) {
    int8_t *const gathered = wide ? to : bytes;
    if (l->row_is_inside && l->column >= l->first && l->column < l->stop && n->dw == 1 && n->channels == n->pixel)
      copy_rows(gathered, l->from, n->kh, n->kw * n->channels, n->dh * n->W * n->pixel, wide);
    else
      gather(l, gathered, wide);
  }
#ifdef WINDOWS_WIDE
  if (l->in_place || !wide) widen(to, l->in_place ? l->from : bytes, l->terms);
  return to;
#else
  return l->in_place ? l->from : bytes;
#endif
}

static void begin_row(layer *l)
{
  const window *const n = l->n;
  const idx y0 = l->row % n->OH * n->sh - n->top;
  l->column = 0;
  l->image = l->x + l->row / n->OH * n->H * n->W * n->pixel;
  l->from = l->image + (y0 * n->W - n->left) * n->pixel;
  l->row_is_inside = y0 >= 0 && y0 + (n->kh - 1) * n->dh < n->H;
}

INLINE void advance(layer *l)
{
  l->from += l->n->sw * l->n->pixel;
  if (++l->column < l->n->OW) return;
  l->row++;
  begin_row(l);
}

static NOINLINE void conv_windows(const window *n, const int8_t *x, const int8_t *u, const int8_t *skip, int8_t *y, idx begin, idx end, void *scratch)
{
  layer l;
  idx left = (end - begin) * n->OW, distance = n->out_pixel;
  l.n = n;
  l.x = x;
  l.u = u;
  l.bytes = scratch;
  l.terms = (n->kh * n->kw * n->channels + 3) / 4 * 4;
  l.in_place = n->kh * n->kw * n->sh * n->sw == 1 && n->top == 0 && n->left == 0 && n->H == n->OH && n->W == n->OW;
  l.row = begin;
  inside_columns(n, &l.first, &l.stop);
  begin_row(&l);
  y += begin * n->OW * distance;
  if (skip) skip += begin * n->OW * distance;
#ifdef WINDOWS_MVE
  if (l.in_place && left > 1) {
    const idx pairs = left / 2;
    convolve(&l, l.from, l.from + n->pixel, skip, y, distance, pairs);
    l.from += 2 * pairs * n->pixel;
    y += 2 * pairs * distance;
    if (skip) skip += 2 * pairs * distance;
    left -= 2 * pairs;
  }
#endif
  for (; left > 0; left -= 2) {
    const int8_t *const a = window_at(&l, 0), *b;
    if (left > 1) advance(&l);
    else distance = 0;
    b = window_at(&l, 1);
    convolve(&l, a, b, skip, y, distance, 1);
    advance(&l);
    y += 2 * distance;
    if (skip) skip += 2 * distance;
  }
}
