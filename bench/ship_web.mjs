// Times modules and ONNX Runtime Web in turns: node ship_web.mjs SETTINGS.json, which `ship_web.py` writes.
import fs from 'node:fs'
import path from 'node:path'
import {pathToFileURL} from 'node:url'

const settings = JSON.parse(fs.readFileSync(process.argv[2]))
const file = path.join(settings.modules, 'onnxruntime-web', 'dist', 'ort.wasm.min.mjs')
const runtime = await import(pathToFileURL(file))
runtime.env.wasm.numThreads = 1
runtime.env.logLevel = 'error'

/** Returns the milliseconds of one call. */
const time = async (call) => {
  const start = performance.now()
  await call()
  return performance.now() - start
}

const floats = (file) => new Float32Array(new Uint8Array(fs.readFileSync(file)).buffer)
const results = []
for (const network of settings.networks) {
  const values = floats(network.values)
  const calls = {}
  const {instance} = await WebAssembly.instantiate(fs.readFileSync(network.code))
  const {memory, run} = instance.exports
  new Uint8Array(memory.buffer).set(fs.readFileSync(network.constants), network.at)
  calls.Opsin = () => {
    new Float32Array(memory.buffer, network.input, values.length).set(values)
    run()
  }
  const session = await runtime.InferenceSession.create(new Uint8Array(fs.readFileSync(network.onnx)))
  const feeds = {[session.inputNames[0]]: new runtime.Tensor('float32', values, network.shape)}
  calls['ONNX Runtime Web'] = () => session.run(feeds)
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
