/* A model: pixels of an image in, an answer out. It checks itself before its first answer. */

const DARK_LIMIT = 160

class Model {
  constructor(network, description) {
    this.network = network
    this.description = description
  }

  /** Returns a model with its constants; the scalar module is used if there is one and the engine has no vectors. */
  static async create(description, constants, {vector, scalar = vector}) {
    let module
    try {
      module = await WebAssembly.compile(WebAssembly.validate(vector) ? vector : scalar)
    } catch (error) {
      throw new OpsinError(`this browser does not run the module of the network (${error.message}); use another one`)
    }
    const instance = await WebAssembly.instantiate(module)
    const network = new Network(instance, description.module, constants)
    const model = new Model(network, description)
    await model.selfTest()
    return model
  }

  get labels() { return this.description.task.labels }
  get input() { return this.description.input }

  /** Computes the golden images; throws an `OpsinError` unless all outputs and resized pixels are the expected ones. */
  async selfTest() {
    const {goldenDigests, frameDigest, input: {frames, height, width}} = this.description
    const channels = this.input.channels * frames, area = height * width
    for (const [number, expected] of goldenDigests.entries()) {
      const bytes = noise(number, channels * area)
      const pixels = bytes.map((_, i) => bytes[i % area * channels + Math.floor(i / area)])
      const outputs = Object.values(this.runOnce(pixels, false))
      if (await sha256(joined(outputs)) !== expected) {
        throw new OpsinError(`the self-test failed: golden image ${number + 1} gives other numbers here than where the ` +
          'model was exported; do not use this copy here, and export it again')
      }
    }
    if (await sha256(this.pixels(noise(0, 3 * TEST_WIDTH * TEST_HEIGHT), TEST_WIDTH, TEST_HEIGHT)) !== frameDigest) {
      throw new OpsinError('the self-test failed: images are resized to other pixels here than where the model was ' +
        'exported; do not use this copy here, and export it again')
    }
  }

  /** Returns the bytes that the network takes, channel by channel, for an image of RGBA, RGB or grey bytes. */
  pixels(image, width, height) {
    const words = imageWords(image, width, height, this.input.channels === 1)
    const {channels, height: rows, width: columns, framing, darkBackground} = this.input
    const pixels = this.network.resize(words, height, width, channels, framing, rows, columns)
    if (darkBackground && borderMean(pixels, channels, rows, columns) > DARK_LIMIT) {
      for (let i = 0; i < pixels.length; i++) pixels[i] = 255 - pixels[i]
    }
    return pixels
  }

  /** Returns the bytes of a frame, as `pixels` returns them, with those of the frames before it, the newest first. The
      first frame of a film also stands for those before it. */
  stacked(pixels) {
    const {frames} = this.input
    this.film = [pixels, ...this.film ?? Array(frames - 1).fill(pixels)].slice(0, frames)
    return frames > 1 ? joined(this.film) : pixels
  }

  /** Begins a new film. */
  restart() { this.film = undefined }

  runOnce(pixels, mirrored) {
    return this.network.run(pixels, this.input.scale, this.input.shift, mirrored)
  }

  /** Returns the outputs of the network by name, float32, for bytes as `pixels` or `stacked` returns them. */
  outputs(pixels) {
    const outputs = this.runOnce(pixels, false)
    if (!this.description.mirrored) return outputs
    const others = this.runOnce(pixels, true)
    for (const [name, values] of Object.entries(outputs)) {
      const shape = this.description.module.outputs[name].shape, width = shape.length === 4 ? shape[3] : 1
      for (let i = 0; i < values.length; i++) {
        const column = i % width
        values[i] = Math.fround(values[i] + others[name][i - column + width - 1 - column]) / 2
      }
    }
    return outputs
  }

  /** Returns the answer for an image of RGBA, RGB or grey bytes, row by row from the top left. It is the next frame of
      a film if the network compares frames. */
  predict(image, width, height) {
    const {task} = this.description
    const answer = ANSWERS[task.name](this.outputs(this.stacked(this.pixels(image, width, height))), task, {width, height})
    return {task: task.name, ...answer}
  }

  /** Returns how similar two images are, and whether they show the same, for the vectors of their answers. */
  compare(first, second) {
    const {task: {name, same}, module: {outputs}} = this.description
    if (same === undefined) throw new OpsinError(`this model does ${name}, and compares no images; ship one for identities`)
    const [size] = Object.values(outputs).map(({shape}) => shape[1])
    if (first?.length !== size || second?.length !== size) {
      throw new OpsinError(`expected two vectors of ${size} numbers: the property \`embedding\` of two answers`)
    }
    return comparison(first, second, same)
  }
}

/** Returns the bytes of arrays of numbers, one after the other. */
function joined(arrays) {
  const result = new Uint8Array(arrays.reduce((sum, array) => sum + array.byteLength, 0))
  let at = 0
  for (const array of arrays) {
    result.set(new Uint8Array(array.buffer), at)
    at += array.byteLength
  }
  return result
}

/** Returns the pixels as words: red, green and blue from the lowest byte on, or the luminance of ITU-R BT.601. */
function imageWords(image, width, height, grey) {
  const count = width * height, channels = image.length / count
  if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
    throw new OpsinError(`an image of ${width} × ${height} pixels; expected whole numbers above 0`)
  }
  if (count > MAX_PIXELS) {
    throw new OpsinError(`the image has ${count} pixels, more than ${MAX_PIXELS}; make it smaller first`)
  }
  if (![1, 3, 4].includes(channels) || !(image instanceof Uint8Array || image instanceof Uint8ClampedArray)) {
    throw new OpsinError(`expected ${count} × 4 (RGBA), × 3 (RGB) or × 1 (grey) bytes for ${width} × ${height} pixels, ` +
      `not ${image.length}`)
  }
  const words = new Uint32Array(count)
  for (let i = 0, at = 0; i < count; i++, at += channels) {
    const red = image[at], green = channels > 1 ? image[at + 1] : red, blue = channels > 1 ? image[at + 2] : red
    words[i] = grey ? (red * 19595 + green * 38470 + blue * 7471 + 32768) >>> 16 : red | green << 8 | blue << 16
  }
  return words
}

/** Returns the mean of the first and last rows and columns, each row and column counted as often. */
function borderMean(pixels, channels, height, width) {
  let rows = 0, columns = 0
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * height * width
    const last = start + (height - 1) * width
    for (let column = 0; column < width; column++) rows += pixels[start + column] + pixels[last + column]
    for (let row = start; row <= last; row += width) columns += pixels[row] + pixels[row + width - 1]
  }
  return (rows / (channels * 2 * width) + columns / (channels * 2 * height)) / 2
}

const TEST_WIDTH = 53, TEST_HEIGHT = 37

/** Returns bytes of noise, darker for some numbers: a hash of their places, so that any engine makes the same ones. */
function noise(number, count) {
  const bytes = new Uint8Array(count)
  for (let place = 0; place < count; place++) {
    let x = Math.imul(0x9e3779b9, number + 1) + place
    x = Math.imul(x ^ x >>> 16, 0x7feb352d)
    x = Math.imul(x ^ x >>> 15, 0x846ca68b)
    bytes[place] = x >>> 24 >>> number % 4
  }
  return bytes
}
