"""Occlusion: how far the score falls if a window of the image is covered.

Zeiler & Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. A window with the mean colour of the
training images (0 after normalization) slides over the image in a grid of places; the map is the fall of the score.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opsin.explain.attribution.method import Floats, Method, RawMap
from opsin.explain.attribution.question import Inputs, Question, largest_batch
from opsin.tasks.explained_score import ExplainedScore

PLACES, FINE_PLACES = 14, 28
"""Rows and columns of places; small images have finer grids."""
SMALL_SIDE = 64
"""The side of a small image in pixels."""
WINDOW = 2.0
"""The side of the window, in steps between places."""
MIN_WINDOW = 5
"""The smallest side of the window in pixels, so that a stroke can be covered."""


def compute(question: Question) -> list[RawMap]:
    """Return the map of each image, rows × columns of places."""
    return [_map(question, image, score) for image, score in zip(question.inputs, question.scores, strict=True)]


def _map(question: Question, image: Inputs, score: ExplainedScore) -> RawMap:
    sides = image.shape[1:]
    places = [min(side, FINE_PLACES if side <= SMALL_SIDE else PLACES) for side in sides]
    windows = [
        min(side, max(MIN_WINDOW, round(WINDOW * side / count))) for side, count in zip(sides, places, strict=True)
    ]
    rows, columns = (_starts(*sizes) for sizes in zip(sides, places, windows, strict=True))
    corners = [(row, column) for row in rows for column in columns]
    whole = question.values(image[None], score)[0]
    covered = [question.values(batch, score) for batch in _batches(question, image, corners, windows)]
    drops: Floats = whole - np.concatenate(covered)
    details = {"window": windows, "places": places, "colour": "the mean colour of the training images"}
    return RawMap(drops.reshape(places), details=details)


def _starts(side: int, places: int, window: int) -> list[int]:
    """Return the first row, or column, of the windows around the centres of places; parts outside are cut off."""
    centres = (np.arange(places) + 0.5) * side / places
    return [int(start) for start in np.rint(centres - window / 2)]


def _batches(question: Question, image: Inputs, corners: list[tuple[int, int]], windows: list[int]) -> Iterator[Inputs]:
    size = largest_batch(question.observer)
    for first in range(0, len(corners), size):
        part = corners[first : first + size]
        batch = np.repeat(image[None], len(part), axis=0)
        for covered, (row, column) in zip(batch, part, strict=True):
            covered[:, max(0, row) : row + windows[0], max(0, column) : column + windows[1]] = 0
        yield batch


METHOD = Method(
    "occlusion", "Occlusion", "Zeiler & Fergus 2014", "how far the score falls if a window around the place is covered",
    compute, needs_layer=False,
)  # fmt: skip
