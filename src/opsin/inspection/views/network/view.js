// Stages of the network: feature maps before and after each function, kernels, and sentences about the channels.

const THUMB = 84;

opsin.view({
  name: 'network',
  mount(root, data, page) {
    const panel = h('div', { class: 'stage' });
    root.append(panel);
    document.querySelectorAll('.architecture').forEach(sideways);
    page.watch(['stage'], (state, changed) => {
      markBox(state.stage);
      showStage(panel, data, page, page.subject.stages[state.stage]);
      if (page.state.view === 'network' && changed.includes('stage') && root.dataset.started) panel.scrollIntoView({ block: 'nearest' });
      root.dataset.started = 'true';
    });
  },
});

/** Mark the box of a stage in the diagram. A box that stands for several equal stages is marked for each of them. */
function markBox(stage) {
  const links = [...document.querySelectorAll('.architecture a')];
  const numbers = links.map((link) => Number(parseAddress(link.getAttribute('href')).stage));
  const known = new Set(numbers);
  links.forEach((link, n) => {
    if (numbers[n] === (known.has(stage) ? stage : Math.max(...numbers.filter((each) => each <= stage)))) link.setAttribute('aria-current', 'true');
    else link.removeAttribute('aria-current');
  });
}

function showStage(panel, data, page, stage) {
  const { stages } = page.subject;
  const steps = data.stages[stage.number];
  const go = (by) => h('button', {
    type: 'button', text: by < 0 ? '← previous' : 'next →', disabled: !stages[stage.number + by],
    on: { click: () => page.set({ stage: stage.number + by, step: 0, channel: 0 }) },
  });
  const facts = [stage.shape.join(' × ') + ' values', stage.parameters ? counted(stage.parameters, 'parameter') : null, stage.macs ? counted(stage.macs, 'MAC') : null];
  const body = h('div', {});
  const names = steps.map((_, n) => ({ value: n, text: stage.steps[n].name }));
  const chooser = choice({ name: names.length > 1 ? 'after' : 'shown:', options: names, value: Math.min(page.state.step, steps.length - 1), onChange: (step) => page.set({ step }) });
  fill(
    panel,
    h('div', { class: 'row' }, h('h3', { text: `${stage.name}: ${stage.caption}` }), go(-1), go(1)),
    h('p', { class: 'note', text: facts.filter(Boolean).join(' · ') }),
    chooser.element, body, kernelPart(data.kernels[stage.number], stage),
  );
  const mounted = stage.number;
  page.watch(['step', 'image'], (state) => {
    if (state.stage !== mounted) return;
    const step = Math.min(state.step, steps.length - 1);
    chooser.update({ value: step });
    showMaps(body, { ...steps[step], kernels: data.kernels[stage.number] }, page, stage, step);
  }, body);
}

/** Return the values of a stored map: float32 as they are, bytes as numbers of about 2 digits. */
function mapValues(maps, array, image, index) {
  const [, count, ...sides] = array.shape;
  const size = sides.reduce((product, side) => product * side, 1);
  const start = (image * count + index) * size;
  const part = array.data.subarray(start, start + size);
  return maps.largest ? Float32Array.from(part, (byte) => ((byte - 128) / 127) * maps.largest) : part;
}

function showMaps(body, maps, page, stage, step) {
  const array = page.array(maps.values);
  const { image } = page.state;
  const [, count, rows = 1, columns = 1] = array.shape;
  if (array.shape.length === 2) {
    showVector(body, maps, mapValues(maps, { ...array, shape: [array.shape[0], 1, count] }, image, 0), page, stage);
    return;
  }
  const all = maps.channels.map((_, n) => mapValues(maps, array, image, n));
  const largest = Math.max(...all.map(largestOf)) || 1;
  const scale = all.some((values) => scaleOf(values) === 'signed') ? 'signed' : 'positive';
  const detail = h('div', { class: 'detail' });
  const buttons = maps.channels.map((channel, n) => {
    const map = plainMap({ values: all[n], rows, columns, scale, largest, size: THUMB });
    return h('button', { type: 'button', class: 'map', 'aria-label': `channel ${channel}`, on: { click: () => page.set({ channel }) } }, map, h('span', { text: String(channel) }));
  });
  const note = count < maps.count ? `${count} of ${maps.count} channels: those that count most for the answer.` : counted(count, 'channel') + '.';
  const averages = maps.reduction > 1 ? ` Shown as averages of ${maps.reduction} × ${maps.reduction} values.` : '';
  fill(body, h('p', { class: 'note', text: note + averages }), h('div', { class: 'maps' }, buttons), detail);
  page.watch(['channel'], (state) => {
    const index = Math.max(0, maps.channels.indexOf(state.channel));
    buttons.forEach((button, n) => button.setAttribute('aria-pressed', String(n === index)));
    showDetail(detail, { maps, values: all[index], rows, columns, scale, largest, channel: maps.channels[index] }, page, stage, step);
  }, detail);
}

/** Show one channel: its map, its statistics, and the kernels that made it. */
function showDetail(detail, { maps, values, rows, columns, scale, largest, channel }, page, stage, step) {
  const name = `${stage.name}, ${stage.steps[step].name}, channel ${channel}`;
  const map = heatMap({ values, rows, columns, scale, largest, name, size: 336, approximate: maps.reduction > 1 || maps.largest > 0 });
  const zeros = values.reduce((total, value) => total + (value === 0 ? 1 : 0), 0) / values.length;
  const stats = maps.reduction > 1 ? null : table({
    caption: 'all values of this channel',
    rows: [['smallest', Math.min(...values)], ['mean', Math.fround(values.reduce((a, b) => a + b, 0) / values.length)], ['largest', Math.max(...values)]],
  });
  const link = page.subject.views.convolution && maps.reduction === 1
    ? h('p', {}, h('a', { href: `#convolution?image=${page.state.image}&stage=${stage.number}&step=${step}&channel=${channel}`, text: 'Compute it step by step' }))
    : null;
  fill(
    detail, h('h4', { text: `Channel ${channel}` }),
    h('div', { class: 'parts' }, map.element, kernelsOf(maps.kernels, channel), h('div', {}, stats, h('p', { class: 'note', text: `${(100 * zeros).toFixed(0)}% of its values are zero.` }), link)),
    opsin.channelPart ? opsin.channelPart(page, stage, step, channel) : null,
  );
}

/** Show a vector, such as the answers: the largest values first, with the labels of a classifier. */
function showVector(body, maps, values, page, stage) {
  const last = stage.number === page.subject.stages.length - 1;
  const { labels } = page.subject;
  const named = last && labels.length === maps.count;
  const order = [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, named ? 24 : 64);
  const largest = largestOf(values) || 1;
  const rows = order.map((n) => [named ? labels[maps.channels[n]] : String(maps.channels[n]), values[n], valueBar(values[n], largest)]);
  const shown = `${counted(order.length, 'value')} of ${maps.count.toLocaleString('en')}, the largest first.`;
  fill(body, h('p', { class: 'note', text: shown }), table({ caption: stage.name, head: [named ? 'answer' : 'number', 'value', ''], rows }));
}

const SHOWN_INPUTS = 6;

/** Show the kernels of one filter, if the page has them: the weights with which it sums its inputs. */
function kernelsOf(kernels, channel) {
  const y = kernels ? kernels.filters.indexOf(channel) : -1;
  if (y < 0) return null;
  const { data, shape: [, inputs, rows, columns] } = page.array(kernels.values);
  if (rows * columns === 1) return null;
  const size = rows * columns;
  const largest = largestOf(data.subarray(y * inputs * size, (y + 1) * inputs * size)) || 1;
  const maps = Array.from({ length: Math.min(inputs, SHOWN_INPUTS) }, (_, x) => heatMap({
    values: data.subarray((y * inputs + x) * size, (y * inputs + x + 1) * size), rows, columns, largest,
    name: `kernel of filter ${channel} for input ${kernels.inputs[x]}`, size: inputs === 1 ? 180 : 100,
  }).element);
  const note = inputs > SHOWN_INPUTS ? ` Shown for ${SHOWN_INPUTS} of its inputs; the others are below.` : '';
  return h('div', { class: 'own' }, h('p', { class: 'note', text: `Its ${maps.length > 1 ? 'kernels' : 'kernel'}, ${rows} × ${columns}.${note}` }), h('div', { class: 'maps' }, maps));
}

/** Show the kernels of a stage: a row per filter, a column per input channel. */
function kernelPart(kernels, stage) {
  if (!kernels) return null;
  const { data, shape: [filters, inputs, rows, columns] } = page.array(kernels.values);
  const size = rows * columns;
  const kernel = (y, x) => data.subarray((y * inputs + x) * size, (y * inputs + x + 1) * size);
  const largest = largestOf(data) || 1;
  const content = size === 1
    ? heatMap({ values: data, rows: filters, columns: inputs, name: `weights of ${stage.name}, a row per filter`, size: 336, largest }).element
    : opsin.kernelSheet({ kernels, kernel, rows, columns, largest });
  const [all, allInputs] = kernels.shape;
  const note = filters < all || inputs < allInputs
    ? `${filters} of ${all} filters and ${inputs} of ${allInputs} inputs. A row per filter; blue weights are positive, orange ones negative.`
    : 'A row per filter, a column per input channel; blue weights are positive, orange ones negative.';
  return h('div', {}, h('h4', { text: `Kernels, ${rows} × ${columns}` }), h('p', { class: 'note', text: note }), content);
}
