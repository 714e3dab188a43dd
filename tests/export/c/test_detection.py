"""Detectors in C: outputs are bit-identical, and boxes are those of the task."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import opsin
from tests.backends.c.support import compiler
from tests.export.c.support import CModel
from tests.export.detectors import detectors
from tests.export.models import images

BOX = np.dtype([("box", "f4", 4), ("score", "f4"), ("label", "i4")])
MOST = 300


def boxes(compiled: CModel, pixels: np.ndarray, most: int = MOST) -> np.ndarray:
    found = np.zeros(MOST, BOX)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (pixels, found)]
    count = compiled.call("detect", pointers[0], pixels.shape[1], pixels.shape[0], pixels.shape[2], pointers[1], most)
    assert count >= 0
    return found[:count]


@pytest.mark.parametrize("name", ["points", "anchors"])
def test_boxes_are_those_of_the_task(name: str, tmp_path: Path) -> None:
    model = replace(detectors()[name], portable=True, _programs={})
    compiled = CModel(model, tmp_path, extra_bytes=50_000)
    assert compiled.call("self_test") == 0
    total = 0
    for pixels in images()[3:]:
        read = model.reader.read(Image.fromarray(pixels), "image")[None]
        (expected,) = model.task.answers(model.outputs(read), [pixels.shape[:2]], model.calibration, None)
        found = boxes(compiled, pixels)
        assert [model.labels[label] for label in found["label"]] == [each.label for each in expected]
        corners = np.array([each.box for each in expected], np.float32).reshape(-1, 4)
        assert np.array_equal(found["box"], corners)
        assert np.allclose(found["score"], [each.score for each in expected], rtol=1e-6, atol=1e-6)
        assert np.array_equal(boxes(compiled, pixels, 5), found[:5])
        total += len(found)
    assert total > 50


def test_the_project_for_a_pc_compiles(tmp_path: Path) -> None:
    opsin.ship(detectors()["anchors"], "c", tmp_path / "small")
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-Isrc", "pc/main.c"]
    command = [compiler("gcc"), *flags]
    done = subprocess.run(command, cwd=tmp_path / "small", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
