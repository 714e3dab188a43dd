// The canvas of the map: thumbnails or marks at their places, moved and enlarged by pointer, wheel and keyboard.

const SMALLEST_PICTURE = 14;
const PICTURES = [14, 20, 28, 40, 56];
const MAX_SHEET = 4096;
const FRAME = 2;
const MARK = 10;
const HIDDEN_SHARE = 0.25;
const ZOOM_STEP = 1.25;
const MAX_ZOOM = 60;

/**
 * Make the canvas. `options`: `onPoint(number)`, `onBrush(numbers or null)`, and functions `colourOf(group, colour)`, `shapeOf(n)` and
 * `drawMark`; `warning` is the colour of marks on pictures. Returns {element, update({positions, colour, look, shown, chosen}), brushView()}.
 */
opsin.mapCanvas = (points, { onPoint, onBrush, colourOf, shapeOf, drawMark, warning }) => {
  const canvas = h('canvas', { 'aria-hidden': true });
  const frame = h('div', { class: 'map-brush', hidden: true });
  const box = h('div', {
    class: 'map-canvas', tabindex: 0, role: 'application', 'aria-roledescription': 'map',
    'aria-label': 'Map of the images. Arrow keys move it, plus and minus change its size, 0 shows all. The list has every image.',
  }, canvas, frame);
  let isBrushing = false;
  const tool = (text, action) => h('button', { type: 'button', text, on: { click: action } });
  const brushButton = tool('select an area', () => setBrushing(!isBrushing));
  brushButton.setAttribute('aria-pressed', 'false');
  const tools = h('div', { class: 'row screen' }, tool('larger', () => zoom(ZOOM_STEP)), tool('smaller', () => zoom(1 / ZOOM_STEP)), tool('show all', reset), brushButton);
  const element = h('div', {}, box, tools);
  const view = { scale: 1, x: 0, y: 0 };
  let state = { positions: new Float32Array(0), colour: 'split', look: 'pictures', shown: [], chosen: -1 };
  let [width, height, ratio, places, order, waiting] = [0, 0, 1, new Float32Array(0), [], false];
  const [marks, sheets] = [new Map(), new Map()];

  /** Place the points between 0 and 1, with equal scales on both axes. */
  function place() {
    const { positions } = state;
    const ends = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < positions.length; i += 2) {
      ends[0] = Math.min(ends[0], positions[i]);
      ends[1] = Math.max(ends[1], positions[i]);
      ends[2] = Math.min(ends[2], positions[i + 1]);
      ends[3] = Math.max(ends[3], positions[i + 1]);
    }
    const size = Math.max(ends[1] - ends[0], ends[3] - ends[2]) || 1;
    places = Float32Array.from(positions, (value, i) => 0.5 + (value - (ends[i % 2 ? 2 : 0] + ends[i % 2 ? 3 : 1]) / 2) / size);
  }

  /** Return the position of point `n` in pixels of the canvas. */
  function at(n) {
    const unit = Math.min(width, height) * 0.94 * view.scale;
    return [width / 2 + (places[2 * n] - 0.5) * unit + view.x, height / 2 + (places[2 * n + 1] - 0.5) * unit + view.y];
  }

  /** Return the side of pictures: one of a few sizes, so that few sheets are drawn. */
  function pictureSize() {
    const wanted = SMALLEST_PICTURE * Math.sqrt(view.scale);
    return PICTURES.filter((size) => size <= wanted).pop() ?? SMALLEST_PICTURE;
  }

  /** Draw picture `n` in its frame, a square of `tile` pixels. */
  function drawPicture(context, n, x, y, tile) {
    const { side, columns } = points.sprite;
    const inset = Math.round(FRAME * ratio);
    context.fillStyle = colourOf(points.groupOf(n, state.colour), state.colour);
    context.fillRect(x, y, tile, tile);
    context.drawImage(points.image, (n % columns) * side, Math.floor(n / columns) * side, side, side, x + inset, y + inset, tile - 2 * inset, tile - 2 * inset);
  }

  /** Return a canvas of all pictures at the size in which they are shown, since cutting out without scaling is fast; null if it would be large. */
  function sheet(tile) {
    const { columns, count } = points.sprite;
    if (columns * tile > MAX_SHEET) return null;
    const name = `${tile} ${state.colour}`;
    if (!sheets.has(name)) {
      const canvas = h('canvas', { width: columns * tile, height: Math.ceil(count / columns) * tile });
      const context = canvas.getContext('2d', { alpha: false });
      for (let n = 0; n < count; n += 1) drawPicture(context, n, (n % columns) * tile, Math.floor(n / columns) * tile, tile);
      sheets.set(name, canvas);
    }
    return sheets.get(name);
  }

  /** Return a picture of a mark, drawn once for each colour, shape and size. */
  function mark(colour, shape, size) {
    const name = `${colour} ${shape} ${size}`;
    if (!marks.has(name)) {
      const small = document.createElement('canvas');
      small.width = Math.ceil(size * 3 * ratio);
      small.height = small.width;
      const context = small.getContext('2d');
      context.scale(ratio, ratio);
      drawMark(context, size * 1.5, size * 1.5, size + 1, shape, '#fff');
      drawMark(context, size * 1.5, size * 1.5, size, shape, colour);
      marks.set(name, small);
    }
    return marks.get(name);
  }

  /** Return the points in view, bottom first. Of points that would cover each other almost completely, the topmost one is kept. */
  function visible(size) {
    const cell = size * HIDDEN_SHARE;
    const columns = Math.ceil(width / cell) + 2;
    const topmost = new Int32Array(columns * (Math.ceil(height / cell) + 2)).fill(-1);
    for (let i = 0; i < order.length; i += 1) {
      const [x, y] = at(order[i]);
      if (x < 0 || y < 0 || x > width || y > height) continue;
      topmost[(Math.floor(y / cell) + 1) * columns + Math.floor(x / cell) + 1] = i;
    }
    return topmost.filter((i) => i >= 0).sort().map((i) => order[i]);
  }

  function draw() {
    waiting = false;
    const context = canvas.getContext('2d');
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const size = state.look === 'pictures' ? pictureSize() : MARK;
    const shown = visible(size);
    if (state.look === 'pictures') drawPictures(context, shown, size);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (state.look === 'pictures') drawWarnings(context, size);
    else drawMarks(context, shown);
    drawChosen(context, size);
  }

  function drawPictures(context, shown, size) {
    if (!points.image.complete) return;
    const tile = Math.round((size + 2 * FRAME) * ratio);
    const pictures = sheet(tile);
    const { columns } = points.sprite;
    for (const n of shown) {
      const place = at(n).map((pixels) => Math.round(pixels * ratio - tile / 2));
      if (pictures) context.drawImage(pictures, (n % columns) * tile, Math.floor(n / columns) * tile, tile, tile, ...place, tile, tile);
      else drawPicture(context, n, ...place, tile);
    }
  }

  function drawMarks(context, shown) {
    for (const n of shown) {
      const [x, y] = at(n);
      context.drawImage(mark(colourOf(points.groupOf(n, state.colour), state.colour), shapeOf(n), 4), x - 6, y - 6, 12, 12);
    }
  }

  /** Mark wrong answers and suspect labels on their pictures. */
  function drawWarnings(context, size) {
    for (const n of order) {
      const shape = shapeOf(n);
      if (shape === 'plain') continue;
      const [x, y] = at(n);
      context.drawImage(mark(warning, shape, 5), x + size / 2 - 9, y - size / 2 - 7, 15, 15);
    }
  }

  function drawChosen(context, size) {
    if (state.chosen < 0) return;
    const [x, y] = at(state.chosen);
    const half = size / 2 + 5;
    context.strokeStyle = '#e8218c';
    context.lineWidth = 3;
    context.strokeRect(x - half, y - half, 2 * half, 2 * half);
  }

  function redraw() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  /** Order the points that are shown: those with a warning last, so that they lie on top. */
  function arrange() {
    order = [...state.shown].sort((a, b) => (shapeOf(a) !== 'plain') - (shapeOf(b) !== 'plain') || a - b);
  }

  function resize() {
    const bounds = box.clientWidth;
    if (!bounds) return;
    ratio = Math.min(2, devicePixelRatio || 1);
    [width, height] = [bounds, Math.round(bounds * (bounds < 500 ? 1 : 0.72))];
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    forget();
    draw();
  }

  /** Forget what was drawn for another resolution, or in other colours. */
  function forget() {
    marks.clear();
    sheets.clear();
  }

  function zoom(factor, x = width / 2, y = height / 2) {
    const scale = Math.min(MAX_ZOOM, Math.max(0.5, view.scale * factor));
    const change = scale / view.scale;
    view.x = (x - width / 2) * (1 - change) + view.x * change;
    view.y = (y - height / 2) * (1 - change) + view.y * change;
    view.scale = scale;
    redraw();
  }

  function reset() {
    Object.assign(view, { scale: 1, x: 0, y: 0 });
    redraw();
  }

  function setBrushing(value) {
    isBrushing = value;
    brushButton.setAttribute('aria-pressed', String(value));
    box.classList.toggle('brushing', value);
  }

  /** Return the shown points in a rectangle of the canvas. */
  function inside(left, top, right, bottom) {
    return points.names.map((_, n) => n).filter((n) => {
      const [x, y] = at(n);
      return x >= left && x <= right && y >= top && y <= bottom;
    });
  }

  function nearest(x, y) {
    let [best, distance] = [-1, 24 ** 2];
    for (const n of state.shown) {
      const [left, top] = at(n);
      const squared = (left - x) ** 2 + (top - y) ** 2;
      if (squared < distance) [best, distance] = [n, squared];
    }
    return best;
  }

  function pointer(event) {
    const bounds = box.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  }

  let drag = null;
  box.addEventListener('pointerdown', (event) => {
    const [x, y] = pointer(event);
    drag = { x, y, startX: x, startY: y, brush: isBrushing || event.shiftKey };
    box.setPointerCapture(event.pointerId);
  });
  box.addEventListener('pointermove', (event) => {
    const [x, y] = pointer(event);
    if (!drag) {
      const n = nearest(x, y);
      readOut(n < 0 ? '' : points.names[n]);
      return;
    }
    if (drag.brush) {
      frame.hidden = false;
      Object.assign(frame.style, { left: `${Math.min(x, drag.startX)}px`, top: `${Math.min(y, drag.startY)}px`, width: `${Math.abs(x - drag.startX)}px`, height: `${Math.abs(y - drag.startY)}px` });
    } else {
      view.x += x - drag.x;
      view.y += y - drag.y;
      redraw();
    }
    Object.assign(drag, { x, y });
  });
  box.addEventListener('pointerup', () => {
    if (!drag) return;
    const { x, y, startX, startY, brush } = drag;
    drag = null;
    frame.hidden = true;
    const isClick = Math.hypot(x - startX, y - startY) < 5;
    if (brush && !isClick) onBrush(inside(Math.min(x, startX), Math.min(y, startY), Math.max(x, startX), Math.max(y, startY)));
    else if (brush) onBrush(null);
    else if (isClick && nearest(x, y) >= 0) onPoint(nearest(x, y));
  });
  box.addEventListener('pointercancel', () => { drag = null; frame.hidden = true; });
  box.addEventListener('pointerleave', () => readOut(''));
  box.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(ZOOM_STEP ** (-event.deltaY / 100), ...pointer(event));
  }, { passive: false });
  box.addEventListener('keydown', (event) => {
    const move = { ArrowUp: [0, 40], ArrowDown: [0, -40], ArrowLeft: [40, 0], ArrowRight: [-40, 0] }[event.key];
    const larger = { '+': ZOOM_STEP, '=': ZOOM_STEP, '-': 1 / ZOOM_STEP }[event.key];
    if (!move && !larger && event.key !== '0') return;
    event.preventDefault();
    if (move) [view.x, view.y] = [view.x + move[0], view.y + move[1]];
    if (larger) zoom(larger);
    else if (move) redraw();
    else reset();
  });
  points.image.addEventListener('load', redraw);
  new ResizeObserver(resize).observe(box);
  painted(element, () => { forget(); redraw(); });

  return {
    element,
    update(changes) {
      const moved = changes.positions !== state.positions;
      state = { ...state, ...changes };
      if (moved) place();
      arrange();
      redraw();
    },
    brushView: () => onBrush(inside(0, 0, width, height)),
  };
};
