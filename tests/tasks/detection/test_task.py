"""Object detection behind the protocol of tasks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from opsin import nn, zoo
from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.tasks.annotations import AnnotatedImage
from opsin.tasks.classification import Classification
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.tasks.detection.calibration import DEFAULT_SCORE, ScoreThreshold
from opsin.tasks.geometry import Geometry
from opsin.tasks.registry import describe_task, described_task, find_task
from opsin.tasks.score import Score
from opsin.tasks.task import ImageSummary, LossOptions
from tests.support import Array
from tests.tasks.memory_files import MemoryFiles, image_size

SIZE = (128, 192)
TASK = ObjectDetection(("cat", "dog")).for_network("fcos_efficientnet_lite0", SIZE)

BOXES = Boxes.stack([
    ImageBoxes.of([[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 1.0, 1.0]], [1, 0], (100, 200), [False, True]),
    ImageBoxes.of([], [], (300, 400)),
    ImageBoxes.of([[0.0, 0.0, 0.3, 0.4]], [1], (50, 50)),
])  # fmt: skip
WHOLE = Geometry.resize(3, SIZE, SIZE)
MIRRORED = Geometry(SIZE, SIZE, np.tile([0.0, 1.0, 0.0, SIZE[1] - 1, 0.0, -1.0], (3, 1)))


def perfect_outputs(boxes: Boxes = BOXES, task: ObjectDetection = TASK) -> dict[str, Array]:
    """Return what a network would give that has learned the boxes, also the difficult ones."""
    easy = replace(boxes, difficult=np.zeros_like(boxes.difficult))
    targets = task.encode(easy, Geometry.resize(len(boxes), SIZE, SIZE), None)
    classes = np.eye(len(task.labels) + 1, dtype=np.float32)[targets["class_targets"]][..., 1:]
    return {"class_logits": 16 * classes - 8, "box_offsets": targets["box_targets"]}


def test_encode_stacks_what_the_head_encodes() -> None:
    found = TASK.encode(BOXES, WHOLE, None)
    for image in range(3):
        one = BOXES.of(image)
        expected = TASK.head.encode(one.coordinates, one.classes, one.difficult)
        for name, array in expected.items():
            assert found[name].dtype == array.dtype and np.array_equal(found[name][image], array)
    assert found["class_targets"].shape == (3, TASK.head.count) and not found["class_targets"][1].any()


def test_difficult_objects_and_crowds_are_ignored() -> None:
    crowded = replace(BOXES, crowd=np.array([False, False, True]))
    found = TASK.encode(crowded, WHOLE, None)["class_targets"]
    assert set(np.unique(found[0])) == {-1, 0, 2} and set(np.unique(found[2])) == {-1, 0}


def test_encoded_boxes_follow_the_image() -> None:
    flipped = replace(
        BOXES, coordinates=np.abs(BOXES.coordinates[:, [2, 1, 0, 3]] - np.array([1, 0, 1, 0], np.float32))
    )
    found, expected = TASK.encode(BOXES, MIRRORED, None), TASK.encode(flipped, WHOLE, None)
    assert np.array_equal(found["class_targets"], expected["class_targets"])
    assert np.allclose(found["box_targets"], expected["box_targets"], atol=1e-5)


def test_the_positions_are_those_of_the_trained_size() -> None:
    small = Geometry.resize(3, SIZE, (64, 64))
    assert TASK.encode(BOXES, small, None)["class_targets"].shape == (3, 64 + 16 + 4 + 1)


@pytest.mark.parametrize("network", zoo.names("detection"))
def test_every_detector_of_the_zoo_suits(network: str) -> None:
    task = ObjectDetection(("cat", "dog", "cow")).for_network(network, (320, 320))
    graph = nn.trace(zoo.find(network)(task.outputs), (3, 320, 320))
    task.check(graph)
    assert task.objective(LossOptions(), False) is task.head and task.chance_loss > 1
    shapes = {name: tensor.shape[1:] for name, tensor in task.head.targets(graph.outputs).items()}
    targets = task.encode(BOXES, Geometry.resize(3, (320, 320), (320, 320)), None)
    assert {name: array.shape[1:] for name, array in targets.items()} == shapes


def test_networks_that_do_not_suit() -> None:
    classifier = nn.trace(zoo.resnet18(2), (3, 64, 64))
    with pytest.raises(UsageError, match="resnet18 finds no objects; choose a detector, such as fcos_efficientnet_li"):
        TASK.for_network("resnet18", (64, 64)).check(classifier)
    with pytest.raises(ShapeError, match=r"the network gives logits N × 2, but its head takes class_logits N × .*; tr"):
        TASK.check(classifier)
    with pytest.raises(UsageError, match=r"has no network; take that of ObjectDetection\.for_network"):
        ObjectDetection(("cat",)).check(classifier)


def test_invalid_arguments() -> None:
    for labels in ((), ("cat", "cat")):
        with pytest.raises(UsageError, match="detection needs classes with different names, at least one, not"):
            ObjectDetection(labels)
    with pytest.raises(UsageError, match="class weights are for classifiers; leave them out for detectors"):
        TASK.objective(LossOptions(class_weights=(1.0, 2.0)), False)


def test_answers_are_in_pixels_of_the_original_images() -> None:
    first, second, third = TASK.answers(perfect_outputs(), [(100, 200), (300, 400), (50, 50)], None, None)
    assert [one.label for one in first] == ["dog", "cat"] or [one.label for one in first] == ["cat", "dog"]
    boxes = {one.label: one.box for one in first}
    assert boxes["dog"] == pytest.approx((20, 20, 100, 60), abs=1e-3)
    assert boxes["cat"] == pytest.approx((100, 50, 200, 100), abs=1e-3)
    assert str(second) == "no objects" and len(second) == 0
    data = third.to_data()
    (detection,) = data.pop("detections")
    assert data == {"height": 50, "width": 50, "counts": {"dog": 1}} and detection["label"] == "dog"
    assert detection["score"] == pytest.approx(1, abs=1e-3)
    assert detection["box"] == pytest.approx([0, 0, 15, 20], abs=1e-3)
    assert str(third) == "1 dog: dog >99.9% at 0, 0 to 15, 20"
    (result,) = third.to_coco(7, TASK.labels)
    assert result["image_id"] == 7 and result["category_id"] == 2
    assert result["bbox"] == pytest.approx([0, 0, 15, 20], abs=1e-3)


def test_answers_below_the_threshold_are_not_shown() -> None:
    outputs = perfect_outputs()
    outputs["class_logits"] = np.where(outputs["class_logits"] > 0, 0.0, outputs["class_logits"])  # scores of 0.5
    sizes = [(100, 200)] * 3
    assert DEFAULT_SCORE < 0.5
    assert [len(one) for one in TASK.answers(outputs, sizes, None, None)] == [2, 0, 1]
    assert [len(one) for one in TASK.answers(outputs, sizes, None, 1)] == [1, 0, 1]
    high = ScoreThreshold(0.6, 1.0, 1.0, 1.0, 3)
    assert [len(one) for one in TASK.answers(outputs, sizes, high, None)] == [0, 0, 0]


def test_truth_has_the_form_of_answers() -> None:
    first, second, _ = TASK.truth(BOXES)
    assert str(first) == "1 dog, 1 cat: dog 100.0% at 20, 20 to 100, 60; cat 100.0% at 100, 50 to 200, 100"
    assert [one.box for one in first] == [(20, 20, 100, 60), (100, 50, 200, 100)]
    assert first.size == (100, 200) and len(second) == 0


def test_answers_are_drawn_in_the_colours_of_the_classes() -> None:
    image = Image.new("L", (800, 600), 90)
    drawn = TASK.draw(image, TASK.truth(BOXES)[0])
    assert drawn.mode == "RGB" and drawn.size == (800, 600)
    assert drawn.getpixel((20, 40)) == (0xE6, 0x9F, 0x00) and drawn.getpixel((200, 75)) == (0x00, 0x72, 0xB2)
    assert image.getpixel((20, 40)) == 90


def test_perfect_outputs_score_perfectly() -> None:
    outputs = perfect_outputs()
    parts = [
        TASK.reduce({name: array[rows] for name, array in outputs.items()}, BOXES.take(rows))
        for rows in (np.array([0]), np.array([1, 2]))
    ]
    found = TASK.evaluate(parts, None)
    assert found.score.metrics == {"ap": pytest.approx(1), "ap50": pytest.approx(1)}
    assert found.score.images == 3 and found.score.loss == pytest.approx(0)
    assert TASK.metric(False) == TASK.metric(True) == next(iter(found.score.metrics))
    assert str(found) == "AP 1.000, AP50 1.000 on 3 images"


def test_align_translates_class_numbers() -> None:
    other = ObjectDetection(("dog", "cat"))
    aligned = TASK.align(other, BOXES)
    assert aligned.classes.tolist() == [0, 1, 0] and BOXES.classes.tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="the data has a class 'cow' that the model does not know; it knows cat, dog"):
        TASK.align(ObjectDetection(("cow", "dog")), BOXES)
    with pytest.raises(DataError, match="the data is for classification, but the model does detection"):
        TASK.align(Classification(("cat", "dog")), BOXES)


def test_the_mean_box_is_a_constant_answer() -> None:
    same = Boxes.stack([ImageBoxes.of([[0.2, 0.2, 0.8, 0.8]], [0], (10, 20)) for _ in range(5)])
    assert TASK.is_constant(Score(5, 0.0, {"ap": 1.0, "ap50": 1.0}), same)
    away = Boxes.stack([
        ImageBoxes.of([[x, 0.0, x + 0.2, 0.2], [1 - x, 0.5, 1.2 - x, 0.8]], [0, 1], (10, 20)) for x in (0.2, 0.5, 0.8)
    ])  # fmt: skip
    assert not TASK.is_constant(Score(3, 0.5, {"ap": 0.3, "ap50": 0.6}), away)
    assert TASK.is_constant(Score(3, 1.0, {"ap": 0.0, "ap50": 0.0}), away)
    assert TASK.is_constant(Score(1, 1.0, {"ap": 0.0, "ap50": 0.0}), BOXES.take(np.array([1])))


def test_it_is_read_and_loaded() -> None:
    table = "filename,xmin,ymin,xmax,ymax,class\na.png,20,10,60,50,dog\nb.png,0,0,200,100,cat\n"
    files = MemoryFiles({"a.png": b"", "b.png": b"", "boxes.csv": table})
    found = ObjectDetection.read(files, image_size)
    assert found is not None and ObjectDetection.read(MemoryFiles({"a.png": b""}), image_size) is None
    assert ObjectDetection.read(files, image_size, ("xmin",)) is None
    boxes = ObjectDetection.load_targets(found.images, files, SIZE, found.settings)
    assert boxes.pixels().tolist() == [[20, 10, 60, 50], [0, 0, 200, 100]] and len(boxes) == 2
    assert ObjectDetection.of(found.settings, boxes) == ObjectDetection(("cat", "dog"))
    assert len(ObjectDetection.load_targets([AnnotatedImage("b.png", BOXES.of(1))], files, SIZE, {})) == 1


def test_the_defaults_name_a_detector() -> None:
    found = TASK.defaults(ImageSummary(500, 480, False, {}))
    assert {found.network, found.fallback} <= set(zoo.names("detection"))
    assert zoo.find(found.network).backbone is not None or not found.pretrained


def test_it_survives_a_model_file() -> None:
    assert find_task("detection") is ObjectDetection
    assert described_task(describe_task(TASK)) == TASK
    threshold = ScoreThreshold(0.4, 0.9, 0.8, 0.85, 30)
    assert TASK.calibration_from_data(threshold.to_data()) == threshold
    for data in ({}, {**threshold.to_data(), "score": "high"}, {**threshold.to_data(), "images": None}):
        with pytest.raises(ModelError, match="its calibration is incomplete"):
            TASK.calibration_from_data(data)
    for score in (float("nan"), -0.1, 2):
        with pytest.raises(ModelError, match="its calibration has an invalid score"):
            TASK.calibration_from_data({**threshold.to_data(), "score": score})


def test_targets_are_counted_by_image() -> None:
    twice = Boxes.concatenate([BOXES, BOXES])
    assert BOXES.counts(2) == [1, 2] and twice.counts(3) == [2, 4, 0]
    assert BOXES.take(np.array([1])).counts(2) == [0, 0]
    assert TASK.subject() == "objects of 2 classes" and ObjectDetection(("cat",)).subject() == "objects of 1 class"
