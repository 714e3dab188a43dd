"""Several labels for each image: which of these does it show?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.errors import UsageError
from opsin.base.formatting import listed
from opsin.ir import Graph, Tensor, input_tensor
from opsin.nn import Objective
from opsin.nn.losses import binary_cross_entropy
from opsin.nn.objective import Tensors
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import check_logits, label_numbers
from opsin.tasks.classification.predictions import Prediction
from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.explained_score import ExplainedScore, class_scores
from opsin.tasks.geometry import Geometry
from opsin.tasks.image_defaults import image_defaults
from opsin.tasks.multilabel.calibration import LabelThresholds, fit_thresholds
from opsin.tasks.multilabel.evaluation import MEAN_AVERAGE_PRECISION, MultiLabelEvaluation
from opsin.tasks.multilabel.label_sets import LabelSets
from opsin.tasks.multilabel.reader import read
from opsin.tasks.probabilities import sigmoid
from opsin.tasks.score import Score
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size, numbered

Result = tuple[NDArray[np.float32], NDArray[np.uint8]]
"""Logits and truth, N × labels."""


class SigmoidObjective:
    """The binary cross-entropy of the output "logits" N × labels and the target "labels", float32 N × labels."""

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {"labels": input_tensor("labels", outputs["logits"].shape)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return binary_cross_entropy(outputs["logits"], targets["labels"])

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class MultiLabel:
    """Any number of labels for each image. The network's output "logits" is N × labels, one sigmoid each."""

    name: ClassVar[str] = "multilabel"
    mixes: ClassVar[bool] = True
    mirrors: ClassVar[bool] = True
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = False

    labels: tuple[str, ...]

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the images with several labels, in a table or in folders; None if there are none.

        Raise `DataError` if no table has the `columns`.
        """
        return read(files, image_size, columns)

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> LabelSets:
        """Return the labels of images."""
        return LabelSets.of([image.target for image in images], settings["labels"])

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: LabelSets) -> MultiLabel:
        """Return the task for the "labels" in `settings`."""
        return cls(tuple(settings["labels"]))

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return the plan: published weights for photos, small networks for small images."""
        return image_defaults(summary)

    @classmethod
    def with_outputs(cls, count: int) -> MultiLabel:
        """Return the task with so many outputs, which are called 1, 2, …"""
        return cls(numbered(count))

    def for_network(self, network: str, input_size: Size) -> MultiLabel:
        """Return the task itself, which does not depend on the network."""
        return self

    @property
    def outputs(self) -> int:
        """The number of labels."""
        return len(self.labels)

    @property
    def chance_loss(self) -> float:
        """The binary cross-entropy of probabilities of one half."""
        return log(2)

    def subject(self) -> str:
        """Return `12 labels`."""
        return f"{len(self.labels)} labels"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless there is a logit for each label."""
        check_logits(graph, len(self.labels), f"there are {len(self.labels)} labels")

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the binary cross-entropy. Raise `UsageError` for options that only classes have."""
        if options.class_weights is not None or options.logit_adjustment is not None:
            raise UsageError("class weights are for images of one class each; leave them out for several labels")
        return SigmoidObjective()

    def encode(self, targets: LabelSets, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "labels", float32 N × labels."""
        return {"labels": targets.encode(mixture)}

    def moved(self, targets: LabelSets, geometry: Geometry) -> LabelSets:
        """Return the labels themselves: they do not depend on where things are."""
        return targets

    def align(self, other: Any, targets: Any) -> LabelSets:
        """Return the labels of data in the order of this task. Raise `DataError` for a label that is not known here."""
        numbers = label_numbers(self, other, "label")
        matrix = np.zeros((len(targets), len(self.labels)), np.uint8)
        matrix[:, numbers] = targets.matrix
        return LabelSets(matrix)

    def probabilities(self, outputs: Outputs, calibration: LabelThresholds | None) -> NDArray[np.float64]:
        """Return the probability of each label, N × labels."""
        return sigmoid(outputs["logits"])

    def reduce(self, outputs: Outputs, targets: LabelSets) -> Result:
        """Return logits and truth."""
        return outputs["logits"], targets.matrix

    def evaluate(self, results: Sequence[Result], calibration: LabelThresholds | None) -> MultiLabelEvaluation:
        """Return average precision, F1 scores and loss."""
        logits, truth = _concatenated(results)
        exact = logits.astype(np.float64)
        loss = float((np.logaddexp(0, exact) - exact * truth).mean())
        return MultiLabelEvaluation(self.labels, sigmoid(logits), truth, self._thresholds(calibration), loss)

    def calibrate(self, results: Sequence[Result]) -> LabelThresholds:
        """Return the threshold of each label that has the best F1 score on these images."""
        return fit_thresholds(*_concatenated(results))

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: LabelThresholds | None, top: int | None
    ) -> list[Prediction]:
        """Return the labels of each image, ranked by probability."""
        thresholds = self._thresholds(calibration)
        return [Prediction.of_independent(row, self.labels, thresholds, top) for row in sigmoid(outputs["logits"])]

    def truth(self, targets: LabelSets) -> list[Prediction]:
        """Return the true labels as answers, with probabilities of 0 and 1."""
        thresholds = np.full(len(self.labels), 0.5)
        return [Prediction.of_independent(row.astype(np.float64), self.labels, thresholds) for row in targets.matrix]

    def draw(self, image: Image, answer: Prediction) -> Image:
        """Return a copy of the image in RGB with the labels in a caption."""
        result = enlarged(image)
        add_caption(result, [listed(answer.labels or ()) or "no label"])
        return result

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the logits of the best labels of one image, or that of `label`."""
        return class_scores(outputs["logits"][0], self.labels, "sigmoid", label, count)

    def metric(self, balanced: bool) -> str:
        """Return the name of the mean average precision."""
        return MEAN_AVERAGE_PRECISION

    def is_constant(self, score: Score, targets: LabelSets) -> bool:
        """Return whether a random order of the images would have as much mean average precision.

        That of a random order is about the share of the images with the label.
        """
        shares = targets.matrix.mean(axis=0)
        return score.value <= float(shares[shares > 0].mean()) if (shares > 0).any() else False

    def to_data(self) -> dict[str, Any]:
        """Return the labels for JSON."""
        return {"labels": list(self.labels)}

    def calibration_from_data(self, data: Mapping[str, Any]) -> LabelThresholds:
        """Return thresholds that were written to a file."""
        return LabelThresholds.from_data(data, len(self.labels))

    def _thresholds(self, calibration: LabelThresholds | None) -> NDArray[np.float64]:
        return np.array(calibration.thresholds if calibration else [0.5] * len(self.labels))


def _concatenated(results: Sequence[Result]) -> Result:
    return np.concatenate([logits for logits, _ in results]), np.concatenate([truth for _, truth in results])
