"""Fusion groups of pointwise nodes as expressions, in separate kernels or as epilogues."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from opsin.compiler.calls import KernelCall
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower.context import Lowering
from opsin.compiler.simplify import constant_value
from opsin.compiler.views import Buffer, Destinations, View, channels_last, dense_strides, row_major
from opsin.ir import FLOAT, Node, Tensor
from opsin.kernels.expression import Expression, Step
from opsin.kernels.tile import Epilogue

ATTRIBUTES = {
    "add_int8": ("a_factor", "b_factor", "bias", "shift", "low", "high"),
    "multiply_int8": ("a_zero", "b_zero", "bias", "multiplier", "zero", "low", "high"),
    "rescale": ("zero", "low", "high"), "quantize": ("scale", "zero"), "dequantize": ("scale", "zero"),
}  # fmt: skip
"""The attributes of operations in the order in which the functions of `kernels.expression` take them."""
FIRST_OPERAND = -1
"""The number of the first operand in a `Draft`."""


@dataclass
class Draft:
    """An expression under construction: its operands, broadcast to `shape`, its steps, and the number of each tensor.

    Until `finish`, steps are numbered from 0 upwards and operands from -1 downwards; a finished `Expression` numbers
    the operands first.
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

    def index(self, key: str, strides: tuple[int, ...]) -> int:
        """Return the number of an operand: the index of its element under `strides`."""
        return self.operand((key, strides), View(Buffer(0, "place", "place"), self.shape, strides))

    def constant(self, value: float | int, is_int: bool) -> int:
        key = ("constant", value, is_int)
        if key not in self.number:
            if not self.operands:
                self.index("any", (0,) * len(self.shape))
            self.number[key] = self.step("whole" if is_int else "constant", [FIRST_OPERAND], value)
        return self.number[key]

    def finish(self, results: list[int]) -> Expression:
        count = len(self.operands)

        def final(numbers: list[int]) -> tuple[int, ...]:
            return tuple([count + number if number >= 0 else FIRST_OPERAND - number for number in numbers])

        steps = [Step(function, final(arguments), attribute) for function, arguments, attribute in self.steps]
        return Expression(count, tuple(steps), final(results))


def draft(lowering: Lowering, group: FusionGroup) -> Draft:
    """Return the expression of `group`; operand 0 is the sum of its anchor if there is one."""
    shape = group.shape
    expression = Draft(shape)  # type: ignore[arg-type]
    if group.anchor is not None:
        _bind_sum(lowering, expression, group.anchor)
    elif group.sums:  # Constants take their number of lanes from an operand in memory.
        group_nodes = set(group.nodes)
        outer = (t for node in (*group.nodes, *group.sums) for t in node.inputs if t.node not in group_nodes)
        _operand(lowering, expression, next(t for t in outer if constant_value(t) is None))
    for node in group.nodes:
        expression.number[node.output] = _node(lowering, expression, node)
    return expression


def _bind_sum(lowering: Lowering, expression: Draft, anchor: Node) -> None:
    """Make the sum of `anchor` operand 0, followed by the arithmetic that is a part of the operation."""
    view = _sum_view(expression.shape)
    if anchor not in lowering.biases:
        expression.operand(anchor.output, view)
        return
    values = [lowering.biases[anchor], *(lowering.view(tensor) for tensor in anchor.inputs[3:])]
    numbers = [expression.operand((anchor, "sum"), view)]
    for name, value in zip(("bias", "multiplier"), values, strict=False):
        by_channel = View(value.buffer, (value.size, 1, 1), (*value.strides, 0, 0), value.offset)
        numbers.append(expression.operand((anchor, name), by_channel.broadcast(expression.shape)))
    is_scaled = anchor.op.name == "conv2d_int8"
    attribute = tuple(anchor.attrs[key] for key in ("zero", "low", "high")) if is_scaled else None
    expression.number[anchor.output] = expression.step("requantize" if is_scaled else "add", numbers, attribute)


def _sum_view(shape: tuple[int, ...]) -> View:
    """Return what stands for the anchor's sum, which is in registers."""
    return View(Buffer(0, "sum", "sum"), shape, (0,) * len(shape))


def _node(lowering: Lowering, expression: Draft, node: Node) -> int:
    name, attrs = node.op.name, node.attrs
    if name == "one_hot":
        view = lowering.view(node.inputs[0])
        labels = View(view.buffer, expression.shape, (*view.strides, 0), view.offset)
        last = tuple(0 for _ in view.shape) + (1,)
        numbers = [expression.operand((node, "labels"), labels), expression.index("class", last)]
        return expression.step("same_index", numbers)
    if name == "bernoulli":
        seed, step = (_operand(lowering, expression, t) for t in node.inputs)
        key = expression.step("random_key", [seed, step], attrs["site"])
        index = expression.index("index", dense_strides(expression.shape, row_major(len(expression.shape))))
        return expression.step("bernoulli", [key, index], round(attrs["keep"] * 2**24))
    inputs = node.inputs
    if name in ("maximum", "minimum") and constant_value(inputs[0]) is not None:
        inputs = inputs[::-1]  # A constant as the second operand is known not to be NaN.
    attribute = tuple(attrs[key] for key in ATTRIBUTES[name]) if name in ATTRIBUTES else attrs.get("exponent")
    return expression.step(name, [_operand(lowering, expression, t) for t in inputs], attribute)


def _operand(lowering: Lowering, expression: Draft, tensor: Tensor) -> int:
    if tensor in expression.number:
        return expression.number[tensor]
    value = constant_value(tensor)
    if value is not None:
        return expression.constant(value, tensor.dtype != FLOAT)
    return expression.operand(tensor, lowering.view(tensor).broadcast(expression.shape))


def lower_pointwise(
    lowering: Lowering, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the call that computes `group` and stores the tensors `outputs`, at `destinations` if they have one."""
    expression = draft(lowering, group)
    order = _order(expression, [destinations[t] for t in outputs if t in destinations])
    results = []
    for tensor in outputs:
        results.append(destinations.get(tensor) or lowering.result(tensor, order))
        lowering.bind(tensor, results[-1])
    final_expression = expression.finish([expression.number[t] for t in outputs])
    return [lowering.pointwise(final_expression, expression.operands, results)]


def _order(expression: Draft, fixed_views: list[View]) -> tuple[int, ...]:
    """Return the results' order in memory: that of a `fixed_views` view, or else of the first operand of full size."""
    full_views = (view for view in expression.operands if view.buffer.element != "place" and not view.is_broadcast)
    for view in chain(fixed_views, full_views):
        order = view.order
        if view.is_dense(order):
            return order
    return channels_last(len(expression.shape))


def draft_epilogue(lowering: Lowering, group: FusionGroup) -> Draft:
    """Return the expression that follows the anchor of `group`: nothing but its sum if no node follows."""
    if group.nodes:
        return draft(lowering, group)
    assert group.anchor is not None
    expression = Draft(group.anchor.output.shape)  # type: ignore[arg-type]
    _bind_sum(lowering, expression, group.anchor)
    return expression


def stream_kind(view: View, channel: int) -> str:
    """Return how an operand varies: `scalar`, `channel` (one value for each index of that axis) or `same`."""
    varying_axes = {d for d, (n, s) in enumerate(zip(view.shape, view.strides, strict=True)) if n > 1 and s != 0}
    if not varying_axes:
        return "scalar"
    return "channel" if varying_axes == {channel} and view.strides[channel] == 1 else "same"


@dataclass
class LoweredEpilogue:
    """An epilogue with its arguments, and the calls that copy operands into the order of the results."""

    epilogue: Epilogue
    operands: list[View]
    results: list[View]
    per_sample: list[View]
    """The operands that are arrays like the results."""
    shared: list[View]
    """The others."""
    copies: list[KernelCall]

    @property
    def arguments(self) -> list[View]:
        return [*self.operands, *self.results]


def bind_epilogue(
    lowering: Lowering,
    expression: Draft,
    outputs: list[Tensor],
    destinations: Destinations,
    order: tuple[int, ...],
    channel: int,
) -> LoweredEpilogue:
    """Bind `expression` for a kernel that writes dense results in `order`, with dimension `channel` as their
    columns."""
    kinds, views, copies = [], [], []
    for view in expression.operands[1:]:
        kind = stream_kind(view, channel)
        kinds.append(kind)
        dense, calls = lowering.dense(view, order) if kind == "same" else (view, [])
        views.append(dense)
        copies += calls
    results: list[View] = []
    for tensor in outputs:
        destination = destinations.get(tensor)
        if destination is None or not destination.is_dense(order):
            destination = lowering.result(tensor, order)
        results.append(destination)
        lowering.bind(tensor, results[-1])
    final_expression = expression.finish([expression.number[t] for t in outputs])
    return LoweredEpilogue(
        Epilogue(final_expression, tuple(kinds)),
        operands=views,
        results=results,
        per_sample=[view for view, kind in zip(views, kinds, strict=True) if kind == "same"],
        shared=[view for view, kind in zip(views, kinds, strict=True) if kind != "same"],
        copies=copies,
    )
