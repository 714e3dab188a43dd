/* The module of a network: its memory, its inputs and outputs, and the kernel that resizes images. */

const LANES = 4
const MAX_PIXELS = 2 ** 26

class Network {
  /** `instance` is that of the module, `description` what the export says of it, `data` its constants. */
  constructor(instance, description, data) {
    this.exports = instance.exports
    this.description = description
    new Uint8Array(this.exports.memory.buffer).set(data, description.constants)
  }

  /** Returns the pixels of an image, words of red, green, blue and anything, resized to bytes, channel by channel. */
  resize(words, rows, columns, channels, framing, height, width) {
    const [rowAxis, columnAxis] = frameAxes(framing, rows, columns, height, width)
    const outRows = Math.max(height, LANES), outColumns = Math.ceil(width / 4) * 4
    const down = filterTable(rowAxis, framing.interpolation, outRows)
    const across = filterTable(columnAxis, framing.interpolation, outColumns)
    const stride = Math.max(columns, LANES)
    const left = Math.min(across.starts[0], stride - LANES)
    const reach = Math.max(LANES, across.starts[outColumns - 1] + across.taps - left)
    const shifted = across.starts.map((start) => start - left)
    const sizes = [4 * stride * rows, 3 * outRows * outColumns, 4 * outRows, down.weights.byteLength,
      4 * outColumns, across.weights.byteLength, 4 * 3 * LANES * reach]
    const [source, target, ...places] = this.allocate(sizes)
    const scratch = places.pop(), buffer = this.exports.memory.buffer
    for (let row = 0; row < rows; row++) {
      new Uint32Array(buffer, source + 4 * stride * row, columns).set(words.subarray(row * columns, (row + 1) * columns))
    }
    const tables = [down.starts, down.weights, shifted, across.weights]
    tables.forEach((table, i) => new Uint8Array(buffer).set(new Uint8Array(table.buffer), places[i]))
    this.exports.resize(source + 4 * left, target, ...places, stride, reach, outRows, outColumns, down.taps, across.taps,
      0, Math.ceil(outRows / LANES), scratch)
    const pixels = new Uint8Array(channels * height * width)
    for (let channel = 0; channel < channels; channel++) {
      for (let row = 0; row < height; row++) {
        const line = new Uint8Array(buffer, target + (channel * outRows + row) * outColumns, width)
        pixels.set(line, (channel * height + row) * width)
      }
    }
    return pixels
  }

  /** Returns addresses of free memory for so many bytes each; the next call uses the same memory again. */
  allocate(sizes) {
    let end = this.description.free
    const places = sizes.map((size) => {
      const place = end
      end = Math.ceil((end + size + 64) / 64) * 64
      return place
    })
    const {memory} = this.exports, missing = end - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / 65536))
    return places
  }

  /** Runs the network on bytes, channel by channel, and returns its outputs by name; mirrored from left to right if asked. */
  run(pixels, scale, shift, mirrored) {
    const {address, shape: [, channels, height, width], strides: [, perChannel, perRow, perColumn]} =
      this.description.inputs.inputs
    const values = new Float32Array(this.exports.memory.buffer), table = new Float32Array(256)
    for (let channel = 0, i = 0; channel < channels; channel++) {
      for (let value = 0; value < 256; value++) table[value] = Math.fround(value * scale[channel]) + shift[channel]
      for (let row = 0; row < height; row++) {
        const line = (address + channel * perChannel + row * perRow) / 4
        for (let column = 0; column < width; column++) {
          values[line + (mirrored ? width - 1 - column : column) * perColumn / 4] = table[pixels[i++]]
        }
      }
    }
    this.exports.run()
    const outputs = {}
    for (const [name, tensor] of Object.entries(this.description.outputs)) outputs[name] = this.read(tensor)
    return outputs
  }

  /** Returns a copy of an output, in the order of its shape. */
  read({address, shape, strides}) {
    const values = new Float32Array(this.exports.memory.buffer)
    const result = new Float32Array(shape.reduce((product, size) => product * size, 1))
    let count = 0
    const copy = (axis, place) => {
      if (axis === shape.length) {
        result[count++] = values[place]
        return
      }
      for (let i = 0, step = strides[axis] / 4; i < shape[axis]; i++) copy(axis + 1, place + i * step)
    }
    copy(0, address / 4)
    return result
  }
}
