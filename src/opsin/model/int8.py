"""A model in 8-bit integers: what is observed for it, what it costs, and its graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import DataError, ModelError, UsageError
from opsin.base.spread import spread
from opsin.compiler.precision import Precision
from opsin.data import Samples
from opsin.data.pixels import Pixels
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.ir import Graph, macs
from opsin.ir.arguments import one_of
from opsin.quantization.adaptive_rounding import adapt_rounding
from opsin.quantization.comparison import Comparison, compared
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from opsin.quantization.record import ranges_from_data, ranges_to_data
from opsin.quantization.simulation import Simulation, simulate_graph
from opsin.quantization.steps import Product
from opsin.tasks.classification import Classification

if TYPE_CHECKING:
    from opsin.model.model import Model

INT8 = "int8"
"""The precision of a model's predictions in 8-bit integers."""
MIN_IMAGES, MAX_IMAGES = 32, 256
"""Images on which ranges are observed."""
OBSERVED_MACS = 4e10
"""Multiply-accumulate operations up to which more images than the fewest are observed: about a second."""
MAX_COMPARED = 5000
COMPARED_MACS = 2e11
"""Images that are answered in both precisions, and operations, at most; at least `MIN_COMPARED`."""
MIN_COMPARED = 200


def model_precision(name: str) -> str:
    """Return the name of a model's precision; raise `UsageError` with the possible names for any other."""
    return one_of("the precision", name, [*map(str, Precision), INT8])


@dataclass(frozen=True)
class Quantization:
    """What a model needs to predict in 8-bit integers.

    `ranges` are those of its results on `images` images, as plain data (see `quantization.record`). The layers in
    `float_layers` stay in float32. `comparison` says what it costs on held-out images, if any were given.
    """

    ranges: Mapping[str, Any]
    images: int
    float_layers: tuple[str, ...] = ()
    comparison: Comparison | None = None

    def to_data(self) -> dict[str, Any]:
        """Return the record as plain data, for the model file."""
        data = {"ranges": dict(self.ranges), "images": self.images, "float_layers": list(self.float_layers)}
        return data | ({"comparison": self.comparison.to_data()} if self.comparison else {})

    @classmethod
    def from_data(cls, data: Mapping[str, Any], graph: Graph) -> Quantization:
        """Return the record that `to_data` wrote, after checking that it belongs to `graph`."""
        comparison = Comparison.from_data(data["comparison"]) if "comparison" in data else None
        ranges_from_data(data["ranges"], graph)
        return cls(data["ranges"], int(data["images"]), tuple(map(str, data["float_layers"])), comparison)


@dataclass(frozen=True, eq=False)
class QuantizedNetwork:
    """A model's network in 8-bit integers; its input "inputs" is pixels minus 128, int8 N × C × H × W."""

    graph: Graph
    state: dict[str, NDArray[Any]]


def to_integers(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return pixels minus 128, as the network in 8-bit integers takes them."""
    return (pixels ^ np.uint8(128)).view(np.int8)


def quantization_of(
    model: Model, pixels: Pixels, float_layers: Collection[str] = (), *, adapt: bool = True
) -> Quantization:
    """Return what a model needs for int8, observed on uint8 images N × C × H × W of the kind that it will be given.

    Evenly spaced ones are used if there are many. With `adapt`, they also choose how weights are rounded. Raise
    `UsageError` for a layer that there is not, and `ModelError` if the network itself rounds.
    """
    if rounds(model):
        raise _rounded(model)
    if not len(pixels):
        raise DataError("there are no images to observe the ranges of the network's results on; give some")
    layers = layers_of(model)
    for name in float_layers:
        if name not in layers:
            raise UsageError(f"there is no layer '{name}' that multiplies; the layers are {', '.join(layers)}")
    _need_images(model)
    observed = np.asarray(pixels[spread(len(pixels), observed_count(model.graph, len(pixels)))])
    images = model.preprocessing.apply(observed)
    ranges = calibrated(model.graph, model.state, images, model.engine, model.threads)
    if adapt:
        adapt_rounding(model.graph, model.state, ranges, images, model.engine, model.threads)
    return Quantization(ranges_to_data(ranges, model.graph), len(images), tuple(float_layers))


def layers_of(model: Model) -> list[str]:
    """Return the names of the layers that multiply 8-bit integers, in order."""
    steps = steps_of(model.graph, model.state)
    return list(dict.fromkeys(step.layer for step in steps if isinstance(step, Product)))


def rounds(model: Model) -> bool:
    """Whether the network itself rounds to 8-bit integers, as one from an ONNX file with QuantizeLinear does."""
    return any(node.op.name == "quantize" for node in model.graph.nodes)


def _rounded(model: Model) -> ModelError:
    return ModelError(
        f"{model.name} is already rounded to 8-bit integers, and is computed as it is: leave out --precision int8, "
        "or give the model that it was exported from"
    )


def _need_images(model: Model) -> None:
    if model.kind != IMAGE:
        raise ModelError(f"{model.name} takes {NOUNS[model.kind][1]}; int8 is for models of images")


def record_of(model: Model) -> Quantization:
    """Return what was observed for `model`; raise `ModelError` if nothing was, or if it takes no images."""
    _need_images(model)
    if model.quantization is None and rounds(model):
        raise _rounded(model)
    if model.quantization is None:
        raise ModelError(
            f"{model.name} has no ranges for 8-bit integers, because nothing was observed when it was made; show it "
            "images like those it will be given: --calibrate FOLDER, or model.quantize(images)"
        )
    return model.quantization


def accurate_record(model: Model) -> Quantization:
    """Return what was observed for `model`; raise `ModelError` if nothing was, or if int8 loses too much."""
    record = record_of(model)
    if record.comparison is not None and record.comparison.exceeds(model.max_drop):
        raise ModelError(
            f"{model.name} loses too much in int8: {record.comparison}; the limit is {model.max_drop:g} points. "
            "Predict in float32, keep the layers that cost most in float32 (opsin evaluate --precision int8 --layers "
            "lists them), or raise the limit with --max-drop, or model.max_drop"
        )
    return record


def quantized_network(model: Model) -> QuantizedNetwork:
    """Return the network of `model` in 8-bit integers; raise `ModelError` as `accurate_record` does."""
    record = accurate_record(model)
    ranges = ranges_from_data(record.ranges, model.graph)
    normalization = model.preprocessing.scale_and_shift
    return QuantizedNetwork(*quantize_graph(model.graph, model.state, ranges, record.float_layers, normalization))


def simulated_network(model: Model) -> Simulation:
    """Return the network in 8-bit integers as one of real numbers that are rounded, for normalized images.

    Raise `ModelError` as `accurate_record` does.
    """
    record = accurate_record(model)
    return simulate_graph(model.graph, model.state, ranges_from_data(record.ranges, model.graph), record.float_layers)


def comparison_of(model: Model, images: Samples) -> Comparison:
    """Return how the answers of `model` in int8 compare with those in float32 on labelled images.

    Evenly spaced images are used if there are many.
    """
    images = images.stacked(model.preprocessing.frames)
    part = images.take(spread(len(images), compared_count(model.graph, len(images))))
    exact, quantized = (results(model, part, precision) for precision in ("float32", INT8))
    if isinstance(model.task, Classification):
        labels = np.concatenate([labels for _, labels in exact])
        return compared(_answers(exact), _answers(quantized), labels)
    scores = [model.task.evaluate(each, model.calibration).score for each in (exact, quantized)]
    return Comparison(len(part), 0, metric=scores[0].main, exact=scores[0].value, quantized=scores[1].value)


def agreement_of(model: Model, pixels: NDArray[np.uint8]) -> Comparison | None:
    """Return how often a classifier gives the same label in int8 and in float32; None for other tasks."""
    if not isinstance(model.task, Classification):
        return None
    exact, quantized = (
        np.concatenate([outputs["logits"].argmax(axis=1) for outputs in model.batches(pixels, precision)])
        for precision in ("float32", INT8)
    )
    return compared(exact, quantized, None)


def results(model: Model, images: Samples, precision: str) -> list[Any]:
    """Return what the task keeps of the outputs for `images` in a precision, whatever it loses."""
    return list(replace(model, precision=precision, max_drop=np.inf).results(images))


def _answers(parts: Sequence[Any]) -> NDArray[np.intp]:
    return np.concatenate([logits.argmax(axis=1) for logits, _ in parts])


def observed_count(network: Graph, images: int) -> int:
    """Return on how many of `images` images ranges are observed."""
    return min(images, _count_for(network, MIN_IMAGES, MAX_IMAGES, OBSERVED_MACS))


def compared_count(network: Graph, images: int) -> int:
    """Return how many of `images` held-out images are answered in both precisions."""
    return min(images, _count_for(network, MIN_COMPARED, MAX_COMPARED, COMPARED_MACS))


def _count_for(network: Graph, fewest: int, most: int, operations: float) -> int:
    """Return how many images to run: as many as take `operations`, within limits."""
    return int(min(most, max(fewest, operations / max(1, macs(network.nodes)))))
