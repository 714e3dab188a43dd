"""Classification: which one of several classes does an image show?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.formatting import percent
from opsin.ir import Graph
from opsin.nn import Objective, losses
from opsin.nn.objective import Classify
from opsin.tasks.checks import check_logits, label_numbers
from opsin.tasks.classification.calibration import Calibration, calibrate
from opsin.tasks.classification.class_balance import smoothing_spread
from opsin.tasks.classification.labels import ClassLabels
from opsin.tasks.classification.mixing import mixed_shares
from opsin.tasks.classification.predictions import Evaluation, Prediction
from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.explained_score import ExplainedScore, class_scores
from opsin.tasks.geometry import Geometry
from opsin.tasks.probabilities import softmax
from opsin.tasks.score import ACCURACY, BALANCED_ACCURACY, Score
from opsin.tasks.task import LossOptions, Mixture, Outputs, Size, numbered

Result = tuple[NDArray[np.float32], NDArray[np.int32]]
"""Logits N × classes and labels N."""


@dataclass(frozen=True)
class Classification:
    """One class of several for each image. The network's output "logits" is N × classes."""

    name: ClassVar[str] = "classification"
    mixes: ClassVar[bool] = True
    mirrors: ClassVar[bool] = True
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = False

    labels: tuple[str, ...]

    @classmethod
    def with_outputs(cls, count: int) -> Classification:
        """Return the task with so many outputs, which are called 1, 2, …"""
        return cls(numbered(count))

    def for_network(self, network: str, input_size: Size) -> Classification:
        """Return the task itself, which does not depend on the network."""
        return self

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.labels)

    @property
    def chance_loss(self) -> float:
        """The cross-entropy of equal probabilities."""
        return float(np.log(len(self.labels)))

    def subject(self) -> str:
        """Return `10 classes`."""
        return f"{len(self.labels)} classes"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless there is a logit for each class."""
        check_logits(graph, len(self.labels), f"there are {len(self.labels)} classes")

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the cross-entropy, of labels or, if images are `mixed`, of shares of classes."""
        entropy = losses.soft_cross_entropy if mixed else losses.cross_entropy
        offsets = options.logit_adjustment
        loss = partial(
            entropy, label_smoothing=options.label_smoothing, class_weights=options.class_weights,
            smoothing_distribution=smoothing_spread(options.class_weights, offsets),
        )  # fmt: skip
        if offsets is None:
            return Classify(loss, mixed)
        return Classify(lambda logits, labels: loss(losses.adjusted(logits, offsets), labels), mixed)

    def encode(self, targets: ClassLabels, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "labels": class numbers, int32 N, or for mixed images shares of the classes, float32 N × classes."""
        labels = targets.numbers
        return {"labels": labels if mixture is None else mixed_shares(labels, mixture, len(self.labels))}

    def align(self, other: Classification, targets: ClassLabels) -> ClassLabels:
        """Return the labels of data with other class numbers. Raise `DataError` for a class that is not known here."""
        return ClassLabels(label_numbers(self, other)[targets.numbers])

    def probabilities(self, outputs: Outputs, calibration: Calibration | None) -> NDArray[np.float64]:
        """Return the probability of each class, N × classes."""
        return softmax(outputs["logits"], calibration.temperature if calibration else 1.0)

    def reduce(self, outputs: Outputs, targets: ClassLabels) -> Result:
        """Return logits and labels."""
        return outputs["logits"], targets.numbers

    def evaluate(self, results: Sequence[Result], calibration: Calibration | None) -> Evaluation:
        """Return accuracy, loss and confusion matrix."""
        logits, labels = _concatenated(results)
        probabilities = softmax(logits, calibration.temperature if calibration else 1.0)
        return Evaluation.from_probabilities(probabilities, labels, self.labels)

    def calibrate(self, results: Sequence[Result]) -> Calibration:
        """Return the temperature and the threshold that suit these images."""
        return calibrate(*_concatenated(results))

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: Calibration | None, top: int | None
    ) -> list[Prediction]:
        """Return the most probable classes of each image."""
        return [Prediction.from_logits(row, self.labels, calibration, top=top) for row in outputs["logits"]]

    def draw(self, image: Image, answer: Prediction) -> Image:
        """Return a copy of the image in RGB with the label and its probability in a caption."""
        result = enlarged(image)
        text = f"{answer.label} {percent(answer.probability)}"
        add_caption(result, [f"don't know, perhaps {text}" if answer.reliable is False else text])
        return result

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the logits of the best classes of one image, or that of `label`."""
        return class_scores(outputs["logits"][0], self.labels, "softmax", label, count)

    def metric(self, balanced: bool) -> str:
        """Return the name of the accuracy, or of the balanced accuracy."""
        return BALANCED_ACCURACY if balanced else ACCURACY

    def is_constant(self, score: Score, targets: ClassLabels) -> bool:
        """Return whether always naming the most frequent class would be right as often."""
        counts = np.bincount(targets.numbers)
        return bool(score.accuracy <= counts.max() / counts.sum())

    def to_data(self) -> dict[str, Any]:
        """Return the classes for JSON."""
        return {"labels": list(self.labels)}

    def calibration_from_data(self, data: Mapping[str, Any]) -> Calibration:
        """Return a calibration that was written to a file."""
        return Calibration.from_data(data)


def _concatenated(results: Sequence[Result]) -> Result:
    return np.concatenate([logits for logits, _ in results]), np.concatenate([labels for _, labels in results])
