"""What each layer of a network costs in 8-bit integers, alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.spread import spread
from opsin.data import Samples
from opsin.ir.arguments import whole
from opsin.model.int8 import INT8, layers_of, record_of
from opsin.quantization.comparison import Comparison, compared
from opsin.tasks.classification import Classification

if TYPE_CHECKING:
    from opsin.model.model import Model

IMAGES = 500
"""The number of images on which layers are compared, if nothing else is asked for."""


@dataclass(frozen=True)
class LayerCost:
    """A network in which only `layer` computes with 8-bit integers.

    `error` is the standard deviation of the error of its outputs, relative to that of the outputs themselves;
    `comparison` says which answers change, for classifiers.
    """

    layer: str
    error: float
    comparison: Comparison | None

    def to_data(self) -> dict[str, Any]:
        comparison = {"comparison": self.comparison.to_data()} if self.comparison else {}
        return {"layer": self.layer, "error": self.error, **comparison}


def layer_costs(
    model: Model, images: Samples, count: int = IMAGES, on_layer: Callable[[int, int], None] | None = None
) -> list[LayerCost]:
    """Return the cost of each layer that multiplies, in order, measured on `count` evenly spaced images.

    Only this layer's weights and input are rounded, so that the costs do not depend on each other. `on_layer` is called
    with the number of layers that are done, and of all. Raise `ModelError` if the model has no ranges for int8.
    """
    record_of(model)
    part = images.stacked(model.preprocessing.frames)
    part = part.take(spread(len(part), whole("the number of images", count, minimum=1)))
    pixels, labels = np.asarray(part.pixels[:]), None
    if isinstance(model.task, Classification):
        labels = model.label_indices(part)
    exact = _outputs(model, pixels, "float32")
    layers, costs = layers_of(model), list[LayerCost]()
    for number, (layer, trial) in enumerate(_trials(model, layers), start=1):
        outputs = _outputs(trial, pixels, INT8)
        errors = sum(float(((outputs[name] - exact[name]) ** 2).sum()) for name in exact)
        error = (errors / max(1e-30, sum(map(_variation, exact.values())))) ** 0.5
        comparison = None
        if labels is not None:
            comparison = compared(exact["logits"].argmax(axis=1), outputs["logits"].argmax(axis=1), labels)
        costs.append(LayerCost(layer, error, comparison))
        if on_layer is not None:
            on_layer(number, len(layers))
    return costs


def _trials(model: Model, layers: list[str]) -> Iterator[tuple[str, Model]]:
    """Yield each layer with a model in which all others stay in float32."""
    for layer in layers:
        others = tuple(name for name in layers if name != layer)
        record = replace(record_of(model), float_layers=others, comparison=None)
        yield layer, replace(model, quantization=record, _programs={})


def _outputs(model: Model, pixels: NDArray[np.uint8], precision: str) -> dict[str, NDArray[np.float32]]:
    parts = list(model.batches(pixels, precision))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _variation(outputs: NDArray[np.float32]) -> float:
    return float(((outputs - outputs.mean(axis=0)) ** 2).sum())
