// Times modules, and ONNX Runtime Web, in turns: node ship_web.mjs SETTINGS.json, which `ship_web.py` writes.
import fs from 'node:fs'
import path from 'node:path'
import {pathToFileURL} from 'node:url'

const settings = JSON.parse(fs.readFileSync(process.argv[2]))
let runtime = null
if (settings.modules) {
  const file = path.join(settings.modules, 'onnxruntime-web', 'dist', 'ort.wasm.min.mjs')
  runtime = await import(pathToFileURL(file))
  runtime.env.wasm.numThreads = 1
  runtime.env.logLevel = 'error'
}

/** Returns the milliseconds of one call. */
const time = async (call) => {
  const start = performance.now()
  await call()
  return performance.now() - start
}

const read = (file) => new Uint8Array(fs.readFileSync(file))

/** Returns a function that runs a module of Opsin. */
async function opsin(module) {
  const {instance} = await WebAssembly.instantiate(read(module.code))
  const {memory, run} = instance.exports, values = read(module.values)
  new Uint8Array(memory.buffer).set(read(module.constants), module.at)
  return () => {
    new Uint8Array(memory.buffer).set(values, module.input)
    run()
  }
}

/** Returns a function that runs an ONNX file in ONNX Runtime Web. */
async function onnx(network) {
  const values = new Float32Array(read(network.modules.Opsin.values).buffer)
  const session = await runtime.InferenceSession.create(read(network.onnx))
  const feeds = {[session.inputNames[0]]: new runtime.Tensor('float32', values, network.shape)}
  return () => session.run(feeds)
}

const results = []
for (const network of settings.networks) {
  const calls = {}
  for (const name in network.modules) calls[name] = await opsin(network.modules[name])
  if (runtime) calls['ONNX Runtime Web'] = await onnx(network)
  const times = {}
  for (const name in calls) {
    times[name] = []
    for (let i = 0; i < 20; i++) await calls[name]()
  }
  const end = performance.now() + 1000 * settings.seconds
  while (performance.now() < end) for (const name in calls) times[name].push(await time(calls[name]))
  results.push({network: network.name, times})
}
console.log(JSON.stringify(results))
