// Computes any value of a step from the numbers of the page, as `opsin/explain/arithmetic` does.

/** A step for one image. `array(number)` returns {shape, data}. A place is [channel, row, column]. */
class StepModel {
  constructor(data, array, image) {
    this.data = data;
    this.array = array;
    this.image = image;
    this.parts = new Map();
    this.operations = data.operations;
    this.output = data.maps[this.operations[this.operations.length - 1].map];
  }

  /** Return the stored part of a map: {values, channels (null: all), rows, columns, row, column}, the last two being where it begins. */
  part(map) {
    if (!this.parts.has(map)) this.parts.set(map, this.cut(map));
    return this.parts.get(map);
  }

  cut(map) {
    const { shape: [, count, rows, columns], data } = this.array(map.values);
    const size = count * rows * columns;
    const [row, column] = map.origins[this.image];
    return { values: data.subarray(this.image * size, (this.image + 1) * size), count, rows, columns, row, column, channels: map.channels };
  }

  /** Return a value of a map; NaN if the page does not have it. Axes of size 1 are the same everywhere. */
  read(map, place) {
    const part = this.part(map);
    const [channel, row, column] = place.map((index, axis) => (map.shape[axis] === 1 ? 0 : index));
    const c = part.channels ? part.channels.indexOf(channel) : channel;
    const [y, x] = [row - part.row, column - part.column];
    if (c < 0 || c >= part.count || y < 0 || y >= part.rows || x < 0 || x >= part.columns) return NaN;
    return part.values[(c * part.rows + y) * part.columns + x];
  }

  /** Return the value of an operand. */
  operand({ operation, map, parameter, constant, channels }, place) {
    if (operation !== undefined) return this.result(operation, place);
    if (map !== undefined) return this.read(this.data.maps[map], place);
    if (constant !== undefined) return constant;
    const { data } = this.array(parameter);
    if (data.length === 1) return data[0];
    return data[channels ? channels.indexOf(place[0]) : place[0]];
  }

  /** Return the shape of an operand: [channels, rows, columns]. */
  shapeOf({ operation, map }) {
    return operation !== undefined ? this.operations[operation].shape : this.data.maps[map].shape;
  }

  /** Return a place with index 0 along the axes that an operation's result does not have. */
  own({ shape }, place) {
    return place.map((index, axis) => (shape[axis] === 1 ? 0 : index));
  }

  /** Return what operation `n` gives at a place. */
  result(n, place) {
    const operation = this.operations[n];
    const own = this.own(operation, place);
    if (operation.carried) return this.read(this.data.maps[operation.map], own);
    if (operation.order) return this.terms(n, own).result;
    const { name } = operation;
    if (name === 'slice' || name === 'pad') return this.moved(operation, own);
    const values = operation.operands.map((each) => this.operand(each, own));
    return name === 'power' ? arithmetic.power(values[0], operation.exponent) : arithmetic.functions[name](...values);
  }

  moved({ name, operands, starts, low }, place) {
    const by = (name === 'slice' ? starts : low.map((count) => -count)).slice(1);
    const source = place.map((index, axis) => index + (by[axis] || 0));
    const shape = this.shapeOf(operands[0]);
    return source.every((index, axis) => index >= 0 && index < shape[axis]) ? this.operand(operands[0], source) : 0;
  }

  /**
   * Return the terms of a sum or a maximum: {left, right (null without factors), channels, rows, columns, inside} with an entry for each term,
   * and {result, partial, lanes, lane} of the sum, {factor} of an average, or {winner} of a maximum.
   */
  terms(n, place) {
    const operation = this.operations[n];
    const sources = this.sources(operation, place);
    const count = sources.rows.length;
    const left = new Float32Array(count);
    const inside = new Uint8Array(count);
    const [, height, width] = this.shapeOf(operation.operands[0]);
    for (let t = 0; t < count; t += 1) {
      inside[t] = sources.rows[t] >= 0 && sources.rows[t] < height && sources.columns[t] >= 0 && sources.columns[t] < width ? 1 : 0;
      if (inside[t]) left[t] = this.operand(operation.operands[0], [sources.channels[t], sources.rows[t], sources.columns[t]]);
    }
    const right = sources.factors ?? (sources.weights && Float32Array.from(sources.weights, (at) => this.array(operation.weights).data[at]));
    const terms = { ...sources, left, right, inside };
    if (operation.name === 'max' || operation.name === 'max_pool2d') return { ...terms, ...maximum(left, inside) };
    const total = arithmetic.addTerms(left, right, operation.order, sources.segments);
    if (operation.name !== 'avg_pool2d') return { ...terms, ...total };
    const factor = Math.fround(1 / windowSize(operation, place, height, width));
    return { ...terms, ...total, sum: total.result, factor, result: arithmetic.multiply(total.result, factor) };
  }

  /** Return where the terms of a result come from: channels, rows and columns, and the numbers of their weights. */
  sources(operation, place) {
    const { name } = operation;
    if (name === 'conv2d') return this.convolutionSources(operation, place);
    if (name === 'conv_transpose2d') return this.transposedSources(operation, place);
    if (name === 'resample2d') return this.resamplingSources(operation, place);
    if (name === 'matmul') {
      const [, depth] = operation.kernel;
      const first = this.filterNumber(operation, place[0]) * depth;
      const channels = Array.from({ length: depth }, (_, i) => i);
      return { channels, rows: new Int32Array(depth), columns: new Int32Array(depth), weights: channels.map((i) => first + i) };
    }
    if (operation.window) {
      const taps = tapsOf(['row', 'column'], { row: operation.window[0], column: operation.window[1] });
      return { channels: taps.row.map(() => place[0]), ...positions(operation, place, taps), weights: null };
    }
    const [channels, rows, columns] = this.shapeOf(operation.operands[0]);
    const sizes = [1, channels, rows, columns];
    const taps = tapsOf(operation.order.axes, Object.fromEntries(operation.order.axes.map((axis) => [axis, sizes[axis]])));
    const along = (axis) => taps[axis] ?? taps.all.map(() => place[axis - 1]);
    return { channels: along(1), rows: along(2), columns: along(3), weights: null };
  }

  convolutionSources(operation, place) {
    const [filters, channels, height, width] = operation.kernel;
    const taps = tapsOf(operation.order.axes, { row: height, column: width, channel: channels });
    const first = Math.floor(place[0] / (filters / operation.groups)) * channels;
    const filter = this.filterNumber(operation, place[0]) * channels * height * width;
    const channel = taps.channel ?? taps.all.map(() => 0);
    return {
      channels: channel.map((c) => first + c),
      ...positions(operation, place, taps),
      weights: taps.all.map((_, t) => filter + (channel[t] * height + taps.row[t]) * width + taps.column[t]),
    };
  }

  /** As `convolutionSources`: the numbers whose kernels reach the place. Windows are read in the order of the image, except along `descending` axes. */
  transposedSources(operation, place) {
    const [filters, channels, height, width] = operation.kernel;
    const sizes = { row: height, column: width, channel: channels };
    const taps = tapsOf(operation.order.axes, sizes);
    const { stride, padding, dilation, order: { descending } } = operation;
    const along = (name, t) => (descending.includes(name) ? taps[name][t] : sizes[name] - 1 - taps[name][t]);
    const distance = (axis, tap) => place[axis + 1] + padding[axis][0] - tap * dilation[axis];
    const first = Math.floor(place[0] / (filters / operation.groups)) * channels;
    const filter = this.filterNumber(operation, place[0]) * channels * height * width;
    const result = { channels: [], rows: [], columns: [], weights: [] };
    for (let t = 0; t < taps.all.length; t += 1) {
      const [row, column, channel] = [along('row', t), along('column', t), taps.channel?.[t] ?? 0];
      const [down, across] = [distance(0, row), distance(1, column)];
      if (down % stride[0] || across % stride[1]) continue;
      result.channels.push(first + channel);
      result.rows.push(down / stride[0]);
      result.columns.push(across / stride[1]);
      result.weights.push(filter + (channel * height + row) * width + column);
    }
    return result;
  }

  /** The numbers that a resampling reads: weights of columns are `factors`, and those of rows are `segments`. Where a weight is 0, nothing is read. */
  resamplingSources({ tables, order }, place) {
    const [rows, columns] = tables.map(({ starts, weights }, axis) => {
      const { shape: [, taps], data } = this.array(weights);
      const at = place[axis + 1];
      return { start: this.array(starts).data[at], weights: data.subarray(at * taps, (at + 1) * taps) };
    });
    const taps = tapsOf(order.axes, { row: rows.weights.length, column: columns.weights.length });
    return {
      channels: taps.row.map(() => place[0]),
      rows: taps.row.map((tap) => (rows.weights[tap] ? rows.start + tap : -1)),
      columns: taps.column.map((tap) => (columns.weights[tap] ? columns.start + tap : -1)),
      weights: null, factors: Float32Array.from(taps.column, (tap) => columns.weights[tap]), segments: rows.weights,
    };
  }

  /** Return the number of a filter among those of the page. */
  filterNumber({ filters }, channel) {
    return filters ? filters.indexOf(channel) : channel;
  }
}

/** Return the index along every axis of each term, in the order of nested loops, the first axis outside; `all` has an entry for each term. */
function tapsOf(axes, sizes) {
  const count = axes.reduce((product, axis) => product * sizes[axis], 1);
  const taps = { all: new Array(count).fill(0) };
  let inner = count;
  for (const axis of axes) {
    inner /= sizes[axis];
    const step = inner;
    taps[axis] = taps.all.map((_, t) => Math.floor(t / step) % sizes[axis]);
  }
  return taps;
}

/** Return the rows and columns that the terms of a window read. */
function positions({ stride, padding, dilation = [1, 1] }, place, taps) {
  const along = (name, axis) => taps[name].map((tap) => place[axis + 1] * stride[axis] - padding[axis][0] + tap * dilation[axis]);
  return { rows: along('row', 0), columns: along('column', 1) };
}

/** Return the first of the largest numbers inside the image. */
function maximum(left, inside) {
  let winner = inside.indexOf(1);
  for (let t = winner + 1; t < left.length; t += 1) if (inside[t] && left[t] > left[winner]) winner = t;
  return { winner, result: left[winner] };
}

/** Return the divisor of an average pooling. */
function windowSize({ window, stride, padding, count_include_pad: counts }, place, height, width) {
  const along = (axis, size) => {
    const first = place[axis + 1] * stride[axis] - padding[axis][0];
    const last = first + window[axis];
    return counts ? Math.min(last, size + padding[axis][1]) - first : Math.min(last, size) - Math.max(first, 0);
  };
  return Math.max(along(0, height) * along(1, width), 1);
}

opsin.StepModel = StepModel;
