"""Features of each frame and of the change to the next one, and convolutions over time.

Each frame goes through EfficientNet-Lite0 up to its last stage (Liu 2020, see `efficientnet_lite`), with ImageNet's
weights if they are asked for. Convolutions over time on such features are those of Lea, Flynn, Vidal, Reiter & Hager,
"Temporal convolutional networks for action segmentation and detection", CVPR 2017.

What moves is lost in the mean of a map over its places: something that leaves one place and comes to the next one
changes nothing. So the maps of successive frames are also subtracted place by place, as images are in the difference of
RGB of Wang et al., "Temporal segment networks", ECCV 2016; the logarithms of the mean and of the largest magnitude of a
map are features, so that a camera farther away, where everything changes less, shifts them by a constant.

Nothing before the first normalization is trained where the backbone keeps its weights: these features are computed
once.
"""

from __future__ import annotations

import numpy as np

from opsin import ops
from opsin.ir import Tensor
from opsin.nn import BatchNorm1d, Conv1d, Dropout, Flatten, GlobalAvgPool1d, Layer, Linear, ReLU, Sequential
from opsin.zoo.clips import frame_count, to_frames
from opsin.zoo.efficientnet_lite_det import Backbone
from opsin.zoo.registry import register

WIDTH = 64
"""Channels over time."""

CHANNELS = 320
"""Maps of the backbone's last stage."""

APPEARANCE = 0.1
"""The size of the features of single frames in relation to those of changes: they know the scene, which few films are
enough to learn by heart, and which says little about others."""

SMALLEST = 1e-2
"""What is added to magnitudes before the logarithm."""


class TemporalNetwork(Layer):
    """Square frames below each other, N × 3 × (T·S) × S → logits N × `classes`."""

    def __init__(self, classes: int) -> None:
        self.backbone = Backbone()
        self.norm = BatchNorm1d()
        self.over_time = Sequential(
            Dropout(0.5), Conv1d(WIDTH, 3, padding="same", bias=False), BatchNorm1d(), ReLU(),
            GlobalAvgPool1d(), Flatten(), Dropout(0.5), Linear(classes),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        features = self.norm(self.features(x))
        count = int(str(features.shape[1]))
        shares = np.ones((1, count, 1, 1), np.float32)
        shares[:, CHANNELS:] /= APPEARANCE
        return self.over_time(ops.multiply(features, shares * APPEARANCE if count > CHANNELS else 1.0))

    def features(self, x: Tensor) -> Tensor:
        """Return N × F × 1 × moments of frames below each other.

        There are T - 1 moments of 1,040 features: the 320 means of the last maps of a frame, and how much the maps of
        40 and of 320 channels have changed since the frame before, on average and where they changed most. A single
        frame has the 320 means.
        """
        count, (fine, _, coarse) = frame_count(x), self.backbone.features(to_frames(x))
        means = _by_frame(ops.mean(coarse, (2, 3)), count)
        if count == 1:
            return means
        parts = [ops.narrow(means, 3, 1, count - 1)]
        for maps in (fine, coarse):
            change = ops.absolute(_change(maps, count))
            parts += [_logarithms(reduced(change, (2, 3)), count - 1) for reduced in (ops.mean, ops.max)]
        return ops.concat(parts, 1)


def _change(maps: Tensor, count: int) -> Tensor:
    """Return the differences of the maps of successive frames: N·T × C × H × W → N·(T - 1) × C × H × W."""
    frames, *size = maps.shape
    batch = frames // count
    clips = ops.reshape(maps, (batch, count, *size))
    after, before = ops.narrow(clips, 1, 1, count - 1), ops.narrow(clips, 1, 0, count - 1)
    return ops.reshape(ops.subtract(after, before), (batch * (count - 1), *size))


def _logarithms(values: Tensor, count: int) -> Tensor:
    """Return the logarithms of magnitudes N·T × C as N × C × 1 × T."""
    return _by_frame(ops.log(ops.add(values, SMALLEST)), count)


def _by_frame(values: Tensor, count: int) -> Tensor:
    """Return numbers of each frame N·T × C as N × C × 1 × T."""
    frames, channels = values.shape
    split = ops.reshape(values, (frames // count, count, 1, channels))
    return ops.transpose(split, (0, 3, 2, 1))


tcn_efficientnet_lite0 = register(
    "tcn_efficientnet_lite0", TemporalNetwork, (3, 16 * 128, 128), 2, backbone="efficientnet_lite0", kind="video"
)
