// The kernels of a stage: a row for each filter, with one kernel for each input channel.

const SIDE = 44;
const GAP = 6;

/**
 * Make the images of kernels. `kernel(y, x)` returns the weights of filter number `y` for input number `x`. Arrow keys move between kernels;
 * Enter or a click opens the numbers of one. A filter is drawn on one canvas, since a stage can have thousands of kernels.
 */
opsin.kernelSheet = ({ kernels, kernel, rows, columns, largest }) => {
  const { filters, inputs } = kernels;
  const unit = Math.max(1, Math.floor(SIDE / Math.max(rows, columns)));
  const [width, height] = [columns * unit, rows * unit];
  const pitch = width + GAP;
  const nameOf = (y, x) => `kernel of filter ${filters[y]} for input ${inputs[x]}`;
  const boxes = filters.map((_, y) => filterBox(y));
  const sheet = h('div', {
    class: 'kernels wide', tabindex: 0, role: 'application', 'aria-roledescription': 'kernels; arrow keys move, Enter shows numbers', 'aria-label': 'kernels',
  }, boxes.map(({ canvas, frame }, y) => h('div', { class: 'filter' }, h('span', { class: 'note', text: String(filters[y]) }), h('div', { class: 'kernel-row' }, canvas, frame))));
  let [row, column] = [0, 0];

  function filterBox(y) {
    const canvas = h('canvas', { 'aria-hidden': true });
    const [whole, small] = [pitch * inputs.length - GAP, h('canvas', {})];
    Object.assign(canvas, { width: whole, height });
    painted(canvas, () => {
      const context = canvas.getContext('2d');
      context.imageSmoothingEnabled = false;
      inputs.forEach((_, x) => {
        paint(small, { values: kernel(y, x), rows, columns, scale: 'signed', largest });
        context.drawImage(small, x * pitch, 0, width, height);
      });
    });
    const frame = h('span', { class: 'kernel-frame', hidden: true, style: { width: `${width}px`, height: `${height}px` } });
    return { canvas, frame };
  }

  /** Mark a kernel and say its name; null marks none. */
  function mark(place) {
    for (const { frame } of boxes) frame.hidden = true;
    if (!place) {
      readOut('');
      return;
    }
    [row, column] = place;
    const { frame } = boxes[row];
    frame.hidden = false;
    frame.style.left = `${column * pitch}px`;
    readOut(nameOf(row, column));
  }

  function open() {
    const values = kernel(row, column);
    const name = nameOf(row, column);
    openDialog(name, heatMap({ values, rows, columns, name, size: 320, largest }).element,
      table({ caption: 'weights', rows: Array.from({ length: rows }, (_, y) => [...values.subarray(y * columns, (y + 1) * columns)]) }));
  }

  /** Return the kernel under the pointer, or null. */
  function placeOf(event) {
    const y = boxes.findIndex(({ canvas }) => canvas === event.target);
    return y < 0 ? null : [y, Math.min(inputs.length - 1, Math.floor(event.offsetX / pitch))];
  }

  sideways(sheet);
  sheet.addEventListener('pointermove', (event) => { if (placeOf(event)) mark(placeOf(event)); });
  sheet.addEventListener('pointerleave', () => mark(document.activeElement === sheet ? [row, column] : null));
  sheet.addEventListener('click', (event) => {
    if (!placeOf(event)) return;
    mark(placeOf(event));
    open();
  });
  sheet.addEventListener('focus', () => mark([row, column]));
  sheet.addEventListener('blur', () => mark(null));
  sheet.addEventListener('keydown', (event) => {
    const step = ARROWS[event.key];
    if (!step && event.key !== 'Enter' && event.key !== ' ') return;
    event.preventDefault();
    if (!step) {
      open();
      return;
    }
    mark([Math.min(Math.max(row + step[0], 0), filters.length - 1), Math.min(Math.max(column + step[1], 0), inputs.length - 1)]);
    boxes[row].frame.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  });
  return sheet;
};
