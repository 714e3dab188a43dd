// What the canvas of the map shows: thumbnails in frames, or marks, in the colours of their groups.

const FRAME = 2;
const MAX_SHEET = 4096;
const SCALED_AT_ONCE = 300;

/**
 * Make the painter of the points; the options are those of `opsin.mapCanvas`. Returns {draw(context, scene, visible), forget()}. A scene is
 * {at, ratio, size, look, colour, order, chosen, isStale}: `at(n)` is the position of point `n` in pixels, of which the canvas has `ratio`² for
 * each; `order` are all points that pass the filter; `isStale` says that the canvas shows something else.
 */
opsin.mapPainter = (points, { colourOf, shapeOf, drawMark, warning }) => {
  const [marks, sheets] = [new Map(), new Map()];
  const colourAt = (n, colour) => colourOf(points.groupOf(n, colour), colour);

  /** Return the side of a thumbnail in pixels of the canvas. */
  const innerSide = ({ size, ratio }) => Math.round(size * ratio);

  /**
   * Return whether all thumbnails are there at the size in which they are shown, as one sheet, unless it would be large. Copying without
   * scaling is fast. Scaling is not, so each call scales some of them.
   */
  function prepare(scene) {
    const inner = innerSide(scene);
    const { columns, count } = points.sprite;
    if (columns * inner > MAX_SHEET) return true;
    if (!sheetOf(points.sprite).complete) return false;
    if (!sheets.has(inner)) sheets.set(inner, { canvas: h('canvas', { width: columns * inner, height: Math.ceil(count / columns) * inner }), count: 0 });
    const sheet = sheets.get(inner);
    const end = Math.min(count, sheet.count + SCALED_AT_ONCE);
    const context = sheet.canvas.getContext('2d', { alpha: false });
    for (; sheet.count < end; sheet.count += 1) {
      const n = sheet.count;
      drawThumbnail(context, points.sprite, n, (n % columns) * inner, Math.floor(n / columns) * inner, inner);
    }
    return end === count;
  }

  /** Return a canvas with a mark, drawn once for each colour, shape and size. */
  function mark(colour, shape, size, ratio) {
    const name = `${colour} ${shape} ${size}`;
    if (!marks.has(name)) {
      const side = Math.ceil(size * 3 * ratio);
      const small = h('canvas', { width: side, height: side });
      const context = small.getContext('2d');
      context.scale(ratio, ratio);
      drawMark(context, size * 1.5, size * 1.5, size + 1, shape, '#fff');
      drawMark(context, size * 1.5, size * 1.5, size, shape, colour);
      marks.set(name, small);
    }
    return marks.get(name);
  }

  /** Draw thumbnails, each on a square of the colour of its group. */
  function drawThumbnails(context, scene, shown) {
    const { at, ratio, colour } = scene;
    const inset = Math.round(FRAME * ratio);
    const inner = innerSide(scene);
    const sheet = sheets.get(inner);
    const { columns } = points.sprite;
    for (const n of shown) {
      const [x, y] = at(n).map((pixels) => Math.round(pixels * ratio - inner / 2));
      context.fillStyle = colourAt(n, colour);
      context.fillRect(x - inset, y - inset, inner + 2 * inset, inner + 2 * inset);
      if (sheet) context.drawImage(sheet.canvas, (n % columns) * inner, Math.floor(n / columns) * inner, inner, inner, x, y, inner, inner);
      else drawThumbnail(context, points.sprite, n, x, y, inner);
    }
  }

  /** Draw small squares in the colours of the groups. */
  function drawPlaceholders(context, { at, ratio, colour }, shown) {
    for (const n of shown) {
      const [x, y] = at(n).map((pixels) => Math.round(pixels * ratio));
      context.fillStyle = colourAt(n, colour);
      context.fillRect(x - 3, y - 3, 6, 6);
    }
  }

  function drawMarks(context, { at, ratio, colour }, shown) {
    for (const n of shown) {
      const [x, y] = at(n);
      context.drawImage(mark(colourAt(n, colour), shapeOf(n), 4, ratio), x - 6, y - 6, 12, 12);
    }
  }

  /** Mark wrong answers and suspect labels on their thumbnails. */
  function drawWarnings(context, { at, ratio, size, order }) {
    for (const n of order) {
      const shape = shapeOf(n);
      if (shape === 'plain') continue;
      const [x, y] = at(n);
      context.drawImage(mark(warning, shape, 5, ratio), x + size / 2 - 9, y - size / 2 - 7, 15, 15);
    }
  }

  function drawChosen(context, { at, size, chosen }) {
    if (chosen < 0) return;
    const [x, y] = at(chosen);
    const half = size / 2 + 5;
    context.strokeStyle = '#e8218c';
    context.lineWidth = 3;
    context.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }

  return {
    /** Draw the points that `visible()` returns. Return whether all is drawn: squares stand for thumbnails that are not scaled yet. */
    draw(context, scene, visible) {
      const isThumbnails = scene.look === 'thumbnails';
      const isReady = !isThumbnails || prepare(scene);
      if (!isReady && !scene.isStale) return false;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      if (!isReady) {
        drawPlaceholders(context, scene, visible());
        return false;
      }
      if (isThumbnails) drawThumbnails(context, scene, visible());
      context.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
      if (isThumbnails) drawWarnings(context, scene);
      else drawMarks(context, scene, visible());
      drawChosen(context, scene);
      return true;
    },
    /** Forget what was drawn for another resolution. */
    forget() {
      marks.clear();
      sheets.clear();
    },
  };
};
