"""Data and intervals that the tests of interrupted runs and of replays share."""

from __future__ import annotations

import pytest

from opsin.data import Dataset, load
from opsin.runs import Run
from tests.data.files import write_stripes


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """28 training images, 4 for validation and 8 for testing."""
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


@pytest.fixture
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a snapshot every three steps, and write a checkpoint of each."""
    monkeypatch.setattr("opsin.training.divergence_guard.CHECK_INTERVAL", 3)
    monkeypatch.setattr(Run, "due", True)
