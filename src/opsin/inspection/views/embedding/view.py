"""The map of a dataset: images that the network finds alike are near each other."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from opsin.explain.embedding import principal_components, tsne
from opsin.explain.embedding.neighbours import NEIGHBOURS, trustworthiness_of_maps
from opsin.explain.observer import Floats
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.sprites import sprite
from opsin.inspection.subject import Subject
from opsin.inspection.views.embedding.points import Points, sample_points

SPRITE_BYTES, SMALL_SPRITE_BYTES = 430_000, 110_000
"""Bytes of all thumbnails; the second number for networks with small images."""

MIN_POINTS = 4

PROGRESS_STEPS = 50


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
            "maps": _maps_data(points.features, _maps(subject, points.features), arrays),
            "sprite": sheet.to_data(), "names": list(points.names), "splits": splits,
            "split": arrays.add(np.array([splits.index(name) for name in points.splits], np.uint8)),
            "count": count, "available": points.available, "data": subject.data.name, "neighbours": NEIGHBOURS,
            "left_out": f"{count:,} of {points.available:,} images of the data" if count < points.available else "",
            **_answers(points, arrays),
        }  # fmt: skip


def _maps(subject: Subject, features: Floats) -> list[tuple[str, Floats, str]]:
    """Return the name, the positions and a note of each map."""
    components = principal_components(features, 2)
    plane = np.zeros((len(features), 2), np.float32)
    plane[:, : components.scores.shape[1]] = components.scores
    note = f"The two directions hold {components.shares.sum():.0%} of the variance of the features."

    def progress(iteration: int) -> None:
        if iteration % PROGRESS_STEPS == 0:
            subject.progress(f"map of the data, iteration {iteration}")

    embedding = tsne(features, progress=progress)
    return [("t-SNE", embedding.positions, f"Perplexity {embedding.perplexity:g}."), ("PCA", plane, note)]


def _maps_data(features: Floats, maps: list[tuple[str, Floats, str]], arrays: Arrays) -> list[dict[str, Any]]:
    """Return the maps for the page. With few points there is no trustworthiness."""
    is_measured = len(features) >= 2 * NEIGHBOURS
    trusted = trustworthiness_of_maps(features, [positions for _, positions, _ in maps]) if is_measured else []
    return [
        {
            "name": name, "positions": arrays.add(positions), "note": note,
            "trustworthiness": trusted[number] if is_measured else None,
        }
        for number, (name, positions, note) in enumerate(maps)
    ]  # fmt: skip


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
