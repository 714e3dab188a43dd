// What the canvas of the map shows: thumbnails in frames, or marks, in the colours of their groups.

const FRAME = 2;
const MAX_SHEET = 4096;

/**
 * Make the painter of the points; the options are those of `opsin.mapCanvas`. Returns {draw(context, scene), forget()}. A scene is
 * {at, ratio, size, look, colour, shown, order, chosen}: `at(n)` is the position of point `n` in pixels, of which the canvas has `ratio`² for
 * each; `shown` are the points to draw, and `order` all that pass the filter.
 */
opsin.mapPainter = (points, { colourOf, shapeOf, drawMark, warning }) => {
  const [marks, framedSheets] = [new Map(), new Map()];
  const colourAt = (n, colour) => colourOf(points.groupOf(n, colour), colour);

  /** Draw thumbnail `n` in its frame, a square of `tile` pixels. */
  function drawFramed(context, n, x, y, tile, { ratio, colour }) {
    const inset = Math.round(FRAME * ratio);
    context.fillStyle = colourAt(n, colour);
    context.fillRect(x, y, tile, tile);
    drawThumbnail(context, points.sprite, n, x + inset, y + inset, tile - 2 * inset);
  }

  /** Return a canvas of all thumbnails in their frames at the size in which they are shown; null if it would be large. Copying without scaling is fast. */
  function framedSheet(tile, scene) {
    const { columns, count } = points.sprite;
    if (columns * tile > MAX_SHEET) return null;
    const name = `${tile} ${scene.colour}`;
    if (!framedSheets.has(name)) {
      const canvas = h('canvas', { width: columns * tile, height: Math.ceil(count / columns) * tile });
      const context = canvas.getContext('2d', { alpha: false });
      for (let n = 0; n < count; n += 1) drawFramed(context, n, (n % columns) * tile, Math.floor(n / columns) * tile, tile, scene);
      framedSheets.set(name, canvas);
    }
    return framedSheets.get(name);
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

  function drawThumbnails(context, scene) {
    if (!sheetOf(points.sprite).complete) return;
    const { at, ratio, size, shown } = scene;
    const tile = Math.round((size + 2 * FRAME) * ratio);
    const sheet = framedSheet(tile, scene);
    const { columns } = points.sprite;
    for (const n of shown) {
      const place = at(n).map((pixels) => Math.round(pixels * ratio - tile / 2));
      if (sheet) context.drawImage(sheet, (n % columns) * tile, Math.floor(n / columns) * tile, tile, tile, ...place, tile, tile);
      else drawFramed(context, n, ...place, tile, scene);
    }
  }

  function drawMarks(context, { at, ratio, colour, shown }) {
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
    draw(context, scene) {
      const isThumbnails = scene.look === 'thumbnails';
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, context.canvas.width, context.canvas.height);
      if (isThumbnails) drawThumbnails(context, scene);
      context.setTransform(scene.ratio, 0, 0, scene.ratio, 0, 0);
      if (isThumbnails) drawWarnings(context, scene);
      else drawMarks(context, scene);
      drawChosen(context, scene);
    },
    /** Forget what was drawn for another resolution, or in other colours. */
    forget() {
      marks.clear();
      framedSheets.clear();
    },
  };
};
