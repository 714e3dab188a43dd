/* SHA-256 (FIPS 180-4): by the browser where it offers that, which it does not for pages from plain http addresses. */

/** Returns the digest of bytes in hexadecimal. */
async function sha256(bytes) {
  const subtle = globalThis.crypto?.subtle
  const digest = subtle ? new Uint8Array(await subtle.digest('SHA-256', bytes)) : sha256InScript(bytes)
  return [...digest].map((octet) => octet.toString(16).padStart(2, '0')).join('')
}

function sha256InScript(bytes) {
  const primes = []
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n)
  const fraction = (root) => Math.floor((root - Math.floor(root)) * 2 ** 32) | 0
  const constants = primes.map((prime) => fraction(Math.cbrt(prime)))
  const state = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)))
  const length = bytes.length, padded = new Uint8Array(Math.ceil((length + 9) / 64) * 64)
  padded.set(bytes)
  padded[length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(length / 2 ** 29))
  view.setUint32(padded.length - 4, (length << 3) >>> 0)
  const words = new Int32Array(64)
  const rotated = (x, n) => (x >>> n) | (x << (32 - n))
  for (let start = 0; start < padded.length; start += 64) {
    for (let i = 0; i < 16; i++) words[i] = view.getInt32(start + 4 * i)
    for (let i = 16; i < 64; i++) {
      const a = words[i - 15], b = words[i - 2]
      const s0 = rotated(a, 7) ^ rotated(a, 18) ^ (a >>> 3), s1 = rotated(b, 17) ^ rotated(b, 19) ^ (b >>> 10)
      words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0
    }
    let [a, b, c, d, e, f, g, h] = state
    for (let i = 0; i < 64; i++) {
      const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25), s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
      const t = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0
      const u = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t) | 0, c, b, a, (t + u) | 0]
    }
    [a, b, c, d, e, f, g, h].forEach((value, i) => { state[i] = (state[i] + value) | 0 })
  }
  const result = new Uint8Array(32), out = new DataView(result.buffer)
  state.forEach((value, i) => out.setInt32(4 * i, value))
  return result
}
