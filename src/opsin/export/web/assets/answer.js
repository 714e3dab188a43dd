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
  detection({detections}) {
    const counts = {}
    for (const {label} of detections) counts[label] = (counts[label] ?? 0) + 1
    const text = Object.entries(counts).sort(([, a], [, b]) => b - a).map(([label, count]) => `${count} ${label}`).join(', ')
    const rows = detections.slice(0, 2 * MAX_ROWS).map(({label, score}) =>
      ({label, probability: score, id: model.labels.indexOf(label)}))
    return [answerTitle(text || 'no objects', ''), bars(rows)]
  },
  identity: ({embedding}, name, canvas) => compared(embedding, name, canvas),
  'self-supervised': ({embedding}, name, canvas) => compared(embedding, name, canvas),
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

/** Paints boxes with their labels over an image. */
function paintBoxes(canvas, {detections}) {
  const context = canvas.getContext('2d')
  Object.assign(context, {lineWidth: Math.max(2, canvas.width / 300), font: '14px system-ui, sans-serif', textBaseline: 'top'})
  for (const {label, score, box: [left, top, right, bottom]} of [...detections].reverse()) {
    const text = `${label} ${percent(score)}`, width = context.measureText(text).width + 6
    context.strokeStyle = context.fillStyle = `rgb(${colourOf(model.labels.indexOf(label))})`
    context.strokeRect(left, top, right - left, bottom - top)
    context.fillRect(left, Math.max(top - 18, 0), width, 18)
    context.fillStyle = '#000'
    context.fillText(text, left + 3, Math.max(top - 18, 0) + 2)
  }
}

/** Paints the classes of pixels over an image. */
function paintClasses(canvas, {ids, width, height}) {
  const overlay = new ImageData(width, height)
  for (let i = 0; i < ids.length; i++) overlay.data.set([...colourOf(ids[i]), ids[i] ? 150 : 60], 4 * i)
  const layer = element('canvas', {width, height})
  layer.getContext('2d').putImageData(overlay, 0, 0)
  canvas.getContext('2d').drawImage(layer, 0, 0)
}
