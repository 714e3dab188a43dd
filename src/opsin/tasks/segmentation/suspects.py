"""Masks that a network contradicts so strongly that they may be wrong: moved, mirrored, empty or incomplete ones.

Moved masks are found by moving them: if a mask agrees with the answer much better at another place, or mirrored, it
was probably drawn or saved for an image that was moved. This works on small masks, of which a pixel is 1/64 of a side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opsin.base.formatting import percent
from opsin.tasks.segmentation.coding import IGNORE, Ids
from opsin.tasks.segmentation.results import SMALL_SIDE, PixelResults

MIN_MOVED_AGREEMENT, MIN_GAIN = 0.5, 0.2
"""The agreement that a moved mask must reach, and the gain over the mask as it is."""

MAX_SHIFT, MIN_SHIFT = 12, 2
"""Shifts that are tried and that are reported, in pixels of the small masks."""

MIN_AREA = 0.005
"""The least share of an image that the network must answer as foreground to doubt an empty mask."""

MIN_CONTRADICTION = 0.3
"""The share of the foreground that must contradict a mask to report it."""

MAX_EXAMINED = 100
"""Images with the largest errors whose masks are examined."""

FLIPS: dict[str, Callable[[Ids], Ids]] = {
    "mirrored left to right": lambda ids: ids[:, ::-1],
    "mirrored top to bottom": lambda ids: ids[::-1],
    "turned by 180°": lambda ids: ids[::-1, ::-1],
    "turned by 90°": np.rot90,
    "turned by 270°": lambda ids: np.rot90(ids, 3),
    "with rows and columns exchanged": np.transpose,
}


@dataclass(frozen=True)
class Suspect:
    """The number of an image whose mask is doubtful, why, and how strongly (0 to 1)."""

    image: int
    reason: str
    strength: float


def suspects(results: PixelResults, background: bool, order: Sequence[int]) -> list[Suspect]:
    """Return the doubtful masks, the most doubtful first, of the first images in `order`.

    `background` says whether the first class is background.
    """
    candidates = (_examine(results, background, image) for image in order[:MAX_EXAMINED])
    return sorted((each for each in candidates if each), key=lambda each: -each.strength)


def _examine(results: PixelResults, background: bool, image: int) -> Suspect | None:
    area, contradictions = int(results.counted[image]), int(results.contradictions[image])
    if background and results.true[image, 1:].sum() == 0:
        foreground = int(results.predicted[image, 1:].sum())
        if foreground < MIN_AREA * area or 2 * contradictions < foreground:
            return None
        reason = f"the mask is empty, but {percent(foreground / area)} of the image is answered as foreground"
        return Suspect(image, reason, 1.0)
    mask, answer = results.small[image]
    moved = _moved(mask, answer, background)
    if moved:
        return Suspect(image, *moved)
    if background:
        area -= int(results.common[image, 0])
    share = contradictions / max(1, area)
    if share < MIN_CONTRADICTION:
        return None
    what = "of the foreground" if background else "of the image"
    return Suspect(image, f"{percent(share)} {what} contradicts the mask almost surely", share)


def _moved(mask: Ids, answer: Ids, background: bool) -> tuple[str, float] | None:
    """Return how the mask would agree with the answer much better, and the gain; None if it would not."""
    now = _agreement(mask, answer, background)
    if now + MIN_GAIN > 1:
        return None
    agreement, reason = max(_moves(mask, answer, background), key=lambda move: move[0])
    if agreement < MIN_MOVED_AGREEMENT or agreement < now + MIN_GAIN:
        return None
    return f"the mask fits much better {reason}: {agreement:.2f} instead of {now:.2f} IoU", agreement - now


def _moves(mask: Ids, answer: Ids, background: bool) -> Iterator[tuple[float, str]]:
    """Yield the agreement of the answer with a mask that is mirrored, turned or shifted, and how."""
    for reason, flip in FLIPS.items():
        yield _agreement(flip(mask), answer, background), reason
    steps = range(-MAX_SHIFT, MAX_SHIFT + 1)
    for down, right in ((down, right) for down in steps for right in steps):
        if max(abs(down), abs(right)) >= MIN_SHIFT:
            here, there = (_window(ids, sign * down, sign * right) for ids, sign in ((mask, -1), (answer, 1)))
            yield _agreement(here, there, background), f"shifted by {_shift_text(down, right)}"


def _window(ids: Ids, down: int, right: int) -> Ids:
    """Return the part of an array that is left if its content moves out of it by so much to the top and left."""
    rows = slice(max(0, down), ids.shape[0] + min(0, down))
    columns = slice(max(0, right), ids.shape[1] + min(0, right))
    return ids[rows, columns]


def _shift_text(down: int, right: int) -> str:
    parts = [
        f"{percent(abs(steps) / SMALL_SIDE, digits=0)} {names[steps > 0]}"
        for steps, names in ((down, ("up", "down")), (right, ("to the left", "to the right")))
        if steps
    ]
    return " and ".join(parts)


def _agreement(mask: NDArray[np.uint8], answer: NDArray[np.uint8], background: bool) -> float:
    """Return the share of equal pixels among those that are foreground in one of both; without background, of all."""
    counted = mask != IGNORE
    if background:
        counted &= (mask > 0) | (answer > 0)
    total = int(counted.sum())
    return float((counted & (mask == answer)).sum() / total) if total else 0.0
