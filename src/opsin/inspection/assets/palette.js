// Colours of values. Blue and orange can be told apart by the colour-blind; the middle is the colour of the page.

const SIGNED = {
  light: [[155, 66, 12], [236, 138, 66], [250, 246, 241], [98, 163, 219], [14, 76, 138]],
  dark: [[255, 183, 120], [200, 102, 38], [27, 33, 40], [47, 118, 184], [150, 205, 255]],
};
const POSITIVE = {
  light: [[248, 248, 246], [196, 220, 232], [110, 172, 206], [38, 116, 166], [6, 52, 98]],
  dark: [[20, 25, 31], [22, 60, 98], [28, 108, 160], [92, 172, 214], [218, 242, 255]],
};
const HEAT = [[13, 8, 92], [98, 22, 134], [184, 50, 92], [240, 122, 40], [252, 232, 110]];

const isDark = matchMedia('(prefers-color-scheme: dark)');

/** Return a function from 0…1 to [red, green, blue] for a scale: "signed" (0.5 is zero), "positive", "grey" or "heat". */
function paletteOf(scale) {
  if (scale === 'grey') return (t) => [255 * t, 255 * t, 255 * t];
  const stops = scale === 'heat' ? HEAT : (scale === 'signed' ? SIGNED : POSITIVE)[isDark.matches && !printing ? 'dark' : 'light'];
  return (t) => {
    const place = Math.min(Math.max(t, 0), 1) * (stops.length - 1);
    const index = Math.min(Math.floor(place), stops.length - 2);
    const share = place - index;
    return stops[index].map((from, k) => from + (stops[index + 1][k] - from) * share);
  };
}

let printing = false;

/** Return the colours of a scale as 256 lists [red, green, blue]. */
function colourTable(scale) {
  const colour = paletteOf(scale);
  return Array.from({ length: 256 }, (_, n) => colour(n / 255));
}

/** Return the scale that suits some values: "signed" if one of them is negative, otherwise "positive". */
function scaleOf(values) {
  return values.some((value) => value < 0) ? 'signed' : 'positive';
}

/** Fill a canvas with one pixel per value. `largest` is the value at the end of the scale; `smallest` that of "grey". */
function paint(canvas, { values, rows, columns, scale, largest, smallest = 0 }) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext('2d');
  const image = context.createImageData(columns, rows);
  const table = colourTable(scale);
  const span = scale === 'grey' ? largest - smallest : largest;
  for (let i = 0; i < rows * columns; i += 1) {
    const value = values[i];
    let t = span ? value / span : 0;
    if (scale === 'signed') t = span ? 0.5 + (0.5 * value) / span : 0.5;
    else if (scale === 'grey') t = span ? (value - smallest) / span : 0.5;
    const [red, green, blue] = Number.isFinite(value) ? table[Math.round(Math.min(Math.max(t, 0), 1) * 255)] : [255, 0, 255];
    image.data.set([red, green, blue, 255], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

/** Return the largest size of the values. */
function largestOf(values) {
  let largest = 0;
  for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
  return largest;
}

const repaints = new Set();

/** Call `draw` now, and again when the page turns dark or light, or is printed, for as long as `element` is in the page. */
function painted(element, draw) {
  draw();
  repaints.add([element, draw]);
}

function repaintAll() {
  for (const entry of repaints) {
    if (entry[0].isConnected) entry[1]();
    else repaints.delete(entry);
  }
}
isDark.addEventListener('change', repaintAll);
addEventListener('beforeprint', () => { printing = true; repaintAll(); });
addEventListener('afterprint', () => { printing = false; repaintAll(); });
