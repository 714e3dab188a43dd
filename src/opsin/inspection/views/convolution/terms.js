// A sum or a maximum in full: the window, the kernel, the products, and the running sum, term by term.

const MAX_CELLS = 49;
const MAX_ROWS = 200;
const MAX_BARS = 24;
const PLAY_SECONDS = 4;

/** Return the parts of terms that belong to one input channel, in the order of the window: numbers of terms. */
function termsOfChannel(terms, channel) {
  return [...terms.channels.keys()].filter((t) => terms.channels[t] === channel).sort((a, b) => terms.rows[a] - terms.rows[b] || terms.columns[a] - terms.columns[b]);
}

/** Return over how many rows or columns terms extend. */
function span(own, positions) {
  return 1 + Math.max(...own.map((t) => positions[t])) - Math.min(...own.map((t) => positions[t]));
}

/** Return the sum of products for each input channel, the largest first. */
function channelSums(terms) {
  const sums = new Map();
  terms.left.forEach((value, t) => sums.set(terms.channels[t], (sums.get(terms.channels[t]) || 0) + value * (terms.right ? terms.right[t] : 1)));
  return [...sums].sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

/**
 * Show the terms of an operation. `open` is the input channel whose window is shown, `onOpen(channel)` is called to show another one, and
 * `onTerm(t)` when term number `t` is shown. Returns {element, stop()}.
 */
function termsPanel(operation, terms, { open, onOpen, onTerm, labels }) {
  const isMaximum = terms.winner !== undefined;
  const parts = [];
  const own = termsOfChannel(terms, open);
  const slides = operation.name !== 'conv_transpose2d' && (operation.window ?? operation.kernel?.slice(2));
  const [height, width] = slides || [span(own, terms.rows), span(own, terms.columns)];
  let grids = [];
  if (own.length > 1 && own.length === height * width && own.length <= MAX_CELLS) {
    grids = windowGrids(terms, own, height, width, open, isMaximum);
    parts.push(h('div', { class: 'grids' }, grids.flatMap((grid, i) => [i ? h('span', { class: 'sign', 'aria-hidden': true, text: i === 1 ? '×' : '=' }) : null, grid.element])));
  }
  if (isMaximum) {
    const at = `row ${terms.rows[terms.winner]}, column ${terms.columns[terms.winner]}`;
    parts.push(h('p', {}, 'The largest is ', number(terms.result, { digits: 5, name: 'maximum' }), h('span', { text: ` at ${!operation.window && terms.rows[terms.winner] === 0 ? `number ${terms.channels[terms.winner]}` : at}; the others have no influence.` })));
    grids[0]?.mark(new Set([own.indexOf(terms.winner)]));
    if (operation.window) onTerm(terms.winner);
    return { element: h('div', {}, parts), stop() {} };
  }
  const sums = channelSums(terms);
  if (sums.length > 1) parts.push(channelBars(sums, terms, open, onOpen, labels));
  const running = runningSum(operation, terms, (t) => {
    const tap = t ? own.findIndex((i) => terms.rows[i] === terms.rows[t - 1] && terms.columns[i] === terms.columns[t - 1]) : -1;
    for (const grid of grids) grid.mark(new Set(tap < 0 || t === terms.left.length ? [] : [tap]));
    onTerm(t && t < terms.left.length ? t - 1 : -1);
  });
  parts.push(running.element);
  return { element: h('div', {}, parts), stop: running.stop };
}

/** Make grids of the numbers under the window, and with a kernel, of its weights and of the products. */
function windowGrids(terms, own, rows, columns, channel, isMaximum) {
  const { numberGrid } = opsin.stepDrawing;
  const pick = (values) => Float32Array.from(own, (t) => values[t]);
  const left = pick(terms.left);
  const muted = new Set([...own.keys()].filter((i) => !terms.inside[own[i]]));
  const shape = { rows, columns };
  const grids = [numberGrid({ ...shape, values: left, name: isMaximum || !terms.right ? 'Window' : `Window, input channel ${channel}`, largest: largestOf(left), muted })];
  if (terms.right) {
    const right = pick(terms.right);
    const products = Float32Array.from(left, (value, i) => arithmetic.multiply(value, right[i]));
    grids.push(numberGrid({ ...shape, values: right, name: terms.segments ? 'Weights of the columns' : 'Kernel', largest: largestOf(right) }));
    grids.push(numberGrid({ ...shape, values: products, name: 'Products, rounded', largest: largestOf(products) }));
  }
  return grids;
}

/** Make bars of what each input channel adds. */
function channelBars(sums, terms, open, onOpen, labels) {
  const shown = sums.slice(0, MAX_BARS);
  const largest = Math.abs(sums[0][1]) || 1;
  const single = terms.left.length === sums.length;
  const bars = shown.map(([channel, sum]) => h(
    'button', { type: 'button', class: 'channel-bar', 'aria-pressed': String(channel === open), on: { click: () => onOpen(channel) } },
    h('span', { class: 'name', text: labels?.[channel] ?? String(channel) }),
    valueBar(sum, largest),
    h('span', { class: 'figure', text: rounded(Math.fround(sum)) }),
  ));
  const others = single || sums.length <= MAX_BARS ? null : choice({
    name: 'any input channel', options: [...sums].sort((a, b) => a[0] - b[0]).map(([channel]) => ({ value: channel, text: String(channel) })), value: open, onChange: onOpen,
  }).element;
  const what = terms.right ? single ? 'products' : 'sums of products' : 'values';
  const count = sums.length > shown.length ? `The ${shown.length} largest of ${sums.length.toLocaleString('en')}` : `All ${sums.length}`;
  const note = single ? `${count} ${what}, by input.` : `${count} ${what}, by input channel: choose one to see its window. The engine does not add them apart, so these are rounded differently.`;
  return h('details', { open: sums.length <= 8 || single ? true : null }, h('summary', { text: single ? 'The largest terms' : 'What each input channel adds' }), h('p', { class: 'note', text: note }), h('div', { class: labels ? 'channel-bars labelled' : 'channel-bars' }, bars), others);
}

/** Show the sum as it grows: a slider over its terms, a line of numbers, a chart, and a table behind it. */
function runningSum(operation, terms, onTerm) {
  const { sumChart } = opsin.stepDrawing;
  const count = terms.left.length;
  const chart = sumChart(terms);
  const line = h('p', { class: 'formula', 'aria-live': 'off' });
  let timer = 0;
  function show(t) {
    chart.move(t);
    onTerm(t);
    fill(line, termLine(operation, terms, t));
  }
  const control = slider({ name: 'terms added', min: 0, max: count, value: count, onInput: (t) => { stop(); show(t); }, show: (t) => `${t} of ${count}` });
  const play = h('button', { type: 'button', text: '▶ add them one by one', on: { click: toggle } });
  const still = matchMedia('(prefers-reduced-motion: reduce)').matches;
  function stop() {
    clearInterval(timer);
    timer = 0;
    play.textContent = '▶ add them one by one';
  }
  function toggle() {
    if (timer) {
      stop();
      return;
    }
    let t = 0;
    const frames = Math.min(count, 25 * PLAY_SECONDS);
    play.textContent = '■ stop';
    timer = setInterval(() => {
      t = Math.min(count, t + Math.max(1, Math.ceil(count / frames)));
      control.update({ value: t });
      show(t);
      if (t === count) stop();
    }, Math.max(40, (1000 * PLAY_SECONDS) / frames / 2));
  }
  show(count);
  const element = h(
    'div', { class: 'running' }, h('h4', { text: 'The running sum' }), h('p', { class: 'note', text: operation.orderWords ? `${capitalized(operation.orderWords)}.` : '' }),
    h('div', { class: 'row' }, control.element, still ? null : play), line, chart.element, termsTable(terms),
  );
  return { element, stop };
}

/** Return what term number `t` adds: 0.1 + 0.5 × 2 = 1.1. */
function termLine(operation, terms, t) {
  const figure = (value, name) => number(value, { digits: 5, name });
  const count = terms.left.length;
  if (t === count) {
    const lanes = terms.lanes.length > 1 ? laneWords(terms.lanes, figure) : ['All terms together: '];
    const total = [figure(terms.sum ?? terms.result, 'sum')];
    return terms.factor === undefined ? [...lanes, ...total] : [...lanes, ...total, ' × ', figure(terms.factor, 'one over the number of terms'), ' = ', figure(terms.result, 'mean')];
  }
  if (!t) return ['0'];
  if (operation.order.unroll > 1) return ['After the value ', figure(terms.left[t - 1], 'value'), ', the partial sum is ', figure(terms.partial[t - 1], 'partial sum')];
  const before = (t - 1) % (operation.order.segment || count) ? previous(terms, t - 1) : 0;
  const product = terms.right ? [figure(terms.left[t - 1], 'value'), ' × ', figure(terms.right[t - 1], 'weight')] : [figure(terms.left[t - 1], 'value')];
  const lane = terms.lanes.length > 1 ? `Partial sum ${terms.lane[t - 1] + 1} of ${terms.lanes.length}: ` : '';
  return [lane, figure(before, 'sum before'), ' + ', ...product, ' = ', figure(terms.partial[t - 1], 'sum after')];
}

/** Return the partial sums of the lanes in words: of many, those that are not zero. */
function laneWords(lanes, figure) {
  const shown = [...lanes.keys()].filter((i) => lanes.length <= 4 || lanes[i] !== 0);
  const figures = shown.flatMap((i, n) => [n ? ' and ' : '', figure(lanes[i], `partial sum ${i + 1}`)]);
  return [shown.length < lanes.length ? `Of ${lanes.length} partial sums, ${shown.length} are not zero: ` : 'The partial sums ', ...figures, shown.length < lanes.length ? '; together ' : ' are added: '];
}

/** Return the partial sum that term `t` is added to. */
function previous(terms, t) {
  for (let i = t - 1; i >= 0; i -= 1) if (terms.lane[i] === terms.lane[t]) return terms.partial[i];
  return 0;
}

/** Make the table of all terms, when it is opened. */
function termsTable(terms) {
  const body = h('div', {});
  const count = terms.left.length;
  const details = h('details', {}, h('summary', { text: 'All terms as a table' }), body);
  let first = 0;
  function show() {
    const last = Math.min(count, first + MAX_ROWS);
    const rows = [];
    for (let t = first; t < last; t += 1) {
      const place = [terms.channels[t], terms.rows[t], terms.columns[t]];
      rows.push([String(t + 1), ...place.map((each) => withMinus(String(each))), terms.left[t], ...(terms.right ? [terms.right[t]] : []), terms.partial[t]]);
    }
    const head = ['term', 'channel', 'row', 'column', 'value', ...(terms.right ? ['weight'] : []), terms.lanes.length > 1 ? 'partial sum' : 'sum'];
    const move = (by, text) => h('button', { type: 'button', text, disabled: first + by < 0 || first + by >= count, on: { click: () => { first += by; show(); } } });
    fill(body, count > MAX_ROWS ? h('div', { class: 'row' }, h('span', { class: 'note', text: `Terms ${first + 1} to ${last} of ${count}.` }), move(-MAX_ROWS, 'previous'), move(MAX_ROWS, 'next')) : null, table({ caption: 'terms in the engine\'s order', head, rows, digits: 5 }));
  }
  details.addEventListener('toggle', () => { if (details.open) show(); });
  return details;
}

Object.assign(opsin, { termsPanel, termsOfChannel });
