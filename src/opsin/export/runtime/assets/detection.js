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
    const covered = kept.some((other) => other.number === candidate.number && overlap(other.box, candidate.box) > task.maxOverlap)
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
  return [(x - left * stride) / width, (y - top * stride) / height, (x + right * stride) / width, (y + bottom * stride) / height]
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
  const shared = Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0) * Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0)
  const area = (box) => (box[2] - box[0]) * (box[3] - box[1])
  return shared > 0 ? Math.fround(shared / (area(a) + area(b) - shared)) : 0
}
