"""`opsin data show`, called in this process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.apps.cli.main import run
from tests.data.files import noise, write_image


@pytest.fixture
def photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two classes of colour images, and a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        write_image(tmp_path / "zoo" / ("cat", "dog")[number % 2] / f"{number}.png", noise(number, 40, 40, 3))
    return tmp_path / "zoo"


def test_a_sheet_is_drawn_and_described(photographs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in photographs.rglob("*.png")}
    assert run(["data", "show", str(photographs)]) == 0
    out = capsys.readouterr().out
    assert out == (
        "zoo-contact-sheet.png  2 classes, 40 × 40 pixels, colour\n"
        "Random changes of each image: mirrored left to right, shifted by up to 12.5% of the side.\n"
    )
    with Image.open("zoo-contact-sheet.png") as sheet:
        assert sheet.format == "PNG"
        light = np.asarray(sheet)
    assert {path: path.read_bytes() for path in photographs.rglob("*.png")} == before
    assert run(["data", "show", str(photographs), "--augment", "strong", "--out", "other.PNG"]) == 0
    assert "blended with another" in capsys.readouterr().out
    with Image.open("other.PNG") as sheet:
        assert np.asarray(sheet).shape[0] > light.shape[0], "mixed images have captions"
    assert run(["data", "show", str(photographs), "--augment", "none", "--size", "20", "--out", "none.png"]) == 0
    out = capsys.readouterr().out
    assert "20 × 20 pixels" in out
    assert out.endswith("Images are not changed.\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--augment", "hard"], "the augmentation must be one of none, light, strong, not 'hard'"),
        (["--out", "sheet.jpg"], "a contact sheet is a PNG; name a file that ends in .png, not sheet.jpg"),
        (["--out", "nowhere/sheet.png"], "nowhere/sheet.png cannot be written: No such file or directory"),
    ],
)
def test_contact_sheets_that_cannot_be_drawn(
    options: list[str], message: str, photographs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "show", str(photographs), *options]) > 0
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in photographs.parent.iterdir()) == ["zoo"], "nothing is left behind"
