/* The page: it checks itself, then answers for images. */

const SMALL = 160
const camera = new Camera()
let model, stage, seen, result, note

/** Runs something that may fail, and shows the message of an error. */
async function guarded(action) {
  try {
    await action()
    note.textContent = ''
  } catch (error) {
    note.textContent = sentence(error)
  }
}

/** Shows an image and the answer for it. */
function show(canvas, name) {
  const preview = painted(canvas, canvas.width, canvas.height, MAX_MASK_SIDE)
  const small = Math.max(canvas.width, canvas.height) < SMALL
  Object.assign(preview, {className: small ? 'preview small' : 'preview', role: 'img', ariaLabel: `The image: ${name}`})
  answer(canvas, name, preview)
  stage.replaceChildren(preview)
}

/** Shows the answer for the pixels of a canvas. */
function answer(canvas, name, preview) {
  const start = performance.now()
  const value = predicted(canvas, preview)
  const time = performance.now() - start
  if (value.ids && preview) paintClasses(preview, value)
  if (value.detections && preview) paintBoxes(preview, value)
  result.replaceChildren(...VIEWS[value.task](value, name, canvas), element('p', {class: 'note'}, `${name}, ${time.toFixed(time < 10 ? 1 : 0)} ms`))
}

function predicted(canvas, preview) {
  const {width, height} = canvas, {task, input} = model.description
  const pixels = model.pixels(pixelsOf(canvas), width, height)
  paintInput(pixels, input)
  const size = preview ? {width: preview.width, height: preview.height} : {width, height}
  return {task: task.name, ...ANSWERS[task.name](model.outputs(model.stacked(pixels)), task, size)}
}

/** Shows the pixels that the network gets. */
function paintInput(pixels, {channels, height, width}) {
  const image = new ImageData(width, height), plane = height * width
  for (let i = 0; i < plane; i++) {
    const colour = [0, 1, 2].map((k) => pixels[(channels === 1 ? 0 : k) * plane + i])
    image.data.set([...colour, 255], 4 * i)
  }
  Object.assign(seen, {width, height})
  seen.getContext('2d').putImageData(image, 0, 0)
}

function source(name) {
  if (name !== 'camera') camera.stop()
  result.setAttribute('aria-live', name === 'camera' ? 'off' : 'polite')
  for (const button of document.querySelectorAll('button[data-source]')) {
    button.setAttribute('aria-pressed', String(button.dataset.source === name))
  }
}

function build() {
  const {input, task} = model.description, isFilm = input.frames > 1
  const chooser = element('input', {type: 'file', accept: 'image/*', id: 'file', class: 'hidden', multiple: isFilm,
    onclick: () => { chooser.value = '' }, onchange: () => take(chooser.files)})
  const buttons = [element('label', {class: 'button main', for: 'file'}, isFilm ? 'Choose frames' : 'Choose an image'), chooser,
    element('button', {type: 'button', 'data-source': 'camera', 'aria-pressed': 'false', onclick: toggleCamera}, 'Camera')]
  if (!isFilm && input.channels === 1 && Math.max(input.height, input.width) <= 64) {
    buttons.push(element('button', {type: 'button', 'data-source': 'draw', 'aria-pressed': 'false', onclick: draw}, 'Draw'))
  }
  if (task.same !== undefined) buttons.push(element('button', {type: 'button', onclick: startAgain}, 'Start again'))
  const request = isFilm ? 'Drop the frames of a film here, or choose them. They are taken in the order of their names.'
    : 'Drop an image here, choose one, or paste one.'
  stage = element('div', {class: 'stage'}, element('p', {}, request))
  note = element('p', {class: 'warning', role: 'alert'})
  result = element('div', {'aria-live': 'polite'}, element('p', {class: 'note'}, 'The answer for an image appears here.'))
  seen = element('canvas', {class: 'seen', role: 'img', 'aria-label': 'The pixels that the network gets'})
  const rest = isFilm ? `, and the ${input.frames - 1} before` : ''
  const size = `${input.width} × ${input.height} pixels, ${input.channels === 1 ? 'grey' : 'colour'}${rest}`
  root.replaceChildren(
    element('header', {}, element('h1', {}, document.title), element('p', {class: 'lead'}, lead(task))),
    element('main', {class: 'columns'},
      element('section', {'aria-labelledby': 'image'}, element('h2', {id: 'image'}, 'Image'),
        element('div', {class: 'row'}, ...buttons), note, stage),
      element('section', {'aria-labelledby': 'answer'}, element('h2', {id: 'answer'}, 'Answer'), result,
        element('details', {}, element('summary', {}, 'What the network sees'), seen, element('p', {class: 'note'}, `${size}.`)))),
    element('footer', {}, element('p', {}, checked()), element('p', {}, `${document.querySelector('meta[name=generator]').content}. ` +
      'Images stay on this device: the page loads and sends nothing.')),
  )
}

function lead({name, labels}) {
  const list = labels.length > 12 ? `${labels.slice(0, 10).join(', ')} and ${labels.length - 10} more` : labels.join(', ')
  const count = labels.length === 1 ? '' : `${labels.length} `
  if (name === 'identity') return 'Says whether two images show the same.'
  if (name === 'self-supervised') return 'Says how similar two images are.'
  const start = {classification: `Tells apart ${count}classes: `, multilabel: `Finds ${count}labels: `,
    segmentation: `Finds the pixels of ${count}classes: `, detection: `Finds objects of ${count}classes: `, regression: 'Measures '}
  return `${start[name]}${list}.`
}

function checked() {
  const count = model.description.goldenDigests.length
  const integers = model.description.precision === 'int8' ? ' in 8-bit integers' : ''
  return `${model.description.network}${integers}. Self-test passed: the network\u2019s outputs for ${count} test images and the resized ` +
    'pixels are, bit for bit, those of the exporting computer.'
}

function toggleCamera() {
  if (camera.stream) {
    source('')
    return
  }
  guarded(async () => {
    await camera.start()
    source('camera')
  })
}

function draw() {
  source('draw')
  const {canvas, clear} = drawingPad()
  stage.replaceChildren(canvas, element('button', {type: 'button', onclick: clear}, 'Clear'))
}

/** Answers for those of some files that are images, or for the first one, which is then refused. */
function take(files) {
  const images = [...files].filter(({type}) => type.startsWith('image/'))
  const chosen = images.length ? images : [...files].slice(0, 1)
  if (chosen.length) guarded(() => { source('file'); return openFiles(chosen) })
}

function listen() {
  addEventListener('dragover', (event) => { event.preventDefault(); stage.classList.add('over') })
  addEventListener('dragleave', () => stage.classList.remove('over'))
  addEventListener('drop', (event) => { event.preventDefault(); stage.classList.remove('over'); take(event.dataTransfer.files) })
  addEventListener('paste', (event) => take(event.clipboardData.files))
}

/** Makes the model from the parts of the page, and shows what it can be asked. */
async function start(description, data, module) {
  model = await Model.create(JSON.parse(new TextDecoder().decode(description)), data, {vector: module})
  build()
  listen()
  globalThis.opsin = {model}
  document.documentElement.dataset.state = 'ready'
  document.documentElement.dataset.milliseconds = performance.now().toFixed(1)
}
