// What a channel reacts to most in the data.

opsin.channelPart = (page, stage, step, channel) => {
  const { activity } = page.subject.views.network;
  const found = activity?.stages.find((each) => each.stage === stage.number);
  // Steps with other channels, such as those before the convolution, have none of these images.
  if (!found || page.subject.views.network.stages[stage.number][step].count !== found.count) return null;
  const index = found.channels.indexOf(channel);
  const sentences = found.sentences.map((text) => h('p', { class: found.remarkable.includes(channel) ? 'warning' : 'note', text }));
  return h(
    'div', {}, h('h4', { text: `What channel ${channel} reacts to most in the data` }), sentences,
    index < 0 ? null : strongest(page, activity, found, index),
  );
};

/** Show the strongest images of a channel, with the part that the channel saw in a frame. */
function strongest(page, activity, found, index) {
  const [values, thumbnails, seen] = [found.values, found.thumbnails, found.seen].map((number) => page.array(number));
  const ranks = values.shape[1];
  const figures = [];
  for (let rank = 0; rank < ranks; rank += 1) {
    const at = index * ranks + rank;
    const image = thumbnails.data[at];
    if (image < 0) continue;
    const name = activity.names[image];
    figures.push(h(
      'figure', { class: 'excited' }, seenPart(activity.sprite, image, seen.data.subarray(4 * at, 4 * at + 4)),
      h('figcaption', {}, h('span', { text: name }), number(values.data[at], { name: `largest activation in ${name}` })),
    ));
  }
  const count = found.images < found.available ? `${found.images.toLocaleString('en')} of ${found.available.toLocaleString('en')} images` : `all ${found.images.toLocaleString('en')} images`;
  return h('div', {}, h('p', { class: 'note', text: `The strongest in ${count}; the frame is what the channel saw at that place.` }), h('div', { class: 'excited-images' }, figures));
}

/** Return a thumbnail with a frame around the part (top, left, bottom, right: shares of its size). */
function seenPart(sprite, image, [top, left, bottom, right]) {
  const frame = h('rect', { class: 'frame', x: left, y: top, width: right - left, height: bottom - top });
  return h('div', { class: 'cells' }, thumbnail(sprite, image), h('svg', { class: 'overlay', viewBox: '0 0 1 1', preserveAspectRatio: 'none', 'aria-hidden': true }, frame));
}
