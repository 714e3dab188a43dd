// Central differences, and the update of the weight by an optimizer, operation by operation in float32.

const RATES = [1e-5, 3e-5, 1e-4, 3e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];

/** Return the panel of central differences; `onPick(position)` chooses another weight. */
opsin.backpropagation.differencesPanel = (image, parameter, position, page, onPick) => {
  const index = position.map((place, axis) => parameter.axes[axis][place]);
  const found = parameter.differences.find((each) => each.index.join() === index.join());
  const others = parameter.differences.filter((each) => each !== found).map((each) => h('button', {
    type: 'button', text: `(${each.index.join(', ')})`,
    on: { click: () => onPick(each.index.map((place, axis) => parameter.axes[axis].indexOf(place))) },
  }));
  const choose = others.length ? h('div', { class: 'row' }, h('span', { class: 'note', text: found ? 'Also computed for' : 'They were computed for' }), others) : null;
  if (!found) {
    const checked = image.parameters.map((each, n) => [each, n]).filter(([each]) => each !== parameter && each.differences.length).slice(0, 6);
    const links = checked.map(([each, n]) => h('button', { type: 'button', text: each.name, on: { click: () => page.set({ parameter: n, weight: '', walk: -2 }) } }));
    return h('div', {}, h('p', { text: 'For this weight no central difference was computed: each takes two runs of the network in float64.' }), choose,
      others.length || !links.length ? null : h('div', { class: 'row' }, h('span', { class: 'note', text: 'Other parameters have some:' }), links));
  }
  const { h: size, above, below, gradient, sentence } = found;
  const offset = opsin.backpropagation.offset(parameter, position);
  const engine = page.array(parameter.gradients).data[offset];
  const rows = [
    [h('span', {}, 'L(w + h), h = 2', h('sup', { text: `−${-Math.log2(size)}` })), h('code', { text: withMinus(above.toPrecision(15)) })],
    ['L(w − h)', h('code', { text: withMinus(below.toPrecision(15)) })],
    ['(L(w + h) − L(w − h)) / 2h', h('code', { text: withMinus(gradient.toPrecision(8)) })],
    ['∂L/∂w by backpropagation', number(engine, { digits: 8, name: 'gradient', still: true })],
  ];
  return h('div', {}, h('div', { class: 'columns' }, h('div', {}, table({ caption: 'two losses of the reference engine in float64', rows }), h('p', { text: sentence })), slopeDrawing(found)), choose);
};

/** Draw the loss on both sides of the weight, and the line through it. */
function slopeDrawing({ above, below }) {
  const [left, right] = above > below ? [150, 30] : [30, 150];
  const text = (x, y, content) => h('text', { x, y, 'text-anchor': 'middle', text: content });
  return h(
    'svg', { viewBox: '0 0 320 200', class: 'slope', role: 'img', 'aria-label': `the loss ${above > below ? 'rises' : 'falls'} when the weight grows` },
    h('line', { x1: 30, y1: 172, x2: 300, y2: 172, class: 'axis' }), h('line', { x1: 40, y1: left, x2: 290, y2: right, class: 'tangent' }),
    h('circle', { cx: 70, cy: left + (right - left) * 0.12, r: 5 }), h('circle', { cx: 260, cy: left + (right - left) * 0.88, r: 5 }),
    text(70, 190, 'w − h'), text(165, 190, 'w'), text(260, 190, 'w + h'),
  );
}

/** Return the panel of the update. `memory` keeps the chosen rule and learning rate. */
opsin.backpropagation.updatePanel = (parameter, position, page, rules, memory) => {
  const body = h('div', {});
  const rule = () => rules[memory.rule];
  const rate = () => memory.rate ?? rule().rate;
  const rateSlider = slider({
    name: 'learning rate η', min: 0, max: RATES.length - 1, value: RATES.indexOf(rate()),
    show: (n) => withMinus(String(RATES[n])), onInput: (n) => { memory.rate = RATES[n]; draw(); },
  });
  const ruleChoice = choice({
    name: 'optimizer', options: rules.map((each, n) => ({ value: n, text: each.name })), value: memory.rule,
    onChange: (n) => { Object.assign(memory, { rule: n, rate: null }); rateSlider.update({ value: RATES.indexOf(rate()) }); draw(); },
  });
  function draw() {
    fill(body, updateTable(parameter, position, page, rule(), rate()));
  }
  draw();
  return h('div', {}, h('div', { class: 'row' }, ruleChoice.element, rateSlider.element), body);
};

function updateTable(parameter, position, page, rule, rate) {
  const offset = opsin.backpropagation.offset(parameter, position);
  const at = (number) => page.array(number).data[offset];
  const engine = parameter.updates[rule.key];
  const isDefault = rate === rule.rate;
  const first = compute(rule, at(parameter.weights), at(parameter.gradients), rate, {});
  const state = Object.fromEntries(rule.state.map((symbol) => [symbol, first[`${symbol} new`]]));
  const second = isDefault ? compute(rule, first['w new'], at(engine.gradients), rate, state) : null;
  const line = (symbol, formula) => [h('span', { class: 'symbol', text: symbol }), h('span', { class: 'formula', text: formula }), first[symbol], ...(second ? [second[symbol]] : [])];
  const rows = [
    line('w', 'the weight'), line('g', 'its gradient ∂L/∂w'), line('η', 'the learning rate'),
    ...rule.state.map((symbol) => line(symbol, 'the state before')),
    ...rule.operations.map((row) => line(row.symbol, row.formula)),
  ];
  const results = [['first', first, at(engine.first)], ...(second ? [['second', second, at(engine.second)]] : [])];
  const same = results.every(([, values, bits]) => arithmetic.isSame(values['w new'], bits));
  const bitRows = isDefault ? results.map(([name, values, expected]) => [`after the ${name} step`, h('code', { text: bitsOf(values['w new']) }), h('code', { text: bitsOf(expected) })]) : [];
  return h(
    'div', {}, h('p', { class: 'formula', text: rule.formula }), h('p', { text: rule.words }),
    table({ caption: 'every operation, rounded to float32', head: ['', '', 'first step', ...(second ? ['second step'] : [])], rows, digits: 7 }),
    isDefault
      ? h('div', { class: 'tally' }, table({ caption: 'bits of the new weight', head: ['', 'computed here', 'engine'], rows: bitRows }), h('p', { class: same ? 'good' : 'warning', text: same ? '✓ Bit-identical to the engine’s training step.' : 'These bits differ from the engine’s.' }))
      : h('p', { class: 'note', text: `The new weight is ${exactText(first['w new'])} (bits ${bitsOf(first['w new'])}). The engine’s bits and a second step, whose gradient depends on all new weights, are there for η = ${rule.rate}.` }),
  );
}

/** Return the value of every symbol after one step of an optimizer, in float32. */
function compute(rule, weight, gradient, rate, state) {
  const values = { w: weight, g: gradient, η: Math.fround(rate) };
  for (const symbol of rule.state) values[symbol] = state[symbol] ?? 0;
  for (const { symbol, operation, operands } of rule.operations) {
    values[symbol] = arithmetic.functions[operation](...operands.map((each) => (typeof each === 'string' ? values[each] : Math.fround(each))));
  }
  return values;
}

opsin.backpropagation.compute = compute;
