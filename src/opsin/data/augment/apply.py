"""From stored images to what a network sees of them in training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from opsin.data.augment import draw, mixing
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.draw import Frame
from opsin.data.augment.warp import Warper
from opsin.data.preprocessing import Preprocessing

Targets = NDArray[np.int32] | NDArray[np.float32]
"""Labels N, or where images are mixed shares of classes N × classes."""


class Augmenter:
    """Applies the changes that `policy` allow to images of `source` (height, width), and then `preprocessing`.

    Sources of another size than the network's images show what testing shows of them when nothing is changed: the
    middle that the preprocessing's crop leaves, or without one everything.
    """

    def __init__(
        self, policy: Augmentation, preprocessing: Preprocessing, source: tuple[int, int], classes: int, seed: int
    ) -> None:
        self.policy, self.classes, self.seed = policy, classes, seed
        goal, view = preprocessing.shape[1:], (1.0, 1.0)
        if preprocessing.crop and source != goal:
            view = (goal[0] / preprocessing.crop.resize, goal[1] / preprocessing.crop.resize)
        self.frame = Frame(source, goal, view)
        self.middle = 255 * float(np.mean(preprocessing.mean))
        bilinear = policy.bilinear or self.frame.scales != (1.0, 1.0)
        self.warp = Warper(*preprocessing.scale_and_shift, bilinear=bilinear, changes_colour=policy.changes_colour)

    def __call__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int32],
        batch: int,
        epoch: int,
        first: int,
        sides: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], Targets]:
        """What is seen of uint8 N×C×H×W at the places from `first` on of an epoch; mixed within each `batch`.

        Where images are mirrored, `sides` says which, and without them chance. What is seen is float32
        N×C×height×width.
        """
        random = draw.draw(len(pixels), self.seed, epoch, first)
        if sides is not None:
            random[draw.FLIP] = np.where(sides, -1.0, 1.0)
        policy, goal = self.policy, self.frame.goal
        colours = draw.colours(policy, pixels.shape[1], self.middle, random)
        boxes = draw.cutouts(policy, goal, random)
        shown = self.warp(pixels, goal, draw.maps(policy, self.frame, random), colours, boxes)
        if not policy.mixes:
            return shown, labels
        shares, replaced = draw.mixtures(policy, goal, random)
        targets = np.empty((len(labels), self.classes), np.float32)
        for start in range(0, len(pixels), batch):
            part = slice(start, start + batch)
            left = mixing.mix(shown[part], shares[part], replaced[part])
            targets[part] = mixing.targets(labels[part], left, self.classes)
        return shown, targets
