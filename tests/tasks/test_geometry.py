"""Points follow the images that the augmentation moves."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.random_counter import uniform
from opsin.data.augment import Augmentation, draw
from opsin.data.augment.draw import Frame
from opsin.tasks.geometry import Geometry


@pytest.mark.parametrize("policy", [
    Augmentation(), Augmentation(flip=True), Augmentation(rotation=30, scale=0.3, shift=0.2),
    Augmentation(crop_area=0.3, aspect=1.5, flip=True), Augmentation(quarter_turns=True, flip=True),
])  # fmt: skip
@pytest.mark.parametrize(("input_size", "output_size"), [((40, 60), (40, 60)), ((40, 61), (33, 20))])
def test_points_follow_the_maps(
    policy: Augmentation, input_size: tuple[int, int], output_size: tuple[int, int]
) -> None:
    maps = draw.affine_maps(policy, Frame(input_size, output_size), draw.uniform(7, 3, 1))
    geometry = Geometry(input_size, output_size, maps)
    numbers = uniform(28, 5, 0, 0, 0).reshape(14, 2) / 2 + 0.5
    image = np.repeat(np.arange(7), 2)
    moved = geometry.forward(image, numbers) * output_size[::-1] - 0.5
    a, b, c, d, e, f = maps[image].astype(np.float64).T
    row, column = a + b * moved[:, 1] + c * moved[:, 0], d + e * moved[:, 1] + f * moved[:, 0]
    assert np.allclose(np.stack([column + 0.5, row + 0.5], 1) / input_size[::-1], numbers, atol=1e-5)


def test_mirrored_images_are_known() -> None:
    policy, random = Augmentation(flip=True, rotation=20), draw.uniform(50, 0, 0)
    geometry = Geometry((30, 30), (20, 20), draw.affine_maps(policy, Frame((30, 30), (20, 20)), random))
    assert (geometry.mirrored == (random[draw.FLIP] < 0)).all()


def test_resizing_moves_nothing_in_shares() -> None:
    points = np.array([[0.0, 0.0], [0.25, 0.5], [1.0, 1.0]])
    geometry = Geometry.resize(1, (30, 50), (11, 90))
    assert np.allclose(geometry.forward(np.zeros(3, np.intp), points), points)
    assert len(geometry.take(slice(0, 1))) == 1


def test_sources_are_the_nearest_pixels() -> None:
    row, column, inside = Geometry.resize(1, (4, 6), (2, 3)).sources(0)
    assert row.tolist() == [[1, 1, 1], [3, 3, 3]]
    assert column[0].tolist() == [1, 3, 5]
    assert inside.all()
    shifted = Geometry((4, 4), (4, 4), np.array([[2.0, 1, 0, 0, 0, 1]]))
    row, column, inside = shifted.sources(0)
    assert row[:, 0].tolist() == [2, 3, 3, 3] and inside[:, 0].tolist() == [True, True, False, False]
