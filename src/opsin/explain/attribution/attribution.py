"""`Attribution`: which parts of an image support an answer, by one method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.concurrency import lazy
from opsin.base.formatting import decimal
from opsin.explain.attribution.display import display_map, sentences_about
from opsin.explain.attribution.method import Method, RawMap
from opsin.explain.map_layers import MapLayer
from opsin.tasks.explained_score import ExplainedScore


@dataclass(frozen=True, eq=False)
class Attribution:
    """How much each place of an image supports the `label`, by a `method`.

    `score` is the value that is explained, such as a logit, and `description` says what it is. `raw` is the map as the
    method defines it, float64 rows × columns of the `layer`, or of the image: its numbers can be compared between
    images, and negative ones count against the label. `sentences` say if the map means nothing; then `display` is 0.
    """

    method: str
    label: str
    description: str
    score: float
    layer: str | None
    raw: NDArray[np.float64]
    size: tuple[int, int]
    """Height and width of the image that the network takes."""
    sentences: tuple[str, ...] = ()
    channel_weights: NDArray[np.float64] | None = None
    """The weight of each channel of the layer, if the map is a weighted sum of channels."""
    details: Mapping[str, Any] | None = None
    """Settings and checks of the method."""

    @lazy
    def display(self) -> NDArray[np.float64]:
        """The map from 0 to 1, height × width: see `display_map`."""
        return np.zeros(self.size) if self.sentences else display_map(self.raw, self.size)

    @property
    def peak(self) -> tuple[int, int]:
        """The row and column of the pixel that supports the label most."""
        row, column = np.unravel_index(int(self.display.argmax()), self.size)
        return int(row), int(column)

    def to_data(self) -> dict[str, Any]:
        """Return everything but the arrays for JSON."""
        return {
            "method": self.method, "label": self.label, "description": self.description, "score": self.score,
            "layer": self.layer, "sentences": list(self.sentences), "smallest": float(self.raw.min()),
            "largest": float(self.raw.max()), "details": dict(self.details or {}),
        }  # fmt: skip

    def __str__(self) -> str:
        layer = f" in {self.layer}" if self.layer else ""
        return f"{self.method} of {self.description} ({decimal(self.score, '.4g')}){layer}"


def attribution(
    method: Method, score: ExplainedScore, value: float, layer: MapLayer | None, raw: RawMap, size: tuple[int, int]
) -> Attribution:
    """Return the attribution of one image for a raw map. A map with NaN or infinity becomes 0, with a sentence."""
    sentences = sentences_about(raw.values, score.label, "this layer" if layer else "this image")
    details, gap = raw.details, raw.details.get("gap", 0.0)
    if gap > raw.details.get("largest_gap", 1.0):
        details = {**details, "remark": f"The values add up to the difference of the scores only within {gap:.0%}."}
    values = finite(raw.values)
    return Attribution(
        method.name, score.label, score.description, value, layer.name if layer else None, values, size, sentences,
        raw.channel_weights, details,
    )  # fmt: skip


def finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a raw map, or zeros if it has NaN or infinity."""
    return values if np.isfinite(values).all() else np.zeros_like(values)
