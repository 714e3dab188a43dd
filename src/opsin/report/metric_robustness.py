"""Robustness of annotated tasks: the main metric on corrupted images. See `opsin.report.robustness`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opsin.data import Samples
from opsin.model import Model
from opsin.report.robustness import CORRUPTIONS, Corruption, Kinds, affordable_sample, corrupted

ROTATED = "rotated"
"""The kind of corruption that moves what is in an image."""

TYPICAL = CORRUPTIONS[0][1][0][1]
"""The corruption by which the time is measured."""


@dataclass(frozen=True)
class MetricRobustness:
    """The main `metric` on a sample of `images` of `available` images, `clean` and corrupted.

    `kinds` are the kinds of corruption, each with its severities and the metric's value under them.
    """

    metric: str
    clean: float
    images: int
    available: int
    kinds: tuple[tuple[str, tuple[tuple[str, float], ...]], ...]

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""
        kinds = [
            {"kind": kind, "strengths": [{"strength": name, "value": value} for name, value in severities]}
            for kind, severities in self.kinds
        ]
        return {
            "metric": self.metric, "clean": self.clean, "images": self.images, "of": self.available, "kinds": kinds
        }  # fmt: skip


def suitable_corruptions(task: Any) -> Kinds:
    """Return the corruptions that leave a task's targets as they are: rotation may not."""
    if task.warps and not task.spatial:
        return CORRUPTIONS
    return tuple((kind, parts) for kind, parts in CORRUPTIONS if kind != ROTATED)


def measure_metric_robustness(model: Model, images: Samples, seconds: float) -> MetricRobustness | None:
    """Measure `model` on as large a sample of `images` as fits into `seconds`; return None if it is too small."""

    def value(part: Samples, corrupt: Corruption | None) -> float:
        changed = part.with_changed(lambda pixels: corrupted(pixels, corrupt))
        return float(model.evaluate(changed).score.value)

    suitable = suitable_corruptions(model.task)
    runs = 1 + sum(len(severities) for _, severities in suitable)
    sample = affordable_sample(images, seconds / runs, lambda part: value(part, TYPICAL))
    if sample is None:
        return None
    kinds = tuple((kind, tuple((name, value(sample, each)) for name, each in parts)) for kind, parts in suitable)
    return MetricRobustness(model.task.metric(False), value(sample, None), len(sample), len(images), kinds)
