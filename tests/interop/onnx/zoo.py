"""Networks of the zoo, and the comparison of graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.compiler.simplify import simplify
from opsin.ir import Graph

State = dict[str, NDArray[np.float32]]


def network(name: str, side: int | None = None) -> Graph:
    """The inference graph of a network, at its own size or that of small images."""
    entry = zoo.find(name)
    channels, *size = entry.input_shape
    height, width = size if side is None else (side, side)
    return nn.trace(entry(), (channels * entry.frames, height, width))


def trained_state(graph: Graph) -> State:
    """Values as after a training: running statistics that are not 0 and 1."""
    rng = np.random.default_rng(0)
    state = nn.initial_state(graph, 0)
    for name, values in state.items():
        if name.endswith("running_var"):
            state[name] = rng.uniform(0.5, 1.5, values.shape).astype(np.float32)
        elif name.endswith("running_mean"):
            state[name] = rng.normal(0, 0.1, values.shape).astype(np.float32)
    return state


def structure(graph: Graph) -> tuple[set[Any], list[int]]:
    """The simplified operations of a graph and the numbers of its outputs: equal for equal computations.

    Constants are compared as float32, and average pooling by its windows.
    """
    simple, numbers, table = simplify(graph, 1), dict[Any, int](), dict[Any, int]()
    for node in simple.nodes:
        if node.op.name == "stop_gradient":
            numbers[node.output] = numbers[node.inputs[0]]
            continue
        attrs = {key: value for key, value in node.attrs.items() if key not in ("init", "like", "type")}
        name = node.op.name
        if name == "resample2d" and attrs["mode"] == "area":
            window = tuple(old // new for old, new in zip(attrs["source"], attrs["size"], strict=True))
            name, attrs = "avg_pool2d", {"window": window, "stride": window}
        if name == "avg_pool2d":
            attrs = {key: value for key, value in attrs.items() if key in ("window", "stride")}
        texts = tuple(sorted((key, f"{v:.6g}" if isinstance(v, float) else str(v)) for key, v in attrs.items()))
        key = name, str(node.output.type), tuple(numbers[each] for each in node.inputs), texts
        numbers[node.output] = table.setdefault(key, len(table))
    return set(table), [numbers[tensor] for tensor in simple.outputs.values()]
