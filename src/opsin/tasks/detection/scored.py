"""Objects and detections in pixels, as the scores of object detection compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import UsageError
from opsin.tasks.detection.answers import Detection
from opsin.tasks.detection.boxes import Boxes, box_areas

Rows = NDArray[np.intp]
NO_ROWS: Rows = np.zeros(0, np.intp)


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects of `image_count` images."""

    image_count: int
    image: NDArray[np.intp]
    """The number of the image of each object (M)."""
    classes: NDArray[np.int32]
    corners: NDArray[np.float64]
    """M × (left, top, right, bottom) in pixels of the image."""
    areas: NDArray[np.float64]
    """Areas in pixels (M), by which objects are small, medium or large."""
    crowd: NDArray[np.bool_]
    difficult: NDArray[np.bool_]

    @classmethod
    def of(cls, boxes: Boxes) -> Self:
        """Return the objects of `boxes`, in pixels of the original images."""
        areas = boxes.areas.astype(np.float64)
        return cls(len(boxes), boxes.image, boxes.classes, boxes.pixels(), areas, boxes.crowd, boxes.difficult)

    @cached_property
    def groups(self) -> dict[tuple[int, int], Rows]:
        """The rows of each (image, class), in their order."""
        return group_rows(self.image, self.classes)

    @cached_property
    def by_image(self) -> dict[tuple[int, int], Rows]:
        """The rows of each (image, 0), in their order."""
        return group_rows(self.image, np.zeros(len(self.image), np.int32))


@dataclass(frozen=True, eq=False)
class Detections:
    """What a network found in the images."""

    image: NDArray[np.intp]
    """The number of the image of each detection (D)."""
    classes: NDArray[np.int32]
    corners: NDArray[np.float64]
    """D × (left, top, right, bottom) in pixels of the image."""
    scores: NDArray[np.float64]
    """The confidence of each detection (D)."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.corners).all() and np.isfinite(self.scores).all()):
            raise UsageError("detections with NaN or infinite boxes or scores were given; give finite numbers only")

    @classmethod
    def of(cls, answers: Sequence[Sequence[Detection]], classes: Sequence[str]) -> Self:
        """Return the detections of images; `classes` are the labels in the order of the class numbers.

        Raise `UsageError` if a detection has another label.
        """
        flat = [(image, detection) for image, found in enumerate(answers) for detection in found]
        numbers = {name: number for number, name in enumerate(classes)}
        return cls(
            np.array([image for image, _ in flat], np.intp),
            np.array([_number(numbers, detection.label) for _, detection in flat], np.int32),
            np.array([detection.box for _, detection in flat], np.float64).reshape(-1, 4),
            np.array([detection.score for _, detection in flat], np.float64),
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self], starts: Sequence[int] | NDArray[np.intp] | None = None) -> Self:
        """Return the detections of all parts; `starts` is added to the image numbers of each part."""
        first = np.zeros(len(parts), np.intp) if starts is None else np.asarray(starts, np.intp)
        return cls(
            np.concatenate([NO_ROWS, *(part.image + start for part, start in zip(parts, first, strict=True))]),
            np.concatenate([np.zeros(0, np.int32), *(part.classes for part in parts)]),
            np.concatenate([np.zeros((0, 4)), *(part.corners for part in parts)]),
            np.concatenate([np.zeros(0), *(part.scores for part in parts)]),
        )

    def above(self, score: float) -> Self:
        """Return the detections with at least this score."""
        rows = self.scores >= score
        return type(self)(self.image[rows], self.classes[rows], self.corners[rows], self.scores[rows])

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """The areas of the boxes in pixels (D)."""
        return box_areas(self.corners)

    @cached_property
    def groups(self) -> dict[tuple[int, int], Rows]:
        """The rows of each (image, class), by descending score; equal scores keep their order."""
        return self._sorted(group_rows(self.image, self.classes))

    @cached_property
    def by_image(self) -> dict[tuple[int, int], Rows]:
        """The rows of each (image, 0), by descending score; equal scores keep their order."""
        return self._sorted(group_rows(self.image, np.zeros(len(self.image), np.int32)))

    def _sorted(self, groups: dict[tuple[int, int], Rows]) -> dict[tuple[int, int], Rows]:
        return {key: rows[np.argsort(-self.scores[rows], kind="stable")] for key, rows in groups.items()}


def group_rows(image: NDArray[np.intp], classes: NDArray[Any]) -> dict[tuple[int, int], Rows]:
    """Return the rows of each (image, class), in ascending order."""
    order = np.lexsort((classes, image))
    keys = np.stack([image[order], classes[order].astype(np.intp)], axis=1)
    bounds = np.flatnonzero((np.diff(keys, axis=0) != 0).any(1)) + 1
    parts = np.split(order, bounds) if len(order) else []
    return {(int(image[rows[0]]), int(classes[rows[0]])): rows for rows in parts}


def _number(numbers: Mapping[str, int], label: str) -> int:
    if label not in numbers:
        known = ", ".join(list(numbers)[:8])
        raise UsageError(
            f"a detection has the label '{label}', which is none of the classes ({known}); use their names"
        )
    return numbers[label]
