"""Golden images that a program makes by itself, and the bits of the portable engine for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.backends.portable import compile
from opsin.export.precision import Network

COUNT = 8
MAX_VALUES = 128
"""Values of an output that are compared, at most, evenly spaced."""


@dataclass(frozen=True, eq=False)
class Goldens:
    """`images` are uint8 N×C×H×W; `outputs` are numbers of the network's outputs, float32 N×values: of each output, one
    after the other, every number whose place is a multiple of its step. `steps` has them, next to the counts.

    The numbers of a map are in the order rows, columns, classes, as in memory.
    """

    images: NDArray[np.uint8]
    outputs: NDArray[np.float32]
    steps: tuple[tuple[int, int], ...]


def golden_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return images of noise, of four ranges of brightness. `golden_image` in `assets/self_test.c` is the same."""
    channels, height, width = shape
    numbers = np.arange(COUNT, dtype=np.uint32)[:, None]
    pixels = np.arange(height * width * channels, dtype=np.uint32)
    x: NDArray[np.uint32] = np.uint32(0x9E3779B9) * (numbers + np.uint32(1)) + pixels
    x = np.bitwise_xor(x, x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = np.bitwise_xor(x, x >> np.uint32(15)) * np.uint32(0x846CA68B)
    images = ((x >> np.uint32(24)) >> (numbers % np.uint32(4))).astype(np.uint8)
    return np.ascontiguousarray(images.reshape(COUNT, height, width, channels).transpose(0, 3, 1, 2))


def make_goldens(network: Network, outputs: Sequence[str]) -> Goldens:
    """Return the golden images of a network, and numbers of its outputs without test-time augmentation."""
    images = golden_images(network.model.preprocessing.input_shape)
    program = compile(network.graph, 1, 1)
    program.load_state(network.state)
    inputs = network.inputs(images)
    runs = [program.run(inputs=image[None]) for image in inputs]
    parts, steps = [], []
    for name in outputs:
        rows = np.stack([_in_memory_order(run[name]) for run in runs])
        step = -(-rows.shape[1] // MAX_VALUES)
        parts.append(rows[:, ::step])
        steps.append((parts[-1].shape[1], step))
    return Goldens(images, np.concatenate(parts, axis=1), tuple(steps))


def _in_memory_order(output: NDArray[np.float32]) -> NDArray[np.float32]:
    return (np.moveaxis(output, 1, -1) if output.ndim == 4 else output).reshape(-1)
