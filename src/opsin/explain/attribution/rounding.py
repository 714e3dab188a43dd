"""Whether rounding decides a class activation map: the map of features that differ in their last digits.

Some sums of channels cancel, most often at layers before a ReLU, and the formulas of Grad-CAM++ and XGrad-CAM divide by
them. The last digits of float32 features then decide the weight of a channel, or its sign. No order of the sums helps,
because it is the features that are rounded; float64 does (`Observer(model, precision="float64")`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from opsin.explain.attribution.display import display_map
from opsin.explain.attribution.method import Method, RawMap, Weigh
from opsin.explain.attribution.question import Features, Question
from opsin.explain.observer import FLOAT32

Floats = NDArray[np.float64]

MAX_CHANGE = 0.01
"""The largest change of a map from 0 to 1 that is not mentioned."""


def with_remarks(method: Method, question: Question, raws: Sequence[RawMap]) -> Sequence[RawMap]:
    """Return maps with the detail "rounding", how far rounding changes them, and a "remark" if that can be seen.

    Maps in float64, and those of the image, stay as they are.
    """
    if method.weigh is None or question.observer.precision != FLOAT32:
        return raws
    parts = changes(method.weigh, question.disturbed, np.stack([raw.values for raw in raws])).tolist()
    return [
        replace(
            raw, details={**raw.details, "rounding": part} | ({"remark": remark(part)} if part > MAX_CHANGE else {})
        )
        for raw, part in zip(raws, parts, strict=True)
    ]


def changes(weigh: Weigh, features: Sequence[Features], maps: Floats) -> Floats:
    """Return by how much each of N maps from 0 to 1 changes at most if it is computed from other `features`."""
    results = np.zeros(len(maps))
    for values, gradients in features:
        with np.errstate(invalid="ignore", over="ignore"):
            changed, _ = weigh(values, gradients)
        for n, (before, after) in enumerate(zip(maps, changed, strict=True)):
            if np.isfinite(before).all() and np.isfinite(after).all():
                size = before.shape[0], before.shape[1]
                change = np.abs(display_map(after, size) - display_map(before, size)).max()
                results[n] = max(results[n], change)
    return results


def remark(change: float) -> str:
    """Return what a change of a map means."""
    return (
        f"Rounding decides this map: it changes by up to {change:.2f} of 1 if the layer's values and gradients change "
        'in the last digits of float32. Other engines show another map; compute it with precision="float64".'
    )
