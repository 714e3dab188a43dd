"""A step of a network as the page reads it: its operations, and the parts of tensors that these compute with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from opsin.compiler.simplify import constant_value
from opsin.explain.arithmetic.evaluate import CARRIED, MAXIMA, SUMS, WEIGHTED
from opsin.explain.arithmetic.orders import Order
from opsin.explain.arithmetic.words import POINTWISE_WORDS, order_words, step_words
from opsin.explain.observer import Floats
from opsin.explain.stages import Step
from opsin.inspection.page.arrays import FLOAT_BYTES, Arrays
from opsin.inspection.views.convolution.regions import Region, is_map, read_regions, sides
from opsin.ir import Node, Tensor, bind
from opsin.kernels.resample import nonzero_runs
from opsin.kernels.summation import CHANNEL, COLUMN, ROW, Summation
from opsin.ops import axis_weights

GEOMETRY = ("stride", "dilation", "padding", "groups", "window", "count_include_pad", "starts", "low", "exponent")
"""Attributes of operations that the page needs."""


@dataclass(frozen=True, eq=False)
class StepParts:
    """A step, the values of the tensors that it reads, computes from or gives (N × …), and its parameters.

    `outputs` are the regions of its output that the page shows, one for each image, of the same size.
    """

    step: Step
    values: Mapping[Tensor, Floats]
    parameters: Mapping[Tensor, Floats]
    orders: Mapping[Tensor, Order | None]
    outputs: tuple[Region, ...]

    def regions(self) -> list[dict[Tensor, Region]] | None:
        """Return the regions of all tensors for each image; None if the page cannot compute the step."""
        regions = [read_regions(self.step.nodes, output) for output in self.outputs]
        return None if any(each is None for each in regions) else regions  # type: ignore[return-value]

    def stored(self) -> list[Tensor]:
        """Return the maps that the page needs: operands from outside, functions that it cannot compute, the output."""
        nodes = self.step.nodes
        results = {node.output for node in nodes}
        read = [t for node in nodes for t in node.inputs if is_map(t) and t not in results]
        carried = [node.output for node in nodes if node.op.name in CARRIED or _needs_logarithm(node)]
        return list(dict.fromkeys([*read, *carried, nodes[-1].output]))

    def size(self) -> int | None:
        """Return the bytes that the step takes; None if the page cannot compute it."""
        regions = self.regions()
        if regions is None or any(t not in self.values for t in self.stored()):
            return None
        numbers = sum(_united(regions, t)[0].count for t in self.stored()) * len(self.outputs)
        for node in self.step.nodes:
            if node.op.name in WEIGHTED:
                filters = len(_united(regions, node.output)[0].channels)
                numbers += filters * (self.parameters[node.inputs[1]].size // _filters(node))
            if node.op.name == "resample2d":
                numbers += sum(weights.size + starts.size for starts, weights in _tables(node))
        return FLOAT_BYTES * numbers

    def to_data(self, arrays: Arrays) -> dict[str, Any]:
        """Return the step as JSON; its numbers are in `arrays`."""
        regions = self.regions()
        assert regions is not None
        maps = self.stored()
        numbers = {node.output: n for n, node in enumerate(self.step.nodes)}
        return {
            "name": self.step.name,
            "kind": self.step.kind,
            "words": step_words(self.step),
            "maps": [self._map(t, regions, arrays) for t in maps],
            "operations": [self._operation(node, maps, numbers, regions, arrays) for node in self.step.nodes],
        }

    def _map(self, tensor: Tensor, regions: Sequence[dict[Tensor, Region]], arrays: Arrays) -> dict[str, Any]:
        """Return part of a tensor: images × channels × rows × columns, with the first row and column of each image."""
        first, origins = _united(regions, tensor)
        values = self.values[tensor].reshape(len(regions), *sides(tensor.shape))
        height, width = (span[1] - span[0] for span in (first.rows, first.columns))
        parts = [
            values[n][np.array(first.channels), row : row + height, column : column + width]
            for n, (row, column) in enumerate(origins)
        ]
        return {
            "values": arrays.add(np.stack(parts)),
            "shape": list(sides(tensor.shape)),
            "channels": list(first.channels) if len(first.channels) < sides(tensor.shape)[0] else None,
            "origins": [list(origin) for origin in origins],
        }

    def _operation(
        self,
        node: Node,
        maps: Sequence[Tensor],
        numbers: Mapping[Tensor, int],
        regions: Sequence[dict[Tensor, Region]],
        arrays: Arrays,
    ) -> dict[str, Any]:
        name = node.op.name
        data: dict[str, Any] = {"name": name, "words": POINTWISE_WORDS.get(name, name), "map": None}
        data["shape"] = list(sides(node.output.shape))
        data |= {key: node.attrs[key] for key in GEOMETRY if key in node.attrs}
        if node.output in maps:
            data["map"] = maps.index(node.output)
        data["carried"] = name in CARRIED or _needs_logarithm(node)
        operands = node.inputs[:1] if name in WEIGHTED else node.inputs
        channels = _united(regions, node.output)[0].channels
        data["operands"] = [self._operand(t, maps, numbers, channels, arrays) for t in operands]
        if name in WEIGHTED:
            weights = _by_filter(node, self.parameters[node.inputs[1]])
            data |= {"weights": arrays.add(weights[list(channels)]), "kernel": list(weights.shape)}
            data["filters"] = list(channels) if len(channels) < len(weights) else None
        if name == "resample2d":
            data["tables"] = [
                {"starts": arrays.add(starts), "weights": arrays.add(weights)} for starts, weights in _tables(node)
            ]
        if name in SUMS or name in MAXIMA:
            data |= _order_data(node, self.orders.get(node.output))
        return data

    def _operand(
        self,
        tensor: Tensor,
        maps: Sequence[Tensor],
        numbers: Mapping[Tensor, int],
        channels: Sequence[int],
        arrays: Arrays,
    ) -> dict[str, Any]:
        """Return where the page finds an operand: an operation of the step, a map, the parameters of `channels`, or a
        constant."""
        if tensor in numbers:
            return {"operation": numbers[tensor]}
        if tensor in maps:
            return {"map": maps.index(tensor)}
        value = constant_value(tensor)
        if value is not None:
            return {"constant": float(np.float32(value))}
        parameter = self.parameters[tensor].reshape(-1)
        if len(parameter) in (1, len(channels)):
            return {"parameter": arrays.add(parameter)}
        return {"parameter": arrays.add(parameter[list(channels)]), "channels": list(channels)}


def can_show(step: Step) -> bool:
    """Whether the page knows how to compute a step: its parameters are weights, or one number for each channel."""
    for node in step.nodes:
        if node.op.name in WEIGHTED and (not is_map(node.inputs[0]) or is_map(node.inputs[1])):
            return False
        if node.op.name not in WEIGHTED:
            channels = sides(node.output.shape)[0] if node.output.rank in (2, 4) else 0
            parameters = [t for t in node.inputs if not is_map(t) and constant_value(t) is None]
            if any(not _is_by_channel(t, node, channels) for t in parameters):
                return False
    return any(node.op.name in SUMS | MAXIMA | CARRIED | POINTWISE_WORDS.keys() for node in step.nodes)


def _is_by_channel(tensor: Tensor, node: Node, channels: int) -> bool:
    """Whether a parameter has one number for each channel, or one for all."""
    shape = (*[1] * (node.output.rank - tensor.rank), *tensor.shape)
    return tensor.rank <= node.output.rank and all(
        size == 1 or (axis == 1 and size == channels) for axis, size in enumerate(shape)
    )


def _needs_logarithm(node: Node) -> bool:
    size = abs(node.attrs["exponent"]) if node.op.name == "power" else 0
    return size != int(size) and size not in (0.5, 0.75)


def _filters(node: Node) -> int:
    shape: tuple[int, ...] = bind(node.inputs[1].shape, 1)
    if node.op.name == "conv_transpose2d":
        return int(shape[1] * node.attrs["groups"])
    return shape[0 if node.op.name == "conv2d" or node.attrs["transpose_b"] else 1]


def _by_filter(node: Node, weights: Floats) -> Floats:
    """Return the weights of a sum of products with the results' channels first: K × C/groups × kh × kw, or K × C."""
    if node.op.name == "conv_transpose2d":
        grouped = weights.reshape(node.attrs["groups"], -1, *weights.shape[1:]).swapaxes(1, 2)
        return grouped.reshape(_filters(node), -1, *weights.shape[2:])
    return weights if node.op.name == "conv2d" or node.attrs["transpose_b"] else weights.T


def _tables(node: Node) -> list[tuple[Floats, Floats]]:
    """Return the starts of the runs of rows, and of columns, that a resampling reads, and their weights."""
    pairs = zip(node.attrs["source"], node.attrs["size"], strict=True)
    runs = [nonzero_runs(axis_weights(node.attrs["mode"], source, size)) for source, size in pairs]
    return [(starts.astype(np.float32), weights) for starts, _, weights in runs]


def _united(regions: Sequence[dict[Tensor, Region]], tensor: Tensor) -> tuple[Region, list[tuple[int, int]]]:
    """Return a region of the size that all images need, and the (row, column) where it begins for each image."""
    parts = [each[tensor] for each in regions]
    height = max(part.rows[1] - part.rows[0] for part in parts)
    width = max(part.columns[1] - part.columns[0] for part in parts)
    _, rows, columns = sides(tensor.shape)
    origins = [(min(part.rows[0], rows - height), min(part.columns[0], columns - width)) for part in parts]
    return Region(parts[0].channels, (0, height), (0, width)), origins


def _order_data(node: Node, order: Order | None) -> dict[str, Any]:
    """Return in which order the page adds: the engine's if it is described."""
    summation = None if order is None else order.summation
    is_described = summation is not None or node.op.name in MAXIMA
    summation = summation or Summation((ROW, COLUMN, CHANNEL))
    data = asdict(summation) | {
        "fused": order is None or order.fused,
        "axes": list(summation.axes) or [ROW, COLUMN, CHANNEL],
    }
    if node.op.name in ("sum", "max"):
        known = (
            order.axes if order is not None and len(order.axes) == node.inputs[0].rank and not summation.axes else ()
        )
        data["axes"] = [axis for axis in (known or range(node.inputs[0].rank)) if axis in node.attrs["axes"]]
    words = "" if node.op.name in MAXIMA else order_words(order, node.op.name in WEIGHTED | {"resample2d"})
    return {"order": data, "described": is_described, "orderWords": words}
