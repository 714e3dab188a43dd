"""`opsin ship`: what it writes and prints, and errors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import opsin


@pytest.fixture
def ship(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `opsin ship` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(cli, "ship")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "digits.opsin"
    opsin.train("lenet5", opsin.data.load("digits"), epochs=1).save(path)
    return path


def test_a_page_is_written(ship: Any, model: Path, tmp_path: Path) -> None:
    code, out, err = ship(model, "--to", "web")
    assert (code, err) == (0, "")
    assert out.startswith("digits.html is a page that runs the model in a browser, ")
    assert (tmp_path / "digits.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_bad_requests_are_refused_before_the_model_is_read(ship: Any, tmp_path: Path) -> None:
    code, _, err = ship("missing.opsin", "--to", "exe")
    assert code == 2 and "there is no format 'exe'" in err
    code, _, err = ship("missing.opsin", "--to", "web", "--out", "page.opsin")
    assert code == 2 and "choose such a name" in err
    assert ship("missing.opsin").code == 2
    assert not list(tmp_path.iterdir())
