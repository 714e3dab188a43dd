"""The maps of images by their features, as data of a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from opsin.explain.embedding import principal_components, tsne
from opsin.explain.embedding.neighbours import NEIGHBOURS, trustworthiness_of_maps
from opsin.explain.observer import Floats
from opsin.inspection.page.arrays import Arrays

MIN_POINTS = 4
"""Points that a map needs."""

PROGRESS_STEPS = 50
"""Iterations between two messages."""


def maps_data(features: Floats, arrays: Arrays, progress: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return name, positions, a note and the trustworthiness of each map of features (N × F) for the page.

    With few points there is no trustworthiness. `progress` is called with the name of each part of the work.
    """
    maps = _maps(features, progress)
    is_measured = len(features) >= 2 * NEIGHBOURS
    trusted = trustworthiness_of_maps(features, [positions for _, positions, _ in maps]) if is_measured else []
    return [
        {
            "name": name, "positions": arrays.add(positions), "note": note,
            "trustworthiness": trusted[number] if is_measured else None,
        }
        for number, (name, positions, note) in enumerate(maps)
    ]  # fmt: skip


def _maps(features: Floats, progress: Callable[[str], None]) -> list[tuple[str, Floats, str]]:
    """Return the name, the positions and a note of each map."""
    components = principal_components(features, 2)
    plane = np.zeros((len(features), 2), np.float32)
    plane[:, : components.scores.shape[1]] = components.scores
    note = f"The two directions hold {components.shares.sum():.0%} of the variance of the features."

    def show(iteration: int) -> None:
        if iteration % PROGRESS_STEPS == 0:
            progress(f"map of the data, iteration {iteration}")

    embedding = tsne(features, progress=show)
    return [("t-SNE", embedding.positions, f"Perplexity {embedding.perplexity:g}."), ("PCA", plane, note)]
