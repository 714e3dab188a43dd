"""The self-test refuses a changed bit of any constant table of a C file before it runs the network."""

from __future__ import annotations

import ctypes
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin.backends.c import Table
from opsin.export.c.checksum import checksum
from opsin.model import Model
from tests.backends.c.support import compiler
from tests.export.c.support import CModel
from tests.export.detectors import detectors
from tests.export.models import classifier, make, models

MODELS = models()
FILM = replace(MODELS["numbers"].preprocessing, frames=3)
CASES = {
    **MODELS, **detectors(),
    "film": make(classifier(2), FILM, MODELS["numbers"].task, calibration=MODELS["numbers"].calibration),
    "int8": replace(MODELS["cropped"]), "streamed": replace(MODELS["cropped"]),
}  # fmt: skip
OPTIONS = {"int8": {"precision": "int8"}, "streamed": {"precision": "int8", "stream": True}}
EXPECTED = {
    "grey": {"input_scale", "exponential_factors"}, "labels": {"small_thresholds"},
    "numbers": {"small_margins", "scales", "means"}, "points": {"strides"}, "anchors": {"maps", "cells", "shapes"},
    "film": {"input_shift"}, "int8": {"all_windows"}, "streamed": {"all_windows", "steps"},
}  # fmt: skip
"""Tables that exports have besides the weights, by case."""
BAD_WEIGHTS, BAD_BITS = -3, -4
BITS = 8
"""Changed bits of each table."""


def tables(library: Path) -> dict[str, range]:
    """Return where the constant arrays are in a library, whose constants are mapped to where they are in the file."""
    lines = subprocess.run([compiler("nm"), "-S", library], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^(\w+) (\w+) [rR] (\w+)$", lines, re.MULTILINE)
    return {name: range(int(start, 16), int(start, 16) + int(size, 16)) for start, size, name in found}


def self_test(content: bytes, path: Path) -> int:
    path.write_bytes(content)
    return int(ctypes.CDLL(str(path)).small_self_test())


@pytest.mark.parametrize("name", CASES)
def test_a_changed_bit_of_any_table_is_refused(name: str, tmp_path: Path) -> None:
    model, rng, options = CASES[name], np.random.default_rng(7), OPTIONS.get(name, {})
    if options:
        model.quantize(rng.integers(0, 256, (32, *model.preprocessing.input_shape), np.uint8))
    assert CModel(model, tmp_path, extra_bytes=50_000, **options).call("self_test") == 0
    (built,) = tmp_path.glob("*.so")
    content, places = built.read_bytes(), tables(built)
    assert places.keys() >= {"weights", "golden_bits"} | EXPECTED.get(name, set())
    for table, place in places.items():
        for number in range(BITS):
            changed = bytearray(content)
            changed[rng.choice(place)] ^= 1 << rng.integers(8)
            state = self_test(bytes(changed), tmp_path / f"{table}{number}.so")
            assert state == (BAD_BITS if table == "golden_bits" else BAD_WEIGHTS), table


@pytest.mark.parametrize("text", [b"d\xc3\xb6g", b"cat", b"metres"])
def test_a_changed_label_or_unit_is_refused(text: bytes, tmp_path: Path) -> None:
    model = MODELS["numbers"]
    CModel(replace(model, task=replace(model.task, units=("metres", ""))), tmp_path, extra_bytes=50_000)
    (built,) = tmp_path.glob("*.so")
    content = built.read_bytes()
    place = content.index(b"\0" + text + b"\0")
    for byte in range(1, len(text) + 2):
        changed = bytearray(content)
        changed[place + byte] ^= 4
        assert self_test(bytes(changed), tmp_path / f"{byte}.so") == BAD_WEIGHTS


def test_any_bit_changes_the_checksum() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=3).astype(element) for element in (np.float32, np.float64)]
    arrays += [rng.integers(0, 1000, 3).astype(element) for element in (np.int32, np.uint16)]
    tables = [Table("table", array) for array in arrays]
    expected = checksum(bytes(8), tables)
    for array in arrays:
        octets = array.view(np.uint8)
        for bit in range(8 * array.nbytes):
            octets[bit // 8] ^= 1 << bit % 8
            assert checksum(bytes(8), tables) != expected
            octets[bit // 8] ^= 1 << bit % 8
    assert checksum(bytes(8), tables) == expected


def test_equal_sizes_are_stored_once() -> None:
    model: Model = CASES["int8"]
    model.quantize(np.random.default_rng(7).integers(0, 256, (32, *model.preprocessing.input_shape), np.uint8))
    text = opsin.ship(model, "c", precision="int8").files["src/small.c"].decode()
    rows = re.search(r"all_windows\[(\d+)\] = \{\n(.*?)\};", text, re.DOTALL)
    assert rows is not None
    assert len({*rows[2].splitlines()}) == int(rows[1])
