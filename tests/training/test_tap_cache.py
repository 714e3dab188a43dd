"""Models trained on features of a frozen backbone are bit-identical to those trained on the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from opsin import zoo
from opsin.base.errors import UsageError
from opsin.data import Dataset, load
from opsin.runs import Run
from opsin.runs.resume import configuration, reopen
from opsin.training import Stage, Trainer, TrainingPlan, features, freezing
from opsin.training.tap_cache import TapCache
from tests.data.annotated_folders import write_boxes, write_labels, write_masks, write_numbers

CASES = {
    "segmentation": (write_masks, "unet_light"),
    "detection": (write_boxes, "fcos_efficientnet_lite0"),
    "regression": (write_numbers, "efficientnet_lite0"),
    "multilabel": (write_labels, "efficientnet_lite0"),
}
SIDE = 64


def plan_for(task: str, **stage: Any) -> TrainingPlan:
    network = CASES[task][1]
    layer = zoo.find(network)(2, task=task, pretrained=True)
    frozen = freezing.published_layers(layer, (3, SIDE, SIDE))
    settings: dict[str, Any] = {"augment": "none", "features": True, **stage}
    return TrainingPlan(
        network=network, size=SIDE, ema=0.9, stages=(Stage(epochs=3, batch=4, frozen=frozen, **settings),)
    )


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    folder = tmp_path_factory.mktemp("data")
    return {task: load(write(folder / task, 14), size=SIDE, task=task) for task, (write, _) in CASES.items()}


def states(trainer: Trainer) -> dict[str, bytes]:
    for _ in trainer:
        pass
    return {name: array.tobytes() for name, array in trainer.model.state.items()}


@pytest.mark.parametrize("task", CASES)
def test_training_on_features_gives_the_same_bits(task: str, datasets: dict[str, Dataset]) -> None:
    trainers = [Trainer(plan_for(task, features=cached), datasets[task], threads=1) for cached in (True, False)]
    assert trainers[0].runtime is not None and isinstance(trainers[0].runtime.feed, TapCache)
    cached, plain = map(states, trainers)
    assert cached == plain
    losses = [[epoch.loss for epoch in trainer.history] for trainer in trainers]
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_features_are_computed_once(datasets: dict[str, Dataset]) -> None:
    trainer = Trainer(plan_for("segmentation"), datasets["segmentation"], threads=1)
    assert trainer.runtime is not None and isinstance(trainer.runtime.feed, TapCache)
    cache, counts = trainer.runtime.feed, list[int]()
    program = cache.extractor

    class Counted:
        def run(self, **inputs: Any) -> Any:
            counts.append(len(inputs["inputs"]))
            return program.run(**inputs)

    cache.extractor = Counted()  # type: ignore[assignment]
    states(trainer)
    assert counts == [4] * len(cache)
    assert cache.is_cached.all()
    assert len(cache.features) > 1, "the decoder reads the backbone at several depths"


def test_a_resumed_run_computes_the_missing_features(
    datasets: dict[str, Dataset], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.training.divergence_guard.CHECK_INTERVAL", 1)
    monkeypatch.setattr(Run, "due", True)
    data, plan = datasets["segmentation"], plan_for("segmentation")
    expected = states(Trainer(plan, data, threads=1))
    trainer = Trainer(plan, data, threads=1)
    trainer.run = Run.create(configuration(plan, data, "", None), data.name, tmp_path / "run")
    for number, _ in enumerate(trainer):
        if number == 5:
            trainer.interruption.requested = True
    assert trainer.state.steps and trainer.state.stage == 0
    assert states(reopen(tmp_path / "run", data=data, threads=1)) == expected


def test_large_features_are_on_disk(datasets: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = states(Trainer(plan_for("regression"), datasets["regression"], threads=1))
    monkeypatch.setattr(features, "MAX_BYTES_IN_MEMORY", 0)
    trainer = Trainer(plan_for("regression"), datasets["regression"], threads=1)
    assert states(trainer) == expected


@pytest.mark.parametrize("change", [{"augment": "light"}, {"flip": True}])
def test_images_that_change_have_no_features(change: dict[str, Any], datasets: dict[str, Dataset]) -> None:
    with pytest.raises(UsageError, match="computes the features of each image once"):
        Trainer(plan_for("segmentation", **change), datasets["segmentation"])


def test_published_layers_are_the_backbone_or_all_before_the_last() -> None:
    shape = (3, SIDE, SIDE)
    assert freezing.published_layers(zoo.find("unet_light")(2, pretrained=True), shape) == ("backbone",)
    whole = zoo.find("efficientnet_lite0")(2, pretrained=True)
    assert freezing.published_layers(whole, shape) == freezing.head_point(whole, shape).frozen
    with pytest.raises(UsageError, match="no layer of the network starts from published weights"):
        freezing.published_layers(zoo.find("unet_light")(2), shape)
