"""`opsin ship`: what it writes and prints, and errors."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import opsin


@pytest.fixture
def ship(cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls `opsin ship` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return partial(cli, "ship")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "digits.opsin"
    data = opsin.data.load("digits")
    trained = opsin.train("lenet5", data, epochs=1)
    trained.quantize(data.train)
    trained.save(path)
    return path


def test_a_page_is_written(ship: Any, model: Path, tmp_path: Path) -> None:
    code, out, err = ship(model, "--to", "web")
    assert (code, err) == (0, "")
    assert out.startswith("digits.html is a page that runs the model in a browser, ")
    assert (tmp_path / "digits.html").read_bytes().startswith(b"<!DOCTYPE html>")


def test_a_page_in_8_bit_integers_is_written(ship: Any, model: Path, tmp_path: Path) -> None:
    assert ship(model, "--to", "web", "--precision", "int8").code == 0
    digits = opsin.load(model)
    assert (tmp_path / "digits.html").read_bytes() == opsin.ship(digits, "web", precision="int8").files["index.html"]
    digits.quantization = None
    digits.save("none.opsin")
    code, _, err = ship("none.opsin", "--to", "js", "--precision", "int8")
    assert code == 1 and "--calibrate FOLDER" in err and not (tmp_path / "none-js").exists()
    (tmp_path / "photos").mkdir()
    for number, pixels in enumerate(opsin.data.load("digits").test.pixels[:9]):
        Image.fromarray(pixels[0]).save(tmp_path / "photos" / f"{number}.png")
    code, out, err = ship("none.opsin", "--to", "js", "--precision", "int8", "--calibrate", "photos")
    assert code == 0 and "int8 ranges from 9 images in photos" in out + err
    assert json.loads((tmp_path / "none-js" / "model.json").read_text())["precision"] == "int8"


def test_a_model_that_does_not_fit_is_refused(
    ship: Any, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("opsin.zoo.registry.names", lambda: ["lenet5_1998"])
    monkeypatch.setattr("opsin.export.c.format.LARGE_WEIGHTS", 10**5)
    code, out, err = ship(model, "--to", "c", "--fit", "64KB RAM, 256KB flash", "--stream")
    assert "246.8 kB of weights become about 691.1 kB of C; gcc needs about 0 s and 13.6 MB of memory" in err
    assert code == 0 and "It fits 64 KB of RAM and 256 KB of flash: float32, row by row, needs" in out
    code, _, err = ship(model, "--to", "c", "--fit", "1KB RAM", "--out", "other")
    assert code == 2 and "does not fit 1 KB of RAM" in err
    assert not (tmp_path / "other").exists()
    code, _, err = ship(model, "--to", "c", "--fit", "64 cats")
    assert code == 2 and "'64 cats' is no size of RAM or flash" in err
    code, _, err = ship(model, "--to", "web", "--fit", "64KB RAM")
    assert code == 2 and "the format web takes no fit; leave it out, or choose the format c, which has it" in err


def test_bad_requests_are_refused_before_the_model_is_read(ship: Any, tmp_path: Path) -> None:
    code, _, err = ship("missing.opsin", "--to", "exe")
    assert code == 2 and "there is no format 'exe'" in err
    code, _, err = ship("missing.opsin", "--to", "web", "--out", "page.opsin")
    assert code == 2 and "choose such a name" in err
    assert ship("missing.opsin").code == 2
    code, _, err = ship("missing.opsin", "--to", "torch", "--precision", "int8")
    assert code == 2 and "the format torch takes no precision; leave it out, or choose the format web or js or" in err
    code, _, err = ship("missing.opsin", "--to", "web", "--precision", "bf16")
    assert code == 2 and "the precision of an export must be one of float32, int8, not 'bf16'" in err
    code, _, err = ship("missing.opsin", "--to", "web", "--max-drop", "2")
    assert code == 2 and "--max-drop is for predictions in 8-bit integers" in err
    assert not list(tmp_path.iterdir())
