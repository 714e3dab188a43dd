"""Models that the exports are tested with."""

from __future__ import annotations

from pathlib import Path

import pytest

import opsin
from opsin.model import Model


@pytest.fixture(scope="session")
def digits_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a LeNet-5 for handwritten digits."""
    path = tmp_path_factory.mktemp("ship") / "digits.opsin"
    opsin.train("lenet5", opsin.data.load("digits"), epochs=2, seed=1).save(path)
    return path


@pytest.fixture
def digits_for_int8(digits_file: Path) -> Model:
    """The LeNet-5 with what was observed for 8-bit integers."""
    model = opsin.load(digits_file)
    data = opsin.data.load("digits")
    model.quantize(data.train, held_out=data.test)
    return model


@pytest.fixture(scope="session")
def digits(digits_file: Path) -> Model:
    return opsin.load(digits_file)
