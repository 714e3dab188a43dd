// The choice of a weight: a parameter, a kernel of it, and one number.
opsin.backpropagation = {};

/** Return the number of an element of a part of a parameter, from its positions along the axes. */
opsin.backpropagation.offset = (parameter, position) =>
  position.reduce((total, place, axis) => total * parameter.axes[axis].length + place, 0);

/** Return the place of a weight in its parameter: "3, 0, 4, 2". */
opsin.backpropagation.placeName = (parameter, position) =>
  position.map((place, axis) => parameter.axes[axis][place]).join(', ');

/** Return a choice of one of the parameters. */
opsin.backpropagation.parameterChoice = (parameters, current, onChange) => choice({
  name: 'parameter', value: current, onChange, few: 0,
  options: parameters.map((each, n) => ({ value: n, text: `${each.name} (${each.shape.join(' × ')})` })),
}).element;

/**
 * Return the picker of one weight: for kernels a choice of filter and channel and the kernel itself; for everything else the gradients of the
 * part as one map. `onPick(position)` gets the places along the axes of the part.
 */
opsin.backpropagation.weightPicker = (parameter, position, page, onPick) => {
  const { offset } = opsin.backpropagation;
  const weights = page.array(parameter.weights).data;
  const gradients = page.array(parameter.gradients).data;
  const isKernel = parameter.axes.length === 4;
  const controls = [];
  let rows = parameter.axes[0].length;
  let columns = weights.length / rows;
  let start = 0;
  if (isKernel) {
    const names = parameter.kind === 'transposed convolution' ? ['input', 'output'] : ['filter', 'input'];
    [rows, columns] = [parameter.axes[2].length, parameter.axes[3].length];
    start = offset(parameter, [position[0], position[1], 0, 0]);
    for (const axis of [0, 1]) {
      const options = parameter.axes[axis].map((place, n) => ({ value: n, text: String(place) }));
      const onChange = (value) => onPick(position.map((place, n) => (n === axis ? value : place)));
      if (options.length > 1) controls.push(choice({ name: names[axis], options, value: position[axis], onChange, few: 8 }).element);
    }
  } else if (parameter.axes.length === 1 || columns === 1) {
    [rows, columns] = [1, weights.length];
  }
  const cell = isKernel ? position.slice(2) : cellOf(parameter, position, columns);
  const pick = (row, column) => onPick(isKernel ? [position[0], position[1], row, column] : positionOf(parameter, row * columns + column));
  const show = (values, name) => {
    const map = heatMap({
      values: values.subarray(start, start + rows * columns), rows, columns, name, size: isKernel ? 150 : 300, selected: [...cell, 1, 1],
      largest: largestOf(values), onSelect: pick,
    });
    map.update({ cursor: cell });
    return map;
  };
  const maps = [];
  if (isKernel) maps.push(labelled('the kernel', show(weights, `kernel of ${parameter.name}`)));
  maps.push(labelled(isKernel ? 'its gradients' : 'gradients, a row per output', show(gradients, `gradients of ${parameter.name}`)));
  if (!isKernel && rows === 1) maps[0].firstChild.textContent = 'gradients';
  return h('div', {}, h('div', { class: 'row' }, controls), h('div', { class: 'kernel-pair' }, maps));
};

function labelled(text, map) {
  return h('div', {}, h('p', { class: 'note', text }), map.element);
}

function cellOf(parameter, position, columns) {
  const number = opsin.backpropagation.offset(parameter, position);
  return [Math.floor(number / columns), number % columns];
}

function positionOf(parameter, number) {
  const position = [];
  for (let axis = parameter.axes.length - 1, rest = number; axis >= 0; axis -= 1) {
    const size = parameter.axes[axis].length;
    position.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return position;
}
