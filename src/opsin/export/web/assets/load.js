/* The parts of the page: what its elements hold, and whether every byte of them is as it was written. */

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~'
const CHANGED = 'this copy of the page was changed or damaged; it is not used: get the page again from where it came from'

/** Returns the bytes of a text in base 85: five characters for each four bytes, most significant first. */
function decode85(text) {
  const digits = new Uint8Array(128), bytes = new Uint8Array(text.length / 5 * 4), view = new DataView(bytes.buffer)
  for (let i = 0; i < 85; i++) digits[ALPHABET.charCodeAt(i)] = i
  for (let i = 0, at = 0; i < text.length; i += 5, at += 4) {
    let number = 0
    for (let k = 0; k < 5; k++) number = number * 85 + digits[text.charCodeAt(i + k)]
    view.setUint32(at, number)
  }
  return bytes
}

/** Returns the inflated content of an element of the page, after its digest was compared with the expected one. */
async function part(name) {
  const {digest, deflated, planes} = PARTS[name]
  const text = document.getElementById(name)?.textContent ?? ''
  if (await sha256(new TextEncoder().encode(text)) !== digest) throw new OpsinError(CHANGED)
  const stream = new Blob([decode85(text).subarray(0, deflated)]).stream()
  const bytes = new Uint8Array(await new Response(stream.pipeThrough(new DecompressionStream('deflate-raw'))).arrayBuffer())
  return planes ? words(bytes) : bytes
}

/** Returns the words of four bytes whose first, second, third and fourth bytes follow each other. */
function words(planes) {
  const count = planes.length / 4, bytes = new Uint8Array(planes.length)
  for (let k = 0; k < 4; k++) for (let i = 0; i < count; i++) bytes[4 * i + k] = planes[k * count + i]
  return bytes
}

/** Throws an `OpsinError` unless the elements of the document are those that were written. */
async function checkDocument(script) {
  const encoder = new TextEncoder(), own = [...document.querySelectorAll('[data-own]')]
  const hex = await sha256(encoder.encode(script.textContent))
  const code = btoa(String.fromCharCode(...hex.match(/../g).map((octet) => parseInt(octet, 16))))
  const markup = own.map((element) => {
    const copy = element.cloneNode(element.localName !== 'script')
    if (copy.httpEquiv) copy.content = copy.content.replace(code, '')
    return copy.outerHTML
  })
  const {doctype, documentElement: {lang}, characterSet} = document
  const frame = [doctype?.name, doctype?.publicId, doctype?.systemId, lang, characterSet, ...markup].join('\n')
  if (await sha256(encoder.encode(frame)) !== DOCUMENT_DIGEST) throw new OpsinError(CHANGED)
}

/** Returns the message of an error as a sentence. */
function sentence(error) {
  const text = error instanceof OpsinError ? error.message : `something went wrong: ${error.message}`
  return `${text[0].toUpperCase()}${text.slice(1)}.`
}

const root = document.getElementById('page');
(async (own) => {
  try {
    await checkDocument(own)
    if (!globalThis.WebAssembly || !globalThis.DecompressionStream) {
      throw new OpsinError('this browser is too old for this page; use one from 2023 or later')
    }
    const [code, ...others] = await Promise.all(['script', 'description', 'weights', 'module'].map(part))
    const script = document.createElement('script')
    script.textContent = new TextDecoder().decode(code)
    document.body.append(script)
    await start(...others)
  } catch (error) {
    const text = Object.assign(document.createElement('p'), {className: 'warning', textContent: sentence(error)})
    text.setAttribute('role', 'alert')
    root.replaceChildren(text)
    document.documentElement.dataset.state = 'refused'
  }
})(document.currentScript)
