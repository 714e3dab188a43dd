"""Targets of moved images: those of every annotated task."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.tasks.geometry import Geometry
from opsin.tasks.multilabel import MultiLabel
from opsin.tasks.multilabel.label_sets import LabelSets
from opsin.tasks.regression import Regression
from opsin.tasks.regression.quantities import Quantities
from opsin.tasks.segmentation import Masks, SemanticSegmentation

SIZE = (4, 6)
MIRRORED = Geometry(SIZE, SIZE, np.array([(0, 1, 0, 5, 0, -1)], np.float64))


def test_boxes_move_and_get_the_size_of_the_moved_image() -> None:
    task, boxes = ObjectDetection(("cat",)), Boxes.stack([ImageBoxes.of([(0.0, 0.25, 0.5, 1.0)], [0], (100, 300))])
    (answer,) = task.truth(task.moved(boxes, MIRRORED))
    assert answer.size == SIZE
    assert answer.detections[0].box == pytest.approx((3, 1, 6, 4))
    (larger,) = task.truth(task.moved(boxes, Geometry.resize(1, SIZE, (40, 60))))
    assert larger.detections[0].box == pytest.approx((0, 10, 30, 40))


def test_masks_move() -> None:
    ids = np.arange(24, dtype=np.uint8).reshape(1, *SIZE) % 2
    task = SemanticSegmentation(("background", "cell"))
    np.testing.assert_array_equal(task.moved(Masks(ids), MIRRORED).ids, ids[:, :, ::-1])


def test_signed_numbers_change_their_sign_in_mirror_images() -> None:
    task = Regression(("angle", "speed"), ("", ""), (1.0, 2.0), (3.0, 4.0), (True, False))
    values = Quantities(np.array([[5.0, 7.0]]))
    np.testing.assert_array_equal(task.moved(values, MIRRORED).values, [[-5.0, 7.0]])
    np.testing.assert_array_equal(task.moved(values, Geometry.resize(1, SIZE, SIZE)).values, [[5.0, 7.0]])
    encoded = task.encode(values, MIRRORED, None)["values"]
    np.testing.assert_allclose(encoded, [[-2.0, 1.25]])


def test_labels_stay() -> None:
    labels = LabelSets(np.array([[1, 0]], np.uint8))
    assert MultiLabel(("wet", "dark")).moved(labels, MIRRORED) is labels
