"""One exploration that several tests look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import opsin
from opsin.exploration.api import Exploration
from opsin.model import Model
from tests.exploration.folders import untrained_model, write_copies, write_kinds


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded images and features of these tests are in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPSIN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def model() -> Model:
    return untrained_model()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with copies, and with two files that cannot be read."""
    path = write_kinds(tmp_path_factory.mktemp("data") / "photos")
    write_copies(path)
    (path / "broken.jpg").write_bytes((path / "saved.jpg").read_bytes()[:200])
    (path / "empty.png").touch()
    (path / "notes.txt").write_text("no image", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def exploration(folder: Path, model: Model) -> Exploration:
    return opsin.explore(folder, model=model, groups=3)
