"""Running small networks in double precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from opsin import nn, ops
from opsin.backends.reference import Reference
from opsin.ir import Graph, Tensor
from tests.support import Array, symbolic


class Of(nn.Layer):
    """A network that is one function, given layers to use by keyword."""

    def __init__(self, function: Callable[..., Tensor], **layers: object) -> None:
        self.__dict__.update(layers)
        self._function = function

    def forward(self, x: Tensor) -> Tensor:
        return self._function(self, x)


def loaded(graph: Graph, batch: int, state: Mapping[str, Array] | None = None, seed: int = 0) -> Reference:
    """The graph on the reference engine in float64, with `state` over its initial state."""
    program = Reference(graph, batch, np.float64)
    program.load_state(nn.initial_state(graph, seed) | dict(state or {}))
    return program


def forward(
    network: nn.Layer, images: Array, state: Mapping[str, Array] | None = None, training: bool = False
) -> Array:
    """What `network` makes of `images`."""
    batch, channels, rows, columns = images.shape
    graph = nn.trace(network, (channels, rows, columns), training)
    return loaded(graph, batch, state).run(inputs=images)["logits"]


def value_and_gradients(function: Callable[..., Tensor], *arrays: Array) -> tuple[Array, list[Array]]:
    """A scalar function of `arrays`, and its gradients by those of real numbers."""
    inputs = symbolic(arrays)
    value = function(*inputs)
    wrt = [t for t, array in zip(inputs, arrays, strict=True) if array.dtype.kind == "f"]
    gradients = {f"d{i}": g for i, g in enumerate(ops.gradients(value, wrt)) if g is not None}
    graph = Graph(inputs, {"value": value} | gradients).verify()
    results = loaded(graph, 1).run(**{f"x{i}": array for i, array in enumerate(arrays)})
    return results.pop("value"), list(results.values())
