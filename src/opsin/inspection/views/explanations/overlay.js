// The image under a map.

/** Draw the image, covered by colours where the map is large. Returns {element, update(strength)}. */
function overlay({ pixels, page, image, answer, data }, map, size, strength, { bare = false } = {}) {
  const [, height, width] = pixels.shape;
  const share = bare ? Math.min(1, size / Math.max(height, width)) : 1;
  const drawn = [Math.round(height * share), Math.round(width * share)];
  const { shape: [rows, columns], data: values } = page.array(map.values);
  const shares = map.sentences.length ? new Float32Array(drawn[0] * drawn[1]) : displayed(values, rows, columns, ...drawn);
  const canvas = h('canvas', { 'aria-hidden': true });
  const [imageHeight, imageWidth] = image.size;
  const enlarged = size / Math.max(imageHeight, imageWidth);
  const title = `${data.methods[map.method].title} of '${answer.label}' over the image`;
  const box = h('div', {
    class: 'why-cover', role: bare ? null : 'img', 'aria-label': bare ? null : `${title}${map.sentences.length ? ': nothing to see' : ''}`,
    style: { width: `${imageWidth * enlarged}px`, aspectRatio: `${imageWidth} / ${imageHeight}` },
  }, canvas);
  const update = (amount) => {
    drawOverlay(canvas, pixels, drawn, shares, amount);
    if (answer.box) outline(canvas, answer.box);
  };
  update(strength);
  return { element: box, update };
}

function drawOverlay(canvas, { shape: [channels, height, width], data }, [drawnHeight, drawnWidth], shares, strength) {
  canvas.width = drawnWidth;
  canvas.height = drawnHeight;
  const context = canvas.getContext('2d');
  const image = context.createImageData(drawnWidth, drawnHeight);
  const { colours } = colourTable('heat');
  const planes = channels >= 3 ? [0, height * width, 2 * height * width] : [0, 0, 0];
  for (let i = 0, y = 0; y < drawnHeight; y += 1) {
    const row = Math.floor((y * height) / drawnHeight) * width;
    for (let x = 0; x < drawnWidth; x += 1, i += 1) {
      const source = row + Math.floor((x * width) / drawnWidth);
      const alpha = strength * Math.min(1, 2.5 * shares[i]);
      const heat = colours[Math.round(255 * shares[i])];
      for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = data[planes[k] + source] * (1 - alpha) + heat[k] * alpha;
      image.data[4 * i + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
}

/** Draw the edges of a box, whose corners are shares of the image's sides. */
function outline(canvas, [left, top, right, bottom]) {
  const context = canvas.getContext('2d');
  const unit = Math.max(canvas.width, canvas.height) / 160;
  for (const [colour, width] of [['#10151a', 3 * unit], ['#ffffff', 1.4 * unit]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.strokeRect(left * canvas.width, top * canvas.height, (right - left) * canvas.width, (bottom - top) * canvas.height);
  }
}

/** Return a raw map in the size of the image, from 0 to 1: positive values, stretched, and enlarged bilinearly. */
function displayed(values, rows, columns, height, width) {
  const small = stretched(Float64Array.from(values, (value) => Math.max(0, value)));
  const down = neighbours(rows, height);
  const across = neighbours(columns, width);
  const large = new Float64Array(height * width);
  for (let y = 0; y < height; y += 1) {
    const [top, bottom, v] = down[y];
    for (let x = 0; x < width; x += 1) {
      const [left, right, u] = across[x];
      const upper = small[top * columns + left] * (1 - u) + small[top * columns + right] * u;
      const lower = small[bottom * columns + left] * (1 - u) + small[bottom * columns + right] * u;
      large[y * width + x] = upper * (1 - v) + lower * v;
    }
  }
  return stretched(large);
}

function stretched(values) {
  let low = Infinity;
  let high = 0;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = high - low;
  return values.map((value) => (span > 0 ? (value - low) / span : 0));
}

/** Return, for each new pixel, the old ones on both sides of its centre and the weight of the second. */
function neighbours(from, to) {
  return Array.from({ length: to }, (_, n) => {
    const centre = Math.min(Math.max(((n + 0.5) * from) / to - 0.5, 0), from - 1);
    const first = Math.floor(centre);
    return [first, Math.min(first + 1, from - 1), centre - first];
  });
}

opsin.mapOverlay = overlay;
