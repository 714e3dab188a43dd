/* Where images come from: files, the clipboard, the camera, and drawing. */

const MAX_MASK_SIDE = 640

/** Returns a canvas with the pixels of an image source on white, at its own size unless a side exceeds `limit`. */
function painted(source, width, height, limit = Infinity) {
  const scale = Math.min(1, limit / Math.max(width, height))
  const canvas = element('canvas', {width: Math.round(width * scale), height: Math.round(height * scale)})
  const context = canvas.getContext('2d', {willReadFrequently: true})
  context.fillStyle = '#fff'
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(source, 0, 0, canvas.width, canvas.height)
  return canvas
}

/** Returns the RGBA bytes of a canvas. */
const pixelsOf = (canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data

/** Returns a canvas with the image of a file: upright, with its colours as they are stored. */
async function decoded(file) {
  let bitmap
  try {
    bitmap = await createImageBitmap(file, {imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'default'})
  } catch {
    throw new OpsinError(`${file.name || 'this'} is no image that this browser reads; choose a JPEG or PNG file`)
  }
  const {width, height} = bitmap
  if (width * height > MAX_PIXELS) throw new OpsinError(`the image has ${width} × ${height} pixels; make it smaller first`)
  const canvas = painted(bitmap, width, height)
  bitmap.close()
  return canvas
}

/** Shows the answer for an image file; if the network compares frames of a film, for all files in the order of names. */
async function openFiles(files) {
  model.restart()
  const byName = (a, b) => a.name.localeCompare(b.name, 'en', {numeric: true})
  const frames = model.input.frames > 1 ? [...files].sort(byName) : [files[0]]
  for (const file of frames) show(await decoded(file), file.name || 'the image')
}

/** The camera: the rear one of a phone. Frames are answered one after the other until it is stopped. */
class Camera {
  constructor() { this.video = element('video', {playsinline: true, muted: true}) }

  async start() {
    if (!navigator.mediaDevices) {
      throw new OpsinError('this browser gives no page from here a camera; open the page as a file or through https')
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment', width: {ideal: 1280}}})
    } catch (error) {
      throw new OpsinError(`the camera cannot be used (${error.message || error.name}); allow it in the browser, or choose an image`)
    }
    this.video.srcObject = this.stream
    await this.video.play()
    model.restart()
    this.next()
  }

  next() {
    if (!this.stream) return
    const {videoWidth, videoHeight} = this.video
    if (videoWidth) guarded(() => show(painted(this.video, videoWidth, videoHeight), 'the camera'))
    this.timer = setTimeout(() => requestAnimationFrame(() => this.next()), 100)
  }

  stop() {
    clearTimeout(this.timer)
    this.stream?.getTracks().forEach((track) => track.stop())
    this.stream = null
  }
}

/** Returns a canvas to draw on with a finger, a pen or the mouse: black on white. */
function drawingPad() {
  const side = 280, canvas = element('canvas', {width: side, height: side, class: 'pad', tabindex: '0', role: 'img',
    'aria-label': 'Drawing area: draw with a finger, a pen or the mouse'})
  const context = canvas.getContext('2d', {willReadFrequently: true})
  let last = null
  const clear = () => {
    context.fillStyle = '#fff'
    context.fillRect(0, 0, side, side)
  }
  const point = ({clientX, clientY}) => {
    const {left, top, width, height} = canvas.getBoundingClientRect()
    return [(clientX - left) * side / width, (clientY - top) * side / height]
  }
  const line = (event) => {
    if (!last) return
    const next = point(event)
    Object.assign(context, {lineWidth: side / 13, lineCap: 'round', lineJoin: 'round', strokeStyle: '#000'})
    context.beginPath()
    context.moveTo(...last)
    context.lineTo(...next)
    context.stroke()
    last = next
    guarded(() => answer(canvas, 'the drawing'))
  }
  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId)
    last = point(event)
    line(event)
  })
  canvas.addEventListener('pointermove', line)
  for (const end of ['pointerup', 'pointercancel']) canvas.addEventListener(end, () => { last = null })
  clear()
  return {canvas, clear}
}
