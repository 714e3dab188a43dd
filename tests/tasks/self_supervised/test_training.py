"""Training without labels through the commands: bits, resuming, collapse, and what the model then answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin import nn, ops, runs
from opsin.base.errors import UsageError
from opsin.data import Batches, Preprocessing, load
from opsin.data.augment import views_preset
from opsin.data.augment.random_views import RandomViews
from opsin.data.dataset import Dataset
from opsin.ir import Tensor
from opsin.model import Model
from opsin.model import load as load_model
from opsin.model.head import head_variables
from opsin.model.model_weights import ModelWeights
from opsin.runs.resume import configuration
from opsin.runs.run import Run
from opsin.training import Epoch, Stage, Step, Trainer, TrainingPlan
from opsin.training.non_finite import Collapsed
from tests.apps.cli.conftest import cli as cli
from tests.tasks.identity.blobs import write_people

NETWORK = "mlperf_tiny_resnet8"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="module")
def data(photos: Path) -> Dataset:
    return load(photos, size=16, task="self-supervised")


def plan(epochs: int, loss: str | None = None, augment: str = "strong") -> TrainingPlan:
    stage = Stage(epochs=epochs, batch=12, learning_rate=0.003, augment=augment)
    return TrainingPlan(network=NETWORK, stages=(stage,), loss=loss)


def trained(data: Dataset, plan: TrainingPlan, **options: Any) -> Trainer:
    trainer = Trainer(plan, data, **options)
    list(trainer)
    return trainer


@pytest.fixture(scope="module")
def model(data: Dataset) -> Model:
    return trained(data, plan(6)).model


@pytest.fixture(scope="module")
def file(model: Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "photos.opsin"
    model.save(path)
    return path


def test_a_batch_has_two_views_of_each_image(data: Dataset) -> None:
    policy = replace(views_preset("strong", (3, 16, 16)), hue=0.0)
    batches = Batches(data.train, Preprocessing.of(data.train), 8, 1, policy, views=2)
    views, targets = next(iter(batches.epoch(1)))
    assert views.shape == (16, *data.shape) and sorted(set(targets["instances"].tolist())) == list(range(16))
    means = views.mean((2, 3))
    assert (np.abs(means[:8] - means[8:]) > 1e-3).any(axis=1).all()
    later = list(batches.epoch(1, start=2))
    np.testing.assert_array_equal(later[0][0], list(batches.epoch(1))[2][0])
    plain = next(iter(Batches(data.train, Preprocessing.of(data.train), 8, 1, views=2).epoch(1)))[0]
    np.testing.assert_array_equal(plain[:8], plain[8:])


def test_views_that_are_measured_are_the_same_each_time(data: Dataset) -> None:
    first, second = (RandomViews.of(data.train, Preprocessing.of(data.train), number) for number in range(2))
    assert (first[:4] != second[:4]).any()
    np.testing.assert_array_equal(first[np.array([3, 1])], first[:4][[3, 1]])
    np.testing.assert_array_equal(first.take(np.array([2, 3]))[1], first[3])
    assert first[:0].shape == (0, *data.shape)


def test_features_tell_images_apart(model: Model, data: Dataset) -> None:
    evaluation = model.evaluate(data.all_images())
    assert evaluation.score.metrics["knn_accuracy"] > 0.4
    assert evaluation.score.value > 2 / evaluation.images


@pytest.mark.parametrize("loss", ["vicreg", "barlow", "rotation", "autoencoder"])
def test_other_losses_train_layers_that_the_model_does_not_keep(loss: str, data: Dataset) -> None:
    trainer = trained(data, plan(1, loss, augment="light"))
    assert np.isfinite(trainer.history[0].loss)
    assert (
        trainer.model.state.keys()
        == nn.trace(opsin.zoo.find(NETWORK)(2, task="self-supervised"), data.shape).variables.keys()
    )


def test_threads_and_a_kill_in_an_epoch_change_no_bit(data: Dataset, model: Model, tmp_path: Path) -> None:
    trainer = Trainer(plan(6), data, threads=1)
    trainer.run = Run.create(configuration(trainer.plan, data, "", None), data.name, tmp_path / "run")
    events = iter(trainer)
    for event in events:
        if isinstance(event, Step) and event.epoch == 3 and event.step % 3 == 2:
            break
    events.close()  # type: ignore[attr-defined]  # it is a generator
    resumed = runs.resume(tmp_path / "run", data=data, threads=2)
    assert resumed.state.keys() == model.state.keys()
    assert all((resumed.state[name] == model.state[name]).all() for name in model.state)


class Constant(nn.Layer):
    """A network that gives the same features for every image."""

    def __init__(self) -> None:
        self.linear = nn.Linear(4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        nothing = ops.multiply(ops.reshape(ops.global_avg_pool2d(x), x.shape[:2]), 0.0)
        return {"features": ops.add(self.linear(nothing), 1.0)}


def test_collapse_stops_training(data: Dataset, tmp_path: Path) -> None:
    own = replace(plan(3), network="Constant")
    trainer = Trainer(own, data, network=Constant(), out=tmp_path / "a.opsin")
    events = iter(trainer)
    with pytest.raises(
        Collapsed,
        match=r"the features collapsed: the features of all images are equal, .* try a tenth of the learning rate",
    ):
        for event in events:
            assert not isinstance(event, Epoch)
    assert not (tmp_path / "a.opsin").exists()


def test_qat_is_refused(data: Dataset) -> None:
    stages = (*plan(1).stages, Stage(name="quantization", epochs=1, qat=True))
    with pytest.raises(UsageError, match="is not possible for self-supervised; leave it out"):
        Trainer(replace(plan(1), stages=stages), data)


def test_the_model_file_has_the_names_of_the_classifier(file: Path, model: Model) -> None:
    loaded = load_model(file)
    assert loaded.network == NETWORK and loaded.task.name == "self-supervised"
    names = nn.trace(opsin.zoo.find(NETWORK)(10), (3, 16, 16)).variables.keys()
    assert loaded.state.keys() < names
    assert (loaded.check(), loaded.calibration) == (0, None)


def test_other_tasks_begin_with_the_features_and_the_reverse(file: Path, model: Model, data: Dataset) -> None:
    weights = ModelWeights.open(str(file))
    graph = nn.trace(opsin.zoo.find(NETWORK)(10), data.shape)
    state = weights.state(graph)
    assert state.keys() == model.state.keys() < graph.variables.keys()
    assert all((state[name] == model.state[name]).all() for name in state)
    features = nn.trace(opsin.zoo.find(NETWORK)(2, task="self-supervised"), data.shape)
    assert head_variables(features) == set()


def test_commands(photos: Path, file: Path, tmp_path: Path, cli: Any) -> None:
    report = tmp_path / "report.html"
    shown = cli("evaluate", file, photos, "--report", report)
    assert shown.code == 0 and "view agreement" in shown.out.lower()
    assert "effective rank of the 64 features" in report.read_text()
    image = photos / "id00" / "id00_0001.png"
    answer = json.loads(cli("predict", file, image, "--json").out)
    assert len(answer["features"] if isinstance(answer, dict) else answer[0]["features"]) == 64
    checked = cli("data", "check", photos, "--task", "self-supervised")
    assert checked.code == 0 and "12 folders. Nothing is learned from their names" in checked.out
    wrong = cli("train", photos, "--task", "self-supervised", "--loss", "moco", "--out", tmp_path / "a.opsin")
    assert wrong.code == 2 and "there is no loss 'moco' for self-supervised" in wrong.err
    qat = cli("train", photos, "--task", "self-supervised", "--qat", "--out", tmp_path / "a.opsin")
    assert qat.code == 2 and "leave it out, and round when the network learns from labels" in qat.err
    run = tmp_path / "run"
    done = cli(
        "train", photos, "--task", "self-supervised", "--network", NETWORK, "--size", 16, "--epochs", 1, "--run", run
    )
    assert done.code == 0, done.err
    assert (run / "report.html").exists() and load_model(run / "model.opsin").task.name == "self-supervised"


def test_bad_folders(tmp_path: Path, cli: Any) -> None:
    folder = tmp_path / "same"
    folder.mkdir()
    for number in range(40):
        Image.new("RGB", (16, 16), (200, 30, 60)).save(folder / f"{number}.png")
    same = cli("train", folder, "--task", "self-supervised", "--out", tmp_path / "a.opsin")
    assert same.code == 1 and "40 copies of a single image; there is nothing to learn from them" in same.err
    for path in list(folder.iterdir())[:20]:
        path.unlink()
    few = cli("train", folder, "--task", "self-supervised", "--out", tmp_path / "a.opsin")
    assert few.code == 1 and "holds 20 images that can be read; learning without labels needs at least 32" in few.err
