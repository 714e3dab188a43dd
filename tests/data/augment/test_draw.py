"""Random changes: within their limits, evenly spread, and functions of seed, epoch and place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin.data.augment import Augmentation, draw
from opsin.data.augment.draw import Frame

COUNT = 4000
RANDOM = draw.uniform(COUNT, 0, 1)
FRAME = Frame((40, 60), (40, 60))


def corners(policy: Augmentation, frame: Frame) -> np.ndarray:
    """Where the corners of the goal lie in the source: N × 4 × (row, column)."""
    maps = draw.affine_maps(policy, frame, RANDOM).astype(np.float64)
    rows, columns = frame.output_size
    places = [(r, c) for r in (-0.5, rows - 0.5) for c in (-0.5, columns - 0.5)]
    return np.stack([maps[:, [0, 3]] + r * maps[:, [1, 4]] + c * maps[:, [2, 5]] for r, c in places], axis=1)


def test_any_place_can_be_drawn_alone() -> None:
    whole = draw.uniform(50, 3, 7)
    assert whole.shape == (draw.WORDS, 50)
    np.testing.assert_array_equal(draw.uniform(13, 3, 7, first=20), whole[:, 20:33])
    for other in (draw.uniform(50, 4, 7), draw.uniform(50, 3, 8)):
        assert not np.isin(other, whole).any()


def test_without_limits_each_pixel_stays() -> None:
    maps = draw.affine_maps(Augmentation(), FRAME, RANDOM)
    assert (maps == np.array([0, 1, 0, 0, 0, 1], np.float32)).all()
    colours = draw.colour_matrices(Augmentation(), 3, 100.0, RANDOM)
    assert (colours == np.eye(3, 4, dtype=np.float32)).all()
    top, bottom, left, right = draw.cutout_boxes(Augmentation(), (40, 60), RANDOM).T
    assert ((top == bottom) & (left == right)).all()


def test_half_of_the_images_are_mirrored() -> None:
    actual = corners(Augmentation(flip=True), FRAME)
    mirrored = actual[:, 0, 1] > actual[:, 1, 1]
    assert abs(mirrored.mean() - 0.5) < 0.05
    np.testing.assert_allclose(actual[mirrored][:, [1, 0, 3, 2]], actual[~mirrored][:1].repeat(mirrored.sum(), 0))


def test_a_quarter_of_the_images_is_turned_by_each_multiple_of_90_degrees() -> None:
    square = Frame((50, 50), (40, 40))
    policy = Augmentation(quarter_turns=True, crop_area=0.3, aspect=4 / 3)
    upright, actual = corners(replace(policy, quarter_turns=False), square), corners(policy, square)
    cycle = np.array([0, 1, 3, 2])  # the corners clockwise
    places = [np.abs(actual[:, cycle] - np.roll(upright[:, cycle], turn, 1)).max((1, 2)) < 1e-3 for turn in range(4)]
    assert (np.sum(places, 0) == 1).all(), "the same part of the image, turned"
    assert np.abs(np.mean(places, 1) - 0.25).max() < 0.03


def test_turned_images_that_are_not_square_are_stretched() -> None:
    actual = corners(Augmentation(quarter_turns=True), FRAME)
    np.testing.assert_allclose(actual.min((0, 1)), [-0.5, -0.5], atol=1e-5)
    np.testing.assert_allclose(actual.max((0, 1)), [39.5, 59.5], atol=1e-5)
    assert len(np.unique(actual.reshape(COUNT, -1).round(3), axis=0)) == 4


def test_gamma_keeps_zero_and_the_largest_value() -> None:
    largest = np.resize(np.array([0, 1, 40, 255], np.uint8), COUNT)
    tables = draw.gamma_tables(Augmentation(gamma=0.5), largest, RANDOM)
    assert (tables[:, 0] == 0).all() and (np.diff(tables.astype(int), axis=1) >= 0).all()
    np.testing.assert_array_equal(tables[np.arange(COUNT), largest], largest)
    middle = tables[largest == 255, 128] / 255
    np.testing.assert_allclose(
        [middle.min(), middle.max()], [(128 / 255) ** power for power in (1.5, 1 / 1.5)], atol=0.01
    )
    assert (draw.gamma_tables(Augmentation(), np.full(COUNT, 255, np.uint8), RANDOM) == np.arange(256)).all()


def test_shifts_scales_and_rotations_stay_within_their_bounds_and_reach_them() -> None:
    shifted = corners(Augmentation(shift=0.1), FRAME).mean(1) - np.array([19.5, 29.5])
    np.testing.assert_allclose(np.abs(shifted).max(0), [4, 6], rtol=0.01)
    assert np.abs(shifted.mean(0)).max() < 0.2
    zoomed = corners(Augmentation(scale=0.2), FRAME)
    height = zoomed[:, 2, 0] - zoomed[:, 0, 0]
    np.testing.assert_allclose([height.min(), height.max()], [32, 48], rtol=0.01)
    turned = corners(Augmentation(rotation=15), FRAME)
    side = turned[:, 1] - turned[:, 0]
    angle = np.degrees(np.arctan2(side[:, 0], side[:, 1]))
    np.testing.assert_allclose([angle.min(), angle.max()], [-15, 15], rtol=0.01)
    np.testing.assert_allclose(np.hypot(*side.T), 60, rtol=1e-5)


def test_random_crops_lie_within_the_image() -> None:
    policy = Augmentation(crop_area=0.3, aspect=4 / 3)
    actual = corners(policy, Frame((50, 80), (32, 32)))
    low, high = actual[:, 0], actual[:, 3]
    assert (low > -0.5 - 1e-3).all() and (high < np.array([49.5, 79.5]) + 1e-3).all()
    sides = (high - low) / np.array([50, 80])
    crop_area = sides.prod(1)
    assert 0.3 * 0.99 < crop_area.min() < 0.33
    assert 0.95 < crop_area.max() < 1.001
    shape = sides[:, 1] / sides[:, 0]
    assert 0.74 < shape.min() < 0.8 and 1.25 < shape.max() < 1.34
    assert (low.min(0) < 0).all() and (high.max(0) > np.array([48, 78])).all(), "every edge is reached"


def test_a_stored_margin_is_cropped_if_nothing_changes() -> None:
    middle = corners(Augmentation(), Frame((256, 256), (224, 224), (224 / 256, 224 / 256)))
    np.testing.assert_allclose(middle[0], [(15.5, 15.5), (15.5, 239.5), (239.5, 15.5), (239.5, 239.5)])
    whole = corners(Augmentation(), Frame((256, 256), (224, 224)))
    np.testing.assert_allclose(whole[0], [(-0.5, -0.5), (-0.5, 255.5), (255.5, -0.5), (255.5, 255.5)], atol=1e-4)


def test_colours() -> None:
    colours = draw.colour_matrices(Augmentation(brightness=0.2, contrast=0.3, saturation=0.4), 3, 100.0, RANDOM)
    grey = np.array([100, 100, 100, 1], np.float32)
    shown = colours @ grey
    np.testing.assert_allclose(shown.max(1), shown.min(1), rtol=1e-5, err_msg="grey stays grey")
    bright = draw.colour_matrices(Augmentation(brightness=0.2), 1, 100.0, RANDOM)[:, 0]
    assert (bright[:, 1] == 0).all()
    np.testing.assert_allclose([bright[:, 0].min(), bright[:, 0].max()], [0.8, 1.2], rtol=0.01)
    contrast = draw.colour_matrices(Augmentation(contrast=0.2), 1, 100.0, RANDOM)[:, 0]
    np.testing.assert_allclose(contrast @ np.array([100, 1]), 100, rtol=1e-5, err_msg="the mean stays")
    vivid = draw.colour_matrices(Augmentation(saturation=0.5), 3, 100.0, RANDOM) @ np.array([255, 0, 0, 1])
    luma = vivid @ np.array(draw.LUMA)
    np.testing.assert_allclose(luma, 255 * draw.LUMA[0], rtol=1e-4, err_msg="the brightness that is seen stays")
    spread = vivid[:, 0] - vivid[:, 1]
    np.testing.assert_allclose([spread.min(), spread.max()], [127.5, 382.5], rtol=0.01)


def test_hues_turn_around_grey_and_keep_luma() -> None:
    colours = draw.colour_matrices(Augmentation(hue=0.1), 3, 100.0, RANDOM)
    np.testing.assert_allclose(colours @ np.array([80, 80, 80, 1]), 80, rtol=1e-4, err_msg="grey stays grey")
    shown = colours @ np.array([200, 40, 90, 1])
    np.testing.assert_allclose(shown @ np.array(draw.LUMA), np.array([200, 40, 90]) @ np.array(draw.LUMA), rtol=1e-4)
    assert shown.std(axis=0).min() > 5
    third = draw._hue_turns(np.array([2 * np.pi / 3]))[0] @ np.array([200.0, 40.0, 90.0])
    luma = np.array([90.0, 200.0, 40.0]) @ np.array(draw.LUMA)
    np.testing.assert_allclose(np.diff(third), np.diff([90, 200, 40]), err_msg="a third of a turn exchanges channels")
    assert third @ np.array(draw.LUMA) != pytest.approx(luma)


def test_some_images_lose_their_colours() -> None:
    shown = draw.colour_matrices(Augmentation(grey=0.2, saturation=0.4), 3, 100.0, RANDOM) @ np.array([200, 40, 90, 1])
    is_grey = np.ptp(shown, axis=1) < 1e-3
    assert 0.18 < is_grey.mean() < 0.22
    assert (draw.colour_matrices(Augmentation(grey=1.0), 1, 100.0, RANDOM) == [[1, 0]]).all()


@pytest.mark.parametrize("goal", [(32, 32), (17, 40)])
def test_boxes_without_content(goal: tuple[int, int]) -> None:
    top, bottom, left, right = draw.cutout_boxes(Augmentation(cutout=0.5), goal, RANDOM).T
    assert (top >= 0).all() and (bottom <= goal[0]).all() and (left >= 0).all() and (right <= goal[1]).all()
    side = min(goal) / 2
    assert (bottom - top).max() <= side + 1 and (right - left).max() <= side + 1
    assert 0.6 < ((bottom - top) * (right - left)).mean() / side**2 < 0.95, "some lie half outside"


def test_shares_of_mixtures() -> None:
    shares, boxes = draw.mixtures(Augmentation(mixup=0.25, cutmix=0.5), (32, 32), RANDOM)
    blended, replaced = shares < 1, (boxes[:, 1] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 2])
    assert not (blended & replaced).any()
    assert abs(blended.mean() - 0.25) < 0.03
    assert abs(replaced.mean() - 0.5) < 0.03
    assert 0.45 < shares[blended].mean() < 0.55
    nothing, nowhere = draw.mixtures(Augmentation(), (32, 32), RANDOM)
    assert (nothing == 1).all()
    assert (nowhere[:, 0] == nowhere[:, 1]).all()
