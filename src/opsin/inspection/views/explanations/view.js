// Why this answer: the image under a map of what speaks for it, all methods side by side, and whether to believe them.

const BIG = 336;
const SMALL = 132;

opsin.view({
  name: 'explanations',
  mount(root, data, page) {
    const chosen = { answer: 0, method: data.default, layer: 0, strength: 65 };
    const bar = h('div', { class: 'why-bar' });
    const main = h('div', { class: 'columns why-main' });
    const all = h('div', {});
    root.append(
      h('p', { text: 'A map shows which places of the image speak for an answer, by one of several methods. Methods differ, and each can be wrong: the figures beside a map say how far the answer follows it.' }),
      bar, main, all, ...[togetherPart(data)].filter(Boolean),
    );
    function choose(changes) {
      Object.assign(chosen, changes);
      show();
    }
    function show() {
      const image = data.images[page.state.image];
      if (!image.answers.length) {
        fill(bar);
        fill(main, h('p', { class: 'warning', text: 'The network finds nothing in this image that could be explained.' }));
        fill(all);
        return;
      }
      chosen.answer = Math.min(chosen.answer, image.answers.length - 1);
      const answer = image.answers[chosen.answer];
      if (!answer.maps[chosen.method]) chosen.method = Object.keys(answer.maps)[0];
      if (!chosen.method) {
        fill(main, h('p', { class: 'warning', text: 'This network has no layer that everything passes through on the way to this answer.' }));
        return;
      }
      chosen.layer = Math.min(chosen.layer, answer.maps[chosen.method].length - 1);
      const view = { data, page, image, answer, chosen, picture: page.array(image.pixels) };
      fill(bar, controls(view, choose));
      fill(main, mapPart(view), trustPart(view));
      fill(all, methodsPart(view, choose));
    }
    page.watch(['image'], show);
  },
});

function controls({ data, image, answer, chosen }, choose) {
  const answers = image.answers.map((each, n) => ({ value: n, text: each.label }));
  const methods = Object.keys(answer.maps).map((name) => ({ value: name, text: data.methods[name].title }));
  const layers = answer.maps[chosen.method].map((map, n) => ({ value: n, text: map.layer }));
  return [
    answers.length > 1 ? choice({ name: 'answer', options: answers, value: chosen.answer, onChange: (value) => choose({ answer: value }) }).element : null,
    choice({ name: 'method', options: methods, value: chosen.method, few: 2, onChange: (value) => choose({ method: value, layer: 0 }) }).element,
    layers.length > 1 ? choice({ name: 'layer', options: layers, value: chosen.layer, few: 2, onChange: (value) => choose({ layer: value }) }).element : null,
  ];
}

/** Show the chosen map over the image, its scale, and its numbers. */
function mapPart(view) {
  const { data, page, answer, chosen } = view;
  const map = answer.maps[chosen.method][chosen.layer];
  const method = data.methods[chosen.method];
  const { shape: [rows, columns], data: values } = page.array(map.values);
  const name = `${method.title} of '${answer.label}'`;
  const cover = overlay(view, map, BIG, chosen.strength / 100);
  const strength = slider({
    name: 'strength', max: 100, step: 5, value: chosen.strength, show: (each) => `${each}%`,
    onInput: (value) => { chosen.strength = value; cover.update(value / 100); },
  });
  const raw = heatMap({ values, rows, columns, name: `${name}, the map itself`, scale: method.unsigned ? 'positive' : 'signed', size: 200 });
  const squares = map.block > 1 ? ` A value stands for ${map.block} × ${map.block} pixels.` : '';
  return h(
    'div', {},
    h('h3', { text: name }),
    map.sentences.map((text) => h('p', { class: 'warning', text })),
    map.details.remark ? h('p', { class: 'warning', text: map.details.remark }) : null,
    cover.element, map.sentences.length ? null : strength.element,
    h('p', { class: 'note' }, `${firstUpper(map.description)} is `, number(Math.fround(map.score), { name: map.description }), '. ',
      `The colours go from 0 to ${rounded(map.largest)}, the largest value of this map.`),
    h('details', {}, h('summary', { text: 'The map itself' }),
      h('p', { class: 'note', text: `${firstUpper(method.idea)} (${method.source}).${squares} ${method.unsigned ? '' : 'Negative values speak against the answer.'}` }),
      raw.element, detailsPart(map)),
    channelsPart(view, map),
  );
}

function firstUpper(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Say how a method was set, and how well its values add up. */
function detailsPart({ method, details }) {
  if (method === 'integrated-gradients') {
    const text = `From ${details.baseline}, whose score is ${rounded(details.baseline_score)}, in ${details.steps} steps. All values add up to `
      + `${rounded(details.sum, 4)}; the scores differ by ${rounded(details.score - details.baseline_score, 4)} (gap ${rounded(100 * details.gap, 2)}%).`;
    return h('p', { class: 'note', text });
  }
  if (method === 'occlusion') return h('p', { class: 'note', text: `A window of ${details.window.join(' × ')} pixels with ${details.colour}, at ${details.places.join(' × ')} places.` });
  return null;
}

/** Open the sum of a map: the channels with the largest weights. */
function channelsPart({ data, page, chosen }, map) {
  if (!map.channels) return null;
  const weights = page.array(map.weights).data;
  const largest = largestOf(weights) || 1;
  const features = map.features === undefined ? null : page.array(map.features);
  const pictureOf = (n) => {
    const [, height, width] = features.shape;
    const values = features.data.subarray(n * height * width, (n + 1) * height * width);
    const scale = values.some((value) => value < 0) ? 'signed' : 'positive';
    return picture({ values, rows: height, columns: width, scale, largest: largestOf(values) || 1, size: 40 });
  };
  const rows = map.channels.map((channel, n) => [
    ...(features ? [pictureOf(n)] : []), `channel ${channel}`, weights[n],
    h('span', { class: 'why-track' }, h('span', { class: weights[n] < 0 ? 'why-weight negative' : 'why-weight', style: { width: `${(100 * Math.abs(weights[n])) / largest}%` } })),
  ]);
  return h('details', {}, h('summary', { text: 'The channels behind it' }),
    h('p', { class: 'note', text: `${data.methods[chosen.method].title} adds up the feature maps of ${map.layer}, each times a weight. The largest weights:` }),
    table({ caption: 'weights of channels', head: [...(features ? ['feature map'] : []), '', 'weight', ''], rows }));
}

/** Draw the image in grey under the map: strong colour where the map is large. Returns {element, update(strength)}. */
function overlay({ picture, page, answer, data }, map, size, strength, { bare = false } = {}) {
  const [, height, width] = picture.shape;
  const { shape: [rows, columns], data: values } = page.array(map.values);
  const shares = map.sentences.length ? new Float32Array(height * width) : displayed(values, rows, columns, height, width);
  const canvas = h('canvas', { 'aria-hidden': true });
  const enlarged = size / Math.max(height, width);
  const title = `${data.methods[map.method].title} of '${answer.label}' over the image`;
  const box = h('div', {
    class: 'why-cover', role: bare ? null : 'img', 'aria-label': bare ? null : `${title}${map.sentences.length ? ': nothing to see' : ''}`,
    style: { width: `${width * enlarged}px`, aspectRatio: `${width} / ${height}` },
  }, canvas);
  function update(amount) {
    drawOverlay(canvas, picture, shares, amount);
  }
  update(strength);
  return { element: box, update };
}

function drawOverlay(canvas, { shape: [channels, height, width], data }, shares, strength) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const colour = paletteOf('heat');
  const table = Array.from({ length: 256 }, (_, n) => colour(n / 255));
  const size = height * width;
  const green = channels >= 3 ? size : 0;
  const blue = channels >= 3 ? 2 * size : 0;
  for (let i = 0; i < size; i += 1) {
    const pixel = [data[i], data[green + i], data[blue + i]];
    const alpha = strength * Math.min(1, 2.5 * shares[i]);
    const heat = table[Math.round(255 * shares[i])];
    for (let k = 0; k < 3; k += 1) image.data[4 * i + k] = pixel[k] + (heat[k] - pixel[k]) * alpha;
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
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

/** Show whether to believe the chosen map: its faithfulness next to the baselines, and the sanity check. */
function trustPart({ data, image, chosen }) {
  const trust = image.trust;
  const title = h('h3', { text: 'Is the map true?' });
  const check = data.sanity[chosen.method];
  const sanity = check
    ? [h('h4', { text: 'Sanity check' }), h('p', { class: check.passed ? null : 'warning', text: check.sentence }),
      table({ caption: 'rank correlation with the maps of networks whose last layers are random', head: ['random layers', 'correlation'], rows: check.shares.map((share, n) => [`${Math.round(100 * share)}%`, rounded(check.correlations[n], 2)]) })]
    : h('p', { class: 'note', text: `The sanity check was not made for ${data.methods[chosen.method].title}.` });
  const figures = trust.methods[chosen.method];
  if (!figures || chosen.answer || chosen.layer) {
    const reason = figures ? 'Faithfulness is measured for the first answer and the first layer.' : 'Faithfulness was not measured for this method.';
    return h('div', {}, title, h('p', { class: 'note', text: reason }), sanity);
  }
  const names = Object.keys(trust.baselines);
  const head = ['', data.methods[chosen.method].title, ...names];
  const rows = Object.entries(data.metrics).map(([metric, text]) => [
    `${text}${data.lower.includes(metric) ? ' ↓' : ' ↑'}`, rounded(figures[metric], 2), ...names.map((name) => baselineText(trust.baselines[name], metric)),
  ]);
  const doubtful = trust.unbeaten.includes(chosen.method);
  return h(
    'div', {}, title, h('p', { class: doubtful ? 'warning' : null, text: trust.sentences[chosen.method] }),
    curves(figures, trust.baselines[names[0]], data.methods[chosen.method].title),
    table({ caption: 'faithfulness on this image; ↑ high is good, ↓ low is good', head, rows }),
    h('details', {}, h('summary', { text: 'What the figures mean' }), h('ul', {}, [
      'Insertion: the area under the confidence while the most important pixels are restored in a blurred image, a tenth at a time. Deletion: while they are replaced by the mean colour (Petsiuk et al. 2018).',
      'ROAD: how much more the confidence falls without the most important pixels than without the least important ones, halved; removed pixels are interpolated (Rong et al. 2022).',
      'Average drop: the share of the confidence that is lost if the image is multiplied by the map. Increase: 1 if the confidence grows instead (Chattopadhay et al. 2018).',
      'The random map, the Gaussian in the centre and the edge detector know nothing of the network. For random maps, the range over several of them is given.',
      'The figures often disagree. Pixels are removed that way in no photo, so compare them with the baselines, not with other networks.',
    ].map((text) => h('li', { text })))),
    sanity,
  );
}

function baselineText(figures, metric) {
  const [low, high] = figures.range;
  if (metric !== 'insertion_deletion' || low === high) return rounded(figures[metric], 2);
  return `${rounded(figures[metric], 2)} (${rounded(low, 2)} to ${rounded(high, 2)})`;
}

/** Draw the curves of insertion and deletion, next to those of the random maps. */
function curves(figures, random, title) {
  const [width, height] = [300, 130];
  const line = (values, kind) => h('polyline', {
    class: kind, points: values.map((value, n) => `${(figures.shares[n] * width).toFixed(1)},${((1 - Math.max(0, value)) * height).toFixed(1)}`).join(' '),
  });
  const label = `Confidence while pixels are restored: from ${rounded(figures.inserted[0], 2)} to ${rounded(figures.inserted.at(-1), 2)}, area ${rounded(figures.insertion, 2)}; `
    + `while they are removed: from ${rounded(figures.deleted[0], 2)} to ${rounded(figures.deleted.at(-1), 2)}, area ${rounded(figures.deletion, 2)}.`;
  return h('figure', { class: 'why-curves' },
    h('svg', { viewBox: `-1 -4 ${width + 2} ${height + 8}`, role: 'img', 'aria-label': label },
      h('rect', { class: 'why-plot', x: 0, y: 0, width, height }),
      line(random.inserted, 'why-insert why-random'), line(random.deleted, 'why-delete why-random'),
      line(figures.inserted, 'why-insert'), line(figures.deleted, 'why-delete')),
    h('figcaption', {}, h('span', { class: 'why-key why-insert', text: 'restored' }), h('span', { class: 'why-key why-delete', text: 'removed' }),
      h('span', { text: `confidence from 0 to 1 over the share of pixels, by ${title}; dashed: random maps` })));
}

/** Show all methods side by side; a click chooses one. */
function methodsPart(view, choose) {
  const { data, image, answer, chosen } = view;
  const cards = Object.entries(answer.maps).map(([name, maps]) => {
    const map = maps[Math.min(chosen.layer, maps.length - 1)];
    const figures = !chosen.answer && !chosen.layer ? image.trust.methods[name] : null;
    const doubtful = image.trust.unbeaten.includes(name);
    return h('button', { type: 'button', class: 'why-card', 'aria-pressed': String(name === chosen.method), on: { click: () => choose({ method: name }) } },
      overlay(view, map, SMALL, 0.65, { bare: true }).element, h('span', { class: 'why-title', text: data.methods[name].title }),
      map.sentences.length ? h('span', { class: 'note', text: 'nothing to see' }) : null,
      figures ? h('span', { class: 'note', text: `${rounded(figures.insertion_deletion, 2)} ${doubtful ? '· does not beat all baselines' : '· beats all baselines'}` }) : null);
  });
  return [
    h('h3', { text: 'All methods' }),
    h('p', { class: 'note', text: chosen.answer || chosen.layer ? '' : 'With insertion minus deletion: high is good, from −1 to 1.' }),
    h('div', { class: 'why-cards' }, cards),
  ];
}

/** Show the means over all images of the page. */
function togetherPart(data) {
  const all = data.together;
  if (!all) return null;
  const names = Object.keys(all.figures);
  const text = ({ mean, low, high }) => (low === null ? rounded(mean, 2) : `${rounded(mean, 2)} (${rounded(low, 2)} to ${rounded(high, 2)})`);
  const rows = names.map((name) => [data.methods[name]?.title ?? name, ...Object.keys(data.metrics).map((metric) => text(all.figures[name][metric]))]);
  const bounds = all.figures[names[0]].insertion.low === null ? '' : ', with 95% bounds of the bootstrap';
  return h('div', {}, h('h3', { text: `All ${all.images} images together` }), Object.values(all.sentences).map((sentence) => h('p', { text: sentence })),
    table({ caption: `means${bounds}`, head: ['', ...Object.values(data.metrics)], rows }));
}
