'use strict';

/* Float32 arithmetic as the engine does it. JavaScript computes in float64: products of two float32 are exact in it,
   sums, quotients and roots may be rounded twice without harm, and the sum of a fused multiply-add is rounded to odd
   first. Denormals are zero, as inputs and as results. `opsin/explain/arithmetic` is the same in NumPy. */
const arithmetic = (() => {
  const MIN_NORMAL = 2 ** -126;
  const MIN_ROUNDED = MIN_NORMAL - 2 ** -151; // The smallest number that rounds to MIN_NORMAL with 24 bits.
  const double = new Float64Array(1);
  const halves = new Uint32Array(double.buffer); // The lower half first, as on every machine that runs a browser.
  const single = new Float32Array(1);
  const word = new Uint32Array(single.buffer);

  const isSmall = (x, limit) => x < limit && x > -limit;
  const operand = (x) => (isSmall(x, MIN_NORMAL) ? x * 0 : x);
  const rounded = (x) => (isSmall(x, MIN_ROUNDED) ? x * 0 : Math.fround(x));

  const add = (a, b) => rounded(operand(a) + operand(b));
  const subtract = (a, b) => rounded(operand(a) - operand(b));
  const multiply = (a, b) => rounded(operand(a) * operand(b));
  const divide = (a, b) => rounded(operand(a) / operand(b));
  const sqrt = (x) => rounded(Math.sqrt(operand(x)));

  /** Return a + b in float64; if that is not exact, the one of the two adjacent numbers whose last bit is set. */
  function sumToOdd(a, b) {
    const total = a + b;
    const share = total - a;
    const error = (a - (total - share)) + (b - share); // two_sum (Knuth)
    if (error === 0 || !Number.isFinite(total)) return total;
    double[0] = total;
    if (halves[0] & 1) return total;
    if (error > 0 === total > 0) {
      halves[0] |= 1;
    } else if (halves[0] === 0) {
      halves[0] = 0xffffffff;
      halves[1] -= 1;
    } else {
      halves[0] -= 1;
    }
    return double[0];
  }

  /** Return a · b + c, rounded once. */
  const fma = (a, b, c) => rounded(sumToOdd(operand(a) * operand(b), operand(c)));

  /** Return x to a power, by repeated squaring and square roots; NaN for exponents that need a logarithm. */
  function power(x, exponent) {
    const size = Math.abs(exponent);
    let result = 1;
    if (Number.isInteger(size)) {
      for (let factor = x, left = size; left; left = left >> 1) {
        if (left & 1) result = multiply(result, factor);
        factor = multiply(factor, factor);
      }
    } else if (size === 0.5 || size === 0.75) {
      result = sqrt(x);
      if (size === 0.75) result = multiply(result, sqrt(result));
    } else {
      return NaN;
    }
    return exponent < 0 ? divide(1, result) : result;
  }

  /** Functions of single values, by the name of the graph's operation. */
  const functions = {
    add, subtract, multiply, divide, sqrt,
    maximum: (a, b) => (a > b ? a : b),
    minimum: (a, b) => (a < b ? a : b),
    greater: (a, b) => (a > b ? 1 : 0),
    equal: (a, b) => (a === b ? 1 : 0),
    where: (condition, a, b) => (condition === 0 ? b : a),
    negate: (x) => -x,
    absolute: Math.abs,
    sign: (x) => (x > 0 ? 1 : 0) - (x < 0 ? 1 : 0),
    relu: (x) => (x < 0 ? 0 : x),
    relu6: (x) => (x > 6 ? 6 : x < 0 ? 0 : x),
  };

  /** Add lanes in pairs until one is left: neighbours, or the first half and the second half. */
  function folded(lanes, fold) {
    let sums = lanes;
    while (sums.length > 1) {
      const half = sums.length / 2;
      sums = Array.from({ length: half }, (_, i) =>
        fold === 'neighbours' ? add(sums[2 * i], sums[2 * i + 1]) : add(sums[i], sums[half + i]));
    }
    return sums[0];
  }

  /**
   * Add left[t] · right[t], or left[t] if `right` is null, in the order of a kernel (`kernels.summation`); `weights` are those of its segments.
   * Returns {result, partial, lanes, lane}: `partial[t]` is the partial sum after term t, which belongs to `lane[t]`.
   */
  function addTerms(left, right, order, weights = null) {
    const count = left.length;
    const partial = new Float32Array(count);
    const lane = new Uint8Array(count);
    const next = right === null ? (sum, t) => add(sum, left[t])
      : order.fused ? (sum, t) => fma(left[t], right[t], sum)
        : (sum, t) => add(multiply(left[t], right[t]), sum);
    if (order.lanes > 1) {
      const lanes = new Array(order.lanes + 1).fill(0);
      const row = order.row || count;
      const end = row - (row % order.lanes);
      for (let t = 0; t < count; t++) {
        const at = t % row;
        const number = at < end ? at % order.lanes : order.lanes;
        lane[t] = number;
        partial[t] = lanes[number] = next(lanes[number], t);
      }
      const result = folded(lanes.slice(0, -1), order.fold);
      if (row % order.lanes || right === null) return { result: add(result, lanes[order.lanes]), partial, lanes, lane };
      return { result, partial, lanes: lanes.slice(0, -1), lane };
    }
    const segment = order.segment || count;
    let result = 0;
    for (let first = 0; first < count; first += segment) {
      const last = Math.min(count, first + segment);
      let sum = 0;
      let t = first;
      for (; order.unroll > 1 && t + order.unroll <= last; t += order.unroll) {
        let group = left[t];
        partial[t] = group;
        for (let i = 1; i < order.unroll; i++) partial[t + i] = group = add(group, left[t + i]);
        partial[t + order.unroll - 1] = sum = add(sum, group);
      }
      for (; t < last; t++) partial[t] = sum = next(sum, t);
      if (weights === null) result = add(result, sum);
      else result = order.fused ? fma(sum, weights[first / segment], result) : add(multiply(sum, weights[first / segment]), result);
    }
    return { result, partial, lanes: [result], lane };
  }

  /** Return the 32 bits of a float32 as a whole number. */
  function bits(x) {
    single[0] = x;
    return word[0];
  }

  /** Whether two float32 are bit-identical; a NaN equals every other. */
  const isSame = (a, b) => bits(a) === bits(b) || (Number.isNaN(a) && Number.isNaN(b));

  return { add, subtract, multiply, divide, sqrt, fma, power, functions, addTerms, bits, isSame };
})();

if (typeof module === 'object') module.exports = arithmetic;
