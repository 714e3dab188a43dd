"""Semantic segmentation: which class does each pixel of an image belong to?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.errors import ShapeError, UsageError
from opsin.ir import BATCH, INT, Graph, Tensor, input_tensor
from opsin.nn import Objective
from opsin.nn.objective import Tensors
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import label_numbers, outputs_text
from opsin.tasks.explained_score import ExplainedScore, known
from opsin.tasks.geometry import Geometry
from opsin.tasks.score import Score
from opsin.tasks.segmentation import calibration as pixel_calibration
from opsin.tasks.segmentation import reader
from opsin.tasks.segmentation.answers import Segmentation
from opsin.tasks.segmentation.calibration import PixelCalibration
from opsin.tasks.segmentation.coding import IGNORE, MAX_CLASSES
from opsin.tasks.segmentation.draw import draw
from opsin.tasks.segmentation.evaluation import SegmentationEvaluation
from opsin.tasks.segmentation.losses import cross_entropy_dice
from opsin.tasks.segmentation.masks import Masks
from opsin.tasks.segmentation.metrics import FOREGROUND_IOU, has_background, main_metric
from opsin.tasks.segmentation.results import PixelResults
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size, numbered

NETWORK = "unet_light"
MIN_SIDE, MAX_SIDE, SIDE_STEP = 128, 384, 32
"""The side of images in pixels: theirs, rounded up to a multiple of the step, within the bounds."""
TRAIN_SHARE = 0.85
"""The side of the images that are trained on, as a share of the side that is tested."""
BATCH_SIZE, LEARNING_RATE = 4, 4e-3


@dataclass(frozen=True)
class PixelObjective:
    """Cross entropy plus Dice loss of the output "logits" N × C × H × W and the target "labels", integers N × H × W.

    `class_weights` and `label_smoothing` are those of the cross entropy; the Dice loss gives all classes the same
    weight anyway.
    """

    class_weights: tuple[float, ...] | None = None
    label_smoothing: float = 0.0

    def targets(self, outputs: Tensors) -> dict[str, Tensor]:
        return {"labels": input_tensor("labels", (BATCH, *outputs["logits"].shape[2:]), INT)}

    def loss(self, outputs: Tensors, targets: Tensors) -> Tensor:
        return cross_entropy_dice(outputs["logits"], targets["labels"], self.class_weights, self.label_smoothing)

    def statistics(self, outputs: Tensors, targets: Tensors) -> dict[str, Tensor]:
        return {}


@dataclass(frozen=True)
class SemanticSegmentation:
    """One class of several for each pixel. The network's output "logits" is N × classes × height × width."""

    name: ClassVar[str] = "segmentation"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = True
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = True
    spatial: ClassVar[bool] = True

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 2 <= len(self.labels) <= MAX_CLASSES or len({*self.labels}) < len(self.labels):
            raise UsageError(
                f"segmentation needs 2 to {MAX_CLASSES} classes with different names, not {len(self.labels)}: "
                f"{', '.join(self.labels[:5])}"
            )

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the images with their masks in a folder or an archive; None if it holds no masks."""
        return reader.read(files, image_size, columns)

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Masks:
        """Return the masks of images in `size`. Raise `DataError` if a file has changed."""
        ids = np.empty((len(images), *size), np.uint8)
        for row, image in zip(ids, images, strict=True):
            row[:] = image.target.load(files, size)
        return Masks(ids)

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Masks) -> SemanticSegmentation:
        """Return the task for the "classes" of `settings`."""
        return cls(tuple(settings["classes"]))

    @classmethod
    def with_outputs(cls, count: int) -> SemanticSegmentation:
        """Return the task with so many outputs, which are called 1, 2, …"""
        return cls(numbered(count))

    def for_network(self, network: str, input_size: Size) -> SemanticSegmentation:
        """Return the task itself, which does not depend on the network."""
        return self

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return what a plan without options takes; images keep their resolution up to `MAX_SIDE`."""
        side = -(-summary.side // SIDE_STEP) * SIDE_STEP
        return Defaults(
            network=NETWORK, side=min(max(side, MIN_SIDE), MAX_SIDE) if summary.side else MAX_SIDE, pretrained=True,
            fallback=NETWORK, batch=BATCH_SIZE, learning_rate=LEARNING_RATE, train_share=TRAIN_SHARE, augment="light",
            frozen_norms=True, reason="one of the fastest networks for masks on a processor",
        )  # fmt: skip

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.labels)

    @property
    def chance_loss(self) -> float:
        """The cross entropy of equal probabilities, plus a Dice loss of 1."""
        return log(len(self.labels)) + 1

    def subject(self) -> str:
        """Return `pixels of 3 classes`."""
        return f"pixels of {len(self.labels)} classes"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless there is a logit for each class of each pixel of the input."""
        logits, classes = graph.outputs.get("logits"), len(self.labels)
        expected = (BATCH, classes, *graph.inputs[0].shape[2:])
        if logits is None or logits.shape != expected:
            raise ShapeError(
                f"the network gives {outputs_text(graph)}, but there are {classes} classes for each pixel of "
                f"{graph.inputs[0].type}; end it with Conv2d({classes}, 1) and resize its output to the size of the "
                "images"
            )

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return cross entropy plus Dice loss. Raise `UsageError` for options that only classes of images have."""
        if options.logit_adjustment is not None:
            raise UsageError(
                "the logit adjustment is for images of one class each; for rare classes of pixels, give class weights"
            )
        return PixelObjective(options.class_weights, options.label_smoothing)

    def encode(self, targets: Masks, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "labels": class ids int32 N × height × width, and 255 where the image moved away."""
        return {"labels": targets.moved(geometry)}

    def moved(self, targets: Masks, geometry: Geometry) -> Masks:
        """Return the masks of moved images."""
        return Masks(targets.moved(geometry).astype(np.uint8))

    def align(self, other: Any, targets: Any) -> Masks:
        """Return the masks of data with the class ids of this task. Raise `DataError` for a class it does not know."""
        numbers = label_numbers(self, other)
        if other.labels == self.labels:
            return Masks(targets.ids)
        table = np.full(IGNORE + 1, IGNORE, np.uint8)
        table[: len(other.labels)] = numbers
        return Masks(table[targets.ids])

    def reduce(self, outputs: Outputs, targets: Masks) -> PixelResults:
        """Return counts of pixels, and samples of pixels."""
        return PixelResults.of(self.labels, outputs["logits"], targets)

    def evaluate(self, results: Sequence[PixelResults], calibration: PixelCalibration | None) -> SegmentationEvaluation:
        """Return the scores of all pixels and of each image."""
        return SegmentationEvaluation(PixelResults.concatenate(results), calibration)

    def calibrate(self, results: Sequence[PixelResults]) -> PixelCalibration | None:
        """Return the temperature that makes probabilities reliable; None if there are too few images."""
        return pixel_calibration.fit(PixelResults.concatenate(results))

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: PixelCalibration | None, top: int | None
    ) -> list[Segmentation]:
        """Return the class of each pixel of each original image."""
        temperature = calibration.temperature if calibration else None
        pairs = zip(outputs["logits"], sizes, strict=True)
        return [Segmentation.of(logits, size, self.labels, temperature=temperature) for logits, size in pairs]

    def truth(self, targets: Masks) -> list[Segmentation]:
        """Return the masks in the form of answers, in the size of the masks."""
        return [Segmentation.of_ids(ids, self.labels) for ids in targets.ids]

    def draw(self, image: Image, answer: Segmentation) -> Image:
        """Return the image with the classes in colour and a legend."""
        return draw(image, answer.at_size((image.height, image.width)))

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the mean logit of a class over the pixels answered as it, for the largest classes or for `label`.

        A class "background" comes last: what is of interest is what was found. For a class that no pixel is answered
        as, it is the mean over all pixels. Averages over pixels are those of Vinogradova, Dibrov & Myers, "Towards
        interpretable semantic segmentation via gradient-weighted class activation mapping", 2020.
        """
        logits = outputs["logits"][0]
        answer = logits.argmax(0)
        sizes = np.bincount(answer.reshape(-1), minlength=len(self.labels))
        if has_background(self.labels):
            sizes[0] = min(sizes[0], 1)
        order = [k for k in np.argsort(-sizes, kind="stable") if sizes[k]][:count]
        numbers = order if label is None else [self.labels.index(known(label, self.labels))]
        return [self._mean_logit(int(k), answer == k) for k in numbers]

    def _mean_logit(self, number: int, pixels: NDArray[np.bool_]) -> ExplainedScore:
        name, place = self.labels[number], "the pixels answered as it"
        if not pixels.any():
            pixels, place = np.ones_like(pixels), "all pixels, since none is answered as it"
        weights = np.zeros((len(self.labels), *pixels.shape), np.float32)
        weights[number] = pixels / np.float32(pixels.sum())
        return ExplainedScore(name, f"the mean logit of '{name}' over {place}", {"logits": weights}, "softmax")

    def metric(self, balanced: bool) -> str:
        """Return the name of the main metric, in which all classes count the same anyway."""
        return main_metric(self.labels)

    def is_constant(self, score: Score, targets: Masks) -> bool:
        """Return whether giving the same class for all pixels would score as well."""
        counts = targets.pixel_counts().sum(0)[: len(self.labels)]
        if not counts.any():
            return False
        shares = counts / counts.sum()
        best = shares[1] if self.metric(False) == FOREGROUND_IOU else shares.max() / (shares > 0).sum()
        return score.value <= float(best)

    def to_data(self) -> dict[str, Any]:
        """Return the labels for JSON."""
        return {"labels": list(self.labels)}

    def calibration_from_data(self, data: Mapping[str, Any]) -> PixelCalibration:
        """Return a temperature that was written to a file."""
        return PixelCalibration.from_data(data)
