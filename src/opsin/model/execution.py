"""How a model's network runs on images: a program for each batch size and precision, and one batch after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program
from opsin.backends.options import in_precision
from opsin.backends.portable import compile as compile_portable
from opsin.base.errors import DataError
from opsin.compiler.precision import Precision
from opsin.data.batches import pad_rows
from opsin.data.pixels import ImageView, Pixels
from opsin.inputs.registry import IMAGE, NOUNS
from opsin.ir import show
from opsin.ir.arguments import called
from opsin.model.int8 import INT8, accurate_record, model_precision, to_integers

if TYPE_CHECKING:
    from opsin.model.model import Model

Outputs = dict[str, NDArray[np.float32]]
"""The outputs of a network by name."""


def outputs_of(model: Model, pixels: Pixels, precision: str) -> Outputs:
    """Return the network's outputs for uint8 N×C×H×W, of which there may be none."""
    parts = list(batches_of(model, pixels, precision))
    if parts:
        return {name: np.concatenate([part[name] for part in parts]) for name in model.graph.outputs}
    shapes = {name: [int(str(size)) for size in tensor.shape[1:]] for name, tensor in model.graph.outputs.items()}
    return {name: np.empty((0, *shape), np.float32) for name, shape in shapes.items()}


def batches_of(model: Model, pixels: Pixels, precision: str) -> Iterator[Outputs]:
    """Yield the network's outputs for some images at a time; raise `DataError` for arrays that it does not take."""
    kind = model_precision(precision)
    if kind == INT8:
        accurate_record(model)
    pixels = _checked(model, pixels)
    largest = model.largest_batch
    batch = largest if len(pixels) > largest // 4 else 1
    for first in range(0, len(pixels), batch):
        yield _run(model, pixels[first : first + batch], batch, kind)


def program_of(model: Model, batch: int, precision: str) -> Program:
    """Return the program for a batch size; threads that ask for it at the same time share it."""
    key = batch, precision, model.portable
    if found := model._programs.get(key):
        return found
    engine = compile_portable if model.portable else model.engine
    with model._lock.lock:
        if key not in model._programs:
            network: Any = model
            if precision == INT8:
                network, precision = model.quantized(), Precision.FLOAT32
            program = in_precision(engine, Precision(precision))(network.graph, batch, model.threads)
            program.load_state(network.state)
            model._programs[key] = program
        return model._programs[key]


def normalized(model: Model, pixels: NDArray[np.uint8], precision: str) -> NDArray[Any]:
    """Return uint8 images as the programs of a precision take them."""
    return to_integers(pixels) if precision == INT8 else model.preprocessing.apply(pixels)


def _checked(model: Model, pixels: Pixels) -> Pixels:
    """Return arrays of the type and shape that the model takes."""
    if not isinstance(pixels, np.ndarray | ImageView):
        raise DataError(f"{model.name} takes arrays of uint8, not {called(pixels)}; predict takes files, too")
    if isinstance(pixels, np.ndarray) and model.kind == IMAGE:
        pixels = model.preprocessing.to_uint8(pixels, "the array")
    expected = np.dtype(model.preprocessing.dtype)
    if pixels.ndim != 4 or pixels.shape[1:] != model.preprocessing.input_shape or pixels.dtype != expected:
        limits = ", from 0 to 255" if model.kind == IMAGE else ""
        raise DataError(
            f"{model.name} takes {expected} {NOUNS[model.kind][1]} of {show(model.preprocessing.input_shape)}, "
            f"not {pixels.dtype} {show(pixels.shape)}; give files, or arrays of that shape{limits}"
        )
    return pixels


def _run(model: Model, pixels: NDArray[np.uint8], batch: int, precision: str) -> Outputs:
    """Run one batch; a short one is padded with its last image."""
    program = program_of(model, batch, precision)
    images = normalized(model, pad_rows(pixels, batch), precision)
    outputs = {name: array[: len(pixels)] for name, array in program.run(inputs=images).items()}
    if model.tta is None:
        return outputs
    mirrored = program.run(inputs=np.ascontiguousarray(images[..., ::-1]))
    return {
        name: np.asarray((array + _mirrored_back(mirrored[name][: len(pixels)])) / 2, np.float32)
        for name, array in outputs.items()
    }


def _mirrored_back(array: NDArray[Any]) -> NDArray[Any]:
    """Return the outputs of mirror images as those of the images: maps N × C × H × W are mirrored back."""
    return array[..., ::-1] if array.ndim == 4 else array
