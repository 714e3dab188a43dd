/* Write the places of the taps of a window whose first tap is in a row and a column, from the image on: those outside
   of it are where the padding is. */
static void place_taps(const window *n, idx row, idx column, idx padding, word *at)
{
  const idx step = n->dw * n->pixel, stop = column + n->kw * n->dw, height = n->H, width = n->W;
  idx r, there;
  for (r = n->kh; r; r--, row += n->dh) {
    const int inside = row >= 0 && row < height;
    idx place = (row * width + column) * n->pixel;
    for (there = column; there < stop; there += n->dw, place += step)
      *at++ = (word)(inside && there >= 0 && there < width ? place : padding);
  }
}

static NOINLINE void depthwise_windows(const window *n, const int8_t *x, const int8_t *u, int8_t *y, idx begin, idx end, void *scratch)
{
  word *const inside = scratch, *const border = inside + n->kh * n->kw; /* the places of the taps */
  int8_t *const padding = (int8_t *)(border + n->kh * n->kw);
  const idx last_row = n->H - (n->kh - 1) * n->dh;
  idx row, column, first, stop;
  inside_columns(n, &first, &stop);
  fill_bytes(padding, n->pixel, n->x_zero);
  place_taps(n, 0, 0, 0, inside);
  y += begin * n->OW * n->pixel;
  for (row = begin; row < end; row++) {
    const int8_t *const image = x + row / n->OH * n->H * n->W * n->pixel;
    const idx y0 = row % n->OH * n->sh - n->top;
    const int is_inside = y0 >= 0 && y0 < last_row;
    for (column = 0; column < n->OW; column++, y += n->pixel) {
      const idx x0 = column * n->sw - n->left;
      if (is_inside && column == first && first < stop) {
        convolve_run(n, image + (y0 * n->W + x0) * n->pixel, inside, u, y, stop - first);
        column = stop - 1;
        y += (stop - first - 1) * n->pixel;
      } else {
        place_taps(n, y0, x0, padding - image, border);
        convolve_run(n, image, border, u, y, 1);
      }
    }
  }
}
