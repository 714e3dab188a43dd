"""Golden images: what an export computes for them, to the bit, travels with it, and it tests itself before it answers.

The images are noise, because training images would be passed on with an export. An export makes them itself, which
takes less space than to hold them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.backends.portable import compile
from opsin.export.precision import Network

COUNT = 8
"""The number of images."""


@dataclass(frozen=True, eq=False)
class Goldens:
    """`images` are uint8 N × channels × height × width; `outputs` are the network's outputs for them, as portable
    programs compute them, without test-time augmentation."""

    images: NDArray[np.uint8]
    outputs: dict[str, NDArray[np.float32]]


def noise(number: int, count: int) -> NDArray[np.uint8]:
    """Return bytes of noise: a hash of their places (Wellons 2018), from 0 to 255, 127, 63 or 31 by the `number`.

    `runtime/assets/model.js` and `c/assets/self_test.c` make the same ones.
    """
    first = 0x9E3779B9 * (number + 1) % 2**32
    x: NDArray[np.uint32] = np.uint32(first) + np.arange(count, dtype=np.uint32)
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return (x >> np.uint32(24) + np.uint32(number % 4)).astype(np.uint8)


def golden_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the images for a network's input shape; bytes of noise are pixels from row to row, all channels of one."""
    channels, height, width = shape
    rows = np.stack([noise(number, channels * height * width) for number in range(COUNT)])
    return np.ascontiguousarray(rows.reshape(COUNT, height, width, channels).transpose(0, 3, 1, 2))


def make_goldens(network: Network) -> Goldens:
    """Return the golden images of a network and its outputs for them."""
    images = golden_images(network.model.preprocessing.input_shape)
    program = compile(network.graph, 1, 1)
    program.load_state(network.state)
    inputs = network.inputs(images)
    runs = [program.run(inputs=inputs[number : number + 1]) for number in range(COUNT)]
    return Goldens(images, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]})
