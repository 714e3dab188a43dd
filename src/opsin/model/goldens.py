"""Golden images: what a model file keeps of its outputs, to be checked on other computers."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base import random_counter
from opsin.compiler.precision import Precision
from opsin.ir import Graph

if TYPE_CHECKING:
    from opsin.model.model import Model

GOLDEN_COUNT = 4
MAX_GOLDEN_VALUES = 4096
"""Images whose outputs are stored in the file, and values of each, at most."""


def make_goldens(model: Model) -> tuple[NDArray[Any], NDArray[np.float32]]:
    """Make goldens from random blocks of 4 × 4 pixels, or random samples of another kind of input.

    Training images would be passed on with the model file.
    """
    channels, height, width = model.preprocessing.input_shape
    if model.input is not None:
        count = GOLDEN_COUNT * channels * height * width
        bits = random_counter.words(count, 0, random_counter.GOLDEN).reshape(GOLDEN_COUNT, -1)
        samples = model.input.random(bits)
        return samples, signature(model, samples)
    rows, columns = -(-height // 4), -(-width // 4)
    words = random_counter.words(GOLDEN_COUNT * channels * rows * columns, 0, random_counter.GOLDEN)
    blocks = (words >> np.uint64(56)).astype(np.uint8).reshape(GOLDEN_COUNT, channels, rows, columns)
    pixels = blocks.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width]
    return np.ascontiguousarray(pixels), signature(model, pixels)


def signature(model: Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return numbers by which to compare outputs in float32, N × count: all of them, or evenly spaced ones of many."""
    parts = list(model.batches(pixels, Precision.FLOAT32))
    arrays = [np.concatenate([part[name] for part in parts]) for name in model.graph.outputs]
    rows = [array.reshape(len(array), -1) for array in arrays]
    return np.concatenate(rows, axis=1)[:, slice(0, *golden_values(model.graph))]


def golden_values(graph: Graph) -> tuple[int, int]:
    """Return the number of all output values of an image, and the step at which they are compared."""
    total = sum(prod(int(str(size)) for size in tensor.shape[1:]) for tensor in graph.outputs.values())
    return total, max(1, -(-total // MAX_GOLDEN_VALUES))
