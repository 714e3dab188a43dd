"""Annotated images: what they are annotated for is detected, and they become data sets of that task."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import DataError, UsageError
from opsin.data import Dataset, load
from opsin.data.decode import Stretch
from opsin.data.preprocessing import Preprocessing
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.planning import networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.tasks.detection import ObjectDetection
from opsin.tasks.multilabel import MultiLabel
from opsin.tasks.regression import Regression
from opsin.tasks.segmentation import SemanticSegmentation
from tests.data.annotated_folders import (
    boxes,
    coco,
    write_boxes,
    write_images,
    write_labels,
    write_masks,
    write_numbers,
)

COUNT = 24


@pytest.fixture
def detection(tmp_path: Path) -> Path:
    return write_boxes(tmp_path, COUNT)


@pytest.fixture
def segmentation(tmp_path: Path) -> Path:
    return write_masks(tmp_path, COUNT)


def test_boxes_are_detected(detection: Path) -> None:
    data = load(detection)
    assert isinstance(data.task, ObjectDetection) and data.task.labels == ("car", "bus")
    assert data.shape == (3, 32, 32) and sum(map(len, data.splits.values())) == COUNT
    assert [len(images) for images in data.splits.values()] == [18, 2, 4]
    names = data.test.names if data.test else None
    assert names is not None
    number = int(names[0].split("/")[1][:2])
    np.testing.assert_allclose(data.test.targets.take(np.array([0])).pixels(), [boxes(COUNT)[number]], atol=1e-4)


def test_images_of_annotated_data_are_stretched(detection: Path) -> None:
    data = load(detection, size=64)
    assert data.shape == (3, 64, 64)
    preprocessing = Preprocessing.of(data.train)
    assert preprocessing.crop == Stretch() == Preprocessing.from_data(preprocessing.to_data()).crop
    assert data.test and data.test.names
    pixels = preprocessing.read(detection / data.test.names[0], "image")
    np.testing.assert_array_equal(pixels, data.test.pixels[np.array([0])][0])
    left, top, right, bottom = data.test.targets.take(np.array([0])).coordinates[0] * 64
    middle = pixels[:, int((top + bottom) / 2), int((left + right) / 2)]
    assert middle[0] > 200 > middle[1]


def test_masks_are_detected(segmentation: Path) -> None:
    data = load(segmentation)
    assert isinstance(data.task, SemanticSegmentation) and data.task.labels == ("background", "foreground")
    assert data.train.targets.size == (32, 32)


def test_numbers_are_detected(tmp_path: Path) -> None:
    data = load(write_numbers(tmp_path, COUNT))
    assert isinstance(data.task, Regression)
    assert (data.task.labels, data.task.units) == (("price",), ("EUR",))


def test_several_labels_are_detected(tmp_path: Path) -> None:
    data = load(write_labels(tmp_path, COUNT))
    assert isinstance(data.task, MultiLabel) and data.task.labels == ("left", "pink", "red", "right")


def test_a_zip_gives_the_same_data(detection: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("zip") / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(detection.rglob("*")):
            archive.write(file, file.relative_to(detection))
    folder, packed = load(detection), load(path)
    assert folder.fingerprint == packed.fingerprint
    np.testing.assert_array_equal(folder.train.pixels[:], packed.train.pixels[:])


def test_a_changed_box_changes_the_fingerprint(detection: Path) -> None:
    first = load(detection)
    assert load(detection).fingerprint == first.fingerprint
    changed: dict[str, Any] = coco(COUNT)
    changed["annotations"][0]["bbox"][2] = 13
    (detection / "annotations.json").write_text(json.dumps(changed))
    assert load(detection).fingerprint != first.fingerprint


def test_a_request_overrides_what_is_found(segmentation: Path) -> None:
    with pytest.raises(DataError, match="holds no images that are annotated for detection"):
        load(segmentation, task="detection")
    source = open_source(segmentation, None, TaskRequest("segmentation"))
    assert not isinstance(source, Dataset) and len(source.items) == COUNT


def test_folders_of_classes_remain_classes(tmp_path: Path) -> None:
    write_images(tmp_path / "cars", COUNT)
    write_images(tmp_path / "buses", COUNT)
    (tmp_path / "notes.csv").write_text("path,price\ncars/00.png,1.5\n")
    (tmp_path / "info.json").write_text('{"images": 3}')
    data = load(tmp_path)
    assert data.task.name == "classification" and data.classes == ("buses", "cars")
    with pytest.raises(UsageError, match="there is no task 'boxes'; the tasks are classification"):
        load(tmp_path, task="boxes")


def test_problems_of_annotations_are_in_the_receipt(detection: Path) -> None:
    changed: dict[str, Any] = coco(COUNT)
    changed["annotations"][3]["bbox"] = [4, 4, 0, 9]
    changed["annotations"][5]["bbox"] = [400, 4, 10, 9]
    (detection / "annotations.json").write_text(json.dumps(changed))
    receipt = load(detection).receipt
    assert receipt is not None
    kinds = [problem.kind for problem in receipt.annotation_problems]
    assert kinds == ["empty box", "box outside image", "no usable box", "no usable box"]
    text = receipt.text(full=True)
    assert "4 problems of annotations" in text and "Annotated for detection: COCO JSON" in text
    assert json.loads(json.dumps(receipt.to_data()))["images_by_split"] == receipt.split_sizes
    assert receipt.images == COUNT - 2


def test_images_that_cannot_be_read_are_left_out(segmentation: Path) -> None:
    (segmentation / "images" / "07.png").write_bytes(b"no image")
    data = load(segmentation)
    assert sum(map(len, data.splits.values())) == COUNT - 1
    assert data.receipt and any("07.png" in problem.name for problem in data.receipt.annotation_problems)


def test_the_network_follows_from_the_task(detection: Path) -> None:
    summary = DatasetSummary.of(open_source(detection))
    choice = networks.choose_network(summary, TrainOptions())
    assert choice.network == "fcos_efficientnet_lite0" and choice.size
    assert choice.preprocessing is None or choice.preprocessing.crop == Stretch()
