"""Which images the recorded accuracy of a classifier was measured on: pure noise must not look like a success."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.apps.cli.main import run
from tests.apps.estimator.support import quick
from tests.data.files import noise, write_image, write_stripes

pytestmark = pytest.mark.filterwarnings("ignore:the model is no better than one that always gives")

Described = Callable[[Any, Path], tuple[str, dict[str, Any]]]


@pytest.fixture
def described(capfd: pytest.CaptureFixture[str]) -> Described:
    """Save a classifier's model; return what `opsin describe` prints about its training, and the record in JSON."""

    def describe(classifier: Any, folder: Path) -> tuple[str, dict[str, Any]]:
        path = str(folder / "m.opsin")
        classifier.model_.save(path)
        assert run(["describe", path]) == 0
        (line,) = (line for line in capfd.readouterr().out.splitlines() if line.startswith("trained on "))
        assert run(["describe", path, "--json"]) == 0
        return line, json.loads(capfd.readouterr().out)["model"]["training"]

    return describe


@pytest.mark.parametrize(
    ("count", "split", "images"), [(12, "training", 12), (40, "validation", 4)], ids=["too few to hold out", "held out"]
)
def test_noise_has_no_test_accuracy(count: int, split: str, images: int, described: Described, tmp_path: Path) -> None:
    x, y = noise(0, count, 12, 12), np.random.default_rng(1).permutation(count) % 2
    line, record = described(quick(epochs=20).fit(x, y), tmp_path)
    assert "test" not in line
    assert f" of {images} {split} images classified correctly" in line
    assert ("which says nothing about new images" in line) == (split == "training")
    assert record["measured_on"] == split


@pytest.mark.parametrize(("count", "split"), [(2, "training"), (20, "validation")])
def test_paths_have_no_test_accuracy(count: int, split: str, described: Described, tmp_path: Path) -> None:
    paths = [write_image(tmp_path / f"{number}.png", noise(number, 12, 12)) for number in range(2 * count)]
    line, record = described(quick(epochs=2).fit(paths, np.arange(2 * count) % 2), tmp_path)
    assert "test" not in line and f" {split} images classified correctly" in line
    assert record["measured_on"] == split


def test_a_folder_has_one(described: Described, tmp_path: Path) -> None:
    line, record = described(quick().fit(write_stripes(tmp_path / "stripes", 20)), tmp_path)
    assert line.endswith(": 100.00% of 8 test images classified correctly")
    assert record["measured_on"] == "test"


def test_models_of_older_versions_are_described_honestly(described: Described, tmp_path: Path) -> None:
    classifier = quick(epochs=2).fit(noise(0, 12, 12, 12), np.arange(12) % 2)
    _as_version_0_1_0(classifier.model_.record)
    line, _ = described(classifier, tmp_path)
    assert "of 12 training images" in line
    classifier = quick(epochs=2).fit(noise(0, 40, 12, 12), np.arange(40) % 2)
    _as_version_0_1_0(classifier.model_.record)
    line, _ = described(classifier, tmp_path)
    assert "of 4 validation images" in line


def _as_version_0_1_0(record: dict[str, Any]) -> None:
    record["test"] = record.pop(record.pop("measured_on"))


def test_progress_names_the_images(capsys: pytest.CaptureFixture[str]) -> None:
    quick(epochs=1, verbose=True).fit(noise(0, 12, 12, 12), np.arange(12) % 2)
    assert "of 12 training images classified correctly" in capsys.readouterr().out
    quick(epochs=1, verbose=True).fit(noise(0, 40, 12, 12), np.arange(40) % 2)
    assert "of 4 validation images classified correctly" in capsys.readouterr().out
