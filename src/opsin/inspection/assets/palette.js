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

const tables = new Map();

/** Return the colours of a scale: 256 lists [red, green, blue], and the same as the words of an image, with one for NaN and infinity. */
function colourTable(scale) {
  const name = `${scale} ${isDark.matches && !printing}`;
  if (!tables.has(name)) {
    const colour = paletteOf(scale);
    const colours = Array.from({ length: 256 }, (_, n) => colour(n / 255));
    const bytes = new Uint8ClampedArray([...colours, [255, 0, 255]].flatMap((each) => [...each, 255]));
    tables.set(name, { colours, words: new Uint32Array(bytes.buffer) });
  }
  return tables.get(name);
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
  const pixels = new Uint32Array(image.data.buffer);
  const { words } = colourTable(scale);
  // The number of a colour is `first` + `slope` · value.
  const [low, high] = [scale === 'signed' ? -largest : scale === 'grey' ? smallest : 0, largest];
  const slope = high > low ? 255 / (high - low) : 0;
  const first = slope ? -low * slope : scale === 'positive' || scale === 'heat' ? 0 : 127.5;
  for (let i = 0; i < pixels.length; i += 1) {
    const value = values[i];
    pixels[i] = Number.isFinite(value) ? words[Math.round(Math.min(Math.max(first + slope * value, 0), 255))] : words[256];
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
