"""Augment and normalize a batch of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.data.augment import draw, mixing
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.draw import Frame
from opsin.data.augment.warp import transform
from opsin.data.preprocessing import Preprocessing

Targets = NDArray[np.int32] | NDArray[np.float32]
"""Labels (N), or if images are mixed, shares of classes (N × classes)."""


class Augmenter:
    """Applies the random changes of `policy` to images of `input_size` (height, width), and then `preprocessing`.

    If the images do not have the network's size, the changes start from the part that evaluation uses: the centre crop
    of the preprocessing, or without a crop the whole image, resized. Raise `CompileError` without llvmlite, unless
    images are only normalized.
    """

    def __init__(
        self, policy: Augmentation, preprocessing: Preprocessing, input_size: tuple[int, int], classes: int, seed: int
    ) -> None:
        self.policy = policy
        self.classes = classes
        self.seed = seed
        output_size, visible = preprocessing.shape[1:], (1.0, 1.0)
        if preprocessing.crop and input_size != output_size:
            visible = (output_size[0] / preprocessing.crop.resize, output_size[1] / preprocessing.crop.resize)
        self.frame = Frame(input_size, output_size, visible)
        self.mean_value = 255 * float(np.mean(preprocessing.mean))
        self.transform = transform(
            *preprocessing.scale_and_shift,
            self.frame,
            unchanged=policy == Augmentation(),
            bilinear=policy.bilinear or self.frame.scales != (1.0, 1.0),
            colour=policy.changes_colour,
        )

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int32],
        batch: int,
        epoch: int,
        first: int,
        flipped: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], Targets]:
        """Return float32 N×C×height×width and targets for uint8 N×C×H×W at the positions from `first` of an epoch.

        If the policy mirrors images, `flipped` says which ones; by default this is random. Images are mixed within
        each `batch`.
        """
        random = draw.uniform(len(pixels), self.seed, epoch, first)
        if flipped is not None:
            random[draw.FLIP] = np.where(flipped, -1.0, 1.0)
        policy, output_size = self.policy, self.frame.output_size
        colours = draw.colour_matrices(policy, pixels.shape[1], self.mean_value, random)
        boxes = draw.cutout_boxes(policy, output_size, random)
        result = self.transform(pixels, output_size, draw.affine_maps(policy, self.frame, random), colours, boxes)
        if not policy.mixes:
            return result, labels
        shares, boxes = draw.mixtures(policy, output_size, random)
        targets = np.empty((len(labels), self.classes), np.float32)
        for start in range(0, len(pixels), batch):
            rows = slice(start, start + batch)
            remaining = mixing.mix(result[rows], shares[rows], boxes[rows])
            targets[rows] = mixing.targets(labels[rows], remaining, self.classes)
        return result, targets
