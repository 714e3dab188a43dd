// Whether to believe a map: faithfulness next to the baselines, and the sanity check.

/** Show the faithfulness of the chosen map next to the baselines, and its sanity check. */
function trustPart({ data, image, chosen }) {
  const trust = image.trust;
  const title = h('h3', { text: 'Is the map faithful?' });
  const check = data.sanity[chosen.method];
  const sanity = check
    ? [h('h4', { text: 'Sanity check' }), h('p', { class: check.passed ? null : 'warning', text: check.sentence }),
      table({ caption: 'rank correlation with the maps of networks whose last layers are random', head: ['random layers', 'correlation'], rows: check.shares.map((share, n) => [`${Math.round(100 * share)}%`, rounded(check.correlations[n], 2)]) })]
    : h('p', { class: 'note', text: `The sanity check was not made for ${data.methods[chosen.method].title}: ${data.methods[chosen.method].layer ? 'its map has too few places' : 'it takes many runs of the network'}.` });
  const figures = trust?.methods[chosen.method];
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
      'The confidence is the probability of the answer. A number has the confidence 1 for the image itself and 0 if it is as far away as for an image of the mean colour.',
      'Average drop: the share of the confidence that is lost if the image is multiplied by the map. Increase: 1 if the confidence grows instead (Chattopadhay et al. 2018).',
      'The random map, the centred Gaussian and the edge detector do not depend on the network. For random maps, the range over several of them is given.',
      'The figures often disagree. No photo has pixels removed in this way, so compare the figures with those of the baselines, not with those of other networks.',
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

Object.assign(opsin, { trustPart, togetherPart });
