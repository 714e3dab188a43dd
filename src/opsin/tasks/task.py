"""What a task is: the question that a network answers, and everything that only this question determines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opsin.ir import Graph
from opsin.nn import Objective
from opsin.tasks.geometry import Geometry
from opsin.tasks.score import Score

Outputs: TypeAlias = Mapping[str, NDArray[Any]]
"""The outputs of a network by name, for N images."""

Size: TypeAlias = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class LossOptions:
    """The options of a plan that a loss may use. See `opsin.training.TrainingPlan`."""

    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] | None = None
    logit_adjustment: tuple[float, ...] | None = None


@dataclass(frozen=True, eq=False)
class Mixture:
    """Images that Mixup or CutMix mixed: the share `remaining` of each (N); the rest is the next image's in its batch.

    The last image of a batch of `batch` images is mixed with the first one.
    """

    remaining: NDArray[np.float64]
    batch: int


class Targets(Protocol):
    """The right answers for N images."""

    def __len__(self) -> int:
        """The number of images."""

    def take(self, indices: NDArray[np.intp]) -> Self:
        """Return the targets of the images with these indices."""

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the targets of several sets of images as one."""

    def strata(self) -> NDArray[np.int32]:
        """Return the number of a group for each image. Each split of the data gets the same share of every group."""

    def counts(self, labels: int) -> list[int]:
        """Return the number of images of each of so many labels; nothing if images have no labels."""

    def content(self) -> bytes:
        """Return bytes that change if any target does."""


class Evaluation(Protocol):
    """The result of a model on images with known targets. `str` gives it as a phrase."""

    @property
    def images(self) -> int:
        """The number of images."""

    @property
    def score(self) -> Score:
        """The result by which models are compared."""

    def to_data(self) -> dict[str, Any]:
        """Return everything for JSON."""


class Calibration(Protocol):
    """Numbers, fitted to images that were not trained on, that turn outputs into honest answers."""

    def to_data(self) -> dict[str, Any]:
        """Return it for JSON."""


class Task(Protocol):
    """A question, with what is fixed when a network is trained for it, such as the names of the classes.

    Implementations are frozen dataclasses. Their fields become part of the model file (`to_data`).
    """

    name: ClassVar[str]
    """The name in files and options."""

    mixes: ClassVar[bool]
    """Whether targets of mixed images exist (Mixup, CutMix)."""

    mirrors: ClassVar[bool]
    """Whether the outputs of an image and of its mirror image may be averaged."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of what is recognised or measured: classes, or quantities."""

    @property
    def outputs(self) -> int:
        """The number of classes or quantities that the zoo's networks are created for."""

    @property
    def chance_loss(self) -> float:
        """The loss of a network that has learned nothing yet."""

    def subject(self) -> str:
        """Return a phrase such as "10 classes"."""

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless the outputs of a network's inference graph suit the task."""

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return what a training step minimizes; `mixed` says whether targets are those of mixed images."""

    def encode(self, targets: Any, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return the target arrays of a step, for images that were moved by `geometry` and then mixed."""

    def align(self, other: Any, targets: Any) -> Any:
        """Return the targets of data with the task `other` in the terms of this task.

        Raise `DataError` if the data asks for something that this task does not know.
        """

    def reduce(self, outputs: Outputs, targets: Any) -> Any:
        """Return what `evaluate` and `calibrate` need of some images: much less than their outputs."""

    def evaluate(self, results: Sequence[Any], calibration: Any) -> Evaluation:
        """Return the evaluation of images that were reduced in parts; `calibration` may be None."""

    def calibrate(self, results: Sequence[Any]) -> Any:
        """Return the calibration fitted to images that were reduced in parts; None if the task has none."""

    def answers(self, outputs: Outputs, sizes: Sequence[Size], calibration: Any, top: int | None) -> list[Any]:
        """Return the answer for each image; `sizes` are those of the original images. `top` limits rankings."""

    def metric(self, balanced: bool) -> str:
        """Return the name of the metric that decides which epoch is best; `balanced`: rare classes count as much."""

    def is_constant(self, score: Score, targets: Any) -> bool:
        """Return whether always giving the same answer would have scored as well on these targets."""

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""

    def calibration_from_data(self, data: Mapping[str, Any]) -> Any:
        """Return the calibration that `Calibration.to_data` described. Raise `ModelError` for anything else."""
