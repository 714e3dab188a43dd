"""The precision of an export: its network in float32, or in 8-bit integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.compiler.precision import Precision
from opsin.ir import Graph
from opsin.ir.arguments import one_of
from opsin.model import Model
from opsin.model.int8 import INT8

FLOAT32 = Precision.FLOAT32.value


@dataclass(frozen=True, eq=False)
class Network:
    """The network that an export of `model` computes; it takes what `inputs` makes of images."""

    model: Model
    precision: str
    graph: Graph
    state: Mapping[str, NDArray[Any]]

    def inputs(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """Return uint8 images as the network takes them: normalized float32, or in 8-bit integers pixels minus 128."""
        return self.model.normalized(pixels, self.precision)


def export_precision(name: str) -> str:
    """Return the name of the precision of an export; raise `UsageError` with the possible names for any other."""
    return one_of("the precision of an export", name, [FLOAT32, INT8])


def network_of(model: Model, precision: str) -> Network:
    """Return the network of a model in "float32" or "int8".

    Raise `UsageError` for another precision, and `ModelError` as `Model.quantized` does.
    """
    if export_precision(precision) == INT8:
        quantized = model.quantized()
        return Network(model, precision, quantized.graph, quantized.state)
    return Network(model, precision, model.graph, model.state)
