"""Golden images: what an export computes for them, to the bit, travels with it, and it tests itself before it answers.

The images are noise in blocks of 4 × 4 pixels, because training images would be passed on with an export. An export
makes them itself, which takes less space than to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.backends.portable import compile
from opsin.export.precision import Network

COUNT, BLOCK = 8, 4
"""The number of images, and the side of their blocks in pixels."""


@dataclass(frozen=True, eq=False)
class Goldens:
    """`images` are uint8 N × channels × height × width; `outputs` are the network's outputs for them, as portable
    programs compute them."""

    images: NDArray[np.uint8]
    outputs: dict[str, NDArray[np.float32]]


def noise(count: int) -> NDArray[np.uint8]:
    """Return bytes of noise: a hash of their numbers (Wellons 2018), as in `runtime/assets/model.js`."""
    x = np.arange(1, count + 1, dtype=np.uint32)
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return ((x ^ x >> np.uint32(16)) >> np.uint32(24)).astype(np.uint8)


def golden_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the images for a network's input shape; blocks are cut off at the right and the bottom."""
    channels, height, width = shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    blocks = noise(COUNT * channels * rows * columns).reshape(COUNT, channels, rows, columns)
    return np.ascontiguousarray(blocks.repeat(BLOCK, axis=2).repeat(BLOCK, axis=3)[:, :, :height, :width])


def make_goldens(network: Network) -> Goldens:
    """Return the golden images of a network and its outputs for them."""
    images = golden_images(network.model.preprocessing.input_shape)
    program = compile(network.graph, 1, 1)
    program.load_state(network.state)
    inputs = network.inputs(images)
    runs = [program.run(inputs=inputs[number : number + 1]) for number in range(COUNT)]
    return Goldens(images, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]})
