// Thumbnails, cut out of a sheet of many (see `sprites.py`).

const sheets = new Map();

/** Return a sheet as an `Image`; each is decoded once. */
function sheetOf({ url }) {
  if (!sheets.has(url)) sheets.set(url, Object.assign(new Image(), { src: url }));
  return sheets.get(url);
}

/** Draw thumbnail number `n` of a sheet into a rectangle of a canvas. */
function drawThumbnail(context, sprite, n, x, y, width, height = width) {
  const { side, columns } = sprite;
  context.drawImage(sheetOf(sprite), (n % columns) * side, Math.floor(n / columns) * side, side, side, x, y, width, height);
}

/** Make a thumbnail: number `n` of a sheet, `size` pixels large (by default as the style sheet says). It is drawn when it comes into view. */
function thumbnail(sprite, n, size = null) {
  const { side } = sprite;
  const style = size ? { width: `${size}px`, height: `${size}px` } : null;
  const canvas = h('canvas', { width: side, height: side, 'aria-hidden': true, style });
  const draw = () => drawThumbnail(canvas.getContext('2d'), sprite, n, 0, 0, side);
  drawings.set(canvas, () => {
    drawings.delete(canvas);
    if (sheetOf(sprite).complete) draw();
    else sheetOf(sprite).addEventListener('load', draw);
  });
  arrivals.observe(canvas);
  return canvas;
}

/** How to draw each thumbnail that has not been in view yet. */
const drawings = new WeakMap();

const arrivals = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    arrivals.unobserve(target);
    drawings.get(target)?.();
  }
}, { rootMargin: '100px' });

addEventListener('beforeprint', () => { for (const canvas of document.querySelectorAll('canvas')) drawings.get(canvas)?.(); });
