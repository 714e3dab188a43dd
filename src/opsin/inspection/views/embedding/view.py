"""The map of a dataset: images that the network finds alike are near each other."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from opsin.explain.embedding.neighbours import NEIGHBOURS
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.sprites import sprite
from opsin.inspection.subject import Subject
from opsin.inspection.views.embedding.maps import MIN_POINTS, maps_data
from opsin.inspection.views.embedding.points import Points, sample_points

SPRITE_BYTES, SMALL_SPRITE_BYTES = 430_000, 110_000
"""Bytes of all thumbnails; the second number for networks with small images."""


class EmbeddingView:
    """Features of the data's images in two dimensions, by principal components and by t-SNE."""

    name: ClassVar[str] = "embedding"
    title: ClassVar[str] = "Map of the data"

    def markup(self, subject: Subject) -> str:
        return ""

    def data(self, subject: Subject, arrays: Arrays) -> dict[str, Any] | None:
        """Return the maps, their trustworthiness, a sheet of thumbnails, and the labels and answers of each image."""
        if subject.data is None:
            return None
        points = sample_points(subject, subject.data)
        if points is None or len(points.features) < MIN_POINTS:
            return None
        count = len(points.features)
        max_bytes = SMALL_SPRITE_BYTES if subject.is_small else SPRITE_BYTES
        sheet = sprite(points.images.single().pixels, np.arange(count), max_bytes)
        splits = sorted(set(points.splits), key=points.splits.index)
        return {
            "maps": maps_data(points.features, arrays, subject.progress),
            "sprite": sheet.to_data(), "names": list(points.names), "division": "split", "parts": splits,
            "part": arrays.add(np.array([splits.index(name) for name in points.splits], np.uint8)),
            "count": count, "available": points.available, "data": subject.data.name, "neighbours": NEIGHBOURS,
            "left_out": f"{count:,} of {points.available:,} images of the data" if count < points.available else "",
            **_answers(points, arrays),
        }  # fmt: skip


def _answers(points: Points, arrays: Arrays) -> dict[str, Any]:
    """Return labels, answers, doubts and suspects; nothing for a task without classes."""
    if points.labels is None or points.answers is None or points.doubt is None or points.suspects is None:
        return {}
    wrong = points.labels != points.answers
    return {
        "labels": arrays.add(points.labels.astype(np.int32)), "answers": arrays.add(points.answers),
        "doubt": arrays.add(points.doubt), "suspects": arrays.add(points.suspects.astype(np.uint8)),
        "wrong": int(wrong.sum()), "suspected": int(points.suspects.sum()),
    }  # fmt: skip
