"""The ranges of a network as plain data, as the model file keeps them."""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.ir import Graph, Tensor
from opsin.quantization.ranges import Ranges
from opsin.quantization.steps import Array


def tensors_of(graph: Graph) -> list[Tensor]:
    """Return the tensors of a graph in the order in which `ir.serialization` numbers them."""
    nodes = dict.fromkeys((*(t.node for t in graph.inputs), *graph.nodes))
    return [tensor for node in nodes for tensor in node.outputs]


def ranges_to_data(ranges: Ranges, graph: Graph) -> dict[str, Any]:
    """Return ranges as plain data; tensors are named by their numbers, and channels stored as float32."""
    number = {tensor: str(place) for place, tensor in enumerate(tensors_of(graph))}
    data: dict[str, Any] = {
        "bounds": {number[t]: list(bounds) for t, bounds in ranges.bounds.items()},
        "means": {number[t]: _packed(values) for t, values in ranges.means.items()},
        "factors": {number[t]: _packed(values) for t, values in ranges.factors.items()},
    }
    if ranges.steps:
        data["steps"] = {number[t]: _packed(values) for t, values in ranges.steps.items()}
    if ranges.farther:
        data["farther"] = {number[t]: _text(zlib.compress(bits.tobytes(), 9)) for t, bits in ranges.farther.items()}
    if ranges.wide:
        data["wide"] = sorted(number[t] for t in ranges.wide)
    return data


def ranges_from_data(data: Mapping[str, Any], graph: Graph) -> Ranges:
    """Return the ranges that `ranges_to_data` wrote. Raise `ModelError` if they do not belong to the graph."""
    tensors = tensors_of(graph)
    try:
        bounds = {tensors[int(place)]: (float(low), float(high)) for place, (low, high) in data["bounds"].items()}
        means, factors, steps = (
            {tensors[int(place)]: _unpacked(text, tensors[int(place)]) for place, text in values.items()}
            for values in (data["means"], data["factors"], data.get("steps", {}))
        )
        most = max((prod(int(str(n)) for n in v.shape) for v in graph.variables.values()), default=0)
        farther = {tensors[int(place)]: _bits(text, most) for place, text in data.get("farther", {}).items()}
        wide = {tensors[int(place)] for place in data.get("wide", [])}
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, zlib.error) as error:
        raise ModelError(f"the ranges for 8-bit integers do not belong to the network ({error})") from None
    if not all(np.isfinite(pair).all() and pair[0] <= pair[1] for pair in bounds.values()):
        raise ModelError("the ranges for 8-bit integers are not finite")
    return Ranges(bounds, means, factors, steps, farther, wide)


def _packed(values: Array) -> str:
    return _text(np.ascontiguousarray(values, "<f4").tobytes())


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _bits(text: str, most: int) -> NDArray[np.uint8]:
    """Return packed bits, at most as many as the largest variable has numbers, whatever a damaged file expands to."""
    return np.frombuffer(zlib.decompressobj().decompress(b64decode(text, validate=True), most // 8 + 1), np.uint8)


def _unpacked(text: str, tensor: Tensor) -> Array:
    values = np.frombuffer(b64decode(text, validate=True), "<f4").astype(np.float64)
    if values.shape != (tensor.shape[1],) or not np.isfinite(values).all():
        raise ValueError(f"{len(values)} channels for {tensor.type}")
    return values
