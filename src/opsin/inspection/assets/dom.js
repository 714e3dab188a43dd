// Elements. Text is always set as text, never as markup: labels and file names may hold anything.

const SVG_TAGS = new Set(['svg', 'g', 'rect', 'path', 'line', 'circle', 'polyline', 'text', 'title', 'use']);

/**
 * Make an element. Attributes: `class`; `text`; `on: {event: handler}`; `style: {property: value}`; `data: {name: value}`;
 * properties of the element, such as `value`, `checked`, `hidden`; everything else is set as an attribute. Children are elements, texts, or
 * null, which is left out.
 */
function h(tag, attributes = {}, ...children) {
  const element = SVG_TAGS.has(tag) && tag !== 'title'
    ? document.createElementNS('http://www.w3.org/2000/svg', tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'text') element.textContent = value;
    else if (name === 'on') for (const [event, handler] of Object.entries(value)) element.addEventListener(event, handler);
    else if (name === 'style') for (const [property, setting] of Object.entries(value)) setStyle(element, property, setting);
    else if (name === 'data') Object.assign(element.dataset, value);
    else if (['value', 'checked', 'hidden', 'disabled', 'indeterminate'].includes(name)) element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

function setStyle(element, property, value) {
  if (property.startsWith('--')) element.style.setProperty(property, value);
  else element.style[property] = value;
}

/** Replace all children of an element. */
function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

let lastId = 0;

/** Return an id that no other element has. */
function freshId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/** Return 1 → "1 channel", 3 → "3 channels". */
function counted(count, word) {
  return `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
}
