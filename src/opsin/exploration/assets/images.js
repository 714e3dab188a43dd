// The images of an exploration: thumbnails in two sizes, lists of them, and a dialog about each.

/** Return what the page knows of every image: names, groups, sizes and similar images. */
function imageData() {
  const { embedding, groups } = page.subject.views;
  const read = (number) => page.array(number).data;
  return { ...embedding, ...groups, part: read(embedding.part), places: read(groups.places), sizes: read(groups.sizes), alike: page.array(groups.alike) };
}

/** Make the thumbnail of image `n`: the large one, if the page has it. */
function imageThumbnail(n, size = null) {
  const { large, places, sprite } = imageData();
  return places[n] < 0 ? thumbnail(sprite, n, size) : thumbnail(large, places[n], size);
}

/** Make a list of images, each a button that shows more about it; `captions` are texts below them. */
function imageList(label, numbers, captions = []) {
  const { names } = imageData();
  return h('ul', { class: 'image-list', 'aria-label': label }, numbers.map((n, i) => h(
    'li', {},
    h('button', { type: 'button', 'aria-label': names[n], title: names[n], on: { click: () => showImage(n) } }, imageThumbnail(n)),
    captions[i] ? h('span', { class: 'note', text: captions[i] }) : null,
  )));
}

/** Return the height and width of image `n` as text. */
function sizeText(n) {
  const { sizes } = imageData();
  return `${sizes[2 * n]} × ${sizes[2 * n + 1]}`;
}

/** Show image `n` in a dialog, with the images that are most like it. */
function showImage(n) {
  const { names, part, parts, alike } = imageData();
  const count = alike.shape[1];
  const similar = [...alike.data.subarray(n * count, (n + 1) * count)];
  document.querySelectorAll('dialog').forEach((dialog) => dialog.close());
  const onMap = h('button', { type: 'button', text: 'show on the map', on: { click: () => {
    document.querySelector('dialog')?.close();
    page.set({ view: 'embedding', point: n });
  } } });
  openDialog(
    names[n], imageThumbnail(n, 168),
    table({ caption: 'about this image', rows: [['group', parts[part[n]]], ['height × width', sizeText(n)]] }),
    h('h4', { text: 'Most like it' }), imageList('similar images', similar), h('div', { class: 'row' }, onMap),
  );
}
