// The output of a step, in which a value is chosen.

const MAP_SIZE = 300;
const VECTOR_COLUMNS = 32;
const MAX_CELL = 36;

/** Make the map of a step's output, in which a value is chosen. */
function mapOutput(model, channels, labels, page) {
  const part = model.part(model.output);
  const [count, height, width] = model.output.shape;
  const whole = part.rows === height && part.columns === width;
  const name = h('h3', {});
  const note = [
    whole ? null : `Rows ${part.row} to ${part.row + part.rows - 1} of ${height}, columns ${part.column} to ${part.column + part.columns - 1} of ${width}`,
    channels.length < count ? `${channels.length} of ${count} channels` : null,
  ].filter(Boolean).join('; ');
  const pick = choice({ name: 'channel', options: channels.map((each) => ({ value: each, text: String(each) })), value: channels[0], onChange: (channel) => page.set({ channel }), few: 8 });
  const values = (n) => part.values.subarray(n * part.rows * part.columns, (n + 1) * part.rows * part.columns);
  const scale = scaleOf(part.values);
  const map = heatMap({
    values: values(0), rows: part.rows, columns: part.columns, scale, name: 'output', size: MAP_SIZE, selected: [0, 0, 1, 1],
    onSelect: (row, column) => page.set({ row: row + part.row, column: column + part.column }),
  });
  const element = h(
    'div', { class: 'plot' }, name, map.element, h('p', { class: 'note', text: 'Point at a value, or use the arrow keys.' }), channels.length > 1 ? pick.element : null,
    note ? h('p', { class: 'note', text: `${note}: what counts most for the answer.` }) : null,
    whole ? null : locator(part, height, width, page.subject.images[page.state.image]),
  );
  let last = -1;
  return {
    element,
    update(state) {
      const n = Math.max(0, channels.indexOf(state.channel));
      const row = Math.min(Math.max(Number(state.row) || 0, part.row), part.row + part.rows - 1);
      const column = Math.min(Math.max(Number(state.column) || 0, part.column), part.column + part.columns - 1);
      const changes = { selected: [row - part.row, column - part.column, 1, 1] };
      if (n !== last) {
        Object.assign(changes, { values: values(n), largest: largestOf(values(n)), name: `output, channel ${channels[n]}` });
        pick.update({ value: channels[n] });
      }
      last = n;
      name.textContent = `Output, channel ${channels[n]}, row ${row}, column ${column}`;
      map.update(changes);
      return [channels[n], row, column];
    },
  };
}

/** Show which part of the image a part of a map belongs to. */
function locator(part, height, width, image) {
  const place = h('rect', { x: part.column, y: part.row, width: part.columns, height: part.rows });
  return h('div', { class: 'locator' }, h('img', { src: image.thumbnail, alt: '' }), h('svg', { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': 'the part of the image that is shown' }, place));
}

/** Make the row of a step's output numbers, one of which is chosen. */
function vectorOutput(model, channels, labels, page) {
  const { values } = model.part(model.output);
  const columns = Math.min(channels.length, VECTOR_COLUMNS);
  const rows = Math.ceil(channels.length / columns);
  const padded = new Float32Array(rows * columns);
  padded.set(values);
  const name = h('h3', {});
  const select = (row, column) => page.set({ channel: channels[Math.min(channels.length - 1, row * columns + column)] });
  const scale = values.some((value) => value < 0) ? 'signed' : 'positive';
  const map = heatMap({ values: padded, rows, columns, scale, name: 'output', size: Math.min(MAP_SIZE, MAX_CELL * columns), selected: [0, 0, 1, 1], onSelect: select });
  const options = channels.map((each) => ({ value: each, text: labels ? `${labels[each]} (${each})` : String(each) }));
  const pick = channels.length > 1 ? choice({ name: labels ? 'answer' : 'number', options, value: channels[0], onChange: (channel) => page.set({ channel }), few: 0 }) : null;
  const [count] = model.output.shape;
  const note = channels.length < count ? ` ${channels.length} of ${count}: those that count most for the answer.` : '';
  const element = h('div', { class: 'plot' }, name, map.element, h('p', { class: 'note', text: `Point at a number, or use the arrow keys.${note}` }), pick?.element);
  return {
    element,
    update(state) {
      const n = Math.max(0, channels.indexOf(state.channel));
      name.textContent = `Output ${labels ? labels[channels[n]] : channels[n]}`;
      pick?.update({ value: channels[n] });
      map.update({ selected: [Math.floor(n / columns), n % columns, 1, 1] });
      return [channels[n], 0, 0];
    },
  };
}

opsin.mapOutput = mapOutput;
opsin.vectorOutput = vectorOutput;
