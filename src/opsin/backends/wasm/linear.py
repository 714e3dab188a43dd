"""Whole numbers for indices and addresses as sums of products with constants.

Sums in this form are added from the outermost block inwards, so that most of an address is computed before the
innermost loop, and its constant part becomes the offset of the access, which costs nothing. All arithmetic is modulo
2^32, so that the order does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from opsin.backends.wasm.encoding import I32
from opsin.backends.wasm.nodes import Blocks, Node

MAX_PRODUCT_TERMS = 4
"""Products of sums with more terms are not multiplied out."""


@dataclass(frozen=True)
class Linear:
    """`constant` plus the sum of factor · node over `terms`."""

    constant: int
    terms: Mapping[Node, int] = field(default_factory=dict)

    @classmethod
    def of(cls, node: Node) -> Linear:
        return cls(node.data) if node.is_constant else cls(0, {node: 1})

    def __add__(self, other: Linear) -> Linear:
        terms = dict(self.terms)
        for node, factor in other.terms.items():
            terms[node] = terms.get(node, 0) + factor
        return Linear(self.constant + other.constant, {node: factor for node, factor in terms.items() if factor})

    def __sub__(self, other: Linear) -> Linear:
        return self + other.scaled(-1)

    def scaled(self, factor: int) -> Linear:
        return Linear(self.constant * factor, {node: f * factor for node, f in self.terms.items()} if factor else {})


def constant(blocks: Blocks, value: int) -> Node:
    """Return a whole number of 32 bits."""
    return blocks.pure("const", I32, (), (value + 2**31) % 2**32 - 2**31)


def times(blocks: Blocks, a: Linear, b: Linear) -> Linear:
    """Return the product of two numbers, multiplied out if both are short sums."""
    if not a.terms or not b.terms:
        return a.scaled(b.constant) if not b.terms else b.scaled(a.constant)
    if len(a.terms) * len(b.terms) > MAX_PRODUCT_TERMS:
        return Linear.of(_multiply(blocks, value(blocks, a), value(blocks, b)))
    total = Linear(0, a.terms).scaled(b.constant) + b.scaled(a.constant)
    for left, factor in a.terms.items():
        for right, other in b.terms.items():
            total = total + Linear(0, {_multiply(blocks, left, right): factor * other})
    return total


def _multiply(blocks: Blocks, left: Node, right: Node) -> Node:
    first, second = sorted((left, right), key=lambda node: node.number)
    return blocks.pure("i32.mul", I32, (first, second))


def value(blocks: Blocks, number: Linear) -> Node:
    """Return the node that computes `number`: the terms of each block among themselves, then outer with inner ones."""
    by_depth: dict[int, list[tuple[Node, int]]] = {}
    for node, factor in sorted(number.terms.items(), key=lambda term: term[0].number):
        by_depth.setdefault(node.depth, []).append((node, factor))
    total = None
    if number.constant or not by_depth:
        total = constant(blocks, number.constant)
    for depth in sorted(by_depth):
        part = None
        for node, factor in by_depth[depth]:
            part = _plus(blocks, part, node, factor)
        total = part if total is None or part is None else blocks.pure("i32.add", I32, (part, total))
    assert total is not None
    return total


def _plus(blocks: Blocks, total: Node | None, node: Node, factor: int) -> Node:
    size = abs(factor)
    if size & (size - 1) == 0:
        term = node if size == 1 else blocks.pure("i32.shl", I32, (node, constant(blocks, size.bit_length() - 1)))
    else:
        term = blocks.pure("i32.mul", I32, (node, constant(blocks, size)))
    if total is None:
        return term if factor > 0 else blocks.pure("i32.sub", I32, (constant(blocks, 0), term))
    return blocks.pure("i32.add" if factor > 0 else "i32.sub", I32, (total, term))
