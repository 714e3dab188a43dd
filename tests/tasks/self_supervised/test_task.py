"""The task: its reader, its targets, and its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.base.errors import DataError, ModelError, ShapeError, UsageError
from opsin.tasks.annotations import Annotations
from opsin.tasks.self_supervised import SelfSupervised, Unlabelled
from opsin.tasks.self_supervised.answers import Features
from opsin.tasks.task import LossOptions
from tests.tasks.memory_files import MemoryFiles, image_size, numbered

TASK = SelfSupervised()


def read(*paths: str, **folders: int) -> Annotations:
    files = MemoryFiles(
        {path: path.encode() for path in paths}, *(numbered(n, f"{name}/") for name, n in folders.items())
    )
    result = TASK.read(files, image_size)
    assert result is not None
    return result


def targets(result: Annotations) -> set[tuple[str, str]]:
    return {(image.target, image.split) for image in result.images}


def test_images_at_any_depth() -> None:
    result = read("one.jpg", "2019/summer/two.png", "2019/summer/notes.txt", "2019/broken.jpg", photos=40)
    assert targets(result) == {("", ""), ("2019/summer", ""), ("photos", "")}
    assert len(result.images) == 42
    assert [problem.name for problem in result.problems] == ["2019/broken.jpg"]
    assert result.notes[0].startswith("3 folders. Nothing is learned from their names")


@pytest.mark.parametrize("prefix", ["", "data/cifar/"])
def test_splits_and_folders_that_hold_everything(prefix: str) -> None:
    folders = {f"{prefix}{name}": 20 for name in ("train/cats", "train/dogs", "test/cats")}
    result = read(**folders)
    assert targets(result) == {("cats", "train"), ("dogs", "train"), ("cats", "test")}
    assert result.settings["names"] == ("cats", "dogs")


def test_a_folder_called_val_is_no_split_without_one_to_train_on() -> None:
    assert targets(read(Val=20, Ann=20)) == {("Val", ""), ("Ann", "")}


def test_one_folder_needs_no_note() -> None:
    assert not read(photos=40).notes
    assert TASK.read(MemoryFiles({"notes.txt": "x"}), image_size) is None


def test_too_few_images() -> None:
    with pytest.raises(DataError, match=r"memory holds 31 images that can be read; learning .* at least 32, better th"):
        read(photos=31)
    with pytest.raises(DataError, match="needs no column of a table"):
        TASK.read(MemoryFiles(numbered(40)), image_size, ["label"])


def test_targets() -> None:
    folders = Unlabelled(np.array([0, 1, 1], np.int32), ("a", "b"))
    both = Unlabelled.concatenate([folders, folders.take(np.array([2]))])
    assert both.folders.tolist() == [0, 1, 1, 1] and both.counts(0) == []
    assert both.content() == b"a\nb\nb\nb"
    assert both.strata().tolist() == [0, 0, 0, 0]
    many = both.take(np.arange(4).repeat(5))
    assert many.strata() is many.folders


def test_answers() -> None:
    outputs = {"features": np.array([[3.0, -5.0, 0.5]], np.float32)}
    (answer,) = TASK.answers(outputs, [(8, 8)], None, None)
    assert (str(answer), answer.to_data()) == ("3 features", {"features": [3.0, -5.0, 0.5]})
    assert str(Features(answer.vector, "cats")) == "cats"
    (score,) = TASK.explained_scores(outputs)
    assert score.label == "2" and score.values(outputs)[0] == 5
    assert TASK.explained_scores(outputs, label="1")[0].values(outputs)[0] == 3
    with pytest.raises(UsageError, match="the numbers 1 to 3 to explain, not '4'"):
        TASK.explained_scores(outputs, label="4")


@pytest.mark.parametrize("options", [{"class_weights": (1.0,)}, {"label_smoothing": 0.1}, {"logit_adjustment": (0.0,)}])
def test_options_of_classes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="leave them out without labels"):
        TASK.objective(LossOptions(**options), False)


def test_errors() -> None:
    with pytest.raises(UsageError, match="no loss 'moco' for self-supervised; there are simclr, vicreg, barlow"):
        TASK.objective(LossOptions(loss="moco"), False)
    with pytest.raises(ShapeError, match="needs the output 'features', N × F; take a classifier"):
        TASK.check(nn.trace(zoo.find("lenet5")(10), (1, 28, 28)))
    with pytest.raises(ShapeError, match="give the name of one as --network"):
        nn.trace(zoo.find("fcn_resnet50")(2, task=TASK.name), (3, 64, 64))
    with pytest.raises(DataError, match="there is only one; give more"):
        one = np.ones((1, 4), np.float32)
        TASK.evaluate([(one, one, one, Unlabelled(np.zeros(1, np.int32), ("",)))], None)
    with pytest.raises(ModelError, match="calibration is for another task"):
        TASK.calibration_from_data({})
