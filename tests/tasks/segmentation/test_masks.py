"""Masks follow the geometry of their images."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.base.errors import DataError
from opsin.data.augment import Augmentation, draw
from opsin.data.augment.draw import Frame
from opsin.tasks.geometry import Geometry
from opsin.tasks.segmentation.masks import Masks
from opsin.tasks.segmentation.targets import resized

POLICIES = {
    "straight": Augmentation(crop_area=0.3, aspect=1.5, flip=True),
    "shifted": Augmentation(shift=0.3, scale=0.5, flip=True),
    "turned": Augmentation(quarter_turns=True, crop_area=0.4, flip=True),
    "rotated": Augmentation(rotation=30, scale=0.3, shift=0.2, flip=True),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("input_size", "output_size"), [((40, 60), (40, 60)), ((40, 61), (33, 20))])
def test_moved_masks_are_the_sources_of_their_pixels(
    policy: str, input_size: tuple[int, int], output_size: tuple[int, int], rng: np.random.Generator
) -> None:
    frame, random = Frame(input_size, output_size), draw.uniform(9, 3, 1)
    geometry = Geometry(input_size, output_size, draw.affine_maps(POLICIES[policy], frame, random))
    masks = Masks(rng.integers(0, 4, (9, *input_size)).astype(np.uint8))
    moved = masks.moved(geometry)
    assert moved.dtype == np.int32 and moved.shape == (9, *output_size)
    outside = 0
    for i, mask in enumerate(masks.ids):
        row, column, inside = geometry.sources(i)
        assert (moved[i] == np.where(inside, mask[row, column], 255)).all()
        outside += int((~inside).sum())
    assert (outside > 0) == (policy not in ("straight", "turned"))


def test_resizing_a_file_and_moving_a_mask_take_the_same_pixels(rng: np.random.Generator) -> None:
    ids = rng.integers(0, 200, (37, 53)).astype(np.uint8)
    for size in ((20, 20), (64, 80), (37, 53), (1, 1)):
        moved = Masks(ids[None]).moved(Geometry.resize(1, (37, 53), size))[0]
        assert (resized(ids, size) == moved).all()


def test_take_concatenate_and_content(rng: np.random.Generator) -> None:
    masks = Masks(rng.integers(0, 4, (6, 4, 5)).astype(np.uint8))
    order = np.array([5, 4, 3, 2, 1, 0])
    parts = [masks.take(order[:2]), masks.take(order[2:])]
    joined = Masks.concatenate(parts)
    assert len(joined) == 6 and (joined.ids == masks.ids[::-1]).all()
    assert joined.take(order).content() == masks.content()
    assert joined.content() != masks.content()
    assert Masks(masks.ids.reshape(6, 5, 4)).content() != masks.content()


def test_strata_group_by_rare_class_and_area() -> None:
    ids = np.zeros((8, 4, 4), np.uint8)
    ids[:6, 0, 0] = 1
    ids[3:6, :2] = 1
    ids[6:, 0, 0] = 2
    ids[7] = 2
    strata = Masks(ids).strata()
    assert strata.dtype == np.int32
    groups = [np.flatnonzero(strata == group).tolist() for group in np.unique(strata)]
    assert sorted(groups) == [[0, 1, 2], [3, 4, 5], [6], [7]]
    assert len(Masks(np.full((2, 3, 3), 255, np.uint8)).strata()) == 2


def test_errors() -> None:
    with pytest.raises(DataError, match="uint8 N × H × W"):
        Masks(np.zeros((2, 3), np.uint8))
    masks = Masks(np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(DataError, match="cannot be joined"):
        Masks.concatenate([masks, Masks(np.zeros((2, 3, 5), np.uint8))])
    with pytest.raises(DataError, match="cannot move 2 masks"):
        masks.moved(Geometry.resize(3, (3, 4), (3, 4)))
