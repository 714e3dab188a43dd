"""Corruptions keep shape and dtype, are deterministic, and grow with their severity."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from opsin.report import robustness
from opsin.report.robustness import CORRUPTIONS
from tests.report.support import scenes, subject


def scene(channels: int, rows: int, columns: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return smooth colours with an edge."""
    y, x = np.mgrid[:rows, :columns]
    layers = [(60 + 120 * x / columns + 20 * number + 40 * (y > rows / 2)) for number in range(channels)]
    return np.stack(layers).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 60, 41), (1, 8, 9)])
@pytest.mark.parametrize("kind", range(len(CORRUPTIONS)))
def test_every_corruption_and_severity(kind: int, shape: tuple[int, int, int]) -> None:
    image = scene(*shape)
    before = image.copy()
    changes = []
    for _, corrupt in CORRUPTIONS[kind][1]:
        corrupted = corrupt(image, 3)
        assert (corrupted.shape, corrupted.dtype) == (image.shape, np.uint8)
        assert np.array_equal(corrupted, corrupt(image, 3))
        changes.append(np.abs(corrupted.astype(int) - image).mean())
    assert np.array_equal(image, before)
    assert changes[-1] > changes[0] > 0 or shape == (1, 8, 9)


def test_rotations_alternate_and_leave_no_corners() -> None:
    image = np.full((3, 40, 40), 200, np.uint8)
    assert (robustness.rotate(30, image, 0) == 200).all()
    image[:, :20] = 50
    one, other = robustness.rotate(15, image, 0), robustness.rotate(15, image, 1)
    assert np.abs(one.astype(int) - other[:, :, ::-1]).mean() < 3
    assert not np.array_equal(one, other)


def test_noise_differs_between_images() -> None:
    image = np.full((1, 50, 50), 128, np.uint8)
    first, second = (robustness.noise(25, image, number).astype(int) - 128 for number in (1, 2))
    assert first.std() == pytest.approx(25, rel=0.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_the_sample_fits_the_time() -> None:
    model, data = subject()
    measured = robustness.measure_robustness(model, data.test, 60)
    assert measured is not None
    right = int((model.logits(data.test.pixels).argmax(axis=1) == data.test.labels).sum())
    assert (measured.clean.count, measured.clean.total, measured.available) == (right, 60, 60)
    assert [len(each.severities) for each in measured.kinds] == [3] * 6
    assert all(share.total == 60 for each in measured.kinds for _, share in each.severities)
    darkest = measured.kinds[2].severities[-1][1]
    expected = partial(robustness.brightness, 0.3)
    dark = np.stack([expected(image, 0) for image in data.test.pixels])
    assert darkest.count == (model.logits(dark).argmax(axis=1) == data.test.labels).sum()
    assert robustness.measure_robustness(model, data.test, 0) is None
    assert robustness.measure_robustness(model, scenes(20, 0), 60) is None
