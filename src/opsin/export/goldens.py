"""Golden images: what an export computes for them, to the bit, travels with it, and it tests itself before it answers.

The images are random blocks of 4 × 4 pixels, because training images would be passed on with an export. They are kept
as blocks, which take a sixteenth of the space.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.backends.portable import compile
from opsin.base import random_counter
from opsin.export.precision import Network

COUNT, BLOCK = 8, 4
"""The number of images, and the side of their blocks in pixels."""


@dataclass(frozen=True, eq=False)
class Goldens:
    """`blocks` are the pixel values, uint8 N × channels × rows × columns, of images as the network takes them; each
    value fills a square of `BLOCK` pixels, cut off at the right and the bottom. `outputs` are the network's outputs for
    them, as portable programs compute them."""

    blocks: NDArray[np.uint8]
    shape: tuple[int, int, int]
    outputs: dict[str, NDArray[np.float32]]

    @property
    def images(self) -> NDArray[np.uint8]:
        """The images, uint8 N × channels × height × width."""
        return _enlarged(self.blocks, self.shape)


def make_goldens(network: Network) -> Goldens:
    """Return the golden images of a network and its outputs for them."""
    channels, height, width = shape = network.model.preprocessing.input_shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    words = random_counter.words(COUNT * channels * rows * columns, 0, random_counter.GOLDEN)
    blocks = (words >> np.uint64(56)).astype(np.uint8).reshape(COUNT, channels, rows, columns)
    program = compile(network.graph, 1, 1)
    program.load_state(network.state)
    images = network.inputs(_enlarged(blocks, shape))
    runs = [program.run(inputs=images[number : number + 1]) for number in range(COUNT)]
    return Goldens(blocks, shape, {name: np.concatenate([run[name] for run in runs]) for name in runs[0]})


def _enlarged(blocks: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    _, height, width = shape
    enlarged = blocks.repeat(BLOCK, axis=2).repeat(BLOCK, axis=3)[:, :, :height, :width]
    return np.ascontiguousarray(enlarged)
