// Numbers: rounded in the text, complete on focus and under the pointer.

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }; // rows and columns

const bitsView = new DataView(new ArrayBuffer(4));

/** Return the bits of a float32 as eight hexadecimal digits. */
function bitsOf(value) {
  bitsView.setFloat32(0, value);
  return bitsView.getUint32(0).toString(16).padStart(8, '0');
}

/** Return the text of a number with minus signs instead of hyphens, as all text of the page has them. */
function withMinus(text) {
  return text.replaceAll('-', '−');
}

/** Return a number with about `digits` digits, as short as it reads well. */
function rounded(value, digits = 3) {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text = size >= 10 ** 6 || size < 10 ** -4
    ? value.toExponential(digits - 1).replace('e+', 'e')
    : Number(value.toPrecision(digits)).toString();
  return withMinus(text);
}

/** Return the shortest text that stands for this float32 alone. */
function exactText(value) {
  const single = Math.fround(value);
  if (!Number.isFinite(single)) return rounded(single);
  for (let digits = 1; digits <= 9; digits += 1) {
    const text = single.toPrecision(digits);
    if (Math.fround(Number(text)) === single) return withMinus(String(Number(text)));
  }
  return withMinus(String(single));
}

/** Return a float32 in full, with its bits. */
function fullText(value, name = '') {
  return `${name ? `${name}: ` : ''}${exactText(value)}  (bits ${bitsOf(value)})`;
}

/**
 * Make a number: a float32 of the engine, rounded. Its full value and its bits are shown when it has the focus or is under the
 * pointer. `options`: `digits`; `name`, what it is; `still`, if it cannot have the focus, as inside a table that moves its own focus.
 */
function number(value, { digits = 3, name = '', still = false } = {}) {
  const element = h('span', { class: 'number', tabindex: still ? null : 0, data: { bits: bitsOf(value) }, text: rounded(value, digits) });
  inFull.set(element, [value, name]);
  return element;
}

/** The value and the name of each number on the page. */
const inFull = new WeakMap();

// One handler for all numbers: a table has many.
for (const [enter, leave] of [['focusin', 'focusout'], ['pointerover', 'pointerout']]) {
  document.addEventListener(enter, ({ target }) => { if (inFull.has(target)) readOut(fullText(...inFull.get(target))); });
  document.addEventListener(leave, ({ target }) => { if (inFull.has(target)) readOut(''); });
}

/** Show a text at the lower edge of the page, where screen readers hear it. */
function readOut(text) {
  document.getElementById('readout').textContent = text;
}

/** Make a table of text and numbers: `rows` are lists of texts, elements, or numbers (float32). Arrow keys move between its numbers. */
function table({ caption, head = [], rows, digits = 3 }) {
  const cells = rows.map((row) => row.map((cell) => {
    const element = h('td', { class: typeof cell === 'number' ? 'figure' : null });
    element.append(typeof cell === 'number' ? number(cell, { digits, still: true }) : cell);
    return element;
  }));
  const element = h(
    'table', {}, caption ? h('caption', { text: caption }) : null,
    head.length ? h('thead', {}, h('tr', {}, head.map((text) => h('th', { scope: 'col', text })))) : null,
    h('tbody', {}, cells.map((row) => h('tr', {}, row))),
  );
  moveFocus(element, cells.map((row) => row.map((cell) => cell.querySelector('.number'))));
  return sideways(h('div', { class: 'wide', tabindex: 0, role: 'group', 'aria-label': caption || 'table' }, element));
}

/** Let the arrow keys move the focus through rows of numbers, of which the tab key reaches the first. */
function moveFocus(root, rows) {
  const first = rows.flat().find(Boolean);
  if (first) first.tabIndex = 0;
  root.addEventListener('keydown', (event) => {
    const step = ARROWS[event.key];
    const y = rows.findIndex((row) => row.includes(document.activeElement));
    if (!step || y < 0) return;
    const x = rows[y].indexOf(document.activeElement);
    const next = rows[y + step[0]]?.[x + step[1]];
    event.preventDefault();
    event.stopPropagation();
    if (!next) return;
    rows[y][x].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
}
