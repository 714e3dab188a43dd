// Step by step: choose a step and a value; see how it is computed, to the last bit.

const CHECK_MILLISECONDS = 12;

opsin.view({
  name: 'convolution',
  mount(root, data, page) {
    const controls = h('div', {});
    const body = h('div', {});
    root.append(controls, body);
    let panel = null;
    let shown = '';
    page.watch(['image', 'stage', 'step', 'channel', 'row', 'column'], (state) => {
      const index = stepIndex(data.stages[state.stage], state.step);
      const key = [state.image, state.stage, index].join();
      if (key !== shown) {
        shown = key;
        panel?.stop();
        showControls(controls, data, page, index);
        panel = index < 0 ? null : stepPanel(data.stages[state.stage][index], page);
        if (panel) panel.start();
        const reason = data.missing ? 'This stage only moves or joins values, or its arithmetic was left out to keep the file small.'
          : 'This stage computes nothing: it only moves or joins values.';
        fill(body, panel ? panel.element : h('p', { text: reason }));
      }
      panel?.update(state);
    });
  },
});

/** Return the number of the step to show: `step`, or the first that computes something if `step` does not; -1 if there is none. */
function stepIndex(steps, step) {
  return steps[step] ? step : steps.findIndex(Boolean);
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
    h('div', { class: 'row' }, choice({ name: 'stage', options, value: stage, onChange: go, few: 0 }).element, move(-1, '← previous'), move(1, 'next →')),
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
  const output = (isVector ? opsin.vectorOutput : opsin.mapOutput)(model, channels, labels, page);
  const input = opsin.inputMap(model, main);
  const steps = h('div', { class: 'operations' });
  const result = h('div', { class: 'plot' });
  const kernel = h('div', { class: 'plot kernel-plot' });
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
    const terms = operation.order ? model.terms(main, model.own(operation, place)) : null;
    const open = terms ? (terms.channels.includes(opened) ? opened : terms.channels[terms.winner ?? largestTerm(terms)]) : place[0];
    input.update(place, open);
    const cards = [];
    let lines = [];
    const flush = () => { if (lines.length) cards.push(h('section', { class: 'operation' }, lines)); lines = []; };
    data.operations.forEach((each, n) => {
      const own = model.own(each, place);
      if (each.name === 'slice' || each.name === 'pad') return;
      if (!each.order) {
        if (!lines.length && n > 0) lines.push(h('h3', { text: 'Then' }));
        lines.push(opsin.stepDrawing.operationLine(each, each.operands.map((operand) => model.operand(operand, own)), each.operands.map((operand) => operandName(each, operand, data, terms?.left.length)), model.result(n, own)));
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
    fill(kernel, terms ? kernelMap(operation, terms, open) : null);
  }

  const chart = pointwiseChart(model, data);
  const element = h(
    'div', { class: 'step-by-step' },
    data.words ? h('p', { text: data.words }) : null,
    h('div', { class: 'plots' }, input.element, h('div', { class: 'middle' }, kernel, chart.element, result), h('span', { class: 'arrow', 'aria-hidden': true, text: '→' }), output.element),
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
function operandName(operation, { parameter, constant }, data, count) {
  if (constant !== undefined && count && constant === Math.fround(1 / count)) return `one over ${count}`;
  if (parameter === undefined) return '';
  const follows = data.operations.some((each) => each.kernel);
  return { add: follows ? 'bias' : 'shift', multiply: 'scale' }[operation.name] ?? 'parameter';
}

/** Draw the kernel of a filter for one input channel. */
function kernelMap(operation, terms, channel) {
  if (operation.kernel?.length !== 4 || operation.kernel[2] * operation.kernel[3] === 1) return null;
  const [, , rows, columns] = operation.kernel;
  const values = Float32Array.from(opsin.termsOfChannel(terms, channel), (t) => terms.right[t]);
  if (values.length !== rows * columns) return null; // a phase of a transposed convolution
  return [h('h3', { text: 'Kernel' }), heatMap({ values, rows, columns, name: `kernel, input channel ${channel}`, size: 120 }).element];
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
  const words = { conv2d: 'the sum of', conv_transpose2d: 'the sum of', resample2d: 'the weighted mean of', matmul: 'the sum of', avg_pool2d: 'the mean of', sum: 'the sum of', max: 'the largest of', max_pool2d: 'the largest of' };
  const what = `${words[operation.name]} ${counted(terms.left.length, terms.right ? 'product' : 'value')}`;
  const moves = operation.name === 'conv_transpose2d' ? 'the kernels lie apart by' : 'the window moves by';
  const stride = operation.stride && Math.max(...operation.stride) > 1 ? `; ${moves} ${operation.stride.join(' × ')}` : '';
  const dilation = operation.dilation && Math.max(...operation.dilation) > 1 ? `; its values are ${operation.dilation.join(' × ')} apart` : '';
  const [, inputs] = operation.kernel ?? [];
  const all = model.shapeOf(operation.operands[0])[0];
  const groups = operation.groups > 1 && inputs > 1 ? `; ${operation.groups} groups, each of which reads ${counted(inputs, 'channel')} of ${all}` : '';
  return `${capitalized(what)}${outside && !terms.segments ? `, ${outside} of them in the padding` : ''}${stride}${dilation}${groups}`;
}

/** Make a chart of a step that is a function of single values, for the channel of the output. */
function pointwiseChart(model, data) {
  const source = data.operations[0].operands[0];
  if (data.operations.some((each) => each.order || each.name === 'slice') || source?.map === undefined) return { element: null, update() {} };
  const element = h('div', { class: 'plot' });
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

/** Show the result of the steps next to the engine's. */
function resultPart(model, place) {
  const result = model.result(model.operations.length - 1, place);
  const engine = model.read(model.output, place);
  const same = arithmetic.isSame(result, engine);
  const described = model.operations.every((each) => each.described !== false);
  const verdict = same ? '✓ bit-identical' : `the difference is ${rounded(result - engine)}`;
  return h(
    'section', { class: 'result' }, h('h3', { text: 'The result' }),
    table({ head: ['', 'value', 'bits'], rows: [['computed here', result, bitsOf(result)], ['by the engine', engine, bitsOf(engine)]], digits: 9 }),
    h('p', { class: same ? 'verdict same' : 'verdict' }, verdict),
    described ? null : h('p', { class: 'note', text: 'The engine adds this sum in another order than the page, so the last digits can differ.' }),
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
