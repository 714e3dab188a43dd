// Near-duplicates: each set with the image to keep first, and how the others differ from it.

opsin.view({
  name: 'copies',
  mount(root, data) {
    if (!data.compared) {
      fill(root, h('p', { class: 'warning', text: 'Too many images look alike, so near-duplicates were not searched for.' }));
      return;
    }
    const hidden = data.total - data.sets.length;
    fill(
      root,
      h('p', { text: `${counted(data.copied, 'image')} ${data.copied === 1 ? 'is a copy of another one' : 'are copies of others'}: saved again, resized or mirrored. Cropped and turned copies are not found. The first image of a set has the most pixels.` }),
      data.sets.map((set, i) => copySet(set, i + 1)),
      hidden > 0 ? h('p', { class: 'note', text: `${counted(hidden, 'set')} more in the folder` }) : null,
    );
  },
});

/** Make the list of a set of near-duplicates. */
function copySet(set, number) {
  const { names } = imageData();
  const all = [{ place: set.keep, kind: 'largest' }, ...set.copies];
  const captions = all.map(({ place, kind }) => `${kind}, ${sizeText(place)}: ${names[place]}`);
  return h(
    'div', { class: 'copies' }, imageList(`near-duplicates, set ${number}`, all.map(({ place }) => place), captions),
    set.more ? h('p', { class: 'note', text: `and ${counted(set.more, 'more copy').replace('copys', 'copies')}` }) : null,
  );
}
