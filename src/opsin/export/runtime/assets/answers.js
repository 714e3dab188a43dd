/* What the outputs of a network mean, for each task. */

const softmax = (values, temperature) => {
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = Array.from(values, (value) => Math.exp((value - largest) / temperature))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((power) => power / sum)
}
const sigmoid = (value) => value >= 0 ? 1 / (1 + Math.exp(-value)) : Math.exp(value) / (1 + Math.exp(value))

/** Returns a vector with length 1, float32: with squares added in their order, it has the bits of `opsin predict`. */
const unit = (vector) => {
  const length = Math.fround(Math.sqrt(Math.fround(vector.reduce((sum, value) => sum + value * value, 0))))
  return vector.map((value) => value / Math.max(length, Math.fround(1e-12)))
}

/** Returns how alike the vectors of two images are, and whether and with what probability they show the same, if half
    of all pairs do; null without the calibration `same`. */
function comparison(first, second, same) {
  const similarity = first.reduce((sum, value, i) => sum + value * second[i], 0)
  if (!same) return {similarity, probability: null, same: null}
  return {similarity, probability: sigmoid(same.slope * similarity + same.offset), same: similarity >= same.threshold}
}

const ranked = (labels, probabilities) => labels
  .map((label, i) => ({label, probability: probabilities[i]}))
  .sort((a, b) => b.probability - a.probability)

/** The answers of each task: functions of the outputs, the task's description, and the size of the image. */
const ANSWERS = {
  classification({logits}, {labels, temperature, threshold}) {
    const ranking = ranked(labels, softmax(logits, temperature))
    const [{label, probability}] = ranking
    return {label, probability, known: threshold === null ? null : probability >= threshold, ranking}
  },
  multilabel({logits}, {labels, thresholds}) {
    const probabilities = Array.from(logits, sigmoid)
    const chosen = labels.filter((_, i) => probabilities[i] >= thresholds[i])
    const ranking = ranked(labels, probabilities)
    return {labels: ranking.filter(({label}) => chosen.includes(label)).map(({label}) => label), ranking}
  },
  regression({logits}, {labels, units, scales, means, margins}) {
    const quantities = labels.map((name, i) => {
      const value = logits[i] * scales[i] + means[i]
      const interval = margins ? {low: value - margins[i], high: value + margins[i]} : {low: null, high: null}
      return {name, value, unit: units[i], ...interval}
    })
    return {quantities}
  },
  segmentation({logits}, {labels, shape: [classes, rows, columns]}, {width, height}) {
    const ids = new Uint8Array(width * height), counts = labels.map(() => 0)
    const down = linear(height, rows), across = linear(width, columns)
    for (let y = 0, i = 0; y < height; y++) {
      const [top, bottom, v] = down[y]
      for (let x = 0; x < width; x++, i++) {
        const [left, right, u] = across[x]
        let best = -Infinity
        for (let k = 0; k < classes; k++) {
          const at = (row, column) => logits[(k * rows + row) * columns + column]
          const above = at(top, left) + (at(top, right) - at(top, left)) * u
          const below = at(bottom, left) + (at(bottom, right) - at(bottom, left)) * u
          const value = above + (below - above) * v
          if (value > best) { best = value; ids[i] = k }
        }
        counts[ids[i]]++
      }
    }
    const shares = labels.map((label, i) => ({label, id: i, share: counts[i] / ids.length}))
    return {ids, width, height, shares: shares.filter(({share}) => share).sort((a, b) => b.share - a.share)}
  },
  detection(outputs, task, {width, height}) {
    const detections = findBoxes(outputs, task).map(({box: [left, top, right, bottom], score, number}) =>
      ({label: task.labels[number], score, box: [left * width, top * height, right * width, bottom * height]}))
    return {detections, width, height}
  },
  identity({embeddings}) { return {embedding: unit(embeddings)} },
  'self-supervised'({features}) { return {embedding: unit(features)} },
}

/** Returns, for each of `count` pixels, the two of `size` samples that it lies between, and its position there. */
function linear(count, size) {
  return Array.from({length: count}, (_, i) => {
    const position = Math.min(Math.max((i + 0.5) * size / count - 0.5, 0), size - 1)
    const first = Math.floor(position)
    return [first, Math.min(first + 1, size - 1), position - first]
  })
}
