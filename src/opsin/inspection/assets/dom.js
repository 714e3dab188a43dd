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

const FOCUSABLE = 'a[href], button, select, input, summary, [tabindex]';

/** Replace all children of an element. If one of them has the focus, its successor gets it. */
function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...element.querySelectorAll(FOCUSABLE)].indexOf(focused) : -1;
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  const successor = place < 0 ? null : element.querySelectorAll(FOCUSABLE)[place];
  if (successor && successor.tagName === focused.tagName) successor.focus({ preventScroll: true });
  return element;
}

let lastId = 0;

/** Return an id that no other element has. */
function freshId(name) {
  lastId += 1;
  return `${name}-${lastId}`;
}

/** Return a text whose first letter is upper case. */
function capitalized(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Make a horizontal bar whose length is the size of `value`; one of size `largest` fills its track. */
function valueBar(value, largest) {
  const width = `${100 * Math.min(1, Math.abs(value) / largest)}%`;
  return h('span', { class: 'track' }, h('span', { class: value < 0 ? 'bar negative' : 'bar', style: { width } }));
}

/** Return 1 → "1 channel", 3 → "3 channels". */
function counted(count, word) {
  return `${count.toLocaleString('en')} ${word}${count === 1 ? '' : 's'}`;
}

const SIDEWAYS = '.wide, .architecture, .grid, .lines';

/** Let an element that scrolls sideways fade out on the side where more follows. Returns the element. */
function sideways(element) {
  overflows.observe(element);
  for (const child of element.children) overflows.observe(child);
  return element;
}

function showOverflow(element) {
  const rest = element.scrollWidth - element.clientWidth - element.scrollLeft;
  element.classList.toggle('more-right', rest > 2);
  element.classList.toggle('more-left', element.scrollLeft > 2);
}

const overflows = new ResizeObserver((entries) => {
  for (const { target } of entries) showOverflow(target.closest(SIDEWAYS) ?? target);
});
document.addEventListener('scroll', ({ target }) => { if (target.matches?.(SIDEWAYS)) showOverflow(target); }, true);
