"""Arrays become images: every layout, every kind of number, and what cannot be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin.apps.estimator import InputError
from opsin.apps.estimator.arrays import MIN_NETWORK_SIDE, ImageLayout, check_array
from tests.data.files import noise


def pixels(x: Any, image_shape: Any = None, enlarge: bool = False) -> np.ndarray:
    array = check_array(x)
    return ImageLayout.of(array, image_shape, enlarge).pixels(array, "it")


def test_grey_colour_first_and_last_are_the_same_images() -> None:
    last = noise(1, 5, 14, 16, 3)
    first = last.transpose(0, 3, 1, 2)
    assert np.array_equal(pixels(last), first)
    assert np.array_equal(pixels(first), first)
    assert np.array_equal(pixels(last.reshape(5, -1), (14, 16, 3)), first)
    assert np.array_equal(pixels(first.reshape(5, -1), (3, 14, 16)), first)
    assert np.array_equal(pixels(last[..., 0]), first[:, :1])
    assert np.array_equal(pixels(last[..., :1]), first[:, :1])


def test_flattened_squares_are_detected_and_other_features_fill_a_square() -> None:
    square = noise(2, 3, 9, 9)
    assert np.array_equal(pixels(square.reshape(3, 81))[:, 0], square)
    odd = pixels(noise(3, 4, 7))
    assert odd.shape == (4, 1, 3, 3)
    assert np.array_equal(odd.reshape(4, 9)[:, :7], noise(3, 4, 7))
    assert not odd.reshape(4, 9)[:, 7:].any()
    assert ImageLayout.of(noise(2, 3, 81), None, False).is_image
    assert not ImageLayout.of(noise(2, 3, 7), None, False).is_image


def test_small_images_are_enlarged_by_integer_factors() -> None:
    x = noise(4, 2, 8, 10)
    made = pixels(x, enlarge=True)
    assert made.shape == (2, 1, 16, 20) and min(made.shape[2:]) >= MIN_NETWORK_SIDE
    assert np.array_equal(made[:, 0, ::2, ::2], x) and np.array_equal(made[:, 0, 1::2, 1::2], x)
    assert pixels(noise(4, 2, 12, 12), enlarge=True).shape == (2, 1, 12, 12)


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "int8", "float16", "bool"])
def test_numbers_are_scaled_from_minimum_to_maximum(kind: str) -> None:
    x = np.array([[0, 1, 1, 0], [1, 0, 0, 1]], kind)
    assert np.array_equal(pixels(x).reshape(2, 4), 255 * x.astype(np.uint8))


def test_fractions_are_converted_to_the_original_bytes() -> None:
    x = noise(5, 6, 16, 16)
    x[0, 0, :2] = 0, 255
    assert np.array_equal(pixels(x / 255)[:, 0], x)
    assert np.array_equal(pixels(3 * x.astype(np.float64) - 100)[:, 0], x)


def test_bytes_stay_as_they_are() -> None:
    assert pixels(np.full((2, 4), 7, np.uint8)).max() == 7


def test_numbers_outside_the_training_range_are_clipped() -> None:
    form = ImageLayout.of(np.array([[0.0, 1, 2, 3]]), None, False)
    assert form.pixels(np.array([[-5.0, 0.3, 9, 1.5]]), "it").reshape(-1).tolist() == [0, 26, 255, 128]


def test_one_value_everywhere_is_black() -> None:
    assert not pixels(np.full((3, 4), 0.7)).any()


def test_images_are_scaled_equally_in_chunks() -> None:
    x = np.random.default_rng(6).normal(size=(2500, 4))
    form = ImageLayout.of(x, None, False)
    assert np.array_equal(form.pixels(x, "it"), np.concatenate([form.pixels(x[n : n + 1], "it") for n in range(2500)]))


@pytest.mark.parametrize(
    ("x", "image_shape", "text"),
    [
        (np.zeros((2, 3072)), None, r"may be colour images of 32 × 32; say which layout: image_shape=\(32, 32, 3\)"),
        (np.zeros((2, 9)), (3, 4), r"X has 9 features, but image_shape=\(3, 4\) needs 12"),
        (np.zeros((2, 5, 5)), (4, 4), r"X has arrays of 5 × 5, but image_shape=\(4, 4\) needs 16"),
        (np.zeros((2, 16)), 16, r"image_shape must be \(height, width\), .* not 16"),
        (np.zeros((2, 16)), (4, -4), r"image_shape must be .* not \(4, -4\)"),
        (np.zeros((2, 3, 5, 3)), None, r"3 × 5 × 3, in which the channels could be first or last"),
        (np.zeros((2, 4, 5, 4)), None, r"arrays of 4 × 5 × 4; give images of height × width, with 1 or 3 channels"),
        (np.zeros((2, 1, 2, 3, 4)), None, r"arrays of 1 × 2 × 3 × 4; give images"),
        (np.full((2, 4), np.nan), None, r"X contains NaN; pixels are finite numbers"),
        (np.array([[1, np.inf, 0, 0]]), None, r"X contains infinity \(inf\)"),
    ],
)
def test_ambiguous_arrays_are_refused(x: Any, image_shape: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        pixels(x, image_shape)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (3.0, "X is one number. Reshape your data"),
        ([1, 2, 3], r"X is a row of 3 numbers. Reshape your data: X.reshape\(1, -1\)"),
        (np.zeros((0, 4)), r"0 sample\(s\): X holds no images"),
        (np.zeros((3, 0)), r"0 feature\(s\) \(shape=\(3, 0\)\) while a minimum of 1 is required"),
        (np.zeros((2, 4), complex), "Complex data not supported"),
        ([[1, 2], [3]], "X is not an array of numbers, all images of one size"),
        ([["a", "b"], ["c", "d"]], "X is not an array of numbers"),
        ([[{}, 1]], "X holds something that is not a number"),
    ],
)
def test_other_things_than_arrays_of_numbers_are_refused(x: Any, text: str) -> None:
    with pytest.raises(InputError, match=text):
        check_array(x)


def test_other_shapes_and_types_than_in_training_are_refused() -> None:
    form = ImageLayout.of(np.zeros((2, 9), np.uint8), None, False)
    with pytest.raises(InputError, match="X has 4 features, but ImageClassifier is expecting 9 features as input"):
        form.pixels(np.zeros((1, 4), np.uint8), "ImageClassifier")
    with pytest.raises(InputError, match="X holds arrays of 3 × 3, but it was trained on 9"):
        form.pixels(np.zeros((1, 3, 3), np.uint8), "it")
    with pytest.raises(InputError, match="X is float64, but training was on bytes"):
        form.pixels(np.zeros((1, 9)), "it")
    with pytest.raises(InputError, match="X contains NaN"):
        ImageLayout.of(np.eye(3), None, False).pixels(np.full((1, 3), np.nan), "it")
