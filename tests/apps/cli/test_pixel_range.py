"""Images of more than eight bits in the terminal: the range is stated, set, kept, and what exceeds it pointed out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from opsin.apps.cli.main import run
from opsin.data import load
from opsin.runs.resume import check_same, data_description
from opsin.runs.run import CONFIG
from tests.data.decode.pngs import chunk, png
from tests.data.decode.tiffs import GREY, RGB, tiff
from tests.data.files import noise, stripes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of grey images of 12 bits."""
    for kind in ("lying", "standing"):
        (tmp_path / "scans" / kind).mkdir(parents=True)
        for number in range(10):
            values = stripes(kind, number).astype(np.uint16)[..., None] << 4
            (tmp_path / "scans" / kind / f"{number}.tif").write_bytes(tiff(values))
    return tmp_path / "scans"


def test_the_range_is_stated_and_set(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(folder)]) == 0
    stated = "Pixel range: 0 is black and 4,095 white in images with more than 8 bits (20 of uint16).\n"
    assert stated in capfd.readouterr().out
    assert run(["data", "check", str(folder), "--pixel-range", "0", "1e3", "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert (shown["pixel_range"], shown["deep"], shown["beyond"]) == ([0.0, 1000.0], {"uint16": 20}, 20)
    sheet = str(tmp_path / "sheet.png")
    assert run(["data", "show", str(folder), "--pixel-range", "0", "1000", "--out", sheet]) == 0
    for command in (["data", "check"], ["data", "show", "--out", sheet], ["train"]):
        assert run([*command, str(folder), "--pixel-range", "9", "9"]) == 2
        text = "Error: the pixel range is two numbers, black and white, such as 0 4095, not (9.0, 9.0)\n"
        assert capfd.readouterr().err == text


def test_a_run_keeps_the_range_and_its_model_warns_of_values_outside(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--from-scratch", "--epochs", "2", "--no-report", "--run", "run", "--pixel-range", "0", "4000"]
    assert run(["train", str(folder), *options]) == 0
    began = json.loads((tmp_path / "run" / CONFIG).read_text())["data"]
    assert began["pixel_range"] == [0.0, 4000.0]
    check_same(load(folder, pixel_range=began["pixel_range"]), began)
    assert data_description(load(folder), "x")["pixel_range"] == [0.0, 4095.0]
    bright = tmp_path / "bright.tif"
    bright.write_bytes(tiff(noise(0, 12, 12, 1).astype(np.uint16) << 8))
    bands = tmp_path / "bands.tif"
    bands.write_bytes(tiff(noise(0, 12, 12, 4), RGB, (0,)))
    cube = tmp_path / "cube.tif"
    cube.write_bytes(tiff(noise(0, 12, 12, 7), GREY, (0,) * 6))
    capfd.readouterr()
    with pytest.warns(UserWarning) as seen:
        assert run(["predict", "run/model.opsin", str(bright), str(bands), str(cube)]) == 1
    texts = [str(warning.message) for warning in seen]
    assert texts[0].startswith(f"{bright} has uint16 values from ")
    assert texts[0].endswith("; the pixel range of the model is 0 to 4,000, and values outside it are clipped")
    assert texts[1] == f"{bands}: of its 4 bands, only red, green and blue are used"
    out, err = capfd.readouterr()
    assert "bright.tif" in out and "bands.tif" in out and "cube.tif" not in out
    kind = "a TIFF of 7 bands of uint8, which is not read; save it as grey or RGB of 8 or 16 bits"
    assert err == f"Error: {cube} is {kind}\n"


def test_the_receipt_has_the_upright_size(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    turned = chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")
    for kind in ("a", "b"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number in range(6):
            values = noise(number + 9 * (kind == "a"), 8, 16, 3)
            (tmp_path / "data" / kind / f"{number}.png").write_bytes(png(values, after=[turned]))
    assert run(["data", "check", str(tmp_path / "data"), "--json"]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert shown["sizes"] == {"smallest": [16, 8], "median": [16, 8], "largest": [16, 8], "different": 1}
    assert shown["shape"] == [3, 16, 8]
