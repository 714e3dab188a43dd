// The state of the page, its address, and its data.

const START = { view: '', image: 0, stage: 1, step: 0, channel: 0, row: 0, column: 0 };

/** The state and the data of the page, which every view gets. */
const page = {
  /** What is shown: the view, and numbers such as `image`, `stage`, `step`, `channel`, `row`, `column`. */
  state: { ...START },
  subject: null,
  watchers: [],
  owner: null,
  entries: [],
  bytes: null,
  decoded: new Map(),

  /** Take the unpacked bytes: the arrays, and an index with the data of all views. */
  read(bytes) {
    const { views, arrays } = JSON.parse(new TextDecoder().decode(bytes.subarray(this.subject.index)));
    Object.assign(this.subject.views, views);
    Object.assign(this, { bytes, entries: arrays });
  },

  /** Return array number `number` as {shape, data}; the data are the engine's numbers, bit for bit. */
  array(number) {
    if (!this.decoded.has(number)) this.decoded.set(number, this.decode(this.entries[number]));
    return this.decoded.get(number);
  },

  decode({ kind, shape, at }) {
    const count = shape.reduce((product, size) => product * size, 1);
    if (kind === 'b') return { shape, data: this.bytes.subarray(at, at + count) };
    const buffer = new Uint8Array(4 * count);
    for (let plane = 0; plane < 4; plane += 1) {
      const source = at + plane * count;
      for (let i = 0, target = plane; i < count; i += 1, target += 4) buffer[target] = this.bytes[source + i];
    }
    return { shape, data: kind === 'f' ? new Float32Array(buffer.buffer) : new Int32Array(buffer.buffer) };
  },

  /** Change the state, the address, and everything that watches what has changed. Each view that is opened is a step of the browser's
   *  history, unless it is one that the browser returns to. */
  set(changes, returning = false) {
    const changed = Object.keys(changes).filter((name) => this.state[name] !== changes[name]);
    if (!changed.length) return;
    Object.assign(this.state, changes);
    const opened = changed.includes('view') && document.documentElement.dataset.ready && !returning;
    try {
      history[opened ? 'pushState' : 'replaceState'](null, '', address(this.state));
    } catch {
      // A page inside a notebook has no address of its own.
    }
    for (const watcher of [...this.watchers]) this.notify(watcher, changed);
  },

  /**
   * Call `callback(state, changed)` now, and again whenever one of the named parts of the state changes. A callback of a view waits while
   * another view is shown. It ends when `element`, if given, has left the page.
   */
  watch(names, callback, element = null) {
    const watcher = { names, callback, element, view: this.owner, missed: [] };
    this.watchers.push(watcher);
    this.call(watcher, names);
  },

  /** Tell a watcher what has changed, if it concerns it and its view is shown. */
  notify(watcher, changed) {
    if (watcher.element && !watcher.element.isConnected) {
      this.watchers = this.watchers.filter((each) => each !== watcher);
      return;
    }
    watcher.missed.push(...changed.filter((name) => !watcher.missed.includes(name)));
    if (watcher.view && watcher.view !== this.state.view) return;
    const all = watcher.missed;
    watcher.missed = [];
    if (watcher.names.some((name) => all.includes(name))) this.call(watcher, all);
  },

  /** Call a watcher; what it watches itself belongs to the same view. */
  call({ view, callback }, changed) {
    this.within(view, () => callback(this.state, changed));
  },

  /** Run an action as a part of a view. */
  within(view, action) {
    const { owner } = this;
    this.owner = view;
    try {
      action();
    } finally {
      this.owner = owner;
    }
  },
};

/** Return the address of a state: `#view?image=2&stage=3`; values equal to those of `START` are left out. */
function address(state) {
  const parts = Object.entries(state).filter(([name, value]) => name !== 'view' && value !== START[name]);
  const query = parts.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&');
  return `#${state.view}${query ? `?${query}` : ''}`;
}

/** Return the parts of the state that an address names. */
function parseAddress(hash) {
  const [view, query = ''] = hash.replace(/^#/, '').split('?');
  const state = { view };
  for (const [name, value] of new URLSearchParams(query)) {
    state[name] = /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value;
  }
  return state;
}

/** Unpack the arrays of the page. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

const opsin = {
  views: new Map(),
  /** Add a view: {name, mount(root, data, page)}. It is mounted when it is first opened. */
  view(view) {
    this.views.set(view.name, view);
  },
};
