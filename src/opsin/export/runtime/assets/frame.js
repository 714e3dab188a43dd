/* Which part of an image becomes the input of a network, and the tables of the filter that resizes it.
   All numbers are those of data/decode/portable.py, operation by operation. */

const SUPPORTS = {bilinear: 1, bicubic: 2}
const MAX_ASPECT = 16

/** Returns the rows or columns of the frame of an image, as `Axis` describes them. */
function frameAxes(framing, rows, columns, height, width) {
  if (framing.kind === 'crop') {
    const shorter = Math.min(rows, columns)
    return [centre(rows, shorter, framing.resize, height), centre(columns, shorter, framing.resize, width)]
  }
  const fitted = framing.kind === 'fit'
  const boxHeight = fitted ? Math.min(rows, columns * height / width) : rows
  const boxWidth = fitted ? Math.min(columns, rows * width / height) : columns
  return [
    {size: rows, first: (rows - boxHeight) / 2, scale: boxHeight / height, count: height, offset: 0},
    {size: columns, first: (columns - boxWidth) / 2, scale: boxWidth / width, count: width, offset: 0},
  ]
}

function centre(side, shorter, resize, count) {
  const limited = Math.min(side, MAX_ASPECT * shorter)
  const resized = limited === shorter ? resize : Math.trunc(resize * limited / shorter)
  const offset = halfToEven((resized - count) / 2)
  return {size: side, first: Math.floor((side - limited) / 2), scale: limited / resized, count, offset}
}

function halfToEven(number) {
  const floor = Math.floor(number), rest = number - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2) ? floor + 1 : floor
}

/** Returns the first input pixel and the weights of each output pixel; the last entry is repeated up to `entries`. */
function filterTable({size, first, scale, count, offset}, interpolation, entries) {
  const support = SUPPORTS[interpolation], stretch = Math.max(scale, 1)
  const centers = [], firsts = [], stops = []
  let taps = 0
  for (let i = 0; i < count; i++) {
    const center = first + (offset + i + 0.5) * scale
    const start = Math.max(Math.trunc(center - support * stretch + 0.5), 0)
    const stop = Math.min(Math.trunc(center + support * stretch + 0.5), size)
    centers.push(center)
    firsts.push(start)
    stops.push(stop)
    taps = Math.max(taps, stop - start)
  }
  const starts = new Int32Array(entries), weights = new Float32Array(entries * taps)
  for (let entry = 0; entry < entries; entry++) {
    const i = Math.min(entry, count - 1), start = Math.min(firsts[i], size - taps), row = []
    let sum = 0
    for (let tap = 0; tap < taps; tap++) {
      const pixel = start + tap, x = Math.abs(pixel - centers[i] + 0.5) / stretch
      row.push(x >= support || pixel >= stops[i] ? 0 : filterWeight(x, interpolation))
      sum += row[tap]
    }
    starts[entry] = start
    row.forEach((weight, tap) => { weights[entry * taps + tap] = weight / sum })
  }
  return {starts, weights, taps}
}

function filterWeight(x, interpolation) {
  if (interpolation === 'bilinear') return 1 - x
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2
}
