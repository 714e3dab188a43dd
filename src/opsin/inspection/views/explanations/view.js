// Why this answer: the image under a map of what supports it, and all methods side by side.

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
      h('p', { text: 'A map shows which parts of the image support an answer, by one of several methods. Methods differ, and each can be wrong: the figures next to a map say how well it predicts the effect of changing the image.' }),
      bar, main, all, ...[opsin.togetherPart(data)].filter(Boolean),
    );
    function choose(changes) {
      const sameMaps = Object.keys(changes).every((name) => name === 'method') && !chosen.layer;
      Object.assign(chosen, changes);
      show(sameMaps);
    }
    /** Show the chosen map. With `sameMaps`, the maps of all methods stay, and another one is marked. */
    function show(sameMaps = false) {
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
      const view = { data, page, image, answer, chosen, pixels: page.array(image.pixels) };
      fill(bar, controls(view, choose));
      fill(main, mapPart(view), opsin.trustPart(view));
      if (sameMaps) markMethod(all, chosen.method);
      else fill(all, methodsPart(view, choose));
    }
    page.watch(['image'], () => {
      chosen.method = firstMethod(data, data.images[page.state.image]);
      show();
    });
  },
});

/** Return the method to begin with: the default, or the best one that beats all baselines if the default does not. */
function firstMethod(data, { trust }) {
  if (!trust || !trust.unbeaten.includes(data.default)) return data.default;
  const beating = Object.entries(trust.methods).filter(([name]) => !trust.unbeaten.includes(name));
  beating.sort((a, b) => b[1].insertion_deletion - a[1].insertion_deletion);
  return beating.length ? beating[0][0] : data.default;
}

function markMethod(root, method) {
  for (const card of root.querySelectorAll('.why-card')) card.setAttribute('aria-pressed', String(card.dataset.method === method));
}

function controls({ data, image, answer, chosen }, choose) {
  const isUnique = new Set(image.answers.map((each) => each.label)).size === image.answers.length;
  const answers = image.answers.map((each, n) => ({ value: n, text: isUnique ? each.label : `${n + 1}: ${each.label}` }));
  const methods = Object.keys(answer.maps).map((name) => ({ value: name, text: data.methods[name].title }));
  const layers = answer.maps[chosen.method].map((map, n) => ({ value: n, text: map.layer }));
  return [
    answers.length > 1 ? choice({ name: 'answer', options: answers, value: chosen.answer, onChange: (value) => choose({ answer: value }) }).element : null,
    choice({ name: 'method', options: methods, value: chosen.method, few: 2, onChange: (value) => choose(chosen.layer ? { method: value, layer: 0 } : { method: value }) }).element,
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
  const cover = opsin.mapOverlay(view, map, BIG, chosen.strength / 100);
  const strength = slider({
    name: 'strength', max: 100, step: 5, value: chosen.strength, show: (each) => `${each}%`,
    onInput: (value) => { chosen.strength = value; cover.update(value / 100); },
  });
  const raw = heatMap({ values, rows, columns, name: `${name}, the raw map`, scale: method.unsigned ? 'positive' : 'signed', size: 200 });
  const squares = map.block > 1 ? ` A value stands for ${map.block} × ${map.block} pixels.` : '';
  return h(
    'div', {},
    h('h3', { text: name }),
    map.sentences.map((text) => h('p', { class: 'warning', text })),
    map.details.remark ? h('p', { class: 'warning', text: map.details.remark }) : null,
    cover.element, map.sentences.length ? null : strength.element,
    h('p', { class: 'note' }, `${capitalized(map.description)} is `, number(Math.fround(map.score), { name: map.description }), '. ',
      `The colours go from 0 to ${rounded(map.largest)}, the largest value of this map.`,
      answer.number ? ' Coloured parts make the number larger.' : null),
    h('details', {}, h('summary', { text: 'The raw map' }),
      h('p', { class: 'note', text: `${capitalized(method.idea)} (${method.source}).${squares} ${method.unsigned ? '' : answer.number ? 'Negative values make the number smaller.' : 'Negative values count against the answer.'}` }),
      raw.element, detailsPart(map)),
    channelsPart(view, map),
    view.image.drawing ? h('figure', { class: 'why-drawing' }, h('figcaption', { text: 'What the network answers' }),
      h('img', { src: view.image.drawing, alt: `The image with the answer drawn on it: ${page.subject.images[page.state.image].answer}` })) : null,
  );
}

/** Show the settings of a method, and how well its values add up. */
function detailsPart({ method, details }) {
  if (method === 'integrated-gradients') {
    const text = `From ${details.baseline}, whose score is ${rounded(details.baseline_score)}, in ${details.steps} steps. All values add up to `
      + `${rounded(details.sum, 4)}; the scores differ by ${rounded(details.score - details.baseline_score, 4)} (gap ${rounded(100 * details.gap, 2)}%).`;
    return h('p', { class: 'note', text });
  }
  if (method === 'occlusion') return h('p', { class: 'note', text: `A window of ${details.window.join(' × ')} pixels with ${details.colour}, at ${details.places.join(' × ')} places.` });
  return null;
}

/** Show the channels whose weighted sum is the map: those with the largest weights. */
function channelsPart({ data, page, chosen }, map) {
  if (!map.channels) return null;
  const weights = page.array(map.weights).data;
  const largest = largestOf(weights) || 1;
  const features = map.features === undefined ? null : page.array(map.features);
  const mapOf = (n) => {
    const [, height, width] = features.shape;
    const values = features.data.subarray(n * height * width, (n + 1) * height * width);
    return plainMap({ values, rows: height, columns: width, scale: scaleOf(values), largest: largestOf(values) || 1, size: 40 });
  };
  const rows = map.channels.map((channel, n) => [
    ...(features ? [mapOf(n)] : []), `channel ${channel}`, weights[n],
    valueBar(weights[n], largest),
  ]);
  return h('details', {}, h('summary', { text: 'The channels behind it' }),
    h('p', { class: 'note', text: `${data.methods[chosen.method].title} adds up the feature maps of ${map.layer}, each times a weight. The largest weights:` }),
    table({ caption: 'weights of channels', head: [...(features ? ['feature map'] : []), '', 'weight', ''], rows }));
}

/** Show all methods side by side; a click chooses one. */
function methodsPart(view, choose) {
  const { data, image, answer, chosen } = view;
  const cards = Object.entries(answer.maps).map(([name, maps]) => {
    const map = maps[Math.min(chosen.layer, maps.length - 1)];
    const figures = !chosen.answer && !chosen.layer ? image.trust?.methods[name] : null;
    const doubtful = image.trust?.unbeaten.includes(name);
    return h('button', { type: 'button', class: 'why-card', data: { method: name }, 'aria-pressed': String(name === chosen.method), on: { click: () => choose({ method: name }) } },
      opsin.mapOverlay(view, map, SMALL, 0.65, { bare: true }).element, h('span', { class: 'why-title', text: data.methods[name].title }),
      map.sentences.length ? h('span', { class: 'note', text: 'nothing to see' }) : null,
      figures ? h('span', { class: 'note', text: `${rounded(figures.insertion_deletion, 2)} ${doubtful ? '· does not beat all baselines' : '· beats all baselines'}` }) : null);
  });
  return [
    h('h3', { text: 'All methods' }),
    h('p', { class: 'note', text: chosen.answer || chosen.layer || !image.trust ? '' : 'With insertion minus deletion: high is good, from −1 to 1.' }),
    h('div', { class: 'why-cards' }, cards),
  ];
}
