"""Stages on features: epochs do not depend on what is cached, and results are those of the whole network."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin import nn
from opsin.backends.native import compile
from opsin.base.errors import TrainingError
from opsin.data import Batches, Dataset, LabeledImages, Preprocessing
from opsin.data.augment import Augmentation
from opsin.runs import Run
from opsin.runs.resume import configuration, reopen
from opsin.training import Epoch, Stage, Step, Trainer, TrainingPlan, features
from opsin.training.features import BATCH, FeatureCache, FeatureExtractor


def network() -> nn.Layer:
    return nn.Sequential(
        ("conv", nn.Conv2d(4, 3, padding=1)),
        ("relu", nn.ReLU()),
        ("pool", nn.GlobalAvgPool2d()),
        ("flat", nn.Flatten()),
        ("head", nn.Linear(3)),
    )


def dataset(count: int = 53) -> Dataset:
    rng = np.random.default_rng(0)

    def images(count: int) -> LabeledImages:
        labels = np.arange(count, dtype=np.int32) % 3
        pixels = rng.integers(0, 60, (count, 3, 8, 8)).astype(np.uint8)
        pixels[np.arange(count), labels] += 120
        return LabeledImages(pixels, labels, ("a", "b", "c"))

    return Dataset("small", images(count), images(15), predefined_split=True, validation=images(17))


def feed(views: int, earlier_epochs: int = 0) -> FeatureCache:
    data = dataset()
    source = Batches(data.train, Preprocessing.of(data.train), 10, 1, Augmentation(flip=True))
    trunk, _ = nn.features_graphs(network(), (3, 8, 8), nn.optimizers.SGD(), frozen=("conv",))
    state = nn.initial_state(trunk, 0)
    return FeatureCache(FeatureExtractor(trunk, state, compile, 1), source, views, earlier_epochs)


def epoch(of: FeatureCache, number: int, start: int = 0) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    return [(features, targets["labels"]) for features, targets in of.epoch(number, start)]


@pytest.mark.parametrize("number", [3, 4, 5, 6])
@pytest.mark.parametrize("start", [0, 2])
def test_an_epoch_does_not_depend_on_what_is_cached(number: int, start: int) -> None:
    fresh, used = feed(2, earlier_epochs=2), feed(2, earlier_epochs=2)
    for earlier in range(3, number):
        epoch(used, earlier)
    expected, batches = epoch(fresh, number, start), epoch(used, number)[start:]
    assert len(expected) == len(batches) == 6 - start
    for (features_a, labels_a), (features_b, labels_b) in zip(expected, batches, strict=True):
        assert np.array_equal(features_a, features_b) and np.array_equal(labels_a, labels_b)


def test_an_incomplete_view_is_completed_when_it_is_needed() -> None:
    left, whole = feed(1), feed(1)
    list(islice(left.epoch(1), 2))
    for a, b in zip(epoch(left, 2), epoch(whole, 2), strict=True):
        assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


def test_features_and_labels_belong_to_the_image_numbers() -> None:
    cache = feed(2)
    for number in (1, 2, 3, 4):
        for step, (_, labels) in enumerate(epoch(cache, number)):
            selection = cache.image_numbers(number, step)
            assert np.array_equal(cache.source.images.labels[selection], labels)


def test_every_epoch_contains_every_image() -> None:
    cache = feed(2)
    for number in (1, 2, 3, 4):
        assert set(np.concatenate([cache.image_numbers(number, step) for step in range(len(cache))]).tolist()) == set(
            range(53)
        )


def test_features_of_an_image_do_not_depend_on_the_others() -> None:
    cache = feed(1)
    images = np.random.default_rng(0).normal(size=(BATCH + 3, 3, 8, 8)).astype(np.float32)
    together = cache.extractor(images)
    assert np.array_equal(cache.extractor(images[BATCH + 1 :]), together[BATCH + 1 :])


def test_large_features_are_stored_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_memory = epoch(feed(1), 2)
    monkeypatch.setattr(features, "MAX_BYTES_IN_MEMORY", 1)
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    cache = feed(1)
    assert isinstance(cache.views[0].buffer.base, np.memmap)
    for a, b in zip(epoch(cache, 2), in_memory, strict=True):
        assert np.array_equal(a[0], b[0])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "the file has no name"


def test_a_full_disk_is_an_error_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(file: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(features, "MAX_BYTES_IN_MEMORY", 1)
    monkeypatch.setattr(features, "_reserve", full)
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path))
    with pytest.raises(TrainingError, match=r"has no space for the features .* \(No space left on device\); free some"):
        feed(1)


def stages(as_features: bool) -> TrainingPlan:
    stage = Stage(name="head", epochs=4, batch=16, learning_rate=0.05, frozen=("conv",), features=as_features)
    return TrainingPlan(network="own", stages=(stage,), ema=0.9)


def test_training_on_features_equals_training_with_frozen_layers() -> None:
    results = []
    for as_features in (True, False):
        training = Trainer(stages(as_features), dataset(), network=network(), threads=1)
        results.append([event for event in training if isinstance(event, Epoch)])
    for on_features, frozen in zip(*results, strict=True):
        assert on_features.held_out.loss == pytest.approx(frozen.held_out.loss, rel=1e-2)
    # In later epochs the order of the images is another one, but in the first there is no difference but rounding.
    assert results[0][0].loss == pytest.approx(results[1][0].loss, rel=1e-3)
    assert results[0][-1].held_out.loss < results[0][0].held_out.loss


def test_frozen_layers_do_not_change() -> None:
    for as_features in (True, False):
        training = Trainer(stages(as_features), dataset(), network=network(), threads=1)
        before = training.model.state["conv.weight"].copy()
        head_before = training.model.state["head.weight"].copy()
        for _ in training:
            pass
        assert np.array_equal(training.model.state["conv.weight"], before)
        assert not np.array_equal(training.model.state["head.weight"], head_before)


TWO_STAGES = TrainingPlan(
    network="own",
    stages=(
        Stage(name="head", epochs=4, batch=16, learning_rate=0.05, frozen=("conv",), features=True, views=2),
        Stage(name="fine-tuning", epochs=1, batch=16, learning_rate=0.01),
    ),
    ema=0.9,
    patience=9,
)


def begin(folder: Path) -> Trainer:
    training = Trainer(TWO_STAGES, dataset(), network=network(), threads=1)
    training.run = Run.create(configuration(TWO_STAGES, training.data, "", None), "small", folder)
    return training


@pytest.mark.parametrize("steps", [2, 6, 9, 14, 17])
def test_a_resumed_run_is_bit_identical(steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.training.divergence_guard.CHECK_INTERVAL", 2)
    monkeypatch.setattr(Run, "due", True)
    whole = begin(tmp_path / "whole")
    for _ in whole:
        pass
    interrupted = iter(begin(tmp_path / "cut"))
    for event in interrupted:
        if isinstance(event, Step) and event.step == steps:
            break
    interrupted.close()  # type: ignore[attr-defined]
    rest = reopen(tmp_path / "cut", data=dataset(), network=network(), threads=1)
    for _ in rest:
        pass
    assert all(np.array_equal(value, rest.model.state[name]) for name, value in whole.model.state.items())
