"""Images without labels next to folders of classes: features are learned from them before the labels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.apps.cli.main import run
from opsin.base.errors import DataError
from opsin.data.sources.detect import TaskRequest, open_source
from opsin.planning import networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.runs.pretraining import plan_pretraining, reason_against
from opsin.runs.unlabelled_data import TRAINING_SPLIT, load_both_again, unlabelled_images
from opsin.training import Epoch
from tests.data.files import write_stripes
from tests.planning.fake_machine import FakeMachine

OPTIONS: tuple[Any, ...] = ("--network", "mlperf_tiny_resnet8", "--size", "16", "--epochs", "1", "--threads", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 10 images each, and 40 images without labels."""
    place = write_stripes(tmp_path_factory.mktemp("data") / "stripes", 10, side=16)
    others = write_stripes(place.parent / "others", 30, side=16)
    (place / "unlabelled").mkdir()
    for number, path in enumerate(sorted(others.glob("*/*.png"))[10:50]):
        shutil.copy(path, place / "unlabelled" / f"{number}.png")
    return place


def test_images_without_labels_are_no_class(folder: Path) -> None:
    data = opsin.data.load(folder)
    assert data.classes == ("lying", "standing") and data.receipt is not None
    assert "The 40 files in unlabelled/ have no labels." in data.receipt.notes
    assert opsin.data.load(folder / "unlabelled", size=16, task="self-supervised").task.name == "self-supervised"


@pytest.mark.parametrize("form", ["zip", "gztar"])
def test_archives_have_images_without_labels(folder: Path, tmp_path: Path, form: str) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "stripes"), form, folder.parent, folder.name))
    source = open_source(archive)
    found = unlabelled_images(source)
    assert found is not None and len(found.items) == 40 and len(source.items) == 20
    images = load_both_again(str(archive), 16, TaskRequest())
    assert images.fingerprint == load_both_again(str(folder), 16, TaskRequest()).fingerprint
    data = opsin.data.load(archive)
    assert data.classes == ("lying", "standing") and data.receipt is not None
    assert "The 40 files in stripes/unlabelled/ have no labels." in data.receipt.notes


def test_an_interrupted_run_is_continued(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = TrainOptions(network="mlperf_tiny_resnet8", size=16, epochs=2, threads=1)
    source = open_source(folder)
    found = unlabelled_images(source)
    assert found is not None
    planned = plan_pretraining(found, source, str(folder), options, 0.0)
    uninterrupted, interrupted = (planned.run(tmp_path / name, 1) for name in ("uninterrupted", "interrupted"))
    list(uninterrupted)
    events = iter(interrupted)
    while not isinstance(next(events), Epoch):
        pass
    events.close()  # type: ignore[attr-defined]  # it is a generator
    assert run(["train", "--resume", str(tmp_path / "interrupted")]) == 0
    assert f"opsin train {folder} --weights {tmp_path}/interrupted/model.opsin" in capfd.readouterr().out
    resumed = opsin.load(tmp_path / "interrupted" / "model.opsin")
    assert all((resumed.state[name] == value).all() for name, value in uninterrupted.model.state.items())


def test_images_without_labels_that_are_gone_are_missed(tmp_path: Path) -> None:
    write_stripes(tmp_path / "stripes", 6, side=16)
    with pytest.raises(DataError, match="has no folder of images without labels, from which the run learned; bring"):
        load_both_again(str(tmp_path / "stripes"), 16, TaskRequest())


def test_the_test_split_is_not_learned_from(folder: Path) -> None:
    options = TrainOptions(network="mlperf_tiny_resnet8", size=16, epochs=2, threads=1)
    source = open_source(folder)
    found = unlabelled_images(source)
    assert found is not None and len(found.items) == 40
    planned = plan_pretraining(found, source, str(folder), options, 0.0)
    labelled = opsin.data.load(folder, size=16)
    validation = planned.data.validation
    assert validation is not None and planned.data.test is None
    assert len(planned.data.train) + len(validation) == 40 + len(labelled.train)
    names = [planned.data.train.targets.names[n] for n in planned.data.train.targets.folders]
    assert names.count(TRAINING_SPLIT) == len(labelled.train) == 14
    assert planned.plan.plan.network == "mlperf_tiny_resnet8" and planned.plan.plan.epochs == 2
    assert "from 40 images in unlabelled/ and the 14 of the training split: 2 epochs" in planned.plan.reasons[0]


def test_a_dry_run_learns_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["train", str(folder), *OPTIONS, "--dry-run"]) == 0
    assert "features are learned first, without labels, from 40 images" in capfd.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "weights", "text"),
    [
        (lambda: TrainOptions(), ("efficientnet_lite0",), "the published weights have learned from more photos"),
        (lambda: TrainOptions(pretrained=False), ("efficientnet_lite0",), None),
        (lambda: TrainOptions(weights="m.opsin"), (), "the training begins with the weights that were given"),
    ],
)
def test_better_features_are_not_learned_again(
    options: Callable[[], TrainOptions], weights: tuple[str, ...], text: str | None
) -> None:
    summary = DatasetSummary(300, 40, 2, 100, 300, grey=False, resizable=True, largest=200)
    without = TrainOptions(pretrained=options().pretrained)
    choice = networks.choose_network(summary, without, FakeMachine(weights=weights))
    assert (reason_against(choice, options()) or "").startswith(text or "")
    assert (reason_against(choice, options()) is None) == (text is None)


def test_few_images_without_labels_are_not_enough(tmp_path: Path) -> None:
    folder = write_stripes(tmp_path / "stripes", 6, side=16)
    assert unlabelled_images(open_source(folder)) is None
    shutil.copytree(folder / "lying", folder / "unlabelled")
    assert unlabelled_images(open_source(folder)) is None and len(opsin.data.load(folder).classes) == 2
