// What a step reads, with the window of the chosen value in it.

const MAP_SIZE = 300;
const VECTOR_COLUMNS = 32;
const MAX_CELL = 36;

/** Make the map of what a step reads, with the window in it. Returns {element, update(place, channel), mark(term)}. */
function inputMap(model, main) {
  const operation = model.operations[main];
  const source = operation.operands.find((each) => each.map !== undefined);
  if (!source) return { element: null, update() {}, mark() {} };
  const map = model.data.maps[source.map];
  const part = model.part(map);
  const [count, height, width] = map.shape;
  if (height * width === 1) return vectorInput(model, map, part, operation);
  const area = inputArea(operation, model.part(model.output), part, height, width);
  const name = h('h3', {});
  const values = (channel) => {
    const result = new Float32Array(area.rows * area.columns);
    for (let y = 0; y < area.rows; y += 1) {
      for (let x = 0; x < area.columns; x += 1) result[y * area.columns + x] = model.read(map, [channel, y + area.row, x + area.column]) || 0;
    }
    return result;
  };
  const scale = scaleOf(part.values);
  const heat = heatMap({ values: new Float32Array(area.rows * area.columns), rows: area.rows, columns: area.columns, scale, name: 'input', size: MAP_SIZE, selected: [0, 0, 1, 1], largest: 1 });
  const overlay = heat.element.querySelector('.overlay');
  const inner = [Math.max(0, -area.row), Math.max(0, -area.column)];
  const inside = [...inner, Math.min(area.rows, height - area.row) - inner[0], Math.min(area.columns, width - area.column) - inner[1]];
  const hasPadding = inside[2] < area.rows || inside[3] < area.columns;
  if (hasPadding) opsin.stepDrawing.drawPadding(overlay, area.rows, area.columns, inside);
  const taps = h('g', { class: 'taps' });
  overlay.append(taps);
  let shownChannel = -1;
  let terms = null;
  const element = h('div', { class: 'plot' }, name, heat.element, hasPadding ? h('p', { class: 'note', text: 'The empty border is padding: its values count as 0, or are left out.' }) : null);
  return {
    element,
    update(place, channel) {
      terms = operation.order ? model.terms(main, model.own(operation, place)) : null;
      const selected = slides(operation) || !terms || operation.name === 'sum' ? windowOf(operation, place, area) : readArea(terms, area);
      const changes = { selected };
      if (channel !== shownChannel) {
        const all = values(channel);
        Object.assign(changes, { values: all, largest: largestOf(all) || 1, name: `input, channel ${channel}` });
      }
      shownChannel = channel;
      name.textContent = count > 1 ? `Input, channel ${channel}` : 'Input';
      heat.update(changes);
      const dilated = Math.max(...(operation.dilation ?? [1])) > 1;
      const cells = dilated ? [...terms.channels.keys()].filter((t) => terms.channels[t] === channel) : [];
      fill(taps, cells.map((t) => h('rect', { class: 'tap', x: terms.columns[t] - area.column, y: terms.rows[t] - area.row, width: 1, height: 1 })));
    },
    mark(t) {
      overlay.querySelector('.current')?.remove();
      if (t >= 0) overlay.append(h('rect', { class: 'current', x: terms.columns[t] - area.column, y: terms.rows[t] - area.row, width: 1, height: 1 }));
    },
  };
}

/** Whether a window of one size slides over the input. */
const slides = (operation) => operation.stride !== undefined && operation.name !== 'conv_transpose2d';

/** Return the smallest rectangle with everything that terms read, in the cells of the input's map: [row, column, height, width]. */
function readArea(terms, area) {
  const inside = [...terms.inside.keys()].filter((t) => terms.inside[t]);
  if (!inside.length) return [0, 0, 0, 0];
  const [rows, columns] = [terms.rows, terms.columns].map((each) => inside.map((t) => each[t]));
  const [top, left] = [Math.min(...rows), Math.min(...columns)];
  return [top - area.row, left - area.column, Math.max(...rows) - top + 1, Math.max(...columns) - left + 1];
}

/** Return the rows and columns of the input that the windows of the shown outputs cover, padding included. */
function inputArea(operation, output, part, height, width) {
  const along = (axis, first, count, size) => {
    if (!slides(operation)) return [0, size];
    const taps = (operation.window ?? operation.kernel.slice(2))[axis];
    const start = first * operation.stride[axis] - operation.padding[axis][0];
    const stop = (first + count - 1) * operation.stride[axis] - operation.padding[axis][0] + (taps - 1) * (operation.dilation ?? [1, 1])[axis] + 1;
    return [start, stop];
  };
  const clip = ([start, stop], first, count) => [Math.min(start, first), Math.max(stop, first + count)];
  const isWhole = part.rows === height && part.columns === width;
  const [top, bottom] = slides(operation) ? clip(along(0, output.row, output.rows, height), part.row, isWhole ? part.rows : 1) : [part.row, part.row + part.rows];
  const [left, right] = slides(operation) ? clip(along(1, output.column, output.columns, width), part.column, isWhole ? part.columns : 1) : [part.column, part.column + part.columns];
  return { row: top, column: left, rows: bottom - top, columns: right - left };
}

/** Return the window of a value in the cells of the input's map: [row, column, height, width]. */
function windowOf(operation, place, area) {
  if (!operation.stride) return operation.order ? [0, 0, area.rows, area.columns] : [place[1] - area.row, place[2] - area.column, 1, 1];
  const sizes = operation.window ?? operation.kernel.slice(2);
  const [top, left] = [0, 1].map((axis) => place[axis + 1] * operation.stride[axis] - operation.padding[axis][0]);
  const [height, width] = [0, 1].map((axis) => (sizes[axis] - 1) * (operation.dilation ?? [1, 1])[axis] + 1);
  return [top - area.row, left - area.column, height, width];
}

/** Make the map of an input vector. */
function vectorInput(model, map, part, operation) {
  const columns = Math.min(part.count, VECTOR_COLUMNS);
  const rows = Math.ceil(part.count / columns);
  const padded = new Float32Array(rows * columns);
  padded.set(part.values);
  const scale = scaleOf(part.values);
  const cell = (n) => [Math.floor(n / columns), n % columns, 1, 1];
  const heat = heatMap({ values: padded, rows, columns, scale, name: 'input', size: Math.min(MAP_SIZE, MAX_CELL * Math.max(rows, columns)), selected: cell(0) });
  const element = h('div', { class: 'plot' }, h('h3', { text: `Input, ${counted(map.shape[0], 'number')}` }), heat.element, rows > 1 ? h('p', { class: 'note', text: `Row by row, ${columns} numbers in each.` }) : null);
  return {
    element,
    update: (place, channel) => heat.update({ selected: cell(map.channels ? map.channels.indexOf(channel) : channel) }),
    mark: (t) => { if (t >= 0 && operation.kernel) heat.update({ selected: cell(t) }); },
  };
}

opsin.inputMap = inputMap;
