"""Our own resizing against Pillow's, whose filter it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from opsin.data.decode import bicubic as module
from opsin.data.decode.bicubic import resize_bicubic
from opsin.data.decode.fit import fit


def soft(width: int, height: int) -> Image.Image:
    """Broad spots, whose filtered values stay within 0…255 (beyond, Pillow rounds in between and we do not)."""
    spots = np.random.default_rng(0).integers(40, 216, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(100, 133), (133, 100), (64, 64), (40, 30), (300, 77), (65, 700)])
@pytest.mark.parametrize("out", [(64, 64), (32, 48), (57, 64)])
def test_pixels_are_pillows(size: tuple[int, int], out: tuple[int, int]) -> None:
    image = soft(*size)
    width, height = size
    for box in ((0.0, 0.0, width, height), (width * 0.1, height * 0.2, width * 0.77, height * 0.9)):
        actual = resize_bicubic(image, box, *out)
        exact = np.asarray(image.resize(out[::-1], Image.Resampling.BICUBIC, box)).transpose(2, 0, 1)
        assert actual is not None
        assert np.abs(actual.astype(int) - exact).max() <= 1
        assert np.abs(actual - exact.astype(float)).mean() < 0.3


def test_from_many_threads_the_same() -> None:
    image = soft(200, 150)
    expected = fit(image, 64, 64)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(actual, expected) for actual in pool.map(lambda _: fit(image, 64, 64), range(40)))


def test_pixels_are_read_where_they_lie_or_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    image = soft(200, 150)
    expected = fit(image, 64, 64)
    monkeypatch.delattr(Image.Image, "__arrow_c_array__", raising=False)
    assert np.array_equal(fit(image, 64, 64), expected)


def test_what_the_kernel_cannot_do_is_pillows_work(monkeypatch: pytest.MonkeyPatch) -> None:
    image = soft(90, 90)
    assert resize_bicubic(image.convert("L"), (0, 0, 90, 90), 32, 32) is None
    assert resize_bicubic(image, (0, 0, 90, 90), 32, 33) is None
    assert resize_bicubic(image, (0, 0, 90, 90), 2, 32) is None
    monkeypatch.setattr(module, "MAX_COPIED_BYTES", 90 * 90)
    assert resize_bicubic(image, (0, 0, 90, 90), 32, 32) is None
    exact = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(fit(image, 32, 32), exact)
