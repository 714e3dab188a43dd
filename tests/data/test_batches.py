"""Batches: order, preprocessing, distortions."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest

from opsin.data import Augmentation, Batches, Pictures, Preprocessing, counter
from opsin.errors import DataError
from tests.data.files import noise


def numbered(count: int) -> Pictures:
    """Pictures whose pixels all hold the picture's number."""
    numbers = np.arange(count)
    pixels = np.broadcast_to(numbers[:, None, None, None], (count, 1, 4, 4)).astype(np.uint8)
    return Pictures(pixels, (numbers % 2).astype(np.int32), ("even", "odd"))


PLAIN = Preprocessing(1, 4, 4, (0.0,), (1 / 255,))
"""Keeps pixel values as they are."""


def seen(batches: Batches, epoch: int, start: int = 0) -> list[list[int]]:
    return [np.rint(pixels[:, 0, 0, 0]).astype(int).tolist() for pixels, _ in batches.epoch(epoch, start)]


def test_every_picture_comes_once_an_epoch_with_its_label() -> None:
    batches = Batches(numbered(20), PLAIN, 5, seed=3)
    assert len(batches) == 4
    assert sorted(chain(*seen(batches, 1))) == list(range(20))
    for pixels, labels in batches.epoch(1):
        assert pixels.dtype == np.float32
        assert labels.dtype == np.int32
        assert (np.rint(pixels[:, 0, 0, 0]) % 2 == labels).all()


def test_the_last_batch_is_filled_up() -> None:
    batches = Batches(numbered(20), PLAIN, 8, seed=3)
    order = [*chain(*seen(batches, 1))]
    assert len(order) == 24
    assert sorted(order[:20]) == list(range(20))
    assert order[20:] == order[:4]


def test_order_is_a_function_of_seed_and_epoch() -> None:
    batches = Batches(numbered(20), PLAIN, 5, seed=3)
    assert seen(batches, 2) == seen(batches, 2)
    assert seen(batches, 1) != seen(batches, 2)
    assert seen(batches, 1) != seen(Batches(numbered(20), PLAIN, 5, seed=4), 1)
    assert seen(batches, 2, start=3) == seen(batches, 2)[3:]


def test_random_words_are_the_same_everywhere() -> None:
    assert counter.words(2, 1, counter.SHUFFLE, 3).tolist() == [6181737525795396537, 2752523124933609999]
    draws = counter.uniform(10_000, 0, counter.TABLE)
    assert -1 <= draws.min() < -0.99
    assert 0.99 < draws.max() < 1


def test_preprocessing_centres_and_scales() -> None:
    pictures = Pictures(noise(0, 50, 3, 6, 7), np.zeros(50, np.int32), ("a", "b"))
    preprocessing = Preprocessing.of(pictures)
    values = preprocessing.apply(pictures.pixels)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values.mean(axis=(0, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(axis=(0, 2, 3)), 1, atol=1e-3)
    exact = (pictures.pixels / 255 - np.reshape(preprocessing.mean, (3, 1, 1))) / np.reshape(
        preprocessing.std, (3, 1, 1)
    )
    np.testing.assert_allclose(values, exact, atol=1e-5)
    assert not preprocessing.dark_background


def test_preprocessing_goes_into_a_file_and_back() -> None:
    preprocessing = Preprocessing(3, 4, 5, (0.1, 0.2, 0.3), (1.0, 2.0, 3.0), dark_background=True)
    assert Preprocessing.from_data(preprocessing.to_data()) == preprocessing
    for change in (
        {"mean": [0.1]},
        {"std": [1, 2, 0]},
        {"channels": 0},
        {"height": "tall"},
        {"mean": [0, 0, float("nan")]},
    ):
        with pytest.raises(DataError):
            Preprocessing.from_data({**preprocessing.to_data(), **change})


def test_constant_pictures_have_a_standard_deviation_all_the_same() -> None:
    values = Preprocessing.of(Pictures(np.zeros((3, 1, 2, 2), np.uint8), np.zeros(3, np.int32), ("a",)))
    assert np.isfinite(values.apply(np.zeros((1, 1, 2, 2), np.uint8))).all()


def test_no_distortion_changes_nothing() -> None:
    pixels = noise(5, 6, 3, 9, 8)
    still = Augmentation(9, 8, shift=0, turn=0, zoom=0)
    assert np.array_equal(still.apply(pixels, still.draw(6, 0)), pixels)


def test_distortions_are_small_and_a_function_of_seed_and_epoch() -> None:
    pixels = np.zeros((200, 2, 28, 28), np.uint8)
    pixels[:, 1, 14, 14] = 255
    pixels[:, 1, 13:16, 13:16] = 255
    augmentation = Augmentation(28, 28, seed=1)
    moved = augmentation.apply(pixels, augmentation.draw(200, 1))
    assert not moved[:, 0].any(), "channels do not mix"
    rows, columns = (np.nonzero(moved[:, 1])[axis] for axis in (1, 2))
    assert rows.min() >= 10 and columns.min() >= 10 and rows.max() <= 18 and columns.max() <= 18
    assert len({picture.tobytes() for picture in moved}) > 20
    assert np.array_equal(moved, augmentation.apply(pixels, augmentation.draw(200, 1)))
    assert not np.array_equal(moved, augmentation.apply(pixels, augmentation.draw(200, 2)))
    other = Augmentation(28, 28, seed=2)
    assert not np.array_equal(moved, other.apply(pixels, other.draw(200, 1)))
