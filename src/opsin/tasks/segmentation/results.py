"""What evaluation and calibration need of a network's outputs: counts of pixels image by image, and small samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import locked_cache
from opsin.tasks.segmentation.coding import IGNORE, Ids
from opsin.tasks.segmentation.losses import DICE_SMOOTHING
from opsin.tasks.segmentation.masks import Masks
from opsin.tasks.segmentation.metrics import SegmentationScore
from opsin.tasks.segmentation.targets import resized

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SAMPLED_VALUES = 1024
"""Logits of an image that are kept for calibration; those of at least `MIN_SAMPLED_PIXELS` pixels."""
MIN_SAMPLED_PIXELS = 8

SMALL_SIDE = 64
"""Height and width of the small masks that are kept of each image."""

CONTRADICTION = 0.01
"""Pixels whose true class has less than this probability contradict the mask."""


@dataclass(frozen=True, eq=False)
class PixelResults:
    """The results of N images with C classes. Pixels that do not count, 255, are in none of them.

    `score` is that of all images together. The pixels of each class in each image, N × C: those of the class
    (`true`), those answered so (`predicted`), and those of both (`common`). `entropy` (N) is the sum of the cross
    entropy over the pixels of an image, `dice` (N) its Dice loss. `contradictions` (N) counts pixels whose true class
    has less than 1% probability.

    `logits`, N × P × C, and `labels`, N × P, are those of P pixels spread over each image. `small`, uint8
    N × 2 × 64 × 64, is the mask and the answer by the nearest pixels.
    """

    score: SegmentationScore
    true: Counts
    predicted: Counts
    common: Counts
    entropy: Floats
    dice: Floats
    contradictions: Counts
    logits: NDArray[np.float32]
    labels: Ids
    small: Ids

    @classmethod
    def of(cls, classes: Sequence[str], logits: NDArray[np.float32], masks: Masks) -> PixelResults:
        """Return the results for logits N × C × H × W and masks of the same size."""
        return cls.concatenate([_of_image(classes, *pair) for pair in zip(logits, masks.ids, strict=True)])

    @classmethod
    def concatenate(cls, parts: Sequence[PixelResults]) -> PixelResults:
        """Return the results of several sets of images, at least one, as one."""
        score = SegmentationScore.empty(parts[0].score.classes)
        for part in parts:
            score = score + part.score
        names = [field.name for field in fields(cls) if field.name != "score"]
        return cls(score, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def __len__(self) -> int:
        return len(self.true)

    @property
    def counted(self) -> Counts:
        """The number of pixels of each image that count (N)."""
        counted: Counts = self.true.sum(1)
        return counted

    @property
    def wrong(self) -> Counts:
        """The number of pixels of each image with a wrong answer (N)."""
        wrong: Counts = self.counted - self.common.sum(1)
        return wrong

    @property
    def loss(self) -> float:
        """The loss that training minimizes without class weights: cross entropy plus Dice loss."""
        return float(self.entropy.sum() / max(1, self.counted.sum()) + self.dice.mean())


def _of_image(classes: Sequence[str], logits: NDArray[np.float32], labels: Ids) -> PixelResults:
    predicted = logits.argmax(0).astype(np.uint8)
    score = SegmentationScore.of(classes, labels[None], predicted[None])
    entropy, dice, contradictions = _losses(logits, labels, score.confusion.sum(1))
    rows, columns = _spread(SAMPLED_VALUES // len(classes), labels.shape)
    small = np.stack([resized(ids, (SMALL_SIDE, SMALL_SIDE)) for ids in (labels, predicted)])
    return PixelResults(
        score, score.confusion.sum(1)[None], score.confusion.sum(0)[None], score.confusion.diagonal()[None],
        np.array([entropy]), np.array([dice]), np.array([contradictions]),
        logits[:, rows, columns].T[None], labels[rows, columns][None], small[None],
    )  # fmt: skip


def _losses(logits: NDArray[np.float32], labels: Ids, true: Counts) -> tuple[float, float, int]:
    """Return the sum of the cross entropy, the Dice loss and the number of contradictions of an image."""
    counted = labels != IGNORE
    scores = logits.reshape(len(logits), -1) if counted.all() else logits[:, counted]
    ids = labels[counted].astype(np.intp)
    scores = scores - scores.max(0) if ids.size else scores
    powers = np.exp(scores)
    totals = powers.sum(0)
    pixels = np.arange(len(ids))
    entropies = np.log(totals) - scores[ids, pixels]
    shares = powers / totals
    common = np.bincount(ids, shares[ids, pixels], len(logits))
    sizes = np.square(shares, out=shares).sum(1, dtype=np.float64) + true
    dice = (2 * common + DICE_SMOOTHING) / (sizes + DICE_SMOOTHING)
    contradictions = int((entropies > -np.log(CONTRADICTION)).sum())
    return float(entropies.sum(dtype=np.float64)), float(1 - dice.mean()), contradictions


@locked_cache()
def _spread(count: int, size: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return rows and columns of pixels that cover an image evenly, at least `MIN_SAMPLED_PIXELS`.

    They are those of Roberts's sequence R2 ("The unreasonable effectiveness of quasirandom sequences", 2018): multiples
    of 1/g and 1/g², modulo 1, where g³ = g + 1.
    """
    numbers = np.arange(1, max(count, MIN_SAMPLED_PIXELS) + 1)
    plastic = 1.324717957244746
    places = ((0.5 + numbers / plastic**power) % 1 for power in (1, 2))
    rows, columns = ((place * side).astype(np.intp) for place, side in zip(places, size, strict=True))
    return rows, columns
