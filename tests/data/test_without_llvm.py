"""Data without llvmlite: images are loaded and batched all the same; augmentation says what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.data import Batches, Preprocessing, load
from opsin.data.ingest import decode
from tests.data.files import write_image

PROGRAM = """
import sys

sys.modules["llvmlite"] = None

import numpy as np

from opsin.base.errors import CompileError
from opsin.data import Augmentation, Batches, Preprocessing, load

data = load(sys.argv[1], size=16, cache_size=0)
preprocessing = Preprocessing.of(data.train)
batches = Batches(data.train, preprocessing, 4, seed=3).epoch(1)
arrays = [array for pixels, targets in batches for array in (pixels, targets["labels"])]
np.savez(sys.argv[2], data.train.pixels[:], *arrays)
for task, arguments in {
    "augmentation needs": (preprocessing, 4, 3, Augmentation(flip=True)),
    "resizing batches from 16 × 16 to 8 × 8 needs": (Preprocessing(3, 8, 8, (0.5,) * 3, (0.25,) * 3), 4, 3),
}.items():
    try:
        Batches(data.train, *arguments)
    except CompileError as error:
        assert str(error) == (
            f"{task} llvmlite; install it with: pip install llvmlite, or train without augmentation on images that are "
            "loaded at the network's size"
        ), error
    else:
        raise AssertionError(task)
assert not any(name.split(".")[0] == "llvmlite" for name, module in sys.modules.items() if module is not None)
"""


def test_image_files_and_batches_need_no_compiler(tmp_path: Path) -> None:
    ramp = np.arange(16) * 12
    for kind, channel in (("red", 0), ("blue", 2)):
        for number in range(10):
            pixels = np.zeros((16, 16, 3), np.uint8)
            pixels[..., channel] = ramp + 5 * number
            write_image(tmp_path / "data" / kind / f"{number}.png", pixels)
    arguments = [sys.executable, "-W", "error", "-c", PROGRAM, str(tmp_path / "data"), str(tmp_path / "out.npz")]
    subprocess.run(arguments, check=True, timeout=120)
    data = load(tmp_path / "data", size=16, cache_size=0)
    batches = Batches(data.train, Preprocessing.of(data.train), 4, seed=3)
    with np.load(tmp_path / "out.npz") as file:
        pixels, *arrays = (file[name] for name in file.files)
    assert np.array_equal(pixels, data.train.pixels)
    expected = [array for pixels, targets in batches.epoch(1) for array in (pixels, targets["labels"])]
    assert [array.tobytes() for array in arrays] == [array.tobytes() for array in expected]
    assert [array.shape for array in arrays] == [array.shape for array in expected]


def test_images_are_resized_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow and the kernel round some values differently; they do not share cached images."""
    monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for kind in ("a", "b"):
        for number in range(5):
            spots = Image.fromarray(rng.integers(40, 216, (12, 16, 3)).astype(np.uint8))
            soft = spots.resize((120, 90), Image.Resampling.BICUBIC)
            write_image(tmp_path / "data" / kind / f"{number}.png", np.asarray(soft))
    imports = PROGRAM[: PROGRAM.index("data = ")]
    imports += "from opsin.data.ingest import decode\ndecode.MIN_CACHED_BYTES = 0\n"
    monkeypatch.setattr(decode, "MIN_CACHED_BYTES", 0)
    program = f"{imports}np.save(sys.argv[2], load(sys.argv[1], size=32, cache_size=0).train.pixels[:])"
    arguments = [sys.executable, "-W", "error", "-c", program, str(tmp_path / "data"), str(tmp_path / "out.npy")]
    subprocess.run(arguments, check=True, timeout=120)
    expected = load(tmp_path / "data", size=32).train.pixels
    pixels = np.load(tmp_path / "out.npy")
    assert np.abs(pixels.astype(int) - expected).max() == 1
