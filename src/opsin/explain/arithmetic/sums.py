"""Sums in the order of a kernel (`kernels.summation`), with every partial sum."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from opsin.explain.arithmetic.float32 import Floats, add, multiply_add
from opsin.kernels.summation import NEIGHBOURS, Summation


@dataclass
class Total:
    """A sum: `partial[t]` is the partial sum after term t was added, and `lanes` are the last ones, before they are
    added to the result. All arrays have the shape of the result behind their first axis."""

    result: Floats
    partial: list[Floats] = field(default_factory=list)
    lanes: list[Floats] = field(default_factory=list)


def add_terms(
    left: Floats, right: Floats | None, order: Summation, fused: bool, weights: Floats | None = None
) -> Total:
    """Return Σ left · right over axis 0, or Σ left if `right` is None, in the given order.

    `weights` are those of the segments, if there are any: segments × the shape of the result.
    """
    if order.lanes > 1:
        return _in_lanes(left, right, order, fused)
    if order.segment is None and order.unroll == 1:
        return _chain(left, right, fused)
    segments = range(0, len(left), order.segment or max(1, len(left)))
    result, partial = np.zeros(left.shape[1:], np.float32), []
    for number, first in enumerate(segments):
        part = slice(first, first + (order.segment or len(left)))
        total = (
            _unrolled(left[part], order.unroll) if order.unroll > 1 else _chain(left[part], _part(right, part), fused)
        )
        result = (
            add(result, total.result) if weights is None else multiply_add(total.result, weights[number], result, fused)
        )
        partial += total.partial
    return Total(result, partial, [result])


def _part(terms: Floats | None, part: slice) -> Floats | None:
    return None if terms is None else terms[part]


def _chain(left: Floats, right: Floats | None, fused: bool) -> Total:
    """Add one term after the other, from zero."""
    result: Floats = np.zeros(left.shape[1:], np.float32)
    partial = []
    for number, term in enumerate(left):
        result = add(result, term) if right is None else multiply_add(term, right[number], result, fused)
        partial.append(result)
    return Total(result, partial, [result])


def _unrolled(terms: Floats, unroll: int) -> Total:
    """Add `unroll` terms to each other before they are added to the sum."""
    result: Floats = np.zeros(terms.shape[1:], np.float32)
    partial = []
    main_end = len(terms) // unroll * unroll
    groups = [terms[first : first + unroll] for first in range(0, main_end, unroll)]
    for group in [*groups, *(terms[number : number + 1] for number in range(main_end, len(terms)))]:
        total = group[0]
        partial.append(total)
        for term in group[1:]:
            total = add(total, term)
            partial.append(total)
        result = add(result, total)
        partial[-1] = result
    return Total(result, partial, [result])


def _in_lanes(left: Floats, right: Floats | None, order: Summation, fused: bool) -> Total:
    """Deal the terms to lanes in turn; a further sum takes those that do not fill them."""
    lanes: list[Floats] = [np.zeros(left.shape[1:], np.float32) for _ in range(order.lanes + 1)]
    row = order.row or len(left)
    partial = []
    for number, term in enumerate(left):
        at = number % row
        lane = at % order.lanes if at < row // order.lanes * order.lanes else order.lanes
        before = lanes[lane]
        lanes[lane] = add(before, term) if right is None else multiply_add(term, right[number], before, fused)
        partial.append(lanes[lane])
    result = _folded(lanes[:-1], order.fold)
    if row % order.lanes or right is None:
        return Total(add(result, lanes[-1]), partial, lanes)
    return Total(result, partial, lanes[:-1])


def _folded(lanes: list[Floats], fold: str) -> Floats:
    while len(lanes) > 1:
        half = len(lanes) // 2
        pairs = (
            zip(lanes[::2], lanes[1::2], strict=True)
            if fold == NEIGHBOURS
            else zip(lanes[:half], lanes[half:], strict=True)
        )
        lanes = [add(a, b) for a, b in pairs]
    return lanes[0]
