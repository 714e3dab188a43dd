"""Answers of a detector: objects with label, score and box."""

from __future__ import annotations

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
