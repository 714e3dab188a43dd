"""Answers of a detector: objects with label, score and box."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opsin.base.formatting import percent


@dataclass(frozen=True, slots=True)
class Detection:
    """An object that a network found in an image."""

    label: str
    score: float
    """The confidence, 0 to 1."""
    box: tuple[float, float, float, float]
    """Left, top, right and bottom in pixels of the original image, from its left and upper edges."""

    def to_coco(self, image_id: int, category_id: int) -> dict[str, Any]:
        """Return the detection in the result format of COCO: the box as x, y, width, height."""
        left, top, right, bottom = (float(value) for value in self.box)
        box = [left, top, right - left, bottom - top]
        return {"image_id": image_id, "category_id": category_id, "bbox": box, "score": float(self.score)}

    def __str__(self) -> str:
        """Return one line, such as "dog 98.2% at 12, 30 to 150, 220"."""
        left, top, right, bottom = (round(value) for value in self.box)
        return f"{self.label} {percent(self.score)} at {left}, {top} to {right}, {bottom}"

    def to_data(self) -> dict[str, Any]:
        """Return the detection for JSON; the box is left, top, right, bottom."""
        return {"label": self.label, "score": self.score, "box": list(self.box)}


@dataclass(frozen=True, slots=True)
class FoundObjects:
    """The objects that a network found in an image, by descending score. `size` is its height and width in pixels."""

    detections: tuple[Detection, ...]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.detections)

    def __iter__(self) -> Iterator[Detection]:
        return iter(self.detections)

    def counts(self) -> dict[str, int]:
        """Return the number of objects of each class that occurs, the most frequent first."""
        return dict(Counter(detection.label for detection in self.detections).most_common())

    def summary(self) -> str:
        """Return the counts, such as "2 dog, 1 cat"."""
        return ", ".join(f"{count} {label}" for label, count in self.counts().items()) or "no objects"

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON."""
        height, width = self.size
        return {
            "height": height, "width": width, "counts": self.counts(),
            "detections": [detection.to_data() for detection in self.detections],
        }  # fmt: skip

    def to_coco(self, image_id: int, labels: Sequence[str]) -> list[dict[str, Any]]:
        """Return the detections in the result format of COCO; a category's number is its place in `labels`, from 1."""
        numbers = {label: number for number, label in enumerate(labels, start=1)}
        return [detection.to_coco(image_id, numbers[detection.label]) for detection in self.detections]

    def __str__(self) -> str:
        """Return one line, such as "2 dog, 1 cat: dog 98.2% at 12, 30 to 150, 220; …"."""
        if not self.detections:
            return self.summary()
        return f"{self.summary()}: {'; '.join(map(str, self.detections))}"
