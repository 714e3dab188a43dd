// One step of backpropagation: the gradient that arrives, what the step does to it, and the gradient that it passes on.

/** Return the panel of the loss: probabilities, target, and their difference. */
opsin.backpropagation.lossPanel = (image) => {
  const rows = image.table.map((row) => [
    row.label, rounded(row.p), String(row.y), row.delta,
    valueBar(row.delta, 1),
  ]);
  return h(
    'div', {},
    h('p', {}, 'The loss is ', number(image.loss, { digits: 6, name: 'loss' }), '.'),
    image.table.length ? table({ caption: 'the gradient of each logit, largest first', head: ['class', 'p', 'y', 'δ = p − y', ''], rows }) : null,
  );
};

/** Return the panel of a step of a stage. */
opsin.backpropagation.stepPanel = (image, step, page) => {
  const sources = step.sources.map((n) => image.steps[n]).filter((each) => each.maps !== undefined);
  const arriving = gradientFigure('arrives: ∂L/∂(output)', step, page);
  const leaving = sources.map((each) => gradientFigure(
    sources.length > 1 ? `to ${page.subject.stages[each.stage].name}` : 'passed on: ∂L/∂(input)', each, page,
  ));
  return h('div', {}, h('div', { class: 'passage' }, arriving, h('span', { class: 'sign', 'aria-hidden': true, text: '→' }), leaving), examplePart(step.example));
};

/** Return the lines of the backward graph. */
opsin.backpropagation.graphPart = (lines, name) => {
  if (!lines.length) return h('p', { class: 'note', text: 'The backward graph has no line for this step: the gradient passes unchanged.' });
  const text = lines.map((line) => {
    const [code, layer] = line.split('   # ');
    return h('span', { class: 'line' }, h('span', { text: code }), layer ? h('span', { class: 'note', text: `  # ${layer}` }) : null);
  });
  return h('details', { open: true, class: 'listing' }, h('summary', { text: 'In the backward graph' }),
    sideways(h('pre', { class: 'lines', tabindex: 0, role: 'group', 'aria-label': `backward graph: ${name}` }, text)));
};

function gradientFigure(title, step, page) {
  const { maps } = step;
  const caption = h('p', { class: 'note', text: title });
  if (!maps) return h('div', {}, caption, h('p', { class: 'note', text: 'This map is too large for the page.' }));
  if (maps.vector !== undefined) return h('div', {}, caption, vectorMap(page.array(maps.vector).data, `${title}, ${step.name}`), partNote(maps, 'value'));
  const shown = (index) => {
    const { shape: [rows, columns], data: values } = page.array(maps.maps[index]);
    return { values, rows, columns, name: `${title}, ${step.name}, channel ${maps.channels[index]}`, size: 190, largest: undefined };
  };
  let start = 0;
  maps.maps.forEach((_, n) => {
    if (largestOf(shown(n).values) > largestOf(shown(start).values)) start = n;
  });
  const map = heatMap(shown(start));
  const options = maps.channels.map((channel, n) => ({ value: n, text: String(channel) }));
  const control = options.length > 1 ? choice({ name: 'channel', options, value: start, onChange: (n) => map.update(shown(n)), few: 4 }).element : null;
  return h('div', {}, caption, map.element, control, partNote(maps, 'channel'));
}

function partNote(maps, word) {
  return maps.channels.length < maps.count ? h('p', { class: 'note', text: `${maps.channels.length} of ${counted(maps.count, word)}, those with the largest gradients` }) : null;
}

/** Return a vector as a map with up to 24 values in a row. */
function vectorMap(values, name) {
  const columns = Math.min(values.length, values.length > 48 ? 24 : 12);
  const rows = Math.ceil(values.length / columns);
  const padded = new Float32Array(rows * columns);
  padded.set(values);
  return heatMap({ values: padded, rows, columns, name, size: 190 }).element;
}

/** Return one element of the gradient in numbers. */
function examplePart(example) {
  if (!example) return null;
  const rows = example.shares.map((share) => [`(${share.place.join(', ')})`, share.factor, share.delta, Math.fround(share.factor * share.delta)]);
  const more = example.count - example.shares.length;
  if (more > 0) rows.push([`${more.toLocaleString('en')} more`, '', '', Math.fround(example.rest)]);
  if (example.others) rows.push(['through other steps', '', '', Math.fround(example.others)]);
  return h(
    'div', { class: 'example' }, h('h4', { text: `One element in numbers: (${example.place.join(', ')}) of the input` }),
    rows.length ? table({ caption: 'the terms of its gradient', head: ['from output', 'factor', 'its δ', 'product'], rows }) : h('p', { text: 'No gradient reaches it.' }),
    h('p', {}, 'Together ', h('strong', { text: rounded(example.total + example.others, 6) }), '; the engine’s gradient there is ', number(Math.fround(example.gradient), { digits: 6, name: 'gradient' }), '.'),
  );
}
