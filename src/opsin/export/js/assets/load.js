/** Returns the bytes of a file next to this module. */
async function readFile(name) {
  const url = new URL(name, import.meta.url)
  if (url.protocol === 'file:' && globalThis.process?.versions?.node) {
    const {readFile: read} = await import('node:fs/promises')
    return new Uint8Array(await read(url))
  }
  const response = await fetch(url)
  if (!response.ok) throw new OpsinError(`${url} cannot be loaded (${response.status}); put the file next to index.js`)
  return new Uint8Array(await response.arrayBuffer())
}

/** Returns the model, after its files were compared with their digests and its golden images with their outputs. */
export async function load({read = readFile} = {}) {
  const [description, data, vector, scalar] = await Promise.all(Object.keys(DIGESTS).map(async (name) => {
    const bytes = await read(name)
    if (await sha256(bytes) !== DIGESTS[name]) {
      throw new OpsinError(`${name} is not the file that was exported; export the model again, all files together`)
    }
    return bytes
  }))
  return Model.create(JSON.parse(new TextDecoder().decode(description)), data, {vector, scalar})
}

export {OpsinError}
