// The map of the data: images at their places, a list that reaches every one of them, and what the map does not mean.

const MEANING = {
  't-SNE': 'Images near each other are alike for the network. Nothing else has a meaning: not the sizes of groups, the distances between them, or directions (Wattenberg, Viégas & Johnson, “How to use t-SNE effectively”, 2016).',
  PCA: 'Images that are far apart here differ for the network. Images that are near each other may still differ in the directions that are not shown.',
};

opsin.view({
  name: 'embedding',
  mount(root, data, page) {
    const points = pointsOf(data, page);
    const start = data.labels === undefined ? 'part' : 'label';
    const state = { map: 0, colour: start, look: 'thumbnails', show: 'all', text: '', brush: null, chosen: -1 };
    const list = opsin.pointList(points, (number) => page.set({ point: number }));
    const map = opsin.mapCanvas(points, {
      colourOf: groupColour, drawMark, warning: WARNING, shapeOf: (n) => shapeOf(points, n),
      onPoint: (number) => page.set({ point: number }),
      onBrush: (numbers) => { change({ brush: numbers, show: numbers ? 'brush' : 'all' }); filter.update({ value: state.show }); },
    });
    const note = h('p', { class: 'note' });
    const meaning = h('p', {});
    const key = h('div', { class: 'map-key' });
    const detail = h('div', { 'aria-live': 'polite' });

    function change(changes) {
      Object.assign(state, changes);
      const current = data.maps[state.map];
      const shown = points.filtered(state);
      map.update({ positions: page.array(current.positions).data, colour: state.colour, look: state.look, shown, chosen: state.chosen });
      meaning.textContent = MEANING[current.name];
      const trust = current.trustworthiness === null ? '' : ` Trustworthiness ${current.trustworthiness.toFixed(3)} with ${data.neighbours} neighbours: 1 if all neighbours in the map are neighbours by their features, too.`;
      note.textContent = current.note + trust;
      fill(key, keyOf(points, state.colour));
      list.update(shown, state.chosen);
    }

    const maps = choice({ name: 'map', options: data.maps.map((each, n) => ({ value: n, text: each.name })), value: 0, onChange: (value) => change({ map: value }) });
    const colours = choice({ name: 'colour', options: points.colours.map(([value, text]) => ({ value, text })), value: start, onChange: (value) => change({ colour: value }) });
    const looks = choice({ name: 'shown as', options: [{ value: 'thumbnails', text: 'thumbnails' }, { value: 'marks', text: 'marks' }], value: 'thumbnails', onChange: (value) => change({ look: value }) });
    const filter = choice({ name: 'list', options: points.filters.map(([value, text]) => ({ value, text })), value: 'all', onChange: (value) => change({ show: value }) });
    const searchId = freshId('search');
    const search = h('input', { type: 'search', id: searchId, on: { input: (event) => change({ text: event.target.value.toLowerCase() }) } });
    const names = h('button', { type: 'button', text: 'file names', on: { click: () => showNames(points, points.filtered(state)) } });
    const visible = h('button', { type: 'button', text: 'list what is in view', on: { click: () => map.brushView() } });
    fill(
      root,
      h('p', { text: `${counted(data.count, 'image')} of ${data.data}${data.count < data.available ? `, a sample of ${data.available.toLocaleString('en')}` : ''}, placed by their features at the last layer of the network.` }),
      meaning, note,
      h('div', { class: 'row screen' }, maps.element, points.colours.length > 1 ? colours.element : null, looks.element),
      h('div', { class: 'map-of-data' },
        h('div', {}, map.element, key, detail),
        h('div', {},
          h('div', { class: 'map-filter screen' }, filter.element,
            h('div', { class: 'control' }, h('label', { for: searchId, text: 'find' }), search, names, visible)),
          list.element)),
    );
    change({});
    page.watch(['point'], ({ point }) => {
      if (point === undefined || !(point >= 0 && point < data.count)) return;
      change({ chosen: point });
      fill(detail, describe(points, point));
    });
  },
});

/** Return the data of every point, with functions to colour, filter and describe them. */
function pointsOf(data, page) {
  const read = (name) => (data[name] === undefined ? null : page.array(data[name]).data);
  const [labels, answers, doubt, suspects, part] = ['labels', 'answers', 'doubt', 'suspects', 'part'].map(read);
  const { labels: classes } = page.subject;
  const isWrong = (n) => labels !== null && labels[n] !== answers[n];
  const isSuspect = (n) => suspects !== null && suspects[n] === 1;
  const words = data.names.map((name, n) => `${name} ${labels ? `${classes[labels[n]]} ${classes[answers[n]]}` : ''}`.toLowerCase());
  const colours = labels ? [['label', 'label'], ['answer', 'answer'], ['doubt', 'doubt']] : [];
  const filters = labels ? [['wrong', `wrong (${data.wrong.toLocaleString('en')})`], ['suspect', `suspects (${data.suspected.toLocaleString('en')})`]] : [];
  return {
    ...data, classes, isWrong, isSuspect, doubtOf: doubt, labelOf: labels, answerOf: answers,
    partOf: (n) => data.parts[part[n]],
    colours: [...colours, ['part', data.division]],
    filters: [['all', 'all'], ...filters, ['brush', 'area']],
    /** The number of a point's colour among those of `groupsOf`. */
    groupOf(n, colour) {
      if (colour === 'label') return labels[n];
      if (colour === 'answer') return answers[n];
      if (colour === 'doubt') return Math.min(DOUBTS - 1, Math.floor(doubt[n] * DOUBTS));
      return part[n];
    },
    groupsOf(colour) {
      if (colour === 'doubt') return Array.from({ length: DOUBTS }, (_, n) => `${n * 10}–${(n + 1) * 10}%`);
      return colour === 'part' ? data.parts : classes;
    },
    filtered({ show, text, brush }) {
      const numbers = show === 'brush' && brush ? brush : data.names.map((_, n) => n);
      const test = { wrong: isWrong, suspect: isSuspect }[show] ?? (() => true);
      const found = numbers.filter((n) => test(n) && (!text || words[n].includes(text)));
      return doubt && show !== 'all' ? found.sort((a, b) => doubt[b] - doubt[a]) : found;
    },
  };
}

const DOUBTS = 10;
const WARNING = '#d01c5b';

/** Ten colours that the colour-blind can tell apart (most of them by Tol 2021); further classes repeat them. */
const CLASS_COLOURS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#8a8a8a', '#994f00', '#7a6cf0', '#ff9f1c'];

function groupColour(group, colour) {
  if (colour !== 'doubt') return CLASS_COLOURS[group % CLASS_COLOURS.length];
  const [red, green, blue] = paletteOf('heat')(group / (DOUBTS - 1));
  return `rgb(${red}, ${green}, ${blue})`;
}

/** Return the key: colours of groups, and the shapes of marks. */
function keyOf(points, colour) {
  const groups = points.groupsOf(colour);
  const shown = groups.slice(0, 12).map((text, n) => keyEntry(groupColour(n, colour), 'plain', text));
  if (groups.length > 12) shown.push(h('span', { text: `… ${groups.length} in total; colours repeat` }));
  if (points.labelOf) shown.push(keyEntry(WARNING, 'wrong', 'wrong answer'), keyEntry(WARNING, 'suspect', 'suspect label'));
  return shown;
}

function keyEntry(colour, shape, text) {
  const canvas = h('canvas', { width: 36, height: 36, 'aria-hidden': true });
  const context = canvas.getContext('2d');
  context.scale(2, 2);
  drawMark(context, 9, 9, 5, shape, colour);
  return h('span', {}, canvas, text);
}

/** Draw a mark: a disc, a cross in a ring for a wrong answer, a triangle for a suspect label. */
function drawMark(context, x, y, size, shape, colour) {
  context.fillStyle = colour;
  context.strokeStyle = colour;
  context.lineWidth = Math.max(1.5, size / 2.5);
  context.beginPath();
  if (shape === 'suspect') {
    context.moveTo(x, y - size * 1.3);
    context.lineTo(x + size * 1.25, y + size);
    context.lineTo(x - size * 1.25, y + size);
    context.closePath();
    context.fill();
  } else if (shape === 'wrong') {
    context.moveTo(x - size, y - size);
    context.lineTo(x + size, y + size);
    context.moveTo(x + size, y - size);
    context.lineTo(x - size, y + size);
    context.stroke();
  } else {
    context.arc(x, y, size * 0.8, 0, 2 * Math.PI);
    context.fill();
  }
}

function shapeOf(points, n) {
  if (points.isSuspect(n)) return 'suspect';
  return points.isWrong(n) ? 'wrong' : 'plain';
}

/** Show the facts about one image. */
function describe(points, n) {
  const facts = [[points.division, points.partOf(n)]];
  if (points.labelOf) {
    facts.push(['label', points.classes[points.labelOf[n]] + (points.isSuspect(n) ? ' (suspect)' : '')]);
    facts.push(['answer', points.classes[points.answerOf[n]] + (points.isWrong(n) ? ' (wrong)' : '')]);
    facts.push(['doubt', number(points.doubtOf[n], { name: 'one minus the probability of the answer' })]);
  }
  return h('div', {}, h('h4', { text: points.names[n] }), thumbnail(points.sprite, n, 80), table({ caption: 'about this image', rows: facts }));
}

/** Show the names of files, one a line, to be copied. */
function showNames(points, numbers) {
  const area = h('textarea', { class: 'map-names', readonly: true, 'aria-label': 'names of the files' });
  area.value = numbers.map((n) => points.names[n]).join('\n');
  const copy = h('button', { type: 'button', text: 'copy', on: { click: () => { area.select(); document.execCommand('copy'); copy.textContent = 'copied'; } } });
  openDialog(counted(numbers.length, 'image'), area, h('div', { class: 'row' }, copy));
  area.select();
}
