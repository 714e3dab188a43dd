"""Ranges: what is meant by the values of images, and how these become bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import UsageError
from opsin.data.decode import check_range, infer_range
from opsin.data.decode.bit_depth import PixelValues, to_image, to_uint8, value_range
from opsin.data.decode.convert import to_mode


@pytest.mark.parametrize(("low", "high", "whole", "expected"), [
    (0, 1, True, (0, 1)), (0, 9, True, (0, 15)), (0, 200, True, (0, 255)), (0, 255, True, (0, 255)),
    (3, 1000, True, (0, 1023)), (0, 4080, True, (0, 4095)), (0, 4096, True, (0, 16383)), (0, 40000, True, (0, 65535)),
    (0, 65536, True, (0, 2**18 - 1)), (0, 2**32 - 1, True, (0, 2**32 - 1)), (0, 0, True, (0, 1)),
    (0, 1, False, (0, 1)), (0, 0.6, False, (0, 1)), (0, 1.004, False, (0, 1)), (0, 0.01, False, (0, 0.01)),
    (0, 255, False, (0, 255)), (0, 200.5, False, (0, 255)), (0, 300, False, (0, 300)), (0, 2.5, False, (0, 2.5)),
    (0, 4000, False, (0, 4095)), (0, 65535, False, (0, 65535)), (0, 1e6, False, (0, 1e6)),
    (-1, 1, False, (-1, 1)), (-0.8, 0.9, False, (-1, 1)), (-2.1, 2.6, False, (-2.1, 2.6)), (-0.001, 1, False, (0, 1)),
    (-1024, 3071, True, (-1024, 3071)), (-1, 4000, True, (0, 4095)), (-5, -5, True, (-5, -4)), (-9, 0, False, (-9, 0)),
])  # fmt: skip
def test_what_range_is_meant(low: float, high: float, whole: bool, expected: tuple[float, float]) -> None:
    assert infer_range(low, high, whole) == expected


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "uint32", "int64", "float16", "float32", "float64"])
def test_values_become_bytes(kind: str) -> None:
    values = np.array([0, 1, 50, 100, 101, 120], kind)
    assert to_uint8(values, (0, 100)).tolist() == [0, 3, 128, 255, 255, 255]
    assert to_uint8(values, (50, 101)).tolist() == [0, 0, 0, 250, 255, 255]
    if not kind.startswith("u"):
        assert to_uint8(-values, (-100, 0)).tolist() == [255, 252, 128, 0, 0, 0]


def test_fractions_of_bytes_come_back() -> None:
    every = np.arange(256)
    for kind in ("float32", "float64"):
        assert np.array_equal(to_uint8((every / 255).astype(kind), (0.0, 1.0)), every)
    assert np.array_equal(to_uint8((every << 4).astype(np.uint16), (0.0, 4095.0)), every)
    assert np.array_equal(to_uint8((every * 257).astype(np.uint16), (0.0, 65535.0)), every)
    assert np.array_equal(to_uint8(every.astype(np.uint64), (0.0, 255.0)), every)


def test_values_that_are_no_numbers() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 0.5, 1e38], np.float32)
    assert value_range(odd) == (0.5, float(np.float32(1e38)))
    assert value_range(odd[:3]) == (0.0, 0.0)
    assert value_range(odd[:0]) == (0.0, 0.0)
    assert to_uint8(odd, (0.0, 1.0)).tolist() == [0, 255, 0, 128, 255]
    huge = np.array([-1.7e308, 0, 1.7e308])
    assert to_uint8(huge, (-1.7e308, 1.7e308)).dtype == np.uint8


@pytest.mark.parametrize("given", [(5, 5), (9, 3), (0, np.inf), (np.nan, 1), (1,), (1, 2, 3), ("a", "b"), 7])
def test_a_range_that_makes_no_sense(given: Any) -> None:
    with pytest.raises(UsageError, match=r"^the pixel range is two numbers, black and white, such as 0 4095, not "):
        check_range(given)


def test_a_range_may_be_given_in_any_numbers() -> None:
    assert check_range((np.int64(0), 4095)) == (0.0, 4095.0)
    assert check_range(None) is None


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_channels_that_are_multiplied_by_alpha(mode: str) -> None:
    random = np.random.default_rng(0)
    alpha = random.integers(0, 256, (8, 9))
    shades = (random.random((8, 9, len(mode) - 1)) * alpha[..., None]).astype(np.uint8)
    channels = [Image.fromarray(np.ascontiguousarray(part)) for part in np.moveaxis(shades, 2, 0)]
    image = Image.merge(mode, [*channels, Image.fromarray(alpha.astype(np.uint8))])
    expected = shades + (255 - alpha)[..., None]
    grey = len(channels) == 1
    assert np.array_equal(np.asarray(to_mode(image, "L" if grey else "RGB")).reshape(expected.shape), expected)
    samples = PixelValues(shades.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257, premultiplied=True)
    assert np.abs(np.asarray(to_image(samples, (0.0, 65535.0))).reshape(expected.shape) - expected).max() <= 1
