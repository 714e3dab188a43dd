"""What a task is: the question that a network answers, and everything that only this question determines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.ir import Graph
from opsin.nn import Objective
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.explained_score import ExplainedScore
from opsin.tasks.geometry import Geometry
from opsin.tasks.score import Score
from opsin.tasks.section import Section

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
    loss: str | None = None
    """The name of a loss, for tasks with several."""


@dataclass(frozen=True, eq=False)
class Mixture:
    """Images that Mixup or CutMix mixed: the share `remaining` of each (N); the rest is the next image's in its batch.

    The last image of a batch of `batch` images is mixed with the first one.
    """

    remaining: NDArray[np.float64]
    batch: int


@dataclass(frozen=True)
class ImageSummary:
    """What is known of annotated images before they are decoded.

    `count` are trained on, `side` is the shorter side of a typical one in pixels, and `grey` says whether all are grey.
    `settings` are those of the `Annotations`.
    """

    count: int
    side: int
    grey: bool
    settings: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a plan without options takes for a task.

    `network` is a name of the zoo, `side` the height and width of its images in pixels. With `pretrained`, it starts
    from published weights if they are installed, and otherwise `fallback` is trained from scratch. The learning rate
    is the highest of a cycle. A run takes up to `max_epochs`, and is not worth starting for fewer than `min_epochs`.
    """

    network: str
    side: int
    pretrained: bool
    fallback: str
    batch: int
    learning_rate: float
    weight_decay: float = 0.05
    augment: str = "light"
    ema: float = 0.98
    train_share: float = 1.0
    """The side of the images that are trained on, as a share of `side`: random crops enlarge objects, so images that
    are smaller in training make their apparent sizes agree (Touvron et al. 2019)."""
    flip: bool | None = None
    """Whether images are mirrored at random; None: as the augmentation does, which leaves grey images as they are."""
    frozen_norms: bool = False
    """Whether batch normalization keeps its published statistics and parameters, where weights are published. Those of
    small batches vary with the images in a batch, and a network that relies on that fails on single images."""
    freeze: bool = False
    """Whether the layers with published weights keep them. Without random changes, they are computed once."""
    patience: int | None = None
    """The epochs without a better validation result after which training ends; with one, the best epoch counts."""
    min_epochs: int = 2
    max_epochs: int = 100
    reason: str = ""
    """Why this network: a phrase after its name."""


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


@runtime_checkable
class GroupedTargets(Protocol):
    """Targets of images in groups, such as all those of a person, that stay together.

    A split gets all images of a group, and batches hold several of the same one.
    """

    def groups(self) -> NDArray[np.int32]:
        """Return the number of the group of each image."""


@runtime_checkable
class TimedTask(Protocol):
    """A task whose answers are spread over the time of a sample, such as words: nothing of a sample may be cut off."""

    def too_long(self, targets: Any, graph: Graph) -> NDArray[np.intp]:
        """Return the numbers of the samples whose answers do not fit into the outputs of a network's graph."""


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


class AnnotatedEvaluation(Evaluation, Protocol):
    """The evaluation of an `AnnotatedTask`, which says itself what a report shows of it."""

    def sections(self) -> list[Section]:
        """Return what a report says of the result, the most important first."""

    def worst(self, count: int) -> list[int]:
        """Return the numbers of at most `count` images with errors, the largest errors first."""


class Answer(Protocol):
    """The answer for an image. `str` gives it in one line."""

    def summary(self) -> str:
        """Return the answer in a few words, for a title."""

    def to_data(self) -> dict[str, Any]:
        """Return the answer for JSON."""


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

    warps: ClassVar[bool]
    """Whether images may be moved, scaled and mirrored at random: the targets follow, or do not change."""

    dense: ClassVar[bool]
    """Whether there is an answer for each pixel, which follows every change of the image."""

    @classmethod
    def with_outputs(cls, count: int) -> Self:
        """Return the task with so many outputs under made-up names, for measuring a network without data."""

    def for_network(self, network: str, input_size: Size) -> Self:
        """Return the task with what depends on the network, such as the head of a detector."""

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

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the scores of one image that an explanation is about: of the `count` best answers, or of `label`.

        `outputs` are those of a single image, N = 1, and `size` is that of the original image, in whose pixels places
        are described; None: that of the network's input. Raise `UsageError` for an unknown label.
        """

    def metric(self, balanced: bool) -> str:
        """Return the name of the metric that decides which epoch is best; `balanced`: rare classes count as much."""

    def is_constant(self, score: Score, targets: Any) -> bool:
        """Return whether always giving the same answer would have scored as well on these targets."""

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""

    def calibration_from_data(self, data: Mapping[str, Any]) -> Any:
        """Return the calibration that `Calibration.to_data` described. Raise `ModelError` for anything else."""


class AnnotatedTask(Task, Protocol):
    """A task whose targets are annotations: files next to the images, or columns of a table."""

    spatial: ClassVar[bool]
    """Whether targets are places in the image, such as boxes."""

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the annotated images of a folder or an archive; None if it holds nothing for this task.

        `columns` are columns of a table that hold the targets, if the user names them.
        """

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Targets:
        """Return the targets of images that are decoded to `size`. Raise `DataError` if a file has changed."""

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Any) -> Self:
        """Return the task for the settings of `Annotations` and the targets of the training images."""

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return what a plan without options takes."""

    def moved(self, targets: Any, geometry: Geometry) -> Any:
        """Return the targets of images that `geometry` moved, for images of its output size."""

    def truth(self, targets: Any) -> list[Any]:
        """Return the targets in the form of answers, so that both are shown in the same way."""

    def draw(self, image: Image, answer: Any) -> Image:
        """Return a copy of the original image, RGB, with an answer drawn on it."""


def numbered(count: int) -> tuple[str, ...]:
    """Return the names 1, 2, …"""
    return tuple(str(number) for number in range(1, count + 1))
