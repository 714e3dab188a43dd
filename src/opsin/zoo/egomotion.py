"""A network that sees how a camera turns: the shift between frames of a film, and numbers that depend on it.

Frames in, the angle of a steering wheel out: a car that turns shifts the view sideways. A convolution finds edges in
the current frame and in the three before it. A correlation layer (Dosovitskiy et al., "FlowNet", ICCV 2015) compares
successive frames at all horizontal displacements up to a sixteenth of the width, in five bands from sky to bonnet. The
displacement of a band is the mean of all displacements, weighted by a softmax of their correlations (Kendall et al.,
"End-to-end learning of geometry and context for deep stereo regression", ICCV 2017). A linear layer makes the numbers
of the fifteen displacements.

The network is Opsin's own. It has 557 parameters for RGB frames and one number, so that few minutes of film suffice.
It knows how the camera moves and not where the road goes: steering by such a network repeats what the driver has begun
(de Haan et al., "Causal confusion in imitation learning", NeurIPS 2019). PilotNet looks at the road.
"""

from __future__ import annotations

import numpy as np

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show
from opsin.nn import Conv2d, Layer, Linear
from opsin.nn.initializers import constant, kaiming_normal
from opsin.ops.sliding import image
from opsin.zoo.registry import register

FRAMES = 4
"""The current frame and those before it."""

EDGES = 4
"""Maps of the convolution."""

BANDS = 5
SHARPNESS = 20.0
"""The first factor of correlations in the softmax."""

WIDTH_OF_DISPLACEMENT = 16
"""The width of an image in the largest displacement."""

EPSILON = 1e-4
MIN_SIZE = 48


class Displacements(Layer):
    """Feature maps N × (frames · EDGES) × H × W → horizontal displacements N × ((frames - 1) · BANDS), in columns."""

    def forward(self, x: Tensor) -> Tensor:
        _, channels, (_, width) = image("egomotion", x.type)
        pairs, reach = channels // EDGES - 1, max(1, width // WIDTH_OF_DISPLACEMENT)
        centred = ops.subtract(x, ops.mean(x, 3, keepdims=True))
        current = ops.narrow(ops.narrow(centred, 1, 0, pairs * EDGES), 3, reach, width - 2 * reach)
        before = ops.narrow(centred, 1, EDGES, pairs * EDGES)
        shifted = [ops.narrow(before, 3, start, width - 2 * reach) for start in range(2 * reach + 1)]
        energy = self._rows(ops.square(current), pairs)
        correlations = [
            ops.divide(
                self._rows(ops.multiply(current, other), pairs),
                ops.sqrt(ops.add(ops.multiply(energy, self._rows(ops.square(other), pairs)), EPSILON)),
            )
            for other in shifted
        ]
        bands = ops.adaptive_avg_pool2d(ops.concat(correlations, 3), (BANDS, len(correlations)))
        sharpness = self.parameter("sharpness", (1,), constant(SHARPNESS)(()))
        weights = ops.softmax(ops.multiply(bands, sharpness), 3)
        places = np.arange(-reach, reach + 1, dtype=np.float32)
        return ops.flatten(ops.sum(ops.multiply(weights, places), 3))

    @staticmethod
    def _rows(products: Tensor, pairs: int) -> Tensor:
        """Return the means over the maps and places of each row, N × pairs × H × 1."""
        batch, _, (height, width) = image("egomotion", products.type)
        split = ops.reshape(products, (batch, pairs, EDGES, height, width))
        return ops.mean(ops.mean(split, 4, keepdims=True), 2)


class EgomotionNet(Layer):
    """Images N × (frames · C) × H × W, the current frame first, then the one before it, … → N × `outputs` numbers."""

    def __init__(self, outputs: int) -> None:
        self.edges = Conv2d(EDGES, (9, 5), (8, 1), (4, 2), bias=False, weight_init=kaiming_normal)
        self.displacements = Displacements()
        self.regressor = Linear(outputs, bias_init=constant(0))

    def forward(self, x: Tensor) -> Tensor:
        _, channels, size = image("egomotion", x.type)
        if channels % FRAMES:
            raise ShapeError(f"{FRAMES} frames have a multiple of {FRAMES} channels, not {channels}")
        if min(size) < MIN_SIZE:
            raise ShapeError(f"this network takes {MIN_SIZE} × {MIN_SIZE} and larger images, not {show(size)}")
        count = channels // FRAMES
        frames = [self.edges(ops.narrow(x, 1, count * frame, count)) for frame in range(FRAMES)]
        return self.regressor(self.displacements(ops.concat(frames, 1)))


egomotion = register("egomotion", EgomotionNet, (12, 80, 80), 1, "regression", frames=FRAMES)
