"""Training on folders of identities through the commands, and what the model then answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data import Batches, Preprocessing, load
from opsin.data.dataset import Dataset
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.model import Model
from opsin.model import load as load_model
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.tasks.identity import Identity
from opsin.training import Stage, Trainer, TrainingPlan
from tests.apps.cli.conftest import cli as cli
from tests.tasks.identity.blobs import pairs_text, write_people


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("data") / "people")


@pytest.fixture(scope="module")
def data(people: Path) -> Dataset:
    return load(people, task="identity")


def plan(epochs: int, loss: str | None = None, batch: int = 24) -> TrainingPlan:
    return TrainingPlan(
        network="lenet5", stages=(Stage(epochs=epochs, batch=batch, learning_rate=0.01),), loss=loss, ema=0.5
    )


@pytest.fixture(scope="module")
def model(data: Dataset) -> Model:
    trainer = Trainer(plan(30), data)
    list(trainer)
    return trainer.model


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "people.opsin"
    model.save(path)
    return path


def test_splits_share_no_identity(data: Dataset) -> None:
    numbers = [set(images.targets.numbers.tolist()) for images in data.splits.values()]
    assert len(numbers) == 3 and sum(map(len, numbers)) == len(set.union(*numbers)) == 12
    assert data.receipt is not None and "whose groups are not divided" in data.receipt.text()


def test_batches_hold_several_images_of_each_identity(data: Dataset) -> None:
    batches = Batches(data.train, Preprocessing.of(data.train), 24, seed=1)
    assert sorted(batches.order(1)[: len(data.train)].tolist()) == list(range(len(data.train)))
    images, targets = next(iter(batches.epoch(1)))
    assert np.bincount(targets["labels"]).max() >= 3
    rest = list(batches.epoch(1, start=1))
    again = list(batches.epoch(1))
    np.testing.assert_array_equal(again[0][0], images)
    np.testing.assert_array_equal(again[1][1]["labels"], rest[0][1]["labels"])


def test_it_learns_to_tell_unseen_identities_apart(model: Model, data: Dataset) -> None:
    evaluation = model.evaluate(data.all_images())
    assert evaluation.score.value > 0.9
    assert evaluation.identification.rank1.share > 0.9
    assert model.evaluate(data.require_test()).roc.area > 0.85
    vectors = model.outputs(data.require_test().pixels)["embeddings"]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("loss", ["cosface", "arcface", "triplet"])
def test_other_losses_train_prototypes_that_the_model_does_not_keep(loss: str, data: Dataset) -> None:
    trainer = Trainer(plan(1, loss), data)
    list(trainer)
    assert np.isfinite(trainer.history[0].loss)
    assert not any("prototypes" in name for name in trainer.model.state)


def test_threads_and_repetitions_give_the_same_bits(data: Dataset) -> None:
    states = []
    for threads in (1, 2):
        trainer = Trainer(plan(1, "arcface"), data, threads=threads)
        list(trainer)
        states.append(trainer.model.state)
    assert all((states[0][name] == states[1][name]).all() for name in states[0])


def test_a_saved_model_has_no_names(model: Model, file: Path) -> None:
    loaded = load_model(file)
    assert loaded.task == Identity() and loaded.calibration == model.calibration
    assert b"id03" not in file.read_bytes()


def test_pairs_are_compared_as_a_file_lists_them(people: Path, file: Path, tmp_path: Path, cli: Any) -> None:
    pairs = tmp_path / "pairs.txt"
    pairs.write_text(pairs_text())
    result = json.loads(cli("evaluate", file, people, "--pairs", pairs, "--json").out)
    assert (result["pairs"], len(result["folds"])) == (24, 2)
    assert result["verification_accuracy"] > 0.8
    assert result["identification"] is None
    shown = cli("evaluate", file, people, "--pairs", pairs)
    assert "24 pairs of" in shown.out and "equal error rate" in shown.out
    pairs.write_text("1\nid00\t1\t99\n")
    missing = cli("evaluate", file, people, "--pairs", pairs)
    assert missing.code == 1 and "names images that are not there, 1 in all: id00/id00_0099" in missing.err
    assert "cannot be read" in cli("evaluate", file, people, "--pairs", tmp_path / "none.txt").err
    assert "leave --pairs out" in cli("evaluate", file, people, "--pairs", pairs, "--report", tmp_path / "a.html").err


def test_two_images_are_compared(people: Path, file: Path, cli: Any) -> None:
    first, second, other = (
        people / name for name in ("id00/id00_0001.png", "id00/id00_0002.png", "id01/id01_0001.png")
    )
    shown = cli("predict", file, first, second, other).out.splitlines()
    assert len(shown) == 2 and "the same (similarity" in shown[0] and "different (similarity" in shown[1]
    assert "give two or more" in cli("predict", file, first).err
    answers = json.loads(cli("predict", file, first, second, "--json").out)
    assert len(answers[0]["embedding"]) == 128


def test_the_report_shows_errors(people: Path, file: Path, tmp_path: Path, cli: Any) -> None:
    page = tmp_path / "report.html"
    assert cli("evaluate", file, people, "--report", page).code == 0
    text = page.read_text()
    for words in ("Different, but most alike", "true accepts", "Error rates differ between groups of people", "rank 1"):
        assert words in text


def test_copies_of_one_image_are_refused(tmp_path: Path, people: Path) -> None:
    source = people / "id00" / "id00_0001.png"
    for name in ("a", "b"):
        (tmp_path / "copies" / name).mkdir(parents=True)
        for number in range(3):
            shutil.copy(source, tmp_path / "copies" / name / f"{number}.png")
    with pytest.raises(DataError, match="6 copies of a single image; there is nothing to learn"):
        load(tmp_path / "copies", task="identity")


def test_options_of_losses(people: Path, tmp_path: Path, cli: Any) -> None:
    wrong = cli("train", people, "--task", "identity", "--loss", "softmax", "--out", tmp_path / "a.opsin")
    assert wrong.code == 2 and "there is no loss 'softmax' for identity" in wrong.err
    classes = cli("train", people, "--loss", "arcface", "--out", tmp_path / "a.opsin")
    assert (
        classes.code == 2
        and "--loss arcface is for identities or for images without labels, and the data" in classes.err
    )


@pytest.mark.parametrize(("augment", "flip"), [(None, True), ("none", None)])
def test_images_are_mirrored_unless_they_are_not_augmented(
    people: Path, augment: str | None, flip: bool | None
) -> None:
    options = TrainOptions(augment=augment, epochs=1)
    opened = open_source(people, None, TaskRequest("identity"))
    choice = networks.choose_network(DatasetSummary.of(opened), options)
    assert choice.network == "sphereface10_half"
    auto = autoconfig.choose(choice, load(people, task="identity"), options)
    assert auto.plan.stages[0].flip == flip
