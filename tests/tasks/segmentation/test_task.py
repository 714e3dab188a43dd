"""The task's side of the protocol: targets, objective, alignment, answers, baselines."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.data.augment import Augmentation, draw
from opsin.data.augment.draw import Frame
from opsin.ir import BATCH, INT, Graph, input_tensor
from opsin.tasks.classification import Classification
from opsin.tasks.geometry import Geometry
from opsin.tasks.registry import annotated_tasks, describe_task, described_task, find_task
from opsin.tasks.score import Score
from opsin.tasks.segmentation import Masks, SemanticSegmentation, losses
from opsin.tasks.segmentation.task import PixelObjective
from opsin.tasks.task import ImageSummary, LossOptions
from tests.tasks.segmentation.support import MemoryFiles, folders, grey, photo, png

TASK = SemanticSegmentation(("background", "cell", "nerve"))
BINARY = SemanticSegmentation(("Background", "cell"))


def masks(*rows: list[list[int]]) -> Masks:
    return Masks(np.array(rows, np.uint8))


# -- the task itself ----------------------------------------------------------------------------


def test_the_model_file_describes_the_task() -> None:
    assert find_task("segmentation") is SemanticSegmentation and SemanticSegmentation in annotated_tasks()
    description = describe_task(TASK)
    assert description == {"task": {"name": "segmentation", "labels": ["background", "cell", "nerve"]}}
    assert described_task(description) == TASK
    assert (TASK.outputs, TASK.subject(), TASK.for_network("unet", (32, 32))) == (3, "pixels of 3 classes", TASK)


@pytest.mark.parametrize("labels", [(), ("cell",), ("cell", "cell"), tuple(map(str, range(256)))])
def test_impossible_classes(labels: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="2 to 255 classes with different names"):
        SemanticSegmentation(labels)


def test_a_network_gives_a_logit_for_each_class_of_each_pixel() -> None:
    TASK.check(nn.trace(zoo.unet_light(3), (3, 64, 48)))
    with pytest.raises(ShapeError, match="there are 2 classes"):
        BINARY.check(nn.trace(zoo.unet_light(3), (3, 64, 48)))
    with pytest.raises(ShapeError, match="resize its output"):
        TASK.check(nn.trace(nn.Conv2d(3, 3, stride=2), (3, 8, 8)))
    with pytest.raises(ShapeError, match="the network gives scores"):
        images = input_tensor("inputs", (BATCH, 3, 8, 8))
        TASK.check(Graph((images,), {"scores": images}))


def test_defaults_name_networks_for_the_task() -> None:
    defaults = SemanticSegmentation.defaults(ImageSummary(400, 300, False, {"classes": TASK.labels}))
    assert {defaults.network, defaults.fallback} <= {*zoo.names("segmentation")}
    assert defaults.side % 32 == 0 and defaults.min_epochs < defaults.max_epochs


# -- data ----------------------------------------------------------------------------------------


def test_reading_and_loading_masks() -> None:
    files = folders({"a": png(grey([1, 1, 2])), "b": png(grey([2], [2]))})
    annotations = SemanticSegmentation.read(files, files.image_size)
    assert annotations is not None
    targets = SemanticSegmentation.load_targets(annotations.images, files, (6, 8), annotations.settings)
    task = SemanticSegmentation.of(annotations.settings, targets)
    assert task.labels == ("background", "1", "2")
    assert targets.ids[0, 0].tolist() == [1, 1, 2, 0, 0, 0, 0, 0]
    assert targets.counts(3) == [2, 1, 2]
    small = SemanticSegmentation.load_targets(annotations.images, files, (3, 4), annotations.settings)
    assert small.ids.shape == (2, 3, 4)


def test_a_column_of_masks_may_be_named() -> None:
    table = b"photo,image,Outline File\n1,images/a.png,other/x.png\n"
    files = MemoryFiles({"images/a.png": photo(), "other/x.png": png(grey([1])), "table.csv": table})
    assert SemanticSegmentation.read(files, files.image_size) is None
    annotations = SemanticSegmentation.read(files, files.image_size, ["outline file"])
    assert annotations is not None
    assert [image.target.path for image in annotations.images] == ["other/x.png"]
    assert SemanticSegmentation.read(files, files.image_size, ["steering"]) is None


def test_a_missing_mask_is_an_error() -> None:
    files = folders({"a": png(grey([1])), "b": png(grey([0, 1]))})
    annotations = SemanticSegmentation.read(files, files.image_size)
    assert annotations is not None
    changed = MemoryFiles({**files.contents, "masks/b.png": png(grey([0, 1], width=9))})
    with pytest.raises(DataError, match=r"masks/b\.png: the mask has changed"):
        SemanticSegmentation.load_targets(annotations.images, changed, (6, 8), annotations.settings)


# -- training ------------------------------------------------------------------------------------


def test_labels_follow_the_geometry_of_the_images(rng: np.random.Generator) -> None:
    policy, frame = Augmentation(flip=True, rotation=20, shift=0.2), Frame((12, 10), (8, 8))
    targets = Masks(rng.integers(0, 3, (4, 12, 10)).astype(np.uint8))
    geometry = Geometry((12, 10), (8, 8), draw.affine_maps(policy, frame, draw.uniform(4, 1, 1)))
    arrays = TASK.encode(targets, geometry, None)
    assert list(arrays) == ["labels"] and arrays["labels"].dtype == np.int32
    assert (arrays["labels"] == targets.moved(geometry)).all() and (arrays["labels"] == 255).any()


@pytest.mark.parametrize("options", [LossOptions(), LossOptions(0.1, (0.5, 1.0, 2.0))])
def test_the_objective_is_cross_entropy_and_dice(options: LossOptions, rng: np.random.Generator) -> None:
    objective = TASK.objective(options, mixed=False)
    logits = input_tensor("logits", (BATCH, 3, 4, 5))
    targets = objective.targets({"logits": logits})
    assert targets["labels"].shape == (BATCH, 4, 5) and targets["labels"].dtype == INT
    labels = targets["labels"]
    entropy = losses.cross_entropy(logits, labels, options.class_weights, options.label_smoothing)
    outputs = {
        "loss": objective.loss({"logits": logits}, targets),
        "entropy": entropy,
        "dice": losses.dice_loss(logits, labels),
    }
    program = Reference(Graph((logits, labels), outputs), 2, np.float64)
    program.load_state(nn.initial_state(Graph((logits, labels), outputs), 0))
    results = program.run(logits=rng.standard_normal((2, 3, 4, 5)), labels=rng.integers(0, 3, (2, 4, 5)))
    assert results["loss"] == pytest.approx(results["entropy"] + results["dice"])
    assert objective.statistics({"logits": logits}, targets) == {}


def test_auxiliary_classifiers_learn_from_the_same_masks() -> None:
    network = zoo.fcn_resnet50(2)
    step = nn.training_graph(network, (3, 16, 16), nn.optimizers.SGD(), PixelObjective())
    assert any(name.startswith("aux_classifier") for name in step.parameters)
    assert [tensor.node.attrs["name"] for tensor in step.inputs] == ["inputs", "labels", "learning_rate"]


def test_a_loss_for_classes_of_images_is_refused() -> None:
    with pytest.raises(UsageError, match="for rare classes of pixels, give class weights"):
        TASK.objective(LossOptions(logit_adjustment=(0.0, 1.0, 2.0)), mixed=False)


def test_the_loss_of_guessing(rng: np.random.Generator) -> None:
    """All classes equally probable: the measured loss is close to `chance_loss`, and not above it."""
    targets = Masks(rng.integers(0, 3, (2, 30, 30)).astype(np.uint8))
    results = TASK.reduce({"logits": np.zeros((2, 3, 30, 30), np.float32)}, targets)
    assert TASK.chance_loss - 0.6 < results.loss < TASK.chance_loss
    assert results.loss == pytest.approx(log(3) + 0.5, abs=0.01)  # Dice of three equal classes: 2 / (1 + 3)


# -- other data -----------------------------------------------------------------------------------


def test_classes_are_matched_by_name() -> None:
    targets = masks([[0, 1, 255]])
    other = SemanticSegmentation(("nerve", "background"))
    assert TASK.align(other, targets).ids.tolist() == [[[2, 0, 255]]]
    assert TASK.align(TASK, targets).ids.tolist() == targets.ids.tolist()
    with pytest.raises(DataError, match="a class 'vessel' that the model does not know; it knows background, cell"):
        TASK.align(SemanticSegmentation(("background", "vessel")), targets)
    with pytest.raises(DataError, match="the data is for classification, but the model does segmentation"):
        TASK.align(Classification(("a", "b")), targets)


# -- answers and baselines -------------------------------------------------------------------------


def test_answers_and_their_drawing(rng: np.random.Generator) -> None:
    logits = rng.standard_normal((2, 3, 8, 8)).astype(np.float32)
    first, second = TASK.answers({"logits": logits}, [(8, 8), (20, 30)], None, None)
    assert (first.ids == logits[0].argmax(0)).all() and first.confidence is None
    assert second.ids.shape == (20, 30)
    truth = TASK.truth(masks(*first.ids[None].tolist()))[0]
    drawn = TASK.draw(Image.new("L", (40, 24), 100), truth)
    assert drawn.mode == "RGB" and drawn.width == 40 and drawn.height > 24
    assert len({tuple(pixel) for pixel in np.asarray(drawn)[:24].reshape(-1, 3).tolist()}) > 3


@pytest.mark.parametrize(
    ("task", "value", "expected"),
    [(BINARY, 0.24, True), (BINARY, 0.26, False), (TASK, 0.37, True), (TASK, 0.38, False)],
)
def test_constant_answers(task: Any, value: float, expected: bool) -> None:
    """All foreground has IoU 1/4; all background has a mean IoU of 3/4 · 1/2."""
    targets = masks([[0, 0, 0, 1]])
    assert task.is_constant(Score(1, 0.0, {task.metric(False): value}), targets) == expected
    assert not task.is_constant(Score(1, 0.0, {task.metric(False): value}), masks([[255]]))


def test_the_main_metric() -> None:
    assert BINARY.metric(True) == BINARY.metric(False) == "foreground_iou"
    assert TASK.metric(False) == "mean_iou"
    assert SemanticSegmentation(("cell", "background")).metric(False) == "mean_iou"


# -- calibration -----------------------------------------------------------------------------------


def reduced(scale: float, images: int, rng: np.random.Generator) -> list[Any]:
    """Results for logits that are `scale` times too large: labels are drawn from softmax(logits / scale)."""
    logits = rng.standard_normal((images, 3, 32, 32))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    ids = (rng.random((images, 1, 32, 32)) > shares.cumsum(1)).sum(1).clip(0, 2).astype(np.uint8)
    outputs = {"logits": (scale * logits).astype(np.float32)}
    return [TASK.reduce({"logits": outputs["logits"][i : i + 3]}, Masks(ids[i : i + 3])) for i in range(0, images, 3)]


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_overconfidence(scale: float, rng: np.random.Generator) -> None:
    results = reduced(scale, 24, rng)
    calibration = TASK.calibrate(results)
    assert calibration is not None and calibration.images == 24
    assert calibration.temperature == pytest.approx(scale, rel=0.1)
    assert TASK.calibration_from_data(calibration.to_data()) == calibration
    (*_, section) = TASK.evaluate(results, calibration).sections()
    assert section.heading == "Confidence" and "<svg" in section.figures[0]
    assert [each.heading for each in TASK.evaluate(results, None).sections()].count("Confidence") == 0


def test_few_images_give_no_temperature(rng: np.random.Generator) -> None:
    assert TASK.calibrate(reduced(2.0, 7, rng)) is None
    ignored = TASK.reduce({"logits": np.zeros((9, 3, 8, 8), np.float32)}, Masks(np.full((9, 8, 8), 255, np.uint8)))
    assert TASK.calibrate([ignored]) is None
    assert ignored.loss == 0


@pytest.mark.parametrize("data", [{}, {"temperature": "hot", "images": 9}, {"temperature": 0.0, "images": 9},
                                  {"temperature": float("nan"), "images": 9}])  # fmt: skip
def test_damaged_calibrations(data: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="its calibration"):
        TASK.calibration_from_data(data)
