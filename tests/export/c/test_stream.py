"""Models in C that take their image row by row: bit-identical, in less memory."""

from __future__ import annotations

import ctypes
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn
from opsin.base.errors import UsageError
from opsin.data import Preprocessing
from opsin.model import Model
from tests.backends.c.support import VARIANTS
from tests.export.c.support import CModel
from tests.export.c.test_model import small_model


def feed(compiled: CModel, image: np.ndarray) -> list[int]:
    """Give every row, and return the states."""
    rows = (np.ascontiguousarray(row) for row in image)
    return [compiled.call("feed_row", n, row.ctypes.data_as(ctypes.c_void_p)) for n, row in enumerate(rows)]


def results(compiled: CModel) -> np.ndarray | None:
    function = getattr(compiled.library, f"{compiled.prefix}_run")
    function.restype = ctypes.POINTER(ctypes.c_float)
    found = function()
    return np.ctypeslib.as_array(found, (compiled.count,)).copy() if found else None


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_rows_give_the_bits_of_the_whole_image(precision: str, tmp_path: Path) -> None:
    model, rng = small_model(portable=True), np.random.default_rng(4)
    model.quantize(rng.integers(0, 256, (32, 3, 12, 10), dtype=np.uint8))
    compiled = CModel(model, tmp_path, next(iter(VARIANTS)), precision=precision, stream=True)
    assert compiled.call("self_test") == 0
    model.precision = precision
    for image in rng.integers(0, 256, (2, 12, 10, 3), dtype=np.uint8):
        expected = model.logits(image.transpose(2, 0, 1)[None])[0]
        assert feed(compiled, image) == [0] * 12
        found = results(compiled)
        assert found is not None
        assert found.tobytes() == expected.tobytes()
        state, again = compiled.outputs(image)
        assert state == 0
        assert again.tobytes() == expected.tobytes()
    check_order(compiled, rng.integers(0, 256, (12, 10, 3), dtype=np.uint8))


def test_the_header_agrees_with_the_certificate() -> None:
    export = opsin.ship(small_model(), "c", stream=True)
    (header,) = (content.decode() for name, content in export.files.items() if name.endswith(".h"))
    ram = json.loads(export.files["certificate.json"])["ram_bytes"]
    assert f" {ram:,} bytes of RAM," in header
    assert f"_RAM {ram}\n" in header
    assert "MODEL_" not in header


def check_order(compiled: CModel, image: np.ndarray) -> None:
    """Rows must come in order, and all of them."""
    row = np.ascontiguousarray(image[0]).ctypes.data_as(ctypes.c_void_p)
    assert compiled.call("feed_row", 0, row) == 0
    assert [compiled.call("feed_row", number, row) for number in (-1, 2, 12)] == [-1, -1, -1]
    assert compiled.call("feed_row", 1, None) == -1
    assert results(compiled) is None, "rows are missing"
    assert feed(compiled, image) == [0] * 12, "row 0 begins a new image"
    assert results(compiled) is not None
    assert results(compiled) is None, "each image is computed once"


def test_images_of_other_sizes_need_more_memory(digits: Model, tmp_path: Path) -> None:
    model = replace(digits, portable=True, _programs={})
    rows, whole = (CModel(model, tmp_path / str(s), extra_bytes=4000, stream=s) for s in (True, False))
    rng = np.random.default_rng(0)
    assert rows.outputs(rng.integers(0, 99, (999, 998), dtype=np.uint8))[0] == -2
    for pixels in (rng.integers(0, 99, (40, 33)), rng.integers(190, 256, (28, 28)), rng.integers(190, 256, (40, 33))):
        found, expected = (compiled.outputs(pixels.astype(np.uint8)) for compiled in (rows, whole))
        assert found[0] == expected[0] == 0
        assert found[1].tobytes() == expected[1].tobytes(), "light images are inverted"


def test_the_certificate_says_how_many_layers_go_by_rows(digits: Model) -> None:
    whole, rows = (json.loads(opsin.ship(digits, "c", stream=s).files["certificate.json"]) for s in (False, True))
    assert rows["ram_bytes"] < 0.6 * whole["ram_bytes"]
    assert (whole["rows_at_a_time"], whole["macs"]) == (0, rows["macs"])
    assert rows["rows_at_a_time"] >= 2


def test_what_cannot_be_streamed_is_refused() -> None:
    with pytest.raises(UsageError, match="mirror images"):
        opsin.ship(small_model(tta="hflip"), "c", stream=True)
    graph = nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(3)), (1, 5, 4))
    model = Model("flat", graph, nn.initial_state(graph, 1), Preprocessing(1, 5, 4, (0.5,), (0.2,)), ["a", "b", "c"])
    with pytest.raises(UsageError, match="cannot take its image row by row"):
        opsin.ship(model, "c", stream=True)
