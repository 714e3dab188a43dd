// The list of the points that are shown: every point can be reached by the keyboard here.

const LISTED_AT_ONCE = 50;

/** Make the list. Returns {element, update(numbers, chosen)}. */
opsin.pointList = (points, onChoose) => {
  const body = h('tbody', {});
  const more = h('button', { type: 'button', class: 'quiet' });
  const head = ['', 'name', ...(points.labelOf ? ['label', 'answer', 'doubt'] : [points.division])];
  const count = h('p', { class: 'note', 'aria-live': 'polite' });
  const scroll = h('div', { class: 'map-list', tabindex: 0, role: 'group', 'aria-label': 'images of the map' }, h('table', {}, h('thead', {}, h('tr', {}, head.map((text) => h('th', { scope: 'col', text })))), body));
  const element = h('div', {}, count, scroll, more);
  let [numbers, chosen, shown] = [[], -1, LISTED_AT_ONCE];

  function row(n) {
    const name = h('button', { type: 'button', 'aria-pressed': String(n === chosen), text: points.names[n], on: { click: () => onChoose(n) } });
    const wrong = points.isWrong(n) ? ' ✗' : '';
    const suspect = points.isSuspect(n) ? ' ▲' : '';
    const facts = points.labelOf
      ? [points.classes[points.labelOf[n]] + suspect, points.classes[points.answerOf[n]] + wrong, rounded(points.doubtOf[n], 2)]
      : [points.partOf(n)];
    return h('tr', {}, h('td', {}, thumbnail(points.sprite, n, 32)), h('td', {}, name), facts.map((text) => h('td', { text })));
  }

  function draw() {
    fill(body, numbers.slice(0, shown).map(row));
    count.textContent = counted(numbers.length, 'image');
    more.hidden = shown >= numbers.length;
    more.textContent = `${Math.min(LISTED_AT_ONCE, numbers.length - shown)} more`;
  }

  more.addEventListener('click', () => { shown += LISTED_AT_ONCE; draw(); });
  return {
    element,
    update(found, point) {
      if (found.length === numbers.length && found.every((n, i) => n === numbers[i])) {
        body.querySelectorAll('button').forEach((button, i) => button.setAttribute('aria-pressed', String(numbers[i] === point)));
        chosen = point;
        return;
      }
      [numbers, chosen, shown] = [found, point, LISTED_AT_ONCE];
      draw();
    },
  };
};
