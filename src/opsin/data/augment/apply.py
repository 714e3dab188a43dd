"""Augment and normalize a batch of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.data.augment import draw, mixing
from opsin.data.augment.augmentation import Augmentation
from opsin.data.augment.draw import Frame
from opsin.data.augment.warp import transform
from opsin.data.decode import Crop
from opsin.data.preprocessing import Preprocessing
from opsin.tasks.geometry import Geometry
from opsin.tasks.task import Mixture, Targets, Task

Arrays = Mapping[str, NDArray[Any]]
"""The target arrays of a step by name, with N rows."""


class Augmenter:
    """Applies the random changes of `policy` to images of `input_size` (height, width), and then `preprocessing`.

    If the images do not have the network's size, the changes start from the part that evaluation uses: the centre crop
    of the preprocessing, or without a crop the whole image, resized. Raise `CompileError` without llvmlite, unless
    images are only normalized.
    """

    def __init__(
        self, policy: Augmentation, preprocessing: Preprocessing, input_size: tuple[int, int], task: Task, seed: int
    ) -> None:
        self.policy = policy
        self.task = task
        self.seed = seed
        output_size, visible = preprocessing.shape[1:], (1.0, 1.0)
        if isinstance(preprocessing.crop, Crop) and input_size != output_size:
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
        targets: Targets,
        batch: int,
        epoch: int,
        first: int,
        flipped: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], Arrays]:
        """Return float32 N×C×height×width and target arrays for uint8 N×C×H×W, as `images` makes them."""
        result, geometry, mixture = self.images(pixels, batch, epoch, first, flipped)
        return result, self.task.encode(targets, geometry, mixture)

    def images(
        self,
        pixels: NDArray[np.uint8],
        batch: int,
        epoch: int,
        first: int,
        flipped: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], Geometry, Mixture | None]:
        """Return float32 N×C×height×width for uint8 N×C×H×W, from position `first` of an epoch, and how they changed.

        If the policy mirrors images, `flipped` says which ones; by default this is random. Images are mixed within
        each `batch`.
        """
        random = draw.uniform(len(pixels), self.seed, epoch, first)
        if flipped is not None:
            random[draw.FLIP] = np.where(flipped, -1.0, 1.0)
        policy, output_size = self.policy, self.frame.output_size
        if policy.gamma:
            pixels = _with_gamma(policy, pixels, random)
        mean = pixels.mean((1, 2, 3)) if policy.own_contrast else self.mean_value
        colours = draw.colour_matrices(policy, pixels.shape[1], mean, random)
        boxes = draw.cutout_boxes(policy, output_size, random)
        maps = draw.affine_maps(policy, self.frame, random)
        result = self.transform(pixels, output_size, maps, colours, boxes)
        mixture = self._mix(result, random, batch) if policy.mixes else None
        return result, Geometry(self.frame.input_size, output_size, maps), mixture

    def _mix(self, images: NDArray[np.float32], random: NDArray[np.float64], batch: int) -> Mixture:
        """Mix images of the same batch, in place."""
        shares, boxes = draw.mixtures(self.policy, self.frame.output_size, random)
        remaining = np.empty(len(images))
        for start in range(0, len(images), batch):
            rows = slice(start, start + batch)
            remaining[rows] = mixing.mix(images[rows], shares[rows], boxes[rows])
        return Mixture(remaining, batch)


def _with_gamma(policy: Augmentation, pixels: NDArray[np.uint8], random: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the images with each value raised to a power."""
    tables = draw.gamma_tables(policy, pixels.max((1, 2, 3)), random)
    return np.stack([table[image] for table, image in zip(tables, pixels, strict=True)])
