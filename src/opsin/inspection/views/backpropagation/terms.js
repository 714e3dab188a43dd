// The gradient of a weight as a sum: δ at every place, times what the weight multiplied there.

/** Return the terms of all uses of a weight, and their sum in float32: {uses, total}; the last use is added first. */
opsin.backpropagation.addUses = (parameter, position, page) => {
  const uses = parameter.uses.map((use) => termsOf(parameter, use, position, page));
  for (const use of uses) use.sums = sumTerms(use, parameter.order);
  const totals = uses.map((use) => use.sums.total).reverse();
  return { uses, total: totals.length ? totals.reduce((sum, each) => arithmetic.add(sum, each)) : 0 };
};

/** Return the panel of a weight's terms. */
opsin.backpropagation.termsPanel = (parameter, position, page) => {
  const { data } = page.array(parameter.gradients);
  const gradient = data[opsin.backpropagation.offset(parameter, position)];
  const { uses, total } = opsin.backpropagation.addUses(parameter, position, page);
  const parts = uses.map((use, n) => usePart(parameter, use, uses.length > 1 ? `Use ${n + 1} of ${uses.length}` : ''));
  return h('div', {}, parts, verdict(uses, total, gradient, parameter));
};

/** Return δ, the values under the weight, and the map that they are taken from; all rows × columns. */
function termsOf(parameter, use, position, page) {
  const index = position.map((place, axis) => parameter.axes[axis][place]);
  if (use.inputs !== undefined) return vectorTerms(use, index, page);
  if (use.stride === undefined) {
    const place = Object.keys(use.small).find((key) => index.includes(Number(key)) && (index.length === 1 || Number(key) === Math.max(...index)));
    const small = page.array(use.small[place]);
    const values = use.factors ? page.array(use.factors[place]).data : null;
    return { rows: small.shape[0], columns: small.shape[1], delta: small.data, values };
  }
  const [k, c, i, j] = index;
  const small = page.array(use.small[k]);
  const large = page.array(use.large[Math.floor(k / use.perGroup) * use.depth + c]);
  const [rows, columns] = small.shape;
  const [height, width] = large.shape;
  const [top, left] = [i * use.dilation[0] - use.padding[0], j * use.dilation[1] - use.padding[1]];
  const values = new Float32Array(rows * columns);
  const inside = new Uint8Array(rows * columns);
  for (let y = 0; y < rows; y += 1) {
    const row = y * use.stride[0] + top;
    for (let x = 0; x < columns; x += 1) {
      const column = x * use.stride[1] + left;
      if (row < 0 || row >= height || column < 0 || column >= width) continue;
      values[y * columns + x] = large.data[row * width + column];
      inside[y * columns + x] = 1;
    }
  }
  const frame = [top, left, (rows - 1) * use.stride[0] + 1, (columns - 1) * use.stride[1] + 1];
  return { rows, columns, delta: small.data, values, inside, large: { values: large.data, rows: height, columns: width, selected: frame } };
}

function vectorTerms(use, index, page) {
  const inputs = page.array(use.inputs);
  const deltas = page.array(use.deltas);
  const [output, input] = use.outputAxis ? [index[1], index[0]] : index;
  const rows = inputs.shape[0];
  const column = (array, n) => Float32Array.from({ length: rows }, (_, row) => array.data[row * array.shape[1] + n]);
  return { rows: 1, columns: rows, delta: column(deltas, output), values: column(inputs, input), output, input };
}

/** Return the numbers of the terms in the engine's order: a list of blocks, each a list of sums. `inside` leaves out the border of a map. */
function sequence(rows, columns, order, inside) {
  const range = (from, to, step = 1) => Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, n) => from + n * step);
  if (order.block) {
    const numbers = range(0, rows * columns).filter((n) => !inside || inside[n]);
    return range(0, numbers.length, order.block).map((first) => [numbers.slice(first, first + order.block)]);
  }
  const blocks = order.starts.map((first, n) => range(first, order.starts[n + 1] ?? rows));
  if (order.columns_first) return [[blocks.flatMap((block) => range(0, columns).flatMap((x) => block.map((y) => y * columns + x)))]];
  const whole = columns - (columns % order.sets);
  return blocks.map((block) => range(0, order.sets).map((set) => block.flatMap((y) => [
    ...range(set, whole, order.sets), ...(set === 0 ? range(whole, columns) : []),
  ].map((x) => y * columns + x))));
}

/** Add the terms in float32: {total, running}, `running[n]` is the sum after term n. */
function sumTerms({ rows, columns, delta, values, inside }, order) {
  const known = order ?? { starts: [0], block: 0, sets: 1, columns_first: false, fused: true };
  if (known.segment || known.unroll > 1) {
    const { result, partial } = arithmetic.addTerms(delta, null, { lanes: 1, segment: known.segment, unroll: known.unroll });
    return { total: result, running: partial };
  }
  const running = new Float32Array(rows * columns);
  let total = 0;
  for (const block of sequence(rows, columns, known, inside)) {
    let sum = null;
    for (const numbers of block) {
      let part = 0;
      for (const n of numbers) {
        const factor = values ? values[n] : 1;
        part = known.fused ? arithmetic.fma(delta[n], factor, part) : arithmetic.add(arithmetic.multiply(delta[n], factor), part);
        running[n] = part;
      }
      sum = sum === null ? part : arithmetic.add(sum, part);
    }
    if (sum !== null) total = arithmetic.add(total, sum);
  }
  return { total, running };
}

function usePart(parameter, use, title) {
  const { rows, columns, delta, values, sums } = use;
  const products = Float32Array.from(delta, (value, n) => value * (values ? values[n] : 1));
  const heading = title ? h('h4', { text: title }) : null;
  if (rows * columns === 1) {
    const where = use.output === undefined ? '' : ` δ is that of output ${use.output}, the value is input ${use.input}.`;
    return h('div', {}, heading, h('p', { class: 'term-line' }, equation(delta[0], values ? values[0] : null, sums.total)), h('p', { class: 'note', text: `One image gives one term.${where}` }));
  }
  const largest = products.reduce((best, value, n) => (Math.abs(value) > Math.abs(products[best]) ? n : best), 0);
  const line = h('p', { class: 'term-line', 'aria-live': 'polite' });
  const maps = [];
  const select = (row, column) => {
    const n = row * columns + column;
    for (const map of maps) map.update({ selected: [row, column, 1, 1] });
    fill(line, `place (${row}, ${column}): `, equation(delta[n], values ? values[n] : null, products[n]), ', sum so far ', number(sums.running[n], { digits: 5, name: 'sum so far' }));
  };
  const add = (text, numbers, scale = 'signed') => {
    const map = heatMap({ values: numbers, rows, columns, name: text, size: 224, scale, onSelect: select });
    maps.push(map);
    return h('div', {}, h('p', { class: 'note', text }), map.element);
  };
  const sign = (text) => h('span', { class: 'sign', 'aria-hidden': true, text });
  const scale = scaleOf(values ?? []);
  const figures = [add('δ of the output', delta)];
  if (values) figures.push(sign('×'), add('what the weight multiplied', values, scale), sign('='), add('the terms', products));
  const whole = use.large ? heatMap({ ...use.large, name: 'the whole input map', size: 150, scale }).element : null;
  select(Math.floor(largest / columns), largest % columns);
  return h(
    'div', {}, heading, h('div', { class: 'passage' }, figures), line,
    h('div', { class: 'passage wider' }, topTerms(products, delta, values, columns), whole
      ? h('div', {}, h('p', { class: 'note', text: 'The whole input map; the frame is what this weight multiplied.' }), whole) : null),
  );
}

function equation(delta, value, product) {
  if (value === null) return [number(delta, { digits: 5, name: 'δ' })];
  return [number(delta, { digits: 5, name: 'δ' }), ' × ', number(value, { digits: 5, name: 'value' }), ' = ', number(Math.fround(product), { digits: 5, name: 'term' })];
}

function topTerms(products, delta, values, columns) {
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, 6);
  const rows = order.map((n) => [`(${Math.floor(n / columns)}, ${n % columns})`, delta[n], values ? values[n] : 1, products[n]]);
  const zeros = products.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
  return table({ caption: `the largest of ${products.length.toLocaleString('en')} terms; ${zeros.toLocaleString('en')} are zero`, head: ['place', 'δ', 'value', 'term'], rows });
}

/** Say whether the terms add up to the engine's gradient. */
function verdict(uses, total, gradient, parameter) {
  const plain = uses.reduce((sum, { delta, values }) => sum + delta.reduce((part, value, n) => part + value * (values ? values[n] : 1), 0), 0);
  const same = arithmetic.isSame(total, gradient);
  const how = parameter.order && uses[0]?.delta.length > 1 ? ` Added ${parameter.order.words}${parameter.order.fused ? ', each term in one step with one rounding' : ''}.` : '';
  const rows = [
    ['all terms, added in float32', total, bitsOf(total)],
    ['the engine’s gradient ∂L/∂w', gradient, bitsOf(gradient)],
  ];
  const text = same
    ? `✓ Bit-identical.${how} In float64 the sum is ${withMinus(plain.toPrecision(12))}.`
    : `The sums differ by ${rounded(Math.abs(total - gradient), 2)}: the engine adds in another order. In float64 the sum is ${withMinus(plain.toPrecision(12))}.`;
  return h('div', { class: 'tally' }, table({ caption: 'the sum', head: ['', 'value', 'bits'], rows, digits: 8 }), h('p', { class: same ? 'good' : 'note', text }));
}
