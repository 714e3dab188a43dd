/* The answer for an image, as elements. */

const MAX_ROWS = 5

const VIEWS = {
  classification({label, probability, known, ranking}) {
    const unknown = known === false
    const title = unknown ? 'don\u2019t know' : label
    const text = unknown ? `perhaps ${label}, ${percent(probability)}` : percent(probability)
    return [answerTitle(title, text), bars(ranking.slice(0, MAX_ROWS))]
  },
  multilabel({labels, ranking}) {
    const text = labels.length ? `${labels.length} of ${ranking.length} labels` : ''
    return [answerTitle(labels.join(', ') || 'no label', text), bars(ranking.slice(0, 2 * MAX_ROWS))]
  },
  regression({quantities}) {
    return quantities.map(({name, value, unit, low, high}) => answerTitle(`${figures(value)} ${unit}`.trim(),
      low === null ? name : `${name}, between ${figures(low)} and ${figures(high)}`))
  },
  segmentation({shares}) {
    const [largest] = shares
    const rows = shares.slice(0, 2 * MAX_ROWS).map(({label, share, id}) => ({label, probability: share, id}))
    return [answerTitle(largest.label, `${percent(largest.share)} of the image`), bars(rows)]
  },
}

function answerTitle(title, text) {
  return element('p', {class: 'answer'}, element('strong', {}, title), ' ', element('span', {}, text))
}

/** Returns a list of labels with their shares as bars. */
function bars(rows) {
  return element('ol', {class: 'bars'}, ...rows.map(({label, probability, id}) => {
    const bar = element('span', {class: 'bar'})
    bar.style.width = `${100 * probability}%`
    if (id !== undefined) bar.style.background = `rgb(${colourOf(id)})`
    return element('li', {}, element('span', {class: 'label'}, label),
      element('span', {class: 'track', 'aria-hidden': 'true'}, bar), element('span', {class: 'share'}, percent(probability)))
  }))
}

const colourOf = (id) => model.description.task.colours[id]

/** Paints the classes of pixels over an image. */
function paintClasses(canvas, {ids, width, height}) {
  const overlay = new ImageData(width, height)
  for (let i = 0; i < ids.length; i++) overlay.data.set([...colourOf(ids[i]), ids[i] ? 150 : 60], 4 * i)
  const layer = element('canvas', {width, height})
  layer.getContext('2d').putImageData(overlay, 0, 0)
  canvas.getContext('2d').drawImage(layer, 0, 0)
}
