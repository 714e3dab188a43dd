// Controls with their labels.

/** Make a slider. `onInput(value)` is called while it moves. Returns {element, update({value, max})}. */
function slider({ name, min = 0, max, step = 1, value, onInput, show = (each) => String(each) }) {
  const id = freshId('slider');
  const output = h('output', { for: id, text: show(value) });
  const input = h('input', { type: 'range', id, min, max, step, 'aria-valuetext': show(value) });
  input.value = value;
  input.addEventListener('input', () => {
    update({ value: Number(input.value) });
    onInput(Number(input.value));
  });
  function update(changes) {
    if (changes.max !== undefined) input.max = changes.max;
    if (changes.value !== undefined) input.value = changes.value;
    output.textContent = show(Number(input.value));
    input.setAttribute('aria-valuetext', output.textContent);
  }
  return { element: h('div', { class: 'control' }, h('label', { for: id, text: name }), input, output), update };
}

/** Make a choice of one of `options` ([{value, text}]): buttons for few, a list for many. Returns {element, update({value})}. */
function choice({ name, options, value, onChange, few = 6 }) {
  return options.length > few ? listChoice({ name, options, value, onChange }) : buttonChoice({ name, options, value, onChange });
}

function listChoice({ name, options, value, onChange }) {
  const id = freshId('list');
  const select = h('select', { id }, options.map((each) => h('option', { value: String(each.value), text: each.text })));
  select.value = String(value);
  select.addEventListener('change', () => onChange(options[select.selectedIndex].value));
  const update = (changes) => { select.value = String(changes.value); };
  return { element: h('div', { class: 'control' }, h('label', { for: id, text: name }), select), update };
}

function buttonChoice({ name, options, value, onChange }) {
  const group = freshId('choice');
  const inputs = options.map((each) => {
    const input = h('input', { type: 'radio', name: group, checked: each.value === value });
    input.addEventListener('change', () => onChange(each.value));
    return input;
  });
  const labels = options.map((each, n) => h('label', {}, inputs[n], h('span', { text: each.text })));
  const update = (changes) => inputs.forEach((input, n) => { input.checked = options[n].value === changes.value; });
  return { element: h('fieldset', { class: 'choice' }, h('legend', { text: name }), h('div', {}, labels)), update };
}
