// A map of numbers as colours: with a pointer, the keyboard, a scale, and a table of its numbers.

const TABLE_SIDE = 28;

/**
 * Make a heat map. Options: `values` (row by row), `rows`, `columns`, `name`; `scale`: "signed", "positive", "grey" or "heat"; `largest`, the end
 * of the scale (by default the largest value), and `smallest` for "grey"; `selected`: [row, column, height, width], the cells in a frame,
 * which may lie outside; `onSelect(row, column)`, called for the cell that was pointed at or moved to by the arrow keys; `size`, the longer
 * side in pixels; `approximate`, if the values are not the engine's: their texts are short, without bits.
 * Returns {element, update(options)}.
 */
function heatMap(options) {
  let state = { scale: 'signed', size: 224, selected: null, onSelect: null, name: 'map', ...options };
  const canvas = h('canvas', { 'aria-hidden': true });
  const frame = h('rect', { class: 'frame', hidden: true });
  const overlay = h('svg', { class: 'overlay', 'aria-hidden': true, preserveAspectRatio: 'none' }, frame);
  const box = h('div', { class: 'cells', tabindex: 0 }, canvas, overlay);
  const legend = h('span', { class: 'scale' });
  const numbers = h('button', { type: 'button', class: 'quiet', text: 'numbers', on: { click: () => openTable(state) } });
  const element = h('figure', { class: 'heat-map' }, box, h('figcaption', {}, legend, numbers));
  let cursor = [0, 0];

  function cellAt(event) {
    const bounds = box.getBoundingClientRect();
    const row = Math.floor(((event.clientY - bounds.top) / bounds.height) * state.rows);
    const column = Math.floor(((event.clientX - bounds.left) / bounds.width) * state.columns);
    return [Math.min(Math.max(row, 0), state.rows - 1), Math.min(Math.max(column, 0), state.columns - 1)];
  }

  function say([row, column]) {
    const value = state.values[row * state.columns + column];
    const name = `${state.name}, row ${row}, column ${column}`;
    readOut(state.approximate ? `${name}: about ${rounded(value, 2)}` : fullText(value, name));
  }

  function select(cell) {
    cursor = cell;
    state.onSelect?.(cell[0], cell[1]);
    say(cell);
  }

  box.addEventListener('pointermove', (event) => {
    const cell = cellAt(event);
    if (event.buttons && state.onSelect) select(cell);
    else say(cell);
  });
  box.addEventListener('pointerdown', (event) => {
    if (state.onSelect) select(cellAt(event));
  });
  box.addEventListener('pointerleave', () => readOut(''));
  box.addEventListener('focus', () => say(cursor));
  box.addEventListener('blur', () => readOut(''));
  box.addEventListener('keydown', (event) => {
    const step = ARROWS[event.key];
    if (!step) return;
    event.preventDefault();
    const row = Math.min(Math.max(cursor[0] + step[0], 0), state.rows - 1);
    const column = Math.min(Math.max(cursor[1] + step[1], 0), state.columns - 1);
    if (state.onSelect) select([row, column]);
    else say((cursor = [row, column]));
  });

  /** Draw the values and everything that depends on them. */
  function draw() {
    const largest = state.largest ?? largestOf(state.values);
    paint(canvas, { ...state, largest });
    fitCells(box, state);
    overlay.setAttribute('viewBox', `0 0 ${state.columns} ${state.rows}`);
    drawScale(legend, state, largest);
    box.setAttribute('role', state.onSelect ? 'application' : 'img');
    box.setAttribute('aria-label', `${state.name}: ${state.rows} × ${state.columns} values, largest size ${rounded(largest)}`);
    if (state.onSelect) box.setAttribute('aria-roledescription', 'map; arrow keys move');
    numbers.setAttribute('aria-label', `numbers of ${state.name}`);
    drawFrame();
  }

  function drawFrame() {
    if (state.selected && state.onSelect) cursor = state.selected.slice(0, 2);
    const [row, column, height, width] = state.selected ?? [0, 0, 0, 0];
    frame.toggleAttribute('hidden', !state.selected);
    for (const [name, value] of Object.entries({ x: column, y: row, width: width ?? 1, height: height ?? 1 })) frame.setAttribute(name, value);
  }

  painted(element, draw);
  return {
    element,
    update(changes) {
      state = { ...state, ...changes };
      if (state.selected && state.onSelect && changes.cursor) cursor = changes.cursor;
      if (Object.keys(changes).every((name) => name === 'selected' || name === 'cursor')) drawFrame();
      else draw();
    },
  };
}

/** Set the size of the cells of a map: whole pixels for each, if they fit into `size`. */
function fitCells(box, { rows, columns, size }) {
  const unit = size / Math.max(rows, columns);
  box.style.width = `${columns * (unit < 1 ? unit : Math.floor(unit))}px`;
  box.style.aspectRatio = `${columns} / ${rows}`;
}

/** Make a map for a button: only colours. Options as for `heatMap`. */
function plainMap({ scale = 'signed', size = 224, ...options }) {
  const canvas = h('canvas', {});
  const box = h('div', { class: 'cells', 'aria-hidden': 'true' }, canvas);
  fitCells(box, { ...options, size });
  painted(box, () => paint(canvas, { ...options, scale, largest: options.largest ?? largestOf(options.values) }));
  return box;
}

/** Draw the scale of a map: a bar of its colours between the values at its ends. */
function drawScale(element, state, largest) {
  const canvas = h('canvas', { 'aria-hidden': true, class: 'bar' });
  const signed = state.scale === 'signed';
  const low = signed ? -largest : state.smallest ?? 0;
  const values = Float32Array.from({ length: 64 }, (_, n) => low + ((largest - low) * n) / 63);
  paint(canvas, { values, rows: 1, columns: 64, scale: state.scale, largest, smallest: low });
  fill(element, h('span', { text: rounded(low, 2) }), canvas, h('span', { text: rounded(largest, 2) }));
}

/** Open the numbers behind a map in a dialog. Of a large map it shows a part, which can be moved. */
function openTable(state) {
  const { values, rows, columns, name, approximate } = state;
  const start = state.selected ?? [0, 0];
  const origin = [rows, columns].map((size, axis) => Math.max(0, Math.min(start[axis] - TABLE_SIDE / 2, size - TABLE_SIDE)));
  const body = h('div', {});
  const place = h('p', { class: 'note', 'aria-live': 'polite' });
  function show() {
    const [bottom, right] = [Math.min(origin[0] + TABLE_SIDE, rows), Math.min(origin[1] + TABLE_SIDE, columns)];
    const cells = [];
    for (let y = origin[0]; y < bottom; y += 1) {
      const row = [...values.subarray(y * columns + origin[1], y * columns + right)];
      cells.push([String(y), ...(approximate ? row.map((value) => rounded(value, 2)) : row)]);
    }
    const head = ['row', ...Array.from({ length: right - origin[1] }, (_, n) => String(origin[1] + n))];
    place.textContent = rows > TABLE_SIDE || columns > TABLE_SIDE
      ? `Rows ${origin[0]} to ${bottom - 1} of ${rows}, columns ${origin[1]} to ${right - 1} of ${columns}.`
      : '';
    fill(body, table({ caption: approximate ? `${name}: averages, with about two digits` : name, head, rows: cells }));
  }
  function move(axis, sign) {
    const size = axis ? columns : rows;
    origin[axis] = Math.max(0, Math.min(origin[axis] + sign * TABLE_SIDE, size - TABLE_SIDE));
    show();
  }
  const moves = [];
  if (rows > TABLE_SIDE) moves.push(['up', 0, -1], ['down', 0, 1]);
  if (columns > TABLE_SIDE) moves.push(['left', 1, -1], ['right', 1, 1]);
  const buttons = moves.map(([text, axis, sign]) => h('button', { type: 'button', text, on: { click: () => move(axis, sign) } }));
  show();
  openDialog(name, place, h('div', { class: 'row' }, buttons), body);
}

/** Show content in a dialog that Escape closes. */
function openDialog(title, ...content) {
  const close = h('button', { type: 'button', class: 'quiet', text: 'close', on: { click: () => dialog.close() } });
  const id = freshId('dialog');
  const dialog = h('dialog', { 'aria-labelledby': id }, h('div', { class: 'row' }, h('h3', { id, text: title }), close), ...content);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
