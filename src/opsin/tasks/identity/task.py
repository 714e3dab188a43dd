"""Whether images show the same person, animal or product, by unit vectors that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.errors import DataError, ShapeError, UsageError
from opsin.base.spread import spread
from opsin.ir import Graph
from opsin.nn import Objective
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import check_same_task, outputs_text
from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.explained_score import ExplainedScore, vector_component
from opsin.tasks.geometry import Geometry
from opsin.tasks.identity.answers import Comparison, Embedding
from opsin.tasks.identity.calibration import SameThreshold, fit_threshold
from opsin.tasks.identity.evaluation import MAX_IMAGES, VERIFICATION, IdentityEvaluation, all_pairs, similarities
from opsin.tasks.identity.objective import DEFAULT_LOSS, LOSSES, IdentityObjective, check_loss
from opsin.tasks.identity.pairs import Pairs, read_pairs
from opsin.tasks.identity.reader import read
from opsin.tasks.identity.targets import Identities
from opsin.tasks.score import Score
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size

DIMENSIONS = 128
"""Numbers of a vector (Schroff, Kalenichenko & Philbin, "FaceNet", 2015, found more to be no better)."""

MAX_SIDE_FROM_SCRATCH = 96
"""Images up to this side are trained on from scratch, at their own size."""

MIN_LENGTH = np.float32(1e-12)
"""Shorter vectors are not stretched to length 1."""

Result = tuple[NDArray[np.float32], Identities]
"""Unit vectors, N × dimensions, and what the images show."""


@dataclass(frozen=True)
class Identity:
    """Images of the same identity have unit vectors with a small angle: the output "embeddings", N × `dimensions`.

    `members` are the numbers of the identities that are trained on, in the order of the data's names. They are no part
    of the model: it answers for others, and its file has no names.
    """

    name: ClassVar[str] = "identity"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = True
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = False
    losses: ClassVar[tuple[str, ...]] = LOSSES
    vector_output: ClassVar[str] = "embeddings"
    """The output with vectors by which images are compared (see `opsin.explain.features`)."""

    dimensions: int = DIMENSIONS
    members: tuple[int, ...] = field(default=(), compare=False, repr=False)

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the images in folders of identities; None if there are none. Raise `DataError` for `columns`."""
        if columns:
            raise DataError("identities are folders of images, so no column of a table holds them; leave --target out")
        return read(files, image_size)

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Identities:
        """Return the identities of images."""
        names = tuple(settings["names"])
        places = {name: number for number, name in enumerate(names)}
        numbers = np.array([places[image.target] for image in images], np.int32)
        return Identities(numbers, names, dict(settings.get("groups", {})))

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Identities) -> Identity:
        """Return the task for training images of these identities."""
        return cls(members=tuple(np.unique(targets.numbers).tolist()))

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return a network for small images that is trained from scratch, or published weights for photos."""
        if summary.side <= MAX_SIDE_FROM_SCRATCH:
            network = "sphereface10_half"
            return Defaults(
                network=network, side=max(summary.side, 32), pretrained=False, fallback=network, batch=128,
                learning_rate=0.004, ema=0.99, max_epochs=100, flip=True,
                reason=f"a network for faces as small as these images ({summary.side} pixels)",
            )  # fmt: skip
        return Defaults(
            network="efficientnet_lite0", side=224, pretrained=True, fallback="sphereface10_half", batch=32,
            learning_rate=0.001, max_epochs=30, flip=True, reason="trained on ImageNet's 1.3 million photos",
        )  # fmt: skip

    @classmethod
    def with_outputs(cls, count: int) -> Identity:
        """Return the task with vectors of so many numbers, for two identities."""
        return cls(count, (0, 1))

    def for_network(self, network: str, input_size: Size) -> Identity:
        """Return the task itself, which does not depend on the network."""
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """Nothing: identities that the model has never seen are compared in the same way."""
        return ()

    @property
    def outputs(self) -> int:
        """The numbers of a vector."""
        return self.dimensions

    @property
    def chance_loss(self) -> float:
        """The loss of a softmax at first: all cosines are about 0, and the scaled margin is to be overcome."""
        return log(max(2, len(self.members))) + 15.0

    def subject(self) -> str:
        """Return `identities as vectors of 128 numbers`."""
        return f"identities as vectors of {self.dimensions} numbers"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless the network gives vectors of the right length."""
        embeddings = graph.outputs.get("embeddings")
        if embeddings is None or embeddings.shape[1:] != (self.dimensions,):
            raise ShapeError(
                f"the network gives {outputs_text(graph)}, but identities need the output 'embeddings', N × "
                f"{self.dimensions}; take a classifier of the zoo, or return {{'embeddings': unit_vectors(x)}}"
            )

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the loss of the options. Raise `UsageError` for options of classes, `DataError` for one identity."""
        if options.class_weights is not None or options.logit_adjustment is not None or options.label_smoothing:
            raise UsageError("class weights and label smoothing are for classes; leave them out for identities")
        if len(self.members) < 2:
            raise DataError(
                f"the training images show {len(self.members)} identity; give images of at least four identities, two "
                "or more of each, so that some are trained on and others are left to measure with"
            )
        return IdentityObjective(check_loss(options.loss or DEFAULT_LOSS), len(self.members))

    def encode(self, targets: Identities, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "labels", the places of the identities among the members, and "instances", int32 N both."""
        labels = np.searchsorted(np.array(self.members), targets.numbers).astype(np.int32)
        return {"labels": labels, "instances": np.arange(len(labels), dtype=np.int32)}

    def moved(self, targets: Identities, geometry: Geometry) -> Identities:
        """Return the identities themselves: they do not depend on where things are."""
        return targets

    def align(self, other: Any, targets: Any) -> Identities:
        """Return the targets themselves. Raise `DataError` if the data is for another task."""
        check_same_task(self, other)
        identities: Identities = targets
        return identities

    def reduce(self, outputs: Outputs, targets: Identities) -> Result:
        """Return unit vectors and identities."""
        return unit(outputs["embeddings"]), targets

    def evaluate(self, results: Sequence[Result], calibration: SameThreshold | None) -> IdentityEvaluation:
        """Return the errors on all pairs of images, of at most `MAX_IMAGES`.

        Raise `DataError` if there are no two images of the same identity, or of different ones.
        """
        embeddings, targets = _concatenated(results)
        chosen = spread(len(targets), MAX_IMAGES)
        pairs = all_pairs(targets.numbers[chosen])
        if not 0 < pairs.same.sum() < len(pairs):
            raise DataError(
                f"the {len(targets):,} images to measure on show {len(np.unique(targets.numbers)):,} identities, so "
                f"that no two are of {'different ones' if len(pairs) and pairs.same.all() else 'the same one'}; give "
                "at least two images each of several identities"
            )
        return IdentityEvaluation(embeddings[chosen], targets.take(chosen), pairs, calibration=calibration)

    def read_pairs(self, text: str, source: str, names: Sequence[str]) -> Pairs:
        """Return the pairs that the content of the file `source` lists, of images with these names (see `pairs`)."""
        return read_pairs(text, source, names)

    def evaluate_pairs(
        self, results: Sequence[Result], pairs: Pairs, calibration: SameThreshold | None
    ) -> IdentityEvaluation:
        """Return the errors on given pairs of images that were reduced in parts."""
        embeddings, targets = _concatenated(results)
        return IdentityEvaluation(embeddings, targets, pairs, True, calibration)

    def calibrate(self, results: Sequence[Result]) -> SameThreshold | None:
        """Return the threshold for the same; None if the images have no pairs of both kinds."""
        embeddings, targets = _concatenated(results)
        chosen = spread(len(targets), MAX_IMAGES)
        pairs = all_pairs(targets.numbers[chosen])
        return fit_threshold(similarities(embeddings[chosen], pairs), pairs.same)

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: SameThreshold | None, top: int | None
    ) -> list[Embedding]:
        """Return the vector of each image."""
        return [Embedding(row) for row in unit(outputs["embeddings"])]

    def compare(self, first: Embedding, second: Embedding, calibration: SameThreshold | None) -> Comparison:
        """Return whether two answers are for images of the same identity."""
        return Comparison.of(first, second, calibration)

    def truth(self, targets: Identities) -> list[Embedding]:
        """Return the names of the identities as answers."""
        nothing = np.empty(0, np.float32)
        return [Embedding(nothing, targets.names[number]) for number in targets.numbers.tolist()]

    def draw(self, image: Image, answer: Embedding) -> Image:
        """Return a copy of the image in RGB with the name in a caption, if the answer has one."""
        result = enlarged(image)
        if answer.name:
            add_caption(result, [answer.name])
        return result

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the numbers of the vector with the largest magnitudes, or the one whose place is the `label`."""
        return vector_component("embeddings", outputs["embeddings"][0], label, count)

    def metric(self, balanced: bool) -> str:
        """Return the name of the verification accuracy."""
        return VERIFICATION

    def is_constant(self, score: Score, targets: Identities) -> bool:
        """Return whether the same answer for all pairs would do as well."""
        return score.value <= 0.5

    def to_data(self) -> dict[str, Any]:
        """Return the fields of the model for JSON."""
        return {"dimensions": self.dimensions}

    def calibration_from_data(self, data: Mapping[str, Any]) -> SameThreshold:
        """Return a threshold that was written to a file."""
        return SameThreshold.from_data(data)


def unit(vectors: NDArray[Any]) -> NDArray[np.float32]:
    """Return vectors N × dimensions, float32, with length 1: the mean of two views is shorter.

    Squares are added in their order in float64, and everything else is rounded to float32, so that those of exports to
    C and JavaScript, which have no other order, are bit-identical.
    """
    rows = vectors.astype(np.float32)
    squares = np.cumsum(np.square(rows, dtype=np.float64), axis=1)[:, -1:].astype(np.float32)
    return np.asarray(rows / np.maximum(np.sqrt(squares), MIN_LENGTH), np.float32)


def _concatenated(results: Sequence[Result]) -> Result:
    return np.concatenate([vectors for vectors, _ in results]), Identities.concatenate([each for _, each in results])
