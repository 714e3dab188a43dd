// The groups: a contact sheet for each, with the images that are typical of it and those that belong to it least.

opsin.view({
  name: 'groups',
  mount(root, data) {
    const largest = Math.max(...data.groups.map((group) => group.count));
    const overview = h('ol', { class: 'overview' }, data.groups.map((group) => h(
      'li', {},
      h('button', { type: 'button', class: 'quiet', text: group.name, on: { click: () => jump(group) } }),
      valueBar(group.count, largest), h('span', { text: group.count.toLocaleString('en') }),
    )));
    const sheets = data.groups.slice(0, data.sheets).map(contactSheet);
    const more = data.groups.length - sheets.length;
    fill(root, overview, sheets, more > 0 ? h('p', { class: 'note', text: `The ${counted(more, 'smaller group')} have no contact sheets here.` }) : null);
  },
});

const idOf = (group) => `sheet-${group.name}`;

/** Show a contact sheet and give it the focus. */
function jump(group) {
  const sheet = document.getElementById(idOf(group));
  sheet?.scrollIntoView();
  sheet?.focus({ preventScroll: true });
}

/** Make the contact sheet of a group. */
function contactSheet(group) {
  const all = h('div', {});
  const button = h('button', { type: 'button', text: 'show all', on: { click: () => {
    const { part, parts } = imageData();
    const number = parts.indexOf(group.name);
    const members = [...part.keys()].filter((n) => part[n] === number);
    const rest = group.count - members.length;
    fill(all, imageList(`all images of ${group.name}`, members), rest > 0 ? h('p', { class: 'note', text: `${counted(rest, 'image')} more in the folder` }) : null);
    button.remove();
  } } });
  return h(
    'section', { class: 'sheet', id: idOf(group), tabindex: -1, 'aria-label': group.name },
    h('div', { class: 'row' }, h('h3', { text: group.name }), h('span', { class: 'note', text: `${counted(group.count, 'image')}, mean similarity to the centre ${group.similarity.toFixed(2)}` })),
    imageList(`typical of ${group.name}`, group.typical),
    group.unusual.length ? h('h4', { text: 'farthest from the centre' }) : null,
    group.unusual.length ? imageList(`farthest from the centre of ${group.name}`, group.unusual) : null,
    group.count > group.typical.length + group.unusual.length ? [button, all] : null,
  );
}
