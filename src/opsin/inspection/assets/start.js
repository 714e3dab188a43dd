// The start: read the data, show the images and the navigation, and open the view of the address.

function showImages() {
  const { images } = page.subject;
  if (images.length === 0) return;
  const options = images.map((image, n) => ({ value: n, text: image.name }));
  const group = freshId('image');
  const inputs = options.map(({ value }) => {
    const input = h('input', { type: 'radio', name: group, checked: value === page.state.image });
    input.addEventListener('change', () => page.set({ image: value }));
    return input;
  });
  const cards = images.map((image, n) => h(
    'label', { class: 'card' }, images.length > 1 ? inputs[n] : null,
    h('img', { src: image.thumbnail, alt: '', class: image.tiny ? 'tiny' : null }),
    h('span', { class: 'name', text: image.name }), h('span', { class: 'answer', text: image.answer }),
  ));
  const list = images.length > 1 ? h('fieldset', { class: 'cards' }, h('legend', { text: 'Image' }), cards) : h('div', { class: 'cards' }, cards.map(plain));
  fill(document.getElementById('images'), list);
  page.watch(['image'], (state) => inputs.forEach((input, n) => { input.checked = n === state.image; }));
}

/** Return a card that is not a choice. */
function plain(card) {
  return h('div', { class: 'card' }, ...card.childNodes);
}

function openView(name) {
  for (const section of document.querySelectorAll('.view')) section.hidden = section.id !== `view-${name}`;
  for (const link of document.querySelectorAll('#views a')) {
    if (link.getAttribute('href') === `#${name}`) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  const view = opsin.views.get(name);
  if (!view || view.mounted || !page.bytes) return;
  view.mounted = true;
  const root = h('div', { class: 'content' });
  document.getElementById(`view-${name}`).append(root);
  page.within(name, () => view.mount(root, page.subject.views[name], page));
}

/** Return the stage to begin with: the first convolution, or what follows the input. */
function firstStage(stages) {
  const convolution = stages.findIndex((stage) => stage.kind === 'convolution');
  return convolution < 0 ? Math.min(START.stage, stages.length - 1) : convolution;
}

/** Set the state to that of an address. If the page has no such view, show the current one, or the first. */
function follow(hash, returning = false) {
  const state = parseAddress(hash);
  const known = Object.hasOwn(page.subject.views, state.view);
  for (const name of ['image', 'stage']) {
    if (state[name] !== undefined && !page.subject[`${name}s`][state[name]]) delete state[name];
  }
  page.set({ ...state, view: known ? state.view : page.state.view || Object.keys(page.subject.views)[0] }, returning);
}

// Links to a part of the page change its state; inside a notebook, they would otherwise leave it.
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (!link || link.classList.contains('skip')) return;
  event.preventDefault();
  follow(link.getAttribute('href'));
});
addEventListener('hashchange', () => follow(location.hash, true));
addEventListener('popstate', () => follow(location.hash, true));

(async () => {
  const subject = JSON.parse(document.getElementById('data').textContent);
  page.subject = subject;
  START.stage = firstStage(subject.stages);
  page.state.stage = START.stage;
  document.getElementById('left-out').textContent = subject.leftOut;
  follow(location.hash);
  showImages();
  page.watch(['view'], (state) => openView(state.view));
  page.read(await unpack(document.getElementById('arrays').textContent));
  performance.mark('numbers');
  openView(page.state.view);
  document.documentElement.dataset.ready = 'true';
})();
