"""One element of a gradient, worked out: the gradients that reach it, each with the factor that it is multiplied by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import ops
from opsin.explain.backpropagation.backward import Backward, Pass
from opsin.explain.stages import Step
from opsin.ir import VARIABLE, Node, Tensor, apply, bind, input_tensor
from opsin.ops.pool_avg import divisor
from opsin.ops.sliding import Sliding, pool_window
from opsin.viz import captions

Place = tuple[int, ...]


@dataclass(frozen=True)
class Share:
    """The gradient δ of the element `place` of a step's output, times `factor`."""

    place: Place
    factor: float
    delta: float

    @property
    def product(self) -> float:
        return self.factor * self.delta


@dataclass(frozen=True)
class Example:
    """The element `place` of a step's first source, without the axis of images, and what reaches it.

    `gradient` is the engine's number. It is the sum of the `shares`, and of what `others` bring: further steps that
    read the same map.
    """

    place: Place
    value: float
    gradient: float
    shares: tuple[Share, ...]

    @property
    def total(self) -> float:
        """The sum of all shares, in float64."""
        return float(sum(share.product for share in self.shares))

    @property
    def others(self) -> float:
        """What comes back through other steps that read the same map."""
        return self.gradient - self.total


def worked_example(backward: Backward, values: Pass, step: Step, sources: Sequence[Tensor]) -> Example | None:
    """Return the element of the first source with the largest gradient, worked out; None if the step is not known."""
    if not sources or sources[0] not in values.gradients or step.output not in values.gradients:
        return None
    source = sources[0]
    gradient, delta = values.gradients[source][0], values.gradients[step.output][0]
    place = tuple(int(i) for i in np.unravel_index(np.abs(gradient).argmax(), gradient.shape))
    parts = _factors(backward, values, step, source, place)
    if parts is None:
        return None
    shares = tuple(
        Share(at, float(factor), float(delta[at])) for at, factor in parts if factor and len(at) == delta.ndim
    )
    return Example(place, float(values.values[source][0][place]), float(gradient[place]), shares)


def _factors(
    backward: Backward, values: Pass, step: Step, source: Tensor, place: Place
) -> Iterator[tuple[Place, float]] | None:
    """Return the places of the output that depend on an element of the input, with the slope of each."""
    x = values.values[source][0]
    node = next((n for n in step.nodes if n.op.name in CALCULATIONS), None)
    if node is not None and node.inputs[0] is source:
        weights = [t for t in node.inputs[1:] if t.node.op is VARIABLE]
        arrays = [backward.model.state[t.node.attrs["name"]] for t in weights]
        if len(arrays) == len(node.inputs) - 1:
            return CALCULATIONS[node.op.name](node, x, place, *arrays)
        return None
    if step.kind in (captions.ADD, captions.REARRANGE):
        return _moved(step, values, source, place)
    if step.kind in (captions.FUNCTION, captions.AVERAGE_POOL):
        return _slope(backward, values, step, source, place)
    return None


def _conv(node: Node, x: NDArray[Any], place: Place, w: NDArray[Any]) -> Iterator[tuple[Place, float]]:
    attrs = node.attrs
    filters, depth = len(w) // attrs["groups"], w.shape[1]
    group, channel = divmod(place[0], depth)
    slide = Sliding(x.shape[1:], w.shape[2:], attrs["stride"], attrs["padding"], attrs["dilation"])
    for tap, (row, column) in _readers(slide, place):
        for k in range(group * filters, (group + 1) * filters):
            yield (k, row, column), w[k, channel, *tap]


def _linear(node: Node, x: NDArray[Any], place: Place, w: NDArray[Any]) -> Iterator[tuple[Place, float]]:
    row = w[:, place[0]] if node.attrs["transpose_b"] else w[place[0]]
    yield from (((k,), value) for k, value in enumerate(row))


def _max_pool(node: Node, x: NDArray[Any], place: Place) -> Iterator[tuple[Place, float]]:
    slide = pool_window(node, x.shape[1:])
    winners = slide.winners(x[place[0]])
    for (i, j), (row, column) in _readers(slide, place):
        if winners[row, column] == i * slide.kernel[1] + j:
            yield (place[0], row, column), 1.0


def _avg_pool(node: Node, x: NDArray[Any], place: Place) -> Iterator[tuple[Place, float]]:
    slide = pool_window(node, x.shape[1:])
    sizes = divisor(slide, node.attrs["count_include_pad"])
    for _, (row, column) in _readers(slide, place):
        yield (place[0], row, column), 1 / sizes[row, column]


CALCULATIONS: dict[str, Callable[..., Iterator[tuple[Place, float]]]] = {
    "conv2d": _conv,
    "matmul": _linear,
    "max_pool2d": _max_pool,
    "avg_pool2d": _avg_pool,
}
"""How the outputs of an operation depend on one element of its first input."""


def _readers(slide: Sliding, place: Place) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield (tap, place of the output) for each window that covers an element (channel, row, column)."""
    for tap in product(range(slide.kernel[0]), range(slide.kernel[1])):
        starts = [place[1 + a] + slide.padding[a][0] - tap[a] * slide.dilation[a] for a in (0, 1)]
        at = [divmod(start, stride) for start, stride in zip(starts, slide.stride, strict=True)]
        if all(not rest and 0 <= number < slide.out[a] for a, (number, rest) in enumerate(at)):
            yield tap, (at[0][0], at[1][0])


def _moved(step: Step, values: Pass, source: Tensor, place: Place) -> Iterator[tuple[Place, float]] | None:
    """Return the place to which an element was copied."""
    before, after = values.values[source][0].shape, values.values[step.output][0].shape
    if before == after:
        return iter([(place, 1.0)])
    if len(step.nodes) == 1 and step.nodes[0].op.name == "reshape":
        number = np.ravel_multi_index(place, before)
        return iter([(tuple(int(i) for i in np.unravel_index(number, after)), 1.0)])
    return None


def _slope(
    backward: Backward, values: Pass, step: Step, source: Tensor, place: Place
) -> Iterator[tuple[Place, float]] | None:
    """Return the slope of a function of single numbers, or of a mean over each channel."""
    before, after = values.values[source][0].shape, values.values[step.output][0].shape
    at = place if before == after else (place[0], *[0] * (len(after) - 1))
    if before != after and int(np.prod(after)) != before[0]:
        return None
    copies = _alone(step, source)
    (slope,) = ops.gradients(ops.sum(copies[step.output]), [copies[source]])
    if slope is None:
        return None
    known = {copies[t]: values.values[t] for t in (source, step.output)}
    return iter([(at, float(_evaluate(slope, known, backward)[0][place]))])


def _alone(step: Step, source: Tensor) -> dict[Tensor, Tensor]:
    """Return copies of the tensors of a step that begin at `source`: differentiating them does not visit the network
    before it."""
    copies = {source: input_tensor("source", source.shape)}
    for node in step.nodes:
        copy = apply(node.op, [copies.get(t, t) for t in node.inputs], node.attrs, node.scope)
        copies |= dict(zip(node.outputs, copy.outputs, strict=True))
    return copies


def _evaluate(tensor: Tensor, known: dict[Tensor, NDArray[Any]], backward: Backward) -> NDArray[Any]:
    """Return the value of a tensor that depends on `known` ones and on variables, for one image."""
    if tensor not in known:
        node = tensor.node
        if node.op is VARIABLE:
            known[tensor] = backward.model.state[node.attrs["name"]]
        else:
            operands = [_evaluate(t, known, backward) for t in node.inputs]
            known[tensor] = np.asarray(node.op.evaluate(*operands, **bind(node.attrs, 1)), np.float32)
    return known[tensor]
