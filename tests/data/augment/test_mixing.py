"""Images mixed with their neighbours, and targets that say how."""

from __future__ import annotations

import numpy as np

from opsin.data.augment import mixing


def batch() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(4, 3, 6, 8)).astype(np.float32)


def test_each_is_mixed_with_the_next_as_it_was() -> None:
    pixels, shares = batch(), np.array([0.25, 1.0, 0.5, 0.75])
    mixed = pixels.copy()
    left = mixing.mix(mixed, shares, np.zeros((4, 4), np.int32))
    np.testing.assert_array_equal(left, shares)
    kept = shares[:, None, None, None]
    np.testing.assert_allclose(mixed, kept * pixels + (1 - kept) * np.roll(pixels, -1, axis=0), atol=1e-6)
    np.testing.assert_array_equal(mixed[1], pixels[1])


def test_boxes_come_from_the_next_and_count_by_their_area() -> None:
    pixels = batch()
    boxes = np.array([[1, 4, 2, 6], [0, 6, 0, 8], [3, 3, 0, 8], [0, 1, 0, 1]], np.int32)
    mixed = pixels.copy()
    left = mixing.mix(mixed, np.ones(4), boxes)
    np.testing.assert_allclose(left, [1 - 12 / 48, 0, 1, 1 - 1 / 48])
    np.testing.assert_array_equal(mixed[0, :, 1:4, 2:6], pixels[1, :, 1:4, 2:6])
    inside = np.zeros((6, 8), bool)
    inside[1:4, 2:6] = True
    np.testing.assert_array_equal(mixed[0][:, ~inside], pixels[0][:, ~inside])
    np.testing.assert_array_equal(mixed[1], pixels[2])
    np.testing.assert_array_equal(mixed[2], pixels[2])
    np.testing.assert_array_equal(mixed[3, :, 0, 0], pixels[0, :, 0, 0])


def test_a_batch_of_one_stays() -> None:
    pixels = batch()[:1]
    mixed = pixels.copy()
    left = mixing.mix(mixed, np.array([0.3]), np.zeros((1, 4), np.int32))
    np.testing.assert_allclose(mixed, pixels, atol=1e-6)
    np.testing.assert_allclose(mixing.targets(np.array([2], np.int32), left, 3), [[0, 0, 1]])


def test_targets_are_shares_of_classes() -> None:
    labels, left = np.array([0, 2, 2, 1], np.int32), np.array([0.25, 0.5, 0.9, 1.0])
    actual = mixing.targets(labels, left, 4)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, [[0.25, 0, 0.75, 0], [0, 0, 1, 0], [0, 0.1, 0.9, 0], [0, 1, 0, 0]], atol=1e-7)
