// Step by step: choose a step and a value; see what it is made of, to the last bit.

const MAP_SIZE = 300;
const VECTOR_COLUMNS = 32;
const CHECK_MILLISECONDS = 12;

opsin.view({
  name: 'convolution',
  mount(root, data, page) {
    const controls = h('div', {});
    const body = h('div', {});
    root.append(controls, body);
    let panel = null;
    let shown = '';
    page.watch(['view', 'image', 'stage', 'step', 'channel', 'row', 'column'], (state) => {
      if (state.view !== 'convolution') return;
      const index = stepIndex(data.stages[state.stage], state.step);
      const key = [state.image, state.stage, index].join();
      if (key !== shown) {
        shown = key;
        panel?.stop();
        showControls(controls, data, page, index);
        panel = index < 0 ? null : stepPanel(data.stages[state.stage][index], page);
        if (panel) panel.start();
        fill(body, panel ? panel.element : h('p', { text: 'This stage computes nothing: it only moves or joins values.' }));
      }
      panel?.update(state);
    });
  },
});

/** Return the number of the step to show: the wanted one, or else the first that computes something; -1 if there is none. */
function stepIndex(steps, wanted) {
  return steps[wanted] ? wanted : steps.findIndex(Boolean);
}

/** Show the choice of a stage, and of one of its steps. */
function showControls(controls, data, page, index) {
  const { stages } = page.subject;
  const { stage } = page.state;
  const active = stages.filter((each) => data.stages[each.number].some(Boolean));
  const options = active.map((each) => ({ value: each.number, text: `${each.number}. ${each.name}${each.caption === each.name ? '' : `: ${each.caption}`}` }));
  if (!active.includes(stages[stage])) options.unshift({ value: stage, text: `${stage}. ${stages[stage].name}` });
  const go = (number) => page.set({ stage: number, step: 0, channel: 0, row: 0, column: 0 });
  const at = active.findIndex((each) => each.number === stage);
  const move = (by, text) => h('button', { type: 'button', text, disabled: !active[at + by], on: { click: () => go(active[at + by].number) } });
  const steps = data.stages[stage].map((step, n) => step && { value: n, text: step.name }).filter(Boolean);
  fill(
    controls,
    h('div', { class: 'row' }, choice({ name: 'stage', options, value: stage, onChange: go, few: 0 }).element, move(-1, '← before'), move(1, 'next →')),
    steps.length > 1 ? choice({ name: 'step', options: steps, value: index, onChange: (step) => page.set({ step }) }).element : null,
  );
}

/** Make what is shown of a step. Returns {element, update(state), stop()}. */
function stepPanel(data, page) {
  const { image, stage } = page.state;
  const model = new opsin.StepModel(data, (n) => page.array(n), image);
  const main = Math.max(0, data.operations.findIndex((each) => each.order));
  const channels = model.output.channels ?? Array.from({ length: model.output.shape[0] }, (_, n) => n);
  const isVector = model.output.shape[1] * model.output.shape[2] === 1;
  const labels = stage === page.subject.stages.length - 1 && page.subject.labels.length === model.output.shape[0] ? page.subject.labels : null;
  const output = (isVector ? vectorOutput : mapOutput)(model, channels, labels, page);
  const input = inputPicture(model, main);
  const steps = h('div', { class: 'operations' });
  const result = h('div', { class: 'picture' });
  const kernel = h('div', { class: 'picture kernel-picture' });
  let panels = [];
  let opened = null;
  let place = null;

  function stop() {
    panels.forEach((each) => each.stop());
    panels = [];
  }

  /** Show how the value at `place` is computed. */
  function explain() {
    stop();
    const operation = data.operations[main];
    const terms = operation.order ? model.terms(main, ownPlace(operation, place)) : null;
    const open = terms ? (terms.channels.includes(opened) ? opened : terms.channels[terms.winner ?? largestTerm(terms)]) : place[0];
    input.update(place, open);
    const cards = [];
    let lines = [];
    const flush = () => { if (lines.length) cards.push(h('section', { class: 'operation' }, lines)); lines = []; };
    data.operations.forEach((each, n) => {
      const own = ownPlace(each, place);
      if (each.name === 'slice' || each.name === 'pad') return;
      if (!each.order) {
        if (!lines.length && n > 0) lines.push(h('h3', { text: 'Then' }));
        lines.push(opsin.stepDrawing.operationLine(each, each.operands.map((operand) => model.operand(operand, own)), each.operands.map((operand) => operandName(each, operand, data)), model.result(n, own)));
        return;
      }
      flush();
      const found = n === main ? terms : model.terms(n, own);
      const isChoice = !each.kernel && isVector; // Its terms are the numbers among which the output is chosen.
      const onOpen = (channel) => { opened = channel; if (isChoice) page.set({ channel }); else explain(); };
      const panel = opsin.termsPanel(each, found, { open: isChoice ? place[0] : open, onOpen, onTerm: n === main ? input.mark : () => {}, labels: each.kernel ? null : labels });
      panels.push(panel);
      cards.push(h('section', { class: 'operation' }, h('h3', { text: title(each, found, model) }), panel.element));
    });
    flush();
    fill(steps, cards);
    fill(result, resultPart(model, place));
    fill(kernel, terms ? kernelPicture(operation, terms, open) : null);
  }

  const chart = pointwiseChart(model, data);
  const element = h(
    'div', { class: 'step-by-step' },
    data.words ? h('p', { text: data.words }) : null,
    h('div', { class: 'pictures' }, input.element, h('div', { class: 'middle' }, kernel, chart.element, result), h('span', { class: 'arrow', 'aria-hidden': true, text: '→' }), output.element),
    steps, checkPart(model),
  );
  /** Begin at the largest value, unless the address names a place. */
  function start() {
    const { channel, row, column } = page.state;
    if (row || column || (isVector && channel)) return;
    const part = model.part(model.output);
    const size = part.rows * part.columns;
    const first = isVector ? 0 : Math.max(0, channels.indexOf(channel)) * size;
    const values = isVector ? part.values : part.values.subarray(first, first + size);
    let best = 0;
    values.forEach((value, i) => { if (value > values[best]) best = i; });
    page.set(isVector ? { channel: channels[best] } : { row: part.row + Math.floor(best / part.columns), column: part.column + (best % part.columns) });
  }

  return {
    element,
    start,
    stop,
    update(state) {
      const next = output.update(state);
      if (place && next.every((index, axis) => index === place[axis])) return;
      place = next;
      chart.update(place);
      explain();
    },
  };
}

/** Return what an operand is: parameters have names. */
function operandName(operation, { parameter }, data) {
  if (parameter === undefined) return '';
  const follows = data.operations.some((each) => each.kernel);
  return { add: follows ? 'bias' : 'shift', multiply: 'scale' }[operation.name] ?? 'parameter';
}

/** Draw the kernel of a filter for one input channel. */
function kernelPicture(operation, terms, channel) {
  if (operation.kernel?.length !== 4 || operation.kernel[2] * operation.kernel[3] === 1) return null;
  const [, , rows, columns] = operation.kernel;
  const order = [...terms.channels.keys()].filter((t) => terms.channels[t] === channel).sort((a, b) => terms.rows[a] - terms.rows[b] || terms.columns[a] - terms.columns[b]);
  const values = Float32Array.from(order, (t) => terms.right[t]);
  return [h('h3', { text: 'Kernel' }), heatMap({ values, rows, columns, name: `kernel, input channel ${channel}`, size: 120 }).element];
}

/** Return a place with index 0 along the axes that an operation's result does not have. */
function ownPlace(operation, place) {
  return place.map((index, axis) => (operation.shape[axis] === 1 ? 0 : index));
}

/** Return the number of the term that counts most. */
function largestTerm(terms) {
  let best = 0;
  const size = (t) => Math.abs(terms.left[t] * (terms.right ? terms.right[t] : 1));
  for (let t = 1; t < terms.left.length; t += 1) if (size(t) > size(best)) best = t;
  return best;
}

/** Return what an operation with terms is, such as "25 products, 9 of them in the padding". */
function title(operation, terms, model) {
  const outside = terms.inside.reduce((count, each) => count + (each ? 0 : 1), 0);
  const words = { conv2d: 'the sum of', matmul: 'the sum of', avg_pool2d: 'the mean of', sum: 'the sum of', max: 'the largest of', max_pool2d: 'the largest of' };
  const what = `${words[operation.name]} ${counted(terms.left.length, terms.right ? 'product' : 'value')}`;
  const stride = operation.stride && Math.max(...operation.stride) > 1 ? `; the window moves by ${operation.stride.join(' × ')}` : '';
  const dilation = operation.dilation && Math.max(...operation.dilation) > 1 ? `; its values are ${operation.dilation.join(' × ')} apart` : '';
  const [, inputs] = operation.kernel ?? [];
  const groups = operation.groups > 1 ? `; ${operation.groups} groups, each of which reads ${counted(inputs, 'channel')} of ${model.shapeOf(operation.operands[0])[0]}` : '';
  return `${what[0].toUpperCase()}${what.slice(1)}${outside ? `, ${outside} of them in the padding` : ''}${stride}${dilation}${groups}`;
}

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
  const scale = part.values.some((value) => value < 0) ? 'signed' : 'positive';
  const map = heatMap({
    values: values(0), rows: part.rows, columns: part.columns, scale, name: 'output', size: MAP_SIZE, selected: [0, 0, 1, 1],
    onSelect: (row, column) => page.set({ row: row + part.row, column: column + part.column }),
  });
  const element = h('div', { class: 'picture' }, name, map.element, h('p', { class: 'note', text: `Point at a value, or use the arrow keys.${note ? ` ${note}: what counts most for the answer.` : ''}` }), channels.length > 1 ? pick.element : null);
  let last = -1;
  return {
    element,
    update(state) {
      const n = Math.max(0, channels.indexOf(state.channel));
      const row = Math.min(Math.max(state.row, part.row), part.row + part.rows - 1);
      const column = Math.min(Math.max(state.column, part.column), part.column + part.columns - 1);
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
  const map = heatMap({ values: padded, rows, columns, scale, name: 'output', size: MAP_SIZE, selected: [0, 0, 1, 1], onSelect: select });
  const options = channels.map((each) => ({ value: each, text: labels ? `${labels[each]} (${each})` : String(each) }));
  const pick = channels.length > 1 ? choice({ name: labels ? 'answer' : 'number', options, value: channels[0], onChange: (channel) => page.set({ channel }), few: 0 }) : null;
  const [count] = model.output.shape;
  const note = channels.length < count ? ` ${channels.length} of ${count}: those that count most for the answer.` : '';
  const element = h('div', { class: 'picture' }, name, map.element, h('p', { class: 'note', text: `Point at a number, or use the arrow keys.${note}` }), pick?.element);
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

/** Make the picture of what a step reads, with the window in it. Returns {element, update(place, channel), mark(term)}. */
function inputPicture(model, main) {
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
  const scale = part.values.some((value) => value < 0) ? 'signed' : 'positive';
  const picture = heatMap({ values: new Float32Array(area.rows * area.columns), rows: area.rows, columns: area.columns, scale, name: 'input', size: MAP_SIZE, selected: [0, 0, 1, 1], largest: 1 });
  const overlay = picture.element.querySelector('.overlay');
  const inner = [Math.max(0, -area.row), Math.max(0, -area.column)];
  const inside = [...inner, Math.min(area.rows, height - area.row) - inner[0], Math.min(area.columns, width - area.column) - inner[1]];
  const hasPadding = inside[2] < area.rows || inside[3] < area.columns;
  if (hasPadding) opsin.stepDrawing.drawPadding(overlay, area.rows, area.columns, inside);
  const taps = h('g', { class: 'taps' });
  overlay.append(taps);
  let shownChannel = -1;
  let terms = null;
  const element = h('div', { class: 'picture' }, name, picture.element, hasPadding ? h('p', { class: 'note', text: 'The empty border is padding: it counts as nothing.' }) : null);
  return {
    element,
    update(place, channel) {
      const selected = windowOf(operation, place, area);
      const changes = { selected };
      if (channel !== shownChannel) {
        const all = values(channel);
        Object.assign(changes, { values: all, largest: largestOf(all) || 1, name: `input, channel ${channel}` });
      }
      shownChannel = channel;
      name.textContent = count > 1 ? `Input, channel ${channel}` : 'Input';
      picture.update(changes);
      terms = operation.order ? model.terms(main, ownPlace(operation, place)) : null;
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

/** Return the rows and columns of the input that the windows of the shown outputs cover, padding included. */
function inputArea(operation, output, part, height, width) {
  const along = (axis, first, count, size) => {
    if (!operation.stride) return [0, size];
    const taps = (operation.window ?? operation.kernel.slice(2))[axis];
    const start = first * operation.stride[axis] - operation.padding[axis][0];
    const stop = (first + count - 1) * operation.stride[axis] - operation.padding[axis][0] + (taps - 1) * (operation.dilation ?? [1, 1])[axis] + 1;
    return [start, stop];
  };
  const clip = ([start, stop], first, count) => [Math.min(start, first), Math.max(stop, first + count)];
  const isWhole = part.rows === height && part.columns === width;
  const [top, bottom] = operation.stride ? clip(along(0, output.row, output.rows, height), part.row, isWhole ? part.rows : 1) : [part.row, part.row + part.rows];
  const [left, right] = operation.stride ? clip(along(1, output.column, output.columns, width), part.column, isWhole ? part.columns : 1) : [part.column, part.column + part.columns];
  return { row: top, column: left, rows: bottom - top, columns: right - left };
}

/** Return the window of a value in the cells of the input's picture: [row, column, height, width]. */
function windowOf(operation, place, area) {
  if (!operation.stride) return operation.order ? [0, 0, area.rows, area.columns] : [place[1] - area.row, place[2] - area.column, 1, 1];
  const sizes = operation.window ?? operation.kernel.slice(2);
  const [top, left] = [0, 1].map((axis) => place[axis + 1] * operation.stride[axis] - operation.padding[axis][0]);
  const [height, width] = [0, 1].map((axis) => (sizes[axis] - 1) * (operation.dilation ?? [1, 1])[axis] + 1);
  return [top - area.row, left - area.column, height, width];
}

/** Make the picture of an input vector. */
function vectorInput(model, map, part, operation) {
  const columns = Math.min(part.count, VECTOR_COLUMNS);
  const rows = Math.ceil(part.count / columns);
  const padded = new Float32Array(rows * columns);
  padded.set(part.values);
  const scale = part.values.some((value) => value < 0) ? 'signed' : 'positive';
  const cell = (n) => [Math.floor(n / columns), n % columns, 1, 1];
  const picture = heatMap({ values: padded, rows, columns, scale, name: 'input', size: MAP_SIZE, selected: cell(0) });
  const element = h('div', { class: 'picture' }, h('h3', { text: `Input, ${counted(map.shape[0], 'number')}` }), picture.element, rows > 1 ? h('p', { class: 'note', text: `Row by row, ${columns} numbers in each.` }) : null);
  return {
    element,
    update: (place, channel) => picture.update({ selected: cell(map.channels ? map.channels.indexOf(channel) : channel) }),
    mark: (t) => { if (t >= 0 && operation.kernel) picture.update({ selected: cell(t) }); },
  };
}

/** Make a chart of a step that is a function of single values, for the channel of the output. */
function pointwiseChart(model, data) {
  const source = data.operations[0].operands[0];
  if (data.operations.some((each) => each.order || each.name === 'slice') || source?.map === undefined) return { element: null, update() {} };
  const element = h('div', { class: 'picture' });
  return {
    element,
    update([channel, row, column]) {
      const part = model.part(model.output);
      const pairs = [];
      const across = part.rows * part.columns > 1 ? [channel] : part.channels ?? Array.from({ length: part.count }, (_, n) => n);
      for (const each of across) {
        for (let y = part.row; y < part.row + part.rows; y += 1) {
          for (let x = part.column; x < part.column + part.columns; x += 1) pairs.push([model.operand(source, [each, y, x]), model.read(model.output, [each, y, x])]);
        }
      }
      const place = [channel, row, column];
      fill(element, opsin.stepDrawing.functionChart(pairs, [model.operand(source, place), model.read(model.output, place)]));
    },
  };
}

/** Show the result of the steps beside the engine's. */
function resultPart(model, place) {
  const result = model.result(model.operations.length - 1, place);
  const engine = model.read(model.output, place);
  const same = arithmetic.isSame(result, engine);
  const described = model.operations.every((each) => each.described !== false);
  const verdict = same ? '✓ bit-identical' : `the difference is ${rounded(result - engine)}`;
  return h(
    'section', { class: 'result' }, h('h3', { text: 'The result' }),
    h('p', { class: 'formula' }, 'computed here: ', number(result, { digits: 9, name: 'computed here' }), h('span', { class: 'note', text: `  bits ${bitsOf(result)}` })),
    h('p', { class: 'formula' }, 'by the engine: ', number(engine, { digits: 9, name: 'by the engine' }), h('span', { class: 'note', text: `  bits ${bitsOf(engine)}` })),
    h('p', { class: same ? 'verdict same' : 'verdict' }, verdict),
    described ? null : h('p', { class: 'note', text: 'The engine computes this sum in another way than the page, so the last digits can differ.' }),
  );
}

/** Offer to compute every value of the step that the page has. */
function checkPart(model) {
  const part = model.part(model.output);
  const total = part.values.length;
  const text = h('span', { class: 'note', 'aria-live': 'polite' });
  const button = h('button', { type: 'button', text: `Compute all ${total.toLocaleString('en')} values of this step`, on: { click: start } });
  function start() {
    button.disabled = true;
    let [n, same] = [0, 0];
    const last = model.operations.length - 1;
    (function slice() {
      if (!text.isConnected) return;
      const end = performance.now() + CHECK_MILLISECONDS;
      while (n < total && performance.now() < end) {
        const channel = Math.floor(n / part.columns / part.rows);
        const place = [part.channels ? part.channels[channel] : channel, part.row + (Math.floor(n / part.columns) % part.rows), part.column + (n % part.columns)];
        if (arithmetic.isSame(model.result(last, place), part.values[n])) same += 1;
        n += 1;
      }
      text.textContent = `${same.toLocaleString('en')} of ${n.toLocaleString('en')} values are bit-identical to the engine's.`;
      if (n < total) setTimeout(slice);
      else button.disabled = false;
    })();
  }
  return h('div', { class: 'row screen' }, button, text);
}
