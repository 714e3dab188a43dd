"""Clusters of pointwise nodes as expressions, in kernels of their own or as epilogues."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.simplify import constant_value
from opsin.compiler.views import Buffer, View, channels_last, dense_strides, row_major
from opsin.ir import INT, Node, Tensor
from opsin.kernels.expression import Expression, Step
from opsin.kernels.tile import Epilogue

FIRST = -1
"""The number of the first operand in a `Draft`."""


@dataclass
class Draft:
    """An expression being written: operands as views of the cluster's shape, steps, and what each tensor's number is.

    While it is being written steps are numbered from 0, operands from -1 downwards; `finish` puts operands first.
    """

    shape: tuple[int, ...]
    operands: list[View] = field(default_factory=list)
    steps: list[tuple[str, list[int], Any]] = field(default_factory=list)
    """Function, arguments and attribute of each."""
    number: dict[Any, int] = field(default_factory=dict)

    def operand(self, key: Any, view: View) -> int:
        if key not in self.number:
            self.operands.append(view)
            self.number[key] = -len(self.operands)
        return self.number[key]

    def step(self, function: str, arguments: list[int], attribute: Any = None) -> int:
        self.steps.append((function, arguments, attribute))
        return len(self.steps) - 1

    def place(self, key: str, strides: tuple[int, ...]) -> int:
        return self.operand((key, strides), View(Buffer(0, "place", "place"), self.shape, strides))

    def constant(self, value: float | int, is_int: bool) -> int:
        key = ("constant", value, is_int)
        if key not in self.number:
            if not self.operands:
                self.place("any", (0,) * len(self.shape))
            self.number[key] = self.step("whole" if is_int else "constant", [FIRST], value)
        return self.number[key]

    def finish(self, results: list[int]) -> Expression:
        count = len(self.operands)

        def final(numbers: list[int]) -> tuple[int, ...]:
            return tuple([count + number if number >= 0 else FIRST - number for number in numbers])

        steps = [Step(function, final(arguments), attribute) for function, arguments, attribute in self.steps]
        return Expression(count, tuple(steps), final(results))


def draft(lower: Lowering, cluster: FusionGroup) -> Draft:
    """The expression of `cluster`; operand 0 is the anchor's sum where there is one."""
    shape = cluster.shape
    made = Draft(shape)  # type: ignore[arg-type]
    if cluster.anchor is not None:
        made.operand(cluster.anchor.output, View(Buffer(0, "sum", "sum"), made.shape, (0,) * len(shape)))
    elif cluster.sums:  # constants take their lanes from an operand that lies in memory
        inside = set(cluster.nodes)
        outer = (t for node in (*cluster.nodes, *cluster.sums) for t in node.inputs if t.node not in inside)
        _operand(lower, made, next(t for t in outer if constant_value(t) is None))
    for node in cluster.nodes:
        made.number[node.output] = _node(lower, made, node)
    return made


def _node(lower: Lowering, made: Draft, node: Node) -> int:
    name, attrs = node.op.name, node.attrs
    if name == "one_hot":
        view = lower.view(node.inputs[0])
        labels = View(view.buffer, made.shape, (*view.strides, 0), view.offset)
        last = tuple(0 for _ in view.shape) + (1,)
        return made.step("same_index", [made.operand((node, "labels"), labels), made.place("class", last)])
    if name == "bernoulli":
        seed, step = (_operand(lower, made, t) for t in node.inputs)
        key = made.step("random_key", [seed, step], attrs["site"])
        place = made.place("index", dense_strides(made.shape, row_major(len(made.shape))))
        return made.step("bernoulli", [key, place], round(attrs["keep"] * 2**24))
    inputs = node.inputs
    if name in ("maximum", "minimum") and constant_value(inputs[0]) is not None:
        inputs = inputs[::-1]  # of a constant that comes second it is known that it is no NaN
    return made.step(name, [_operand(lower, made, t) for t in inputs], attrs.get("exponent"))


def _operand(lower: Lowering, made: Draft, tensor: Tensor) -> int:
    if tensor in made.number:
        return made.number[tensor]
    value = constant_value(tensor)
    if value is not None:
        return made.constant(value, tensor.dtype == INT)
    return made.operand(tensor, lower.view(tensor).broadcast(made.shape))


def lower_pointwise(lower: Lowering, cluster: FusionGroup, kept: list[Tensor], places: dict[Tensor, View]) -> None:
    """A kernel for `cluster`; `kept` are the tensors to store, `places` where some of them must go."""
    made = draft(lower, cluster)
    expression = made.finish([made.number[t] for t in kept])
    order = _order(made, [places[t] for t in kept if t in places])
    results = []
    for tensor in kept:
        element = "i32" if tensor.dtype == INT else "f32"
        results.append(places.get(tensor) or lower.new(made.shape, order, element))
        lower.bind(tensor, results[-1])
    lower.pointwise(expression, made.operands, results)


def _order(made: Draft, fixed: list[View]) -> tuple[int, ...]:
    """The results' order in memory: that of what is given, else of the first operand of full size."""
    full = (view for view in made.operands if view.buffer.element != "place" and not view.is_stretched)
    for view in chain(fixed, full):
        order = view.order
        if view.is_dense(order):
            return order
    return channels_last(len(made.shape))


def draft_epilogue(lower: Lowering, cluster: FusionGroup) -> Draft:
    """The expression of what follows the anchor of `cluster`: nothing but its sum where nothing follows."""
    if cluster.nodes:
        return draft(lower, cluster)
    assert cluster.anchor is not None
    output = cluster.anchor.output
    made = Draft(output.shape)  # type: ignore[arg-type]
    made.operand(output, View(Buffer(0, "sum", "sum"), made.shape, (0,) * len(made.shape)))
    return made


def stream_kind(view: View, channel: int) -> str:
    """How an operand goes along with an array: `scalar`, `channel` (a value for each index of that axis), `same`."""
    used = {d for d, (n, s) in enumerate(zip(view.shape, view.strides, strict=True)) if n > 1 and s != 0}
    if not used:
        return "scalar"
    return "channel" if used == {channel} and view.strides[channel] == 1 else "same"


def bind_epilogue(
    lower: Lowering, made: Draft, kept: list[Tensor], places: dict[Tensor, View], order: tuple[int, ...], channel: int
) -> BoundTail:
    """`made` for a kernel whose output lies in `order`, with dimension `channel` as its columns."""
    kinds, views = [], []
    for view in made.operands[1:]:
        kind = stream_kind(view, channel)
        kinds.append(kind)
        views.append(lower.dense(view, order) if kind == "same" else view)
    results = []
    for tensor in kept:
        place = places.get(tensor)
        results.append(place if place is not None and place.is_dense(order) else lower.new(made.shape, order))
        lower.bind(tensor, results[-1])
    expression = made.finish([made.number[t] for t in kept])
    own = [view for view, kind in zip(views, kinds, strict=True) if kind == "same"]
    shared = [view for view, kind in zip(views, kinds, strict=True) if kind != "same"]
    return BoundTail(Epilogue(expression, tuple(kinds)), views, results, own, shared)


@dataclass
class BoundTail:
    """An epilogue with its arguments: operand views, result views, and which operands go image by image."""

    epilogue: Epilogue
    operands: list[View]
    results: list[View]
    own: list[View]
    shared: list[View]

    @property
    def arguments(self) -> list[View]:
        return [*self.operands, *self.results]
