"""A convolutional autoencoder: can the image be drawn from its features (Masci, Meier, Cireşan & Schmidhuber 2011)?"""

from __future__ import annotations

from dataclasses import dataclass

from opsin import ops
from opsin.ir import Tensor
from opsin.nn.objective import Tensors
from opsin.tasks.self_supervised.losses.layers import convolution, linear, normalized
from opsin.tasks.self_supervised.losses.objective import ViewObjective

CHANNELS = (64, 32, 16)
"""Of the maps that are drawn, each at twice the resolution of the one before."""


@dataclass(frozen=True)
class Autoencoder(ViewObjective):
    """The mean squared error of the output "images", drawn from "features" by a linear layer and convolutions."""

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        images = outputs["images"]
        colours, height, width = (int(str(size)) for size in images.shape[1:])
        return ops.mean(ops.square(ops.subtract(_drawn(outputs["features"], (colours, height, width)), images)))


def _drawn(features: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Return images N × `shape`, drawn from coarse to fine."""
    colours, height, width = shape
    sizes = [(-(-height // step), -(-width // step)) for step in (8, 4, 2)]
    rows, columns = sizes[0]
    x = linear("decoder", features, CHANNELS[0] * rows * columns)
    x = ops.reshape(x, (features.shape[0], CHANNELS[0], rows, columns))
    for number, (channels, size) in enumerate(zip(CHANNELS, sizes, strict=True), start=1):
        x = convolution(f"decoder{number}", ops.resample2d(x, size, "nearest"), channels)
        x = normalized(f"decoder_norm{number}", x)
    return convolution("colours", ops.resample2d(x, (height, width), "bilinear"), colours)


AUTOENCODER = Autoencoder()
