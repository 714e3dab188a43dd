"""Objects in an image: which ones, and where?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from opsin.base.concurrency import lazy, locked_cache
from opsin.base.errors import UsageError
from opsin.ir import Graph
from opsin.nn import Objective
from opsin.tasks.annotations import AnnotatedImage, Annotations, Files, ImageSize
from opsin.tasks.checks import label_numbers
from opsin.tasks.detection.answers import Detection, FoundObjects
from opsin.tasks.detection.average_precision import average_precision
from opsin.tasks.detection.boxes import Boxes
from opsin.tasks.detection.calibration import DEFAULT_SCORE, ScoreThreshold, fit_threshold
from opsin.tasks.detection.draw import draw_detections
from opsin.tasks.detection.evaluation import AP, AP50, DetectionEvaluation
from opsin.tasks.detection.explained import box_scores
from opsin.tasks.detection.heads import Head, create
from opsin.tasks.detection.reader import detect
from opsin.tasks.detection.results import Result, find_objects
from opsin.tasks.detection.scored import Detections, Truth
from opsin.tasks.explained_score import ExplainedScore, known
from opsin.tasks.geometry import Geometry
from opsin.tasks.score import Score
from opsin.tasks.task import Defaults, ImageSummary, LossOptions, Mixture, Outputs, Size, numbered

DETECTOR = "fcos_efficientnet_lite0"
SIDE, SIDE_STEP, MAX_ENLARGEMENT = 384, 32, 2
"""The side of images in pixels, which is a multiple of the step; smaller images are enlarged by this factor at most."""
TRAIN_SHARE = 0.92
"""The side of the images that are trained on, as a share of `SIDE`. Detectors of blood cells (BCCD) that were trained
on 320 or 352 pixels are the most accurate on images that are a tenth larger.
"""

IMAGES_SEEN, MIN_EPOCHS, MAX_EPOCHS = 40_000, 12, 60
"""Training sees about so many images, in a number of epochs within these bounds."""

create_head = locked_cache()(create)


@dataclass(frozen=True)
class ObjectDetection:
    """Boxes around the objects of the classes `labels`.

    `network` is the detector of the zoo that is trained, and `input_size` the height and width of its images in pixels:
    together they determine the `head`.
    """

    name: ClassVar[str] = "detection"
    mixes: ClassVar[bool] = False
    mirrors: ClassVar[bool] = False
    warps: ClassVar[bool] = True
    dense: ClassVar[bool] = False
    spatial: ClassVar[bool] = True

    labels: tuple[str, ...]
    network: str = ""
    input_size: Size = (0, 0)

    def __post_init__(self) -> None:
        if not self.labels or len(set(self.labels)) < len(self.labels):
            raise UsageError(f"detection needs classes with different names, at least one, not {list(self.labels)}")

    @classmethod
    def of(cls, settings: Mapping[str, Any], targets: Boxes) -> ObjectDetection:
        """Return the task for the classes of `Annotations.settings`."""
        return cls(tuple(str(name) for name in settings["classes"]))

    @classmethod
    def with_outputs(cls, count: int) -> ObjectDetection:
        """Return the task with so many outputs, which are called 1, 2, …"""
        return cls(numbered(count))

    def for_network(self, network: str, input_size: Size) -> ObjectDetection:
        """Return the task for a detector of the zoo and images of this height and width."""
        return replace(self, network=network, input_size=input_size)

    @lazy
    def head(self) -> Head:
        """The head of the network. Raise `UsageError` if there is no network, or if it is no detector of the zoo."""
        if not self.network:
            raise UsageError("this detection task has no network; take that of ObjectDetection.for_network")
        return create_head(self.network, len(self.labels), self.input_size)

    @property
    def outputs(self) -> int:
        """The number of classes."""
        return len(self.labels)

    @property
    def chance_loss(self) -> float:
        """About the loss of a network that finds nothing."""
        return self.head.chance_loss

    def subject(self) -> str:
        """Return a phrase such as "objects of 3 classes"."""
        return f"objects of {len(self.labels)} class{'es' if len(self.labels) > 1 else ''}"

    def check(self, graph: Graph) -> None:
        """Raise `ShapeError` unless the network's outputs are those of the head, and `UsageError` without one."""
        self.head.targets(graph.outputs)

    def objective(self, options: LossOptions, mixed: bool) -> Objective:
        """Return the head, whose loss it is. Raise `UsageError` for options that only classifiers have."""
        if options.class_weights is not None or options.logit_adjustment is not None:
            raise UsageError("class weights are for classifiers; leave them out for detectors")
        return self.head

    def encode(self, targets: Boxes, geometry: Geometry, mixture: Mixture | None) -> dict[str, NDArray[Any]]:
        """Return "class_targets", int32 N × positions, and "box_targets", float32 N × positions × 4.

        Difficult objects and crowds are ignored: a detection there is neither right nor wrong. The positions are those
        of the network for images of the geometry's output size.
        """
        head = create_head(self.network, len(self.labels), geometry.output_size)
        moved = targets.moved(geometry)
        ignored = moved.difficult | moved.crowd
        rows = [slice(start, end) for start, end in zip(moved.starts[:-1], moved.starts[1:], strict=True)]
        images = [head.encode(moved.coordinates[each], moved.classes[each], ignored[each]) for each in rows]
        return {name: np.stack([image[name] for image in images]) for name in images[0]}

    def moved(self, targets: Boxes, geometry: Geometry) -> Boxes:
        """Return the boxes of moved images, whose size in pixels is the geometry's output size."""
        return replace(
            targets.moved(geometry), sizes=np.tile(np.array(geometry.output_size, np.int32), (len(targets), 1))
        )

    def align(self, other: Any, targets: Any) -> Boxes:
        """Return the boxes of data with other class numbers. Raise `DataError` for a class that is not known here."""
        boxes: Boxes = replace(targets, classes=label_numbers(self, other)[targets.classes])
        return boxes

    def reduce(self, outputs: Outputs, targets: Boxes) -> Result:
        """Return the detections, in pixels of the original images, and the boxes that are there."""
        return Result(find_objects(self.head, outputs, _sizes(targets)), targets)

    def evaluate(self, results: Sequence[Result], calibration: ScoreThreshold | None) -> DetectionEvaluation:
        """Return COCO's average precision, and what else follows from detections and objects."""
        return DetectionEvaluation(self.labels, Result.concatenate(results), calibration)

    def calibrate(self, results: Sequence[Result]) -> ScoreThreshold | None:
        """Return the score with the best F1, from which boxes are shown; None if there are too few objects."""
        result = Result.concatenate(results)
        return fit_threshold(Truth.of(result.boxes), result.detections, len(self.labels))

    def answers(
        self, outputs: Outputs, sizes: Sequence[Size], calibration: ScoreThreshold | None, top: int | None
    ) -> list[FoundObjects]:
        """Return the objects in each image, at most `top` of them."""
        score = calibration.score if calibration else DEFAULT_SCORE
        found = find_objects(self.head, outputs, sizes, score)
        rows = [np.flatnonzero(found.image == image)[:top] for image in range(len(sizes))]
        return [self._answer(found, row, size) for row, size in zip(rows, sizes, strict=True)]

    def truth(self, targets: Boxes) -> list[FoundObjects]:
        """Return the objects of each image as answers, with scores of 1."""
        every = Detections(targets.image, targets.classes, targets.pixels(), np.ones(len(targets.classes)))
        rows = [np.flatnonzero(every.image == image) for image in range(len(targets))]
        return [self._answer(every, row, size) for row, size in zip(rows, _sizes(targets), strict=True)]

    def _answer(self, found: Detections, rows: NDArray[np.intp], size: Size) -> FoundObjects:
        corners, scores = found.corners[rows].tolist(), found.scores[rows].tolist()
        parts = zip(found.classes[rows].tolist(), scores, corners, strict=True)
        return FoundObjects(tuple(Detection(self.labels[k], score, tuple(box)) for k, score, box in parts), size)

    def draw(self, image: Image, answer: FoundObjects) -> Image:
        """Return a copy of the original image, RGB, with boxes, labels and scores; small images are enlarged."""
        return draw_detections(image, answer, self.labels)

    @classmethod
    def read(cls, files: Files, image_size: ImageSize, columns: Sequence[str] = ()) -> Annotations | None:
        """Return the boxes in COCO's, Pascal VOC's, YOLO's or a table's form; None if there are none.

        Columns that the user names hold something else than boxes.
        """
        return None if columns else detect(files, image_size)

    @classmethod
    def load_targets(
        cls, images: Sequence[AnnotatedImage], files: Files, size: Size, settings: Mapping[str, Any]
    ) -> Boxes:
        """Return the boxes of images; they do not depend on the `size` to which these are decoded."""
        return Boxes.stack([image.target for image in images])

    @classmethod
    def defaults(cls, summary: ImageSummary) -> Defaults:
        """Return what a plan without options takes; small images are enlarged to twice their size at most."""
        enlarged = -(-MAX_ENLARGEMENT * summary.side // SIDE_STEP) * SIDE_STEP
        return Defaults(
            network=DETECTOR, side=min(enlarged, SIDE) if summary.side else SIDE, pretrained=True, fallback=DETECTOR,
            batch=16, learning_rate=2e-3, train_share=TRAIN_SHARE, augment="light",
            max_epochs=max(MIN_EPOCHS, min(MAX_EPOCHS, IMAGES_SEEN // max(1, summary.count))),
            reason="one of the fastest detectors on a processor",
        )  # fmt: skip

    def explained_scores(
        self, outputs: Outputs, label: str | None = None, count: int = 1, size: Size | None = None
    ) -> list[ExplainedScore]:
        """Return the class logits of the `count` best boxes of one image, of any class or of `label`."""
        number = None if label is None else self.labels.index(known(label, self.labels))
        return box_scores(self.head, outputs, self.labels, number, count, size or self.input_size)

    def metric(self, balanced: bool) -> str:
        """Return the name of COCO's average precision, in which every class counts as much."""
        return AP

    def is_constant(self, score: Score, targets: Boxes) -> bool:
        """Return whether the mean box of each class, in every image, would be as good."""
        return score.metrics[AP50] <= self._constant_ap50(targets)

    def _constant_ap50(self, targets: Boxes) -> float:
        present = np.unique(targets.classes)
        means = [targets.coordinates[targets.classes == label].mean(axis=0) for label in present]
        scale = np.tile(targets.sizes[:, None, ::-1].astype(np.float64), (1, 1, 2))
        corners = (np.array(means, np.float64).reshape(1, -1, 4) * scale).reshape(-1, 4)
        image = np.repeat(np.arange(len(targets)), len(present))
        classes = np.tile(present, len(targets)).astype(np.int32)
        always = Detections(image, classes, corners, np.ones(len(image)))
        summary = average_precision(Truth.of(targets), always, len(self.labels)).summary
        return float(np.nan_to_num(summary["AP50"]))

    def to_data(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {"labels": list(self.labels), "network": self.network, "input_size": list(self.input_size)}

    def calibration_from_data(self, data: Mapping[str, Any]) -> ScoreThreshold:
        """Return a threshold that was written to a file."""
        return ScoreThreshold.from_data(data)


def _sizes(targets: Boxes) -> list[Size]:
    return [(height, width) for height, width in targets.sizes.tolist()]
