// The canvas of the map, moved and enlarged by pointer, wheel and keyboard.

const THUMBNAIL_SIDES = [14, 20, 28, 40, 56];
const MARK = 10;
const HIDDEN_SHARE = 0.25;
const ZOOM_STEP = 1.25;
const MAX_ZOOM = 60;

/**
 * Make the canvas. `options`: `onPoint(number)`, `onBrush(numbers or null)`, and functions `colourOf(group, colour)`, `shapeOf(n)` and
 * `drawMark`; `warning` is the colour of marks on thumbnails. Returns {element, update({positions, colour, look, shown, chosen}), brushView()}.
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
  let state = { positions: new Float32Array(0), colour: 'part', look: 'thumbnails', shown: [], chosen: -1 };
  let [width, height, ratio, places, order, waiting, isStale] = [0, 0, 1, new Float32Array(0), [], false, true];
  const painter = opsin.mapPainter(points, { colourOf, shapeOf, drawMark, warning });

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

  /** Return the side of thumbnails: one of a few, so that few sheets are drawn. */
  function thumbnailSide() {
    const [smallest] = THUMBNAIL_SIDES;
    return THUMBNAIL_SIDES.filter((side) => side <= smallest * Math.sqrt(view.scale)).pop() ?? smallest;
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
    const isTop = new Uint8Array(order.length);
    for (const i of topmost) if (i >= 0) isTop[i] = 1;
    return order.filter((_, i) => isTop[i]);
  }

  function draw() {
    waiting = false;
    const size = state.look === 'thumbnails' ? thumbnailSide() : MARK;
    const scene = { ...state, at, ratio, size, order, isStale };
    isStale = false;
    if (!painter.draw(canvas.getContext('2d'), scene, () => visible(size))) drawSoon();
  }

  function drawSoon() {
    if (!waiting) requestAnimationFrame(draw);
    waiting = true;
  }

  function redraw() {
    isStale = true;
    drawSoon();
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
    painter.forget();
    isStale = true;
    draw();
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
  sheetOf(points.sprite).addEventListener('load', redraw);
  new ResizeObserver(resize).observe(box);
  painted(element, redraw);

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
