"""Numbers for each image: how much, how many, how far to the left?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.errors import DataError, UsageError
from opsin.ir import Graph, Tensor, input_tensor
from opsin.nn import Objective
from opsin.nn.losses import mean_squared_error
from opsin.nn.objective import Tensors
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import check_logits, check_same_task
from opsin.tasks.explained_score import ExplainedScore, known, one_hot
from opsin.tasks.geometry import Geometry
from opsin.tasks.regression.defaults import defaults_for
from opsin.tasks.regression.draw import draw_measurement
from opsin.tasks.regression.evaluation import RegressionEvaluation
from opsin.tasks.regression.intervals import Intervals, fit_intervals
from opsin.tasks.regression.measurement import Measurement, Quantity
from opsin.tasks.regression.quantities import Quantities, Reading
from opsin.tasks.regression.reader import read
from opsin.tasks.regression.results import Results
from opsin.tasks.score import R2, Score
from opsin.tasks.tables.names import name_and_unit
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size, numbered

NEEDLE_DEVIATIONS = 3
"""Standard deviations from 0 at which the needle of a steering angle lies on its side."""


class SquaredError:
    """The mean squared error of the output "logits" and the target "values", both standardized, N × quantities.

    It aims at the mean of the numbers that images like this one have, which is what R² measures. The absolute error and
    Huber's aim at their median or close to it: where most numbers are equal, as the angles of a car on a straight road
    are 0, a median says 0 for nearly all images. Numbers that are rare are not weighted up either; answers would be
    better for them and worse on the whole (compare Yang et al., "Delving into deep imbalanced regression", 2021).
    """

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {"values": input_tensor("values", outputs["logits"].shape)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return mean_squared_error(outputs["logits"], targets["values"])

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class Regression:
    """A number for each of the `labels`, which are the names of quantities, in their `units`.

    The network's output "logits", N × quantities, is standardized: times `scales` plus `means` it gives the numbers.
    A `signed` quantity, such as a steering angle, changes its sign in the mirror image.
    """

    name: ClassVar[str] = "regression"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = False
    warps: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = False

    labels: tuple[str, ...]
    units: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    signed: tuple[bool, ...]

    def __post_init__(self) -> None:
        lengths = {len(values) for values in (self.labels, self.units, self.means, self.scales, self.signed)}
        if lengths != {len(self.labels)} or not self.labels or not all(scale > 0 for scale in self.scales):
            raise UsageError("a regression has a unit, a mean, a scale above 0 and a sign rule for each quantity")

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the images with numbers in a table; None if there is no table with columns of numbers.

        Raise `DataError` if no table has the `columns`.
        """
        return read(files, image_size, columns)

    @classmethod
    def annotations(
        cls, title: str, names: Sequence[str], values: Sequence[float], splits: Sequence[str]
    ) -> Annotations:
        """Return samples with one number each, of a column with this title, such as "price (EUR)"."""
        samples = zip(names, values, splits, strict=True)
        label, unit = name_and_unit(title)
        readings = [AnnotatedImage(name, Reading((value,)), split) for name, value, split in samples]
        return Annotations(readings, {"labels": [label], "units": [unit]})

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Quantities:
        """Return the numbers of images."""
        return Quantities.of([image.target for image in images], len(settings["labels"]))

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Quantities) -> Regression:
        """Return the task for training images with these numbers.

        `settings` are the "labels", and maybe the "units" and which quantities are "signed".
        """
        labels = tuple(settings["labels"])
        means, scales = targets.values.mean(axis=0), targets.values.std(axis=0)
        return cls(
            labels, tuple(settings.get("units") or [""] * len(labels)), tuple(float(value) for value in means),
            tuple(float(value) if value > 0 else 1.0 for value in scales),
            tuple(settings.get("signed") or [False] * len(labels)),
        )  # fmt: skip

    @classmethod
    def with_outputs(cls, count: int) -> Regression:
        """Return the task with so many outputs, which are called 1, 2, …"""
        return cls(numbered(count), ("",) * count, (0.0,) * count, (1.0,) * count, (False,) * count)

    def with_signs(self, names: Sequence[str]) -> Regression:
        """Return the task in which these quantities change their sign in mirror images.

        Raise `UsageError` for a quantity that the task does not have.
        """
        if unknown := [name for name in names if name not in self.labels]:
            raise UsageError(f"there is no quantity '{unknown[0]}' to be signed; there are {', '.join(self.labels)}")
        return replace(self, signed=tuple(name in names for name in self.labels))

    def for_network(self, network: str, input_size: Size) -> Regression:
        """Return the task itself, which does not depend on the network."""
        return self

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return the plan for quantities of this kind: see `regression.defaults`."""
        return defaults_for(summary)

    @property
    def outputs(self) -> int:
        """The number of quantities."""
        return len(self.labels)

    @property
    def chance_loss(self) -> float:
        """The loss of always answering the mean."""
        return 1.0

    def subject(self) -> str:
        """Return `steering, speed (km/h)`."""
        pairs = zip(self.labels, self.units, strict=True)
        return ", ".join(f"{name} ({unit})" if unit else name for name, unit in pairs)

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless there is an output for each quantity."""
        check_logits(graph, len(self.labels), f"{len(self.labels)} numbers are needed")

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the squared error. Raise `UsageError` for options that only classes have."""
        if options.class_weights is not None or options.logit_adjustment is not None:
            raise UsageError("class weights are for classes; leave them out for numbers")
        return SquaredError()

    def encode(self, targets: Quantities, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "values": standardized, float32 N × quantities; signed ones of mirrored images change their sign."""
        values = self.moved(targets, geometry).values
        return {"values": ((values - np.array(self.means)) / np.array(self.scales)).astype(np.float32)}

    def moved(self, targets: Quantities, geometry: Geometry) -> Quantities:
        """Return the numbers of moved images: signed ones of mirrored images change their sign."""
        flips = geometry.mirrored[:, None] & np.array(self.signed)
        return Quantities(np.where(flips, -targets.values, targets.values))

    def align(self, other: Any, targets: Any) -> Quantities:
        """Return the numbers of data with other quantities in the order of this task.

        Raise `DataError` if the data lacks a quantity.
        """
        check_same_task(self, other)
        if missing := [name for name in self.labels if name not in other.labels]:
            raise DataError(f"the data lacks '{missing[0]}', which the model gives; it has {', '.join(other.labels)}")
        columns = [other.labels.index(name) for name in self.labels]
        return Quantities(targets.values[:, columns], targets.positions)

    def reduce(self, outputs: Outputs, targets: Quantities) -> Results:
        """Return predictions and truth, in the units of the quantities."""
        return Results(self.values(outputs), targets.values, targets.places)

    def evaluate(self, results: Sequence[Results], calibration: Intervals | None) -> RegressionEvaluation:
        """Return errors, R² and the coverage of the intervals."""
        return RegressionEvaluation(
            self.labels, self.units, Results.concatenate(results), np.array(self.means), np.array(self.scales),
            calibration,
        )  # fmt: skip

    def calibrate(self, results: Sequence[Results]) -> Intervals | None:
        """Return intervals that hold on images like these; None if there are too few images."""
        joined = Results.concatenate(results)
        return fit_intervals(joined.predictions, joined.truth)

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: Intervals | None, top: int | None
    ) -> list[Measurement]:
        """Return the numbers of each image."""
        return [self._measurement(row, calibration) for row in self.values(outputs)]

    def truth(self, targets: Quantities) -> list[Measurement]:
        """Return the true numbers as answers, without intervals."""
        return [self._measurement(row, None) for row in targets.values]

    def draw(self, image: Image, answer: Measurement) -> Image:
        """Return a copy of the image with the numbers, and the needle of a steering angle."""
        return draw_measurement(image, answer, self._limits())

    def _limits(self) -> dict[str, float]:
        """Return a number by quantity that few training images exceed."""
        limits = (abs(mean) + NEEDLE_DEVIATIONS * scale for mean, scale in zip(self.means, self.scales, strict=True))
        return dict(zip(self.labels, limits, strict=True))

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the standardized values of the first `count` quantities of one image, or that of `label`."""
        names = self.labels[:count] if label is None else (known(label, self.labels),)
        shape = (len(self.labels),)
        return [
            ExplainedScore(
                name,
                f"the standardized value of '{name}'",
                {"logits": one_hot(shape, self.labels.index(name))},
                "identity",
            )
            for name in names
        ]

    def metric(self, balanced: bool) -> str:
        """Return the name of R²."""
        return R2

    def is_constant(self, score: Score, targets: Quantities) -> bool:
        """Return whether always answering the mean would do as well."""
        return score.value <= 0

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {
            "labels": list(self.labels), "units": list(self.units), "means": list(self.means),
            "scales": list(self.scales), "signed": list(self.signed),
        }  # fmt: skip

    def calibration_from_data(self, data: Mapping[str, Any]) -> Intervals:
        """Return intervals that were written to a file."""
        return Intervals.from_data(data, len(self.labels))

    def values(self, outputs: Outputs) -> NDArray[np.float64]:
        """Return the numbers that the outputs stand for, in their units: N × quantities."""
        values: NDArray[np.float64] = outputs["logits"].astype(np.float64) * self.scales + self.means
        return values

    def _measurement(self, row: NDArray[np.float64], intervals: Intervals | None) -> Measurement:
        margins = intervals.margins if intervals else (None,) * len(row)
        parts = zip(self.labels, row.tolist(), self.units, margins, strict=True)
        return Measurement(tuple(Quantity.of(*part) for part in parts))
