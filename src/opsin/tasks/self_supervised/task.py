"""Features of images, learned from the images alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.base.spread import spread
from opsin.ir import Graph
from opsin.nn import Objective
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import check_same_task, outputs_text
from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.explained_score import ExplainedScore, vector_component
from opsin.tasks.geometry import Geometry
from opsin.tasks.image_defaults import MAX_SMALL_SIDE
from opsin.tasks.score import Score
from opsin.tasks.self_supervised.answers import Features
from opsin.tasks.self_supervised.evaluation import AGREEMENT, MAX_IMAGES, FeatureEvaluation
from opsin.tasks.self_supervised.losses.registry import LOSSES, find_loss
from opsin.tasks.self_supervised.reader import check_columns, check_count, in_folders, read
from opsin.tasks.self_supervised.targets import Unlabelled
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size
from opsin.tasks.views import Views

NETWORK = "resnet9_half"
MIN_SIDE = 16

LARGEST_CHANCE_LOSS = 60.0
"""That of VICReg, the largest: 25 for each view without variance, and 25 times the difference of the views."""

Array = NDArray[np.float32]
Result = tuple[Array, Array, Array, Unlabelled]
"""The features of images, those of two views of each, and their folders."""


@dataclass(frozen=True)
class SelfSupervised:
    """Views of the same image have similar features, and other images others: the output "features", N × F."""

    name: ClassVar[str] = "self-supervised"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = True
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = False
    vector_output: ClassVar[str] = "features"
    losses: ClassVar[tuple[str, ...]] = tuple(LOSSES)

    def views(self, loss: str | None) -> Views:
        """Return the views of a step (see `tasks.views.ViewTask`)."""
        return find_loss(loss).views

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return all images, in folders or not; None if there are none. Raise `DataError` for `columns`."""
        check_columns(columns)
        return read(files, image_size)

    check_columns, check_count = staticmethod(check_columns), staticmethod(check_count)
    in_folders, folders = staticmethod(in_folders), Unlabelled
    """What makes images of tables and arrays into those of this task."""

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Unlabelled:
        """Return the folders of images."""
        names = tuple(settings["names"])
        places = {name: number for number, name in enumerate(names)}
        return Unlabelled(np.array([places[image.target] for image in images], np.int32), names)

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Unlabelled) -> SelfSupervised:
        """Return the task, which is the same for all data."""
        return cls()

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return a network for small images; photos are made small, because many views matter more than details."""
        side = min(MAX_SMALL_SIDE, max(summary.side, MIN_SIDE))
        return Defaults(
            network=NETWORK, side=side, pretrained=False, fallback=NETWORK, batch=256, learning_rate=0.003,
            weight_decay=1e-4, augment="strong", ema=0.0, max_epochs=200,
            reason=f"which learns fast from small images ({side} pixels)",
        )  # fmt: skip

    @classmethod
    def with_outputs(cls, count: int) -> SelfSupervised:
        """Return the task: the network determines how many features there are."""
        return cls()

    def for_network(self, network: str, input_size: Size) -> SelfSupervised:
        """Return the task itself, which does not depend on the network."""
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Nothing: there are no labels."""
        return ()

    @property
    def outputs(self) -> int:
        """The classes for which a network is created, whose last layer is then left out."""
        return 2

    @property
    def chance_loss(self) -> float:
        """The largest of those of all losses."""
        return LARGEST_CHANCE_LOSS

    def subject(self) -> str:
        """Return `features without labels`."""
        return "features without labels"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless the network gives features."""
        features = graph.outputs.get("features")
        if features is None or features.rank != 2 or not isinstance(features.shape[1], int):
            raise ShapeError(
                f"the network gives {outputs_text(graph)}, but learning without labels needs the output 'features', "
                "N × F; take a classifier of the zoo, or return {'features': x}"
            )

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the loss of the options. Raise `UsageError` for options of classes."""
        if options.class_weights is not None or options.logit_adjustment is not None or options.label_smoothing:
            raise UsageError("class weights and label smoothing are for classes; leave them out without labels")
        return find_loss(options.loss).objective

    def encode(self, targets: Unlabelled, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "instances", different numbers, and "turns", multiples of 90° by which images are turned: int32 N."""
        return {"instances": np.arange(len(targets), dtype=np.int32), "turns": geometry.quarter_turns}

    def moved(self, targets: Unlabelled, geometry: Geometry) -> Unlabelled:
        """Return the folders themselves: they do not depend on where things are."""
        return targets

    def align(self, other: Any, targets: Any) -> Unlabelled:
        """Return the targets themselves. Raise `DataError` if the data is for another task."""
        check_same_task(self, other)
        folders: Unlabelled = targets
        return folders

    def reduce(self, outputs: Outputs, targets: Unlabelled) -> Result:
        """Return the features of images and of their views."""
        return outputs["features"], outputs["features.view1"], outputs["features.view2"], targets

    def evaluate(self, results: Sequence[Result], calibration: None) -> FeatureEvaluation:
        """Return how good the features are, on at most `MAX_IMAGES` images. Raise `DataError` for a single image."""
        features, first, second = (np.concatenate([result[place] for result in results]) for place in range(3))
        targets = Unlabelled.concatenate([result[3] for result in results])
        if len(targets) < 2:
            raise DataError("features are measured by comparing images, but there is only one; give more")
        chosen = spread(len(targets), MAX_IMAGES)
        return FeatureEvaluation(
            features[chosen], (first[chosen], second[chosen]), targets.folders[chosen], targets.names, chosen,
            len(targets),
        )  # fmt: skip

    def calibrate(self, results: Sequence[Result]) -> None:
        """Return None: features have no probabilities."""

    def answers(self, outputs: Outputs, sizes: Sequence[Size], calibration: None, top: int | None) -> list[Features]:
        """Return the features of each image."""
        return [Features(row) for row in outputs["features"]]

    def truth(self, targets: Unlabelled) -> list[Features]:
        """Return the folders as answers."""
        nothing = np.empty(0, np.float32)
        return [Features(nothing, targets.names[number] or "no folder") for number in targets.folders.tolist()]

    def draw(self, image: Image, answer: Features) -> Image:
        """Return a copy of the image in RGB with the folder in a caption, if the answer has one."""
        result = enlarged(image)
        if answer.folder:
            add_caption(result, [answer.folder])
        return result

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the features with the largest magnitudes, or the one whose place is the `label`."""
        return vector_component("features", outputs["features"][0], label, count)

    def metric(self, balanced: bool) -> str:
        """Return the name of the agreement of views."""
        return AGREEMENT

    def is_constant(self, score: Score, targets: Unlabelled) -> bool:
        """Return whether guessing would find as many second views."""
        return score.value <= 2 / max(2, score.images)

    def to_data(self) -> dict[str, Any]:
        """Return nothing: the task has no fields."""
        return {}

    def calibration_from_data(self, data: Mapping[str, Any]) -> None:
        """Raise `ModelError`: features have no calibration."""
        raise ModelError("its calibration is for another task")
