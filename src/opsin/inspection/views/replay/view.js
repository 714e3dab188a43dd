// A slider through the training of the network.

const FRAME_MILLISECONDS = 250;

opsin.view({
  name: 'replay',
  mount(root, data, page) {
    const last = data.steps.length - 1;
    const parts = [curvesPart(data), answersPart(data, page), heldOutPart(data, page), mapsPart(data, page), kernelsPart(data, page)].filter(Boolean);
    const note = h('p', { class: 'note' });
    const control = slider({
      name: 'snapshot', max: last, value: last, onInput: (frame) => page.set({ frame }),
      show: (frame) => `step ${data.steps[frame].toLocaleString('en')}, epoch ${Number(data.epochs[frame].toFixed(2))}`,
    });
    const play = player(page, last);
    fill(
      root,
      h('p', { text: `${counted(data.steps.length, 'snapshot')} of the training, more of them at its start, when the network changes fastest. The weights are those of the training: no number is interpolated.` }),
      h('div', { class: 'replay-bar row' }, play, control.element), note,
      parts.map((part) => part.element),
    );
    const show = () => {
      const frame = frameOf(page, last);
      control.update({ value: frame });
      const lost = page.state.image >= data.images ? ` Feature maps and answers are kept for the first ${counted(data.images, 'image')} only.` : '';
      note.textContent = (frame === 0 ? 'Before the first step: the weights are random, or those that training started from.' : '') + lost;
      for (const part of parts) part.show(frame);
    };
    page.watch(['frame', 'image'], show);
    painted(root, show);
  },
});

function frameOf(page, last) {
  const { frame } = page.state;
  return frame === undefined ? last : Math.min(Math.max(frame, 0), last);
}

/** Make the button that plays the training. With reduced motion it advances by one snapshot instead. */
function player(page, last) {
  const still = matchMedia('(prefers-reduced-motion: reduce)');
  let timer = null;
  const button = h('button', { type: 'button', class: 'main' });
  const next = () => page.set({ frame: frameOf(page, last) >= last ? 0 : frameOf(page, last) + 1 });
  function stop() {
    clearInterval(timer);
    timer = null;
    button.textContent = still.matches ? 'next snapshot' : 'play';
  }
  button.addEventListener('click', () => {
    if (timer !== null) { stop(); return; }
    next();
    if (still.matches) return;
    button.textContent = 'pause';
    timer = setInterval(() => {
      if (page.state.view !== 'replay' || frameOf(page, last) >= last) stop();
      else next();
    }, FRAME_MILLISECONDS);
  });
  still.addEventListener('change', stop);
  stop();
  return button;
}

/** Draw the curves of the run, with the current snapshot marked. The axis of steps is logarithmic, as the spacing of snapshots is. */
function curvesPart(data) {
  if (!data.curves.length) return null;
  const place = (step) => (300 * Math.log1p(step)) / (Math.log1p(data.steps[data.steps.length - 1]) || 1);
  const charts = data.curves.map(({ name, points }) => {
    const values = points.map(([, value]) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const height = (value) => 100 - (92 * (value - low)) / (high - low || 1) - 4;
    const line = points.map(([step, value]) => `${place(step)},${height(value)}`).join(' ');
    const now = h('line', { class: 'now', y1: 0, y2: 100 });
    const svg = h(
      'svg', { viewBox: '0 0 300 100', preserveAspectRatio: 'none', role: 'img', 'aria-label': `${name}: from ${rounded(values[0])} to ${rounded(values[values.length - 1])}` },
      h('line', { class: 'axis', x1: 0, x2: 300, y1: 100, y2: 100 }), h('polyline', { points: line }), now,
    );
    const value = h('span', {});
    const element = h('figure', {}, h('figcaption', {}, h('span', { text: `${name}, ${rounded(low)} to ${rounded(high)}. ` }), value), svg);
    return {
      element,
      show(frame) {
        const step = data.steps[frame];
        for (const end of ['x1', 'x2']) now.setAttribute(end, place(step));
        const before = points.filter((point) => point[0] <= step).pop();
        value.textContent = before ? `Here: ${rounded(before[1])}` : 'Not measured yet.';
      },
    };
  });
  const note = h('p', { class: 'note', text: 'From the first step on the left to the last on the right; the axis is logarithmic.' });
  return { element: h('div', {}, h('h3', { text: 'Curves' }), h('div', { class: 'replay-curves' }, charts.map((each) => each.element)), note), show: (frame) => charts.forEach((each) => each.show(frame)) };
}

/** Show the probabilities of the labels that are most probable at the end. */
function answersPart(data, page) {
  if (data.probabilities === undefined) return null;
  const array = page.array(data.probabilities);
  const [, images, count] = array.shape;
  const bars = h('div', { class: 'replay-bars' });
  const rows = data.labels.map((label) => {
    const bar = h('span', { class: 'bar' });
    const value = h('span', {});
    bars.append(h('span', { class: 'name', text: page.subject.labels[label] }), h('span', { class: 'track' }, bar), value);
    return { bar, value };
  });
  const element = h('div', {}, h('h3', { text: 'Answers' }), bars);
  return {
    element,
    show(frame) {
      const { image } = page.state;
      element.hidden = image >= images;
      if (element.hidden) return;
      rows.forEach(({ bar, value }, n) => {
        const probability = array.data[(frame * images + image) * count + n];
        bar.style.width = `${100 * probability}%`;
        fill(value, number(probability, { name: `probability of ${page.subject.labels[data.labels[n]]}` }));
      });
    },
  };
}

/** Show the answers to a few held-out images, as they were recorded in training. */
function heldOutPart(data, page) {
  if (!data.held_out) return null;
  const { names, truth, thumbnails, texts } = data.held_out;
  const cells = names.map(() => ({ answer: h('span', {}), probability: h('span', {}) }));
  const rows = names.map((name, n) => [
    thumbnails ? h('span', { class: 'replay-image' }, h('img', { src: thumbnails[n], alt: '' }), h('span', { text: name })) : name,
    ...(truth ? [truth[n]] : []), cells[n].answer, ...(texts ? [] : [cells[n].probability]),
  ]);
  const head = ['image', ...(truth ? ['right answer'] : []), 'answer', ...(texts ? [] : ['probability'])];
  const caption = `answers${texts ? '' : ' and their probabilities'} at this snapshot`;
  return {
    element: h('div', {}, h('h3', { text: 'Images it was not trained on' }), table({ caption, head, rows })),
    show(frame) {
      cells.forEach(({ answer, probability }, n) => {
        const [text, share] = texts ? [texts[frame][n]] : recorded(frame * names.length + n);
        answer.textContent = !texts && truth && text !== truth[n] ? `${text}, wrong` : text;
        if (!texts) fill(probability, number(share, { name: `probability of ${text}` }));
      });
    },
  };
  function recorded(at) {
    return [page.subject.labels[page.array(data.held_out.answers).data[at]], page.array(data.held_out.probabilities).data[at]];
  }
}

/** Show feature maps of the chosen image: their scale is the same for all snapshots. */
function mapsPart(data, page) {
  if (!data.maps.length) return null;
  const stages = data.maps.map((maps) => {
    const array = page.array(maps.values);
    const [, images, channels, rows, columns] = array.shape;
    const size = rows * columns;
    const canvases = maps.channels.map((channel) => h('canvas', { role: 'img', 'aria-label': `channel ${channel}`, style: { width: `${enlarged(rows, columns) * columns}px` } }));
    const stage = page.subject.stages[maps.stage];
    const text = `${stage.name}: ${maps.channels.length > 1 ? 'channels' : 'channel'} ${maps.channels.join(', ')}. The scale ends at ${rounded(maps.largest)}.${maps.reduction > 1 ? ` Averages of ${maps.reduction} × ${maps.reduction} values.` : ''}`;
    return {
      element: h('div', {}, h('p', { class: 'note', text }), h('div', { class: 'replay-maps' }, canvases)),
      show(frame) {
        if (page.state.image >= images) return;
        canvases.forEach((canvas, n) => {
          const start = ((frame * images + page.state.image) * channels + n) * size;
          const values = Float32Array.from(array.data.subarray(start, start + size), (byte) => byte - 128);
          paint(canvas, { values, rows, columns, scale: maps.signed ? 'signed' : 'positive', largest: 127 });
        });
      },
    };
  });
  const element = h('div', {}, h('h3', { text: 'Feature maps' }), stages.map((each) => each.element));
  return {
    element,
    show(frame) {
      element.hidden = page.state.image >= data.images;
      for (const each of stages) each.show(frame);
    },
  };
}

function enlarged(rows, columns) {
  return Math.max(1, Math.floor(96 / Math.max(rows, columns))) || 1;
}

/** Show kernels: a group per filter, a square per input channel, with one scale per layer for all snapshots. */
function kernelsPart(data, page) {
  if (!data.kernels.length) return null;
  const layers = data.kernels.map(({ name, values, of }) => {
    const array = page.array(values);
    const [, filters, inputs, rows, columns] = array.shape;
    const size = rows * columns;
    const largest = largestOf(array.data) || 1;
    const canvases = Array.from({ length: filters * inputs }, () => h('canvas', { 'aria-hidden': true, style: { width: '40px' } }));
    const groups = Array.from({ length: filters }, (_, y) => h('button', {
      type: 'button', class: 'map replay-filter', 'aria-label': `numbers of filter ${y} of ${name}`, on: { click: () => openKernel(y) },
    }, canvases.slice(y * inputs, (y + 1) * inputs)));
    let shown = 0;
    const kernel = (n) => array.data.subarray((shown * filters * inputs + n) * size, (shown * filters * inputs + n + 1) * size);
    function openKernel(y) {
      const tables = Array.from({ length: inputs }, (_, x) => table({
        caption: `filter ${y}, input ${x}, step ${data.steps[shown].toLocaleString('en')}`,
        rows: Array.from({ length: rows }, (__, row) => [...kernel(y * inputs + x).subarray(row * columns, (row + 1) * columns)]),
      }));
      openDialog(name, ...tables);
    }
    const cut = filters < of[0] || inputs < of[1] ? `${filters} of ${of[0]} filters, ${inputs} of ${of[1]} inputs` : `${counted(filters, 'filter')}`;
    const text = `${name}: ${cut}. Blue weights are positive, orange ones negative; the scale ends at ${rounded(largest)}.`;
    return {
      element: h('div', {}, h('p', { class: 'note', text }), h('div', { class: 'replay-maps' }, groups)),
      show(frame) {
        shown = frame;
        canvases.forEach((canvas, n) => paint(canvas, { values: kernel(n), rows, columns, scale: 'signed', largest }));
      },
    };
  });
  return { element: h('div', {}, h('h3', { text: 'Kernels' }), layers.map((each) => each.element)), show: (frame) => layers.forEach((each) => each.show(frame)) };
}
