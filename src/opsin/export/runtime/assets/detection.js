/* Boxes from the outputs of a detector: its positions, the scores there, and non-maximum suppression. */

const MAX_LOG_RATIO = Math.log(1000 / 16)
const OFFSET_SCALES = [10, 10, 5, 5]

/** Returns the boxes of objects: left, top, right and bottom as shares of the image's sides, the best first. */
function findBoxes({class_logits: logits, box_offsets: offsets}, task) {
  const classes = task.labels.length, width = logits.length / task.positions
  const background = width - classes
  const candidates = []
  for (let position = 0; position < task.positions; position++) {
    const row = logits.subarray(position * width, (position + 1) * width)
    const scores = background ? softmax(row, 1) : Array.from(row, (value) => 0.5 * (1 + Math.tanh(0.5 * value)))
    for (let number = 0; number < classes; number++) {
      const score = Math.fround(scores[number + background])
      if (score > task.score) candidates.push({score, number, position})
    }
  }
  candidates.sort((a, b) => b.score - a.score)
  const places = task.levels.length ? defaultBoxes(task) : points(task)
  const kept = []
  for (const candidate of candidates.slice(0, task.maxCandidates)) {
    const own = offsets.subarray(4 * candidate.position, 4 * candidate.position + 4), place = places[candidate.position]
    const edges = task.levels.length ? aroundDefault(place, own) : aroundPoint(place, own, task)
    candidate.box = edges.map((edge) => Math.fround(Math.min(Math.max(edge, 0), 1)))
    const covered = kept.some(({box, number}) => number === candidate.number && overlap(box, candidate.box) > task.maxOverlap)
    if (!covered) kept.push(candidate)
    if (kept.length === task.maxDetections) break
  }
  return kept
}

/** Returns the points of all maps in pixels: x, y and stride. */
function points({strides, inputSize: [height, width]}) {
  const result = []
  for (const stride of strides) {
    for (let row = 0; row < Math.ceil(height / stride); row++) {
      for (let column = 0; column < Math.ceil(width / stride); column++) {
        result.push([(column + 0.5) * stride, (row + 0.5) * stride, stride])
      }
    }
  }
  return result
}

function aroundPoint([x, y, stride], [left, top, right, bottom], {inputSize: [height, width]}) {
  const edges = [x - left * stride, y - top * stride, x + right * stride, y + bottom * stride]
  return edges.map((edge, i) => edge / (i % 2 ? height : width))
}

/** Returns the default boxes of all maps as shares: centre, width and height. */
function defaultBoxes({levels}) {
  const result = []
  for (const {rows, columns, down, across, shapes} of levels) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        for (const shape of shapes) result.push([(column + 0.5) / across, (row + 0.5) / down, ...shape])
      }
    }
  }
  return result
}

function aroundDefault([x, y, width, height], offsets) {
  const [dx, dy, dw, dh] = Array.from(offsets, (offset, i) => offset / OFFSET_SCALES[i])
  const size = [width * Math.exp(Math.min(dw, MAX_LOG_RATIO)), height * Math.exp(Math.min(dh, MAX_LOG_RATIO))]
  const centre = [x + dx * width, y + dy * height]
  return [centre[0] - size[0] / 2, centre[1] - size[1] / 2, centre[0] + size[0] / 2, centre[1] + size[1] / 2]
}

/** Returns the intersection over union of two boxes. */
function overlap(a, b) {
  const common = (low) => Math.max(Math.min(a[low + 2], b[low + 2]) - Math.max(a[low], b[low]), 0)
  const shared = common(0) * common(1)
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1])
  return shared > 0 ? Math.fround(shared / (area(a) + area(b) - shared)) : 0
}
