// The walk from the loss to a weight, and its update.

const LAST = [
  { key: 'terms', title: 'The gradient of the weight', short: 'weight' },
  { key: 'differences', title: 'Central differences', short: 'check' },
  { key: 'update', title: 'The update', short: 'update' },
];

opsin.view({
  name: 'backpropagation',
  mount(root, data, page) {
    const memory = { rule: 0, rate: null, focus: null };
    const body = h('div', {});
    root.append(body);
    root.addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by || event.altKey || event.ctrlKey || event.target.closest('.cells, table, input, select, pre, .wide')) return;
      event.preventDefault();
      move(by);
    });
    /** The controls of the weight, which are made again with every choice: the one in use keeps the focus. */
    const controls = () => [...body.querySelectorAll('.card-wide select, .card-wide input, .card-wide .cells')];
    function move(by) {
      const { pages } = view();
      page.set({ walk: Math.min(Math.max(place(pages) + by, 0), pages.length - 1) });
    }
    // A negative number counts from the end.
    const place = (pages) => {
      const walk = Number(page.state.walk ?? 0);
      return Math.min(Math.max(walk < 0 ? pages.length + walk : walk, 0), pages.length - 1);
    };
    function view() {
      const image = data.images[Math.min(page.state.image, data.images.length - 1)];
      const number = Math.min(Math.max(Number(page.state.parameter ?? 0), 0), image.parameters.length - 1);
      const parameter = image.parameters[number];
      return { image, number, parameter, position: positionIn(parameter, page), pages: pagesOf(image, parameter) };
    }
    page.watch(['image', 'parameter', 'weight', 'walk'], (_, changed) => {
      const focus = document.activeElement?.dataset?.focus;
      const control = controls().indexOf(document.activeElement);
      show(body, view(), data, page, { memory, move, place });
      const again = focus && changed.includes('walk') ? body.querySelector(`[data-focus="${focus}"]`) : null;
      if (again && !again.disabled) again.focus();
      if (control >= 0) controls()[control]?.focus();
    });
  },
});

/** Return the chosen weight as places along the axes of a parameter; at first, the one with the largest gradient. */
function positionIn(parameter, page) {
  const places = String(page.state.weight ?? '').split('-').map(Number);
  if (places.length === parameter.axes.length && places.every((at, axis) => at >= 0 && at < parameter.axes[axis].length)) return places;
  return parameter.start.map((at, axis) => parameter.axes[axis].indexOf(at));
}

/** Return the pages of the walk: the loss, the steps back, and what follows. */
function pagesOf(image, parameter) {
  const steps = parameter.path.map((n) => image.steps[n]);
  return [...(steps.length > 1 ? steps.slice(0, -1) : steps), ...LAST];
}

function nameOf(each, page) {
  if (each.short) return each.short;
  return each.stage === null ? 'loss' : `${page.subject.stages[each.stage].name} ${each.name}`;
}

function show(body, { image, number, parameter, position, pages }, data, page, { memory, move, place }) {
  const at = place(pages);
  const pick = (next) => page.set({ weight: next.join('-') });
  const current = pages[at];
  const offset = opsin.backpropagation.offset(parameter, position);
  const weight = page.array(parameter.weights).data[offset];
  const gradient = page.array(parameter.gradients).data[offset];
  const button = (by, text) => h('button', {
    type: 'button', class: by > 0 ? 'main' : null, text, disabled: !pages[at + by], data: { focus: by > 0 ? 'next' : 'back' }, on: { click: () => move(by) },
  });
  const all = image.steps.length;
  fill(
    body, h('p', { text: image.sentence }),
    h(
      'section', { class: 'card-wide', 'aria-label': 'the weight' },
      h('div', { class: 'row' }, opsin.backpropagation.parameterChoice(image.parameters, number, (n) => page.set({ parameter: n, weight: '', walk: 0 }))),
      h('div', { class: 'columns' }, opsin.backpropagation.weightPicker(parameter, position, page, pick), h(
        'div', {}, h('h3', { text: `${parameter.name} [${opsin.backpropagation.placeName(parameter, position)}]` }),
        table({ caption: 'the weight', rows: [['w', weight, h('code', { text: bitsOf(weight) })], ['∂L/∂w', gradient, h('code', { text: bitsOf(gradient) })]], digits: 8 }),
        h('p', { text: meaning(gradient) }),
      )),
    ),
    h('nav', { class: 'walk', 'aria-label': 'steps of backpropagation' }, button(-1, '← Back'), h('span', { class: 'note', text: `${at + 1} of ${pages.length}` }), button(1, 'Next →'), rail(pages, at, page)),
    h('section', { class: 'back-panel', 'aria-live': 'polite' }, panel(current, { image, parameter, position, data, page, memory, pick })),
    h('p', { class: 'note', text: `Backpropagation through the whole network has ${counted(all, 'step')}; the gradient of this weight needs ${pages.length - LAST.length} of them. Arrow keys move between steps.` }),
  );
}

function meaning(gradient) {
  if (gradient === 0) return 'A small change of this weight does not change the loss: its gradient is 0.';
  return gradient > 0 ? 'If this weight grows, the loss grows: training makes it smaller.' : 'If this weight grows, the loss shrinks: training makes it larger.';
}

/** Return the steps as a row of buttons; as a list if there are many. */
function rail(pages, at, page) {
  if (pages.length > 26) {
    const options = pages.map((each, n) => ({ value: n, text: `${n + 1}. ${nameOf(each, page)}` }));
    return choice({ name: 'step', options, value: at, onChange: (walk) => page.set({ walk }) }).element;
  }
  return h('ol', { class: 'rail' }, pages.map((each, n) => h('li', {}, h('button', {
    type: 'button', text: nameOf(each, page), 'aria-current': n === at ? 'step' : null, data: { focus: `rail${n}` }, on: { click: () => page.set({ walk: n }) },
  }))));
}

function panel(current, { image, parameter, position, data, page, memory, pick }) {
  const views = opsin.backpropagation;
  if (current.key === 'terms') {
    const first = parameter.uses.length ? termsSentence(parameter) : 'This parameter is not the weight, bias or scale of a layer, so its gradient is not shown term by term.';
    return [h('h3', { text: current.title }), h('p', { text: first }), views.termsPanel(parameter, position, page), views.graphPart(parameter.lines, parameter.name)];
  }
  if (current.key === 'differences') {
    const text = 'The gradient can be checked without backpropagation: change the weight by a little h in both directions, and compare the losses.';
    return [h('h3', { text: current.title }), h('p', { text }), views.differencesPanel(image, parameter, position, page, pick)];
  }
  if (current.key === 'update') {
    const text = 'One step of training on this image alone: an optimizer updates all weights. These are the operations for this weight, in the engine’s order.';
    return [h('h3', { text: current.title }), h('p', { text }), views.updatePanel(parameter, position, page, data.rules, memory)];
  }
  const title = current.stage === null ? 'The loss' : `Back through ${page.subject.stages[current.stage].name}: ${current.name}`;
  const content = current.stage === null ? views.lossPanel(image) : views.stepPanel(image, current, page);
  return [h('h3', { text: title }), h('p', { text: current.sentence }), h('div', { class: 'step-and-lines' }, content, views.graphPart(current.lines, title))];
}

function termsSentence({ kind, uses }) {
  const shared = uses.length > 1 ? ` The layer is used ${uses.length} times, and the terms of all uses are added.` : '';
  if (kind === 'linear') return `The weight multiplied one input on its way to one output. Its gradient is the gradient δ of that output times that input.${shared}`;
  if (kind === 'shift') return `The bias was added at every place of its channel, so its gradient is the sum of δ over all places.${shared}`;
  if (kind === 'scale') return `The scale multiplied the normalized value at every place of its channel: its gradient is the sum of δ times that value.${shared}`;
  return `The kernel slides over the map, so this weight multiplies a different value at every place. Its gradient is the sum of δ times that value over all places.${shared}`;
}
