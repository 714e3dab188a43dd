"""`opsin see`: the page, its name, folders of images, and errors."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import opsin
from tests.data.annotated_folders import write_numbers
from tests.docs.markdown import ROOT

ONNX, SEVEN = ROOT / "docs" / "digits.onnx", ROOT / "docs" / "seven.png"


@pytest.fixture
def see(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `opsin see` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(cli, "see")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.opsin"
    opsin.train("lenet5", opsin.data.load("digits"), epochs=1).save(path)
    return path


def test_a_page_is_written(see: Any, model: Path, tmp_path: Path) -> None:
    code, out, err = see(model, SEVEN)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("seven.png: 7 (")
    assert out.splitlines()[1].startswith("see.html is the page, ") and out.endswith("it needs no network.\n")
    assert "lenet5 sees seven.png: 7 (" in (tmp_path / "see.html").read_text(encoding="utf-8")
    assert see(model, SEVEN, SEVEN, "--out", "two.HTML").code == 0


def test_an_onnx_file_is_seen(see: Any, tmp_path: Path) -> None:
    code, out, _ = see(ONNX, SEVEN, "--out", "onnx.html")
    assert code == 0 and out.startswith("seven.png: ") and (tmp_path / "onnx.html").stat().st_size > 50_000


def test_a_folder_gives_all_its_images(see: Any, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    assert "there are no images in this folder" in see(model, folder).err
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(SEVEN.read_bytes())
    assert [line.split(":")[0] for line in see(model, folder).out.splitlines()[:2]] == ["a.png", "b.png"]


def test_damaged_files_of_a_folder_are_left_out(see: Any, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "b.png").write_bytes(SEVEN.read_bytes()[:60])
    code, out, err = see(model, "photos")
    assert (code, out) == (1, "") and "photos/b.png is damaged or cut short" in err
    (folder / "a.png").write_bytes(SEVEN.read_bytes())
    code, out, err = see(model, "photos")
    assert (code, out.splitlines()[0][:5]) == (0, "a.png")
    assert err.startswith("Warning: left out: photos/b.png is damaged or cut short")


def test_too_many_images_are_refused_before_one_is_read(see: Any, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number}.png").write_text("text")
    code, out, err = see(model, folder)
    assert (code, out) == (2, "") and "a page shows at most 24 images, not 25; choose some of them" in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--out", "page.txt"), 2, "call it page.html instead of page.txt"),
        (("--out", "folder.html"), 2, "folder.html is a folder; name a file, such as folder.html/see.html"),
        (("--out", "mine.html"), 2, "mine.html exists and is not a page of opsin see"),
        (("--out", "nowhere/a.html"), 2, "nowhere/a.html cannot be written: there is no folder nowhere; create it"),
        (("--label", "eight"), 2, "there is no label 'eight' to explain; there are 0, 1, 2"),
        (("--label", "eight", "--data", "nowhere"), 2, "there is no label 'eight'"),  # before the data is read
        (("--data", "numbers"), 2, "numbers is data for regression, and "),
        (("--replay", "numbers"), 2, "numbers holds no replay; train with `opsin train DATA --replay`"),
        (("text.png",), 1, "text.png is not an image but text"),
        (("missing.png",), 1, "missing.png: there is no such file"),
    ],
)
def test_errors_say_what_to_do(
    see: Any, model: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    (tmp_path / "text.png").write_text("text")
    write_numbers(tmp_path / "numbers", 12)
    result = see(model, SEVEN, *arguments)
    assert (result.code, result.out) == (code, "") and message in result.err
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
