"""Stacks of frames: which images they hold, and films that arrive in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from opsin.base.errors import DataError
from opsin.data import AnnotatedImages, Preprocessing
from opsin.data.frame_stacks import FrameHistory, FrameStacks, rows_by_position
from opsin.data.pixels import ConcatenatedView, Pixels
from opsin.tasks.regression import Quantities, Regression

TASK = Regression.with_outputs(1)


def pixels_of(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 4, 5)).astype(np.uint8)


def images_of(pixels: Pixels, positions: list[int] | None) -> AnnotatedImages:
    places = None if positions is None else np.array(positions, np.int64)
    return AnnotatedImages(pixels, Quantities(np.zeros((len(pixels), 1)), places), TASK)


def test_rows_follow_the_positions() -> None:
    rows = rows_by_position(np.array([7, 3, 4, 5, 9, -1, -1]), 3)
    assert rows.tolist() == [[0, 0, 0], [1, 1, 1], [2, 1, 1], [3, 2, 1], [4, 4, 4], [5, 5, 5], [6, 6, 6]]


@pytest.mark.parametrize("is_view", [False, True])
def test_stacks_hold_the_images_before(is_view: bool) -> None:
    pixels = pixels_of(6)
    source: Pixels = ConcatenatedView([pixels[:2], pixels[2:]]) if is_view else pixels
    images = images_of(source, [0, 1, 2, 3, 4, 5])
    stacked = images.stacked(3)
    assert stacked.shape == (9, 4, 5) and stacked.frames == 3 and stacked.stacked(3) is stacked
    assert np.array_equal(stacked.pixels[4], np.concatenate([pixels[4], pixels[3], pixels[2]]))
    assert np.array_equal(stacked.pixels[np.array([1, 0])][1], np.concatenate([pixels[0]] * 3))
    some = stacked.take(np.array([5, 2]))
    assert np.array_equal(some.pixels[:], stacked.pixels[:][[5, 2]])
    assert np.array_equal(some.single().pixels[:], pixels[[5, 2]]) and some.single().frames == 1
    assert np.array_equal(stacked.stacked(1).pixels[:], pixels)


def test_changes_reach_every_frame() -> None:
    pixels = pixels_of(4)
    stacked = images_of(pixels, [0, 1, 2, 3]).stacked(2)
    changed = stacked.with_changed(lambda array: 255 - array)
    assert changed.frames == 2 and np.array_equal(changed.pixels[:], 255 - stacked.pixels[:])
    single = images_of(pixels, None)
    assert np.array_equal(single.with_changed(lambda array: 255 - array).pixels[:], 255 - pixels)


def test_images_without_an_order_are_an_error() -> None:
    images = images_of(pixels_of(3), None)
    assert images.stacked(1) is images
    with pytest.raises(DataError, match="each image with the 3 before it, but the images are not known to be frames"):
        images.stacked(4)


@pytest.mark.parametrize("parts", [(6,), (1, 1, 1, 1, 1, 1), (2, 4), (5, 0, 1)])
def test_films_in_parts(parts: tuple[int, ...]) -> None:
    pixels, history, first = pixels_of(6), FrameHistory(4), 0
    stacks = []
    for count in parts:
        part = history.stack(pixels[first : first + count])
        stacks += [part] if count else []
        first += count
    assert np.array_equal(np.concatenate(stacks), images_of(pixels, [0, 1, 2, 3, 4, 5]).stacked(4).pixels[:])


def test_a_history_of_one_frame_changes_nothing() -> None:
    pixels = pixels_of(2)
    assert FrameHistory(1).stack(pixels) is pixels


def test_preprocessing_of_stacks() -> None:
    images = images_of(pixels_of(8), list(range(8)))
    single, stacked = Preprocessing.of(images), Preprocessing.of(images.stacked(4))
    assert (stacked.mean, stacked.std, stacked.shape) == (single.mean, single.std, single.shape)
    assert stacked.input_shape == (12, 4, 5) and single.input_shape == (3, 4, 5)
    values = stacked.apply(images.stacked(4).pixels[:])
    assert np.array_equal(values[:, :3], single.apply(images.pixels[:]))
    assert np.array_equal(values[3, 3:6], single.apply(images.pixels[2:3])[0])
    assert Preprocessing.from_data(stacked.to_data()) == stacked
    data: dict[str, Any] = single.to_data()
    del data["frames"]
    assert Preprocessing.from_data(data) == single
    with pytest.raises(DataError, match="numbers make no sense"):
        Preprocessing.from_data(data | {"frames": 0})


def test_stacks_are_views() -> None:
    stacks = FrameStacks(pixels_of(3), np.zeros((3, 2), np.intp))
    assert stacks.shape == (3, 6, 4, 5) and stacks.current.shape == (3, 3, 4, 5)
