/* Elements of the page. */

/** Returns a new element with attributes and content; `on…` attributes are listeners. */
function element(name, attributes = {}, ...content) {
  const result = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) result.addEventListener(key.slice(2), value)
    else if (value === true) result.setAttribute(key, '')
    else if (value !== false && value !== null) result.setAttribute(key, value)
  }
  result.append(...content)
  return result
}

const percent = (share) => share > 0.999 && share < 1 ? '>99.9%' : share < 0.001 && share > 0 ? '<0.1%' : `${(100 * share).toFixed(1)}%`
const figures = (value) => {
  const text = Number(value.toPrecision(4))
  return Math.abs(text) >= 1e6 || (text && Math.abs(text) < 1e-4) ? value.toExponential(3) : String(text)
}
