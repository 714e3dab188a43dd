"""Models that commands use by a network's name, with its published weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.apps.cli.open_model import DownloadProgress
from tests.data.files import noise, write_image
from tests.model.published import published
from tests.model.server import Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    with published(tmp_path, monkeypatch) as made:
        yield made


def test_predict_with_the_name_of_a_network(site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    image = write_image(tmp_path / "a.png", noise(0, 20, 30, 3))
    assert run(["predict", "tiny", str(image)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.startswith(f"{image}   ")
    assert len(site.requests) == 1
    site.files.clear()
    assert run(["predict", "tiny", str(image)]) == 0
    assert capfd.readouterr().out == out


def test_a_file_has_priority_over_a_network_of_that_name(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny").write_text("no model")
    assert run(["predict", "tiny", "a.png"]) == 1
    assert "tiny is not an Opsin model file" in capfd.readouterr().err


def test_unavailable_weights(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.files.clear()
    assert run(["predict", "tiny", "a.png"]) == 1
    assert "cannot be downloaded: the server has no such file (404)" in capfd.readouterr().err
    assert run(["predict", "lenet5", "a.png"]) == 2
    assert "there are no published weights for lenet5" in capfd.readouterr().err


def test_a_terminal_shows_the_progress_of_a_download(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    image = write_image(tmp_path / "a.png", noise(0, 20, 30, 3))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert run(["predict", "tiny", str(image)]) == 0
    assert capfd.readouterr().err.strip("\r ") == ""  # it was there for a moment only


def test_the_progress_line_of_a_download(capfd: pytest.CaptureFixture[str]) -> None:
    show = DownloadProgress("tiny")
    for count in range(0, 100_000_001, 250_000):
        show(count, 100_000_000)
    lines = [line for line in capfd.readouterr().err.split("\r") if line.strip()]
    assert lines[:2] == ["tiny: 0 of 100 MB downloaded", "tiny: 2 of 100 MB downloaded"]
    assert 49 <= len(lines) <= 51
    show(5, 0)  # a server that does not say how much there is
