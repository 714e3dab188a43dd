// Drawings of single steps: numbers in a grid, running sums, functions as points.

const SIGNS = { add: '+', subtract: '−', multiply: '×', divide: '÷' };

/** Make a grid of numbers, tinted by their sign and size. `marked` and `muted` are sets of cell numbers. */
function numberGrid({ values, rows, columns, name, largest, signed = true, muted = new Set() }) {
  const spans = [...values].map((value, i) => number(value, { digits: 2, name: `${name}, row ${Math.floor(i / columns)}, column ${i % columns}`, still: true }));
  const cells = spans.map((span, i) => {
    const share = largest ? Math.min(1, Math.abs(values[i]) / largest) : 0;
    const strength = { '--share': `${Math.round(38 * share)}%` };
    const side = values[i] < 0 && signed ? 'minus' : 'plus';
    return h('div', { class: muted.has(i) ? 'cell empty' : `cell ${side}`, style: strength }, muted.has(i) ? h('span', { class: 'note', text: '0' }) : span);
  });
  const grid = h('div', { class: 'number-grid', role: 'group', 'aria-label': name, style: { '--columns': columns } }, cells);
  moveFocus(grid, Array.from({ length: rows }, (_, y) => spans.slice(y * columns, (y + 1) * columns).map((span, x) => (muted.has(y * columns + x) ? null : span))));
  const element = sideways(h('figure', { class: 'grid' }, h('figcaption', { text: name }), grid));
  return { element, mark: (chosen) => cells.forEach((cell, i) => cell.classList.toggle('marked', chosen.has(i))) };
}

const NAMES = { relu: 'ReLU', relu6: 'ReLU6', sqrt: '√', absolute: 'size of ', negate: '−' };

const CHART = { width: 640, height: 150, margin: 8 };

/** Draw the partial sums after every term: a line for each lane. Returns {element, move(term)}. */
function sumChart({ partial, lane }) {
  const { width, height, margin } = CHART;
  const low = partial.reduce((a, b) => Math.min(a, b), 0);
  const high = partial.reduce((a, b) => Math.max(a, b), 0);
  const x = (t) => margin + ((width - 2 * margin) * t) / Math.max(1, partial.length);
  const y = (value) => margin + (height - 2 * margin) * (1 - (value - low) / (high - low || 1));
  const lanes = [...new Set(lane)].sort((a, b) => a - b);
  const stride = Math.max(1, Math.floor(partial.length / 1200));
  const lines = lanes.map((own) => {
    const points = [`M${x(0).toFixed(1)} ${y(0).toFixed(1)}`];
    let seen = 0;
    partial.forEach((value, t) => {
      if (lane[t] !== own) return;
      seen += 1;
      if (seen % stride === 0 || t >= partial.length - lanes.length) points.push(`L${x(t + 1).toFixed(1)} ${y(value).toFixed(1)}`);
    });
    return h('path', { class: 'sum', d: points.join('') });
  });
  const cursor = h('line', { class: 'cursor', y1: 0, y2: height });
  const dot = h('circle', { class: 'dot', r: 5 });
  const zero = h('line', { class: 'zero', x1: 0, x2: width, y1: y(0), y2: y(0) });
  const label = `The running sum after each of ${counted(partial.length, 'term')}; it ends at ${rounded(partial[partial.length - 1])}.`;
  const svg = h('svg', { class: 'sum-chart', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label }, zero, ...lines, cursor, dot);
  function move(term) {
    const value = term ? partial[term - 1] : 0;
    cursor.setAttribute('x1', x(term));
    cursor.setAttribute('x2', x(term));
    dot.setAttribute('cx', x(term));
    dot.setAttribute('cy', y(value));
  }
  return { element: svg, move };
}

/** Draw values before and after a function as points, all of one channel, with the chosen one marked. */
function functionChart(pairs, chosen) {
  const size = 200;
  const margin = 12;
  const bounds = [0, 1].map((axis) => {
    const low = pairs.reduce((least, pair) => Math.min(least, pair[axis]), 0);
    const high = pairs.reduce((most, pair) => Math.max(most, pair[axis]), 0);
    return [low, high - low || 1];
  });
  const at = (axis, value) => {
    const share = (value - bounds[axis][0]) / bounds[axis][1];
    return (margin + (size - 2 * margin) * (axis ? 1 - share : share)).toFixed(1);
  };
  const stride = Math.max(1, Math.floor(pairs.length / 500));
  const dots = pairs.filter((_, i) => i % stride === 0).map(([a, b]) => `M${at(0, a)} ${at(1, b)}h.01`).join('');
  const label = `Each point is a value before (across) and after (upward); the chosen one is ${rounded(chosen[0])} and becomes ${rounded(chosen[1])}.`;
  return h(
    'figure', { class: 'function-chart' },
    h('svg', { viewBox: `0 0 ${size} ${size}`, role: 'img', 'aria-label': label },
      h('line', { class: 'zero', x1: 0, x2: size, y1: at(1, 0), y2: at(1, 0) }),
      h('line', { class: 'zero', y1: 0, y2: size, x1: at(0, 0), x2: at(0, 0) }),
      h('path', { class: 'points', d: dots }),
      h('circle', { class: 'dot', r: 5, cx: at(0, chosen[0]), cy: at(1, chosen[1]) })),
    h('figcaption', { text: 'Every value of this channel: before, across; after, upward.' }),
  );
}

/** Return one operation on single numbers as a line: 0.5 × 2 = 1. `names` are those of the operands, empty for unnamed ones. */
function operationLine(operation, values, names, result) {
  const sign = SIGNS[operation.name];
  const shown = values.map((value, i) => {
    const figure = number(value, { digits: 5, name: names[i] || 'operand' });
    const label = names[i] ? h('span', { class: 'note', text: ` ${names[i]}` }) : null;
    return h('span', {}, sign && i && value < 0 ? '(' : null, figure, label, sign && i && value < 0 ? ')' : null);
  });
  let left = [`${NAMES[operation.name] ?? operation.name}(`, ...shown.flatMap((each, i) => (i ? [', ', each] : [each])), ')'];
  if (sign) left = [shown[0], ` ${sign} `, shown[1]];
  if (operation.name === 'power') left = [shown[0], ` to the power of ${operation.exponent}`];
  const source = operation.carried ? h('span', { class: 'note', text: '  (the engine\'s own number: it approximates this function by a polynomial)' }) : null;
  return h('p', { class: 'formula', title: operation.words }, ...left, ' = ', number(result, { digits: 5, name: 'result' }), source);
}

/** Draw what lies outside the image as an empty border; `image` is [row, column, height, width] in the cells of the map. */
function drawPadding(overlay, rows, columns, [row, column, height, width]) {
  const outer = `M0 0h${columns}v${rows}h${-columns}z`;
  const inner = `M${column} ${row}h${width}v${height}h${-width}z`;
  overlay.prepend(h('path', { class: 'padding', d: outer + inner, 'fill-rule': 'evenodd' }), h('path', { class: 'edge', d: inner }));
}

opsin.stepDrawing = { numberGrid, sumChart, functionChart, operationLine, drawPadding };
