"""Boxes as targets: selection, splits, augmentation and overlaps."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from opsin.data.augment import Augmentation, draw
from opsin.data.augment.draw import Frame
from opsin.tasks.detection.boxes import Boxes, ImageBoxes, iou
from opsin.tasks.geometry import Geometry


def example(seed: int = 0, images: int = 7) -> Boxes:
    rng = np.random.default_rng(seed)
    parts = []
    for number in range(images):
        count = 0 if number == 2 else int(rng.integers(1, 6))
        start = rng.uniform(0, 0.6, (count, 2))
        corners = np.concatenate([start, start + rng.uniform(0.1, 0.4, (count, 2))], axis=1)
        flags = rng.random((2, count)) < 0.3
        parts.append(ImageBoxes.of(corners, rng.integers(0, 4, count), (30 + number, 50), flags[0], flags[1]))
    return Boxes.stack(parts)


def assert_equal(one: Boxes, other: Boxes) -> None:
    for field in fields(Boxes):
        a, b = getattr(one, field.name), getattr(other, field.name)
        assert a.dtype == b.dtype and np.array_equal(a, b), field.name
    assert one.content() == other.content()


def test_images_can_be_taken_and_joined() -> None:
    boxes = example()
    order = np.array([3, 2, -1, 3, 0])
    assert_equal(boxes.take(order), Boxes.stack([boxes.of(int(i)) for i in order]))
    assert_equal(Boxes.concatenate([boxes.take(np.arange(3)), boxes.take(np.arange(3, 7))]), boxes)
    assert_equal(Boxes.concatenate([]), Boxes.stack([]))
    assert_equal(boxes.take(np.zeros(0, np.intp)), Boxes.stack([]))
    assert len(boxes) == 7 and len(boxes.of(2)) == 0 and boxes.image.tolist() == sorted(boxes.image)
    with pytest.raises(IndexError):
        boxes.of(7)


def test_dtypes() -> None:
    boxes = example()
    expected = {"coordinates": "f4", "classes": "i4", "difficult": "?", "crowd": "?", "areas": "f4", "sizes": "i4"}
    assert {name: getattr(boxes, name).dtype for name in expected} == {k: np.dtype(v) for k, v in expected.items()}
    assert boxes.starts.dtype == np.intp and boxes.coordinates.shape == (boxes.starts[-1], 4)


def test_the_digest_depends_on_every_array() -> None:
    boxes, contents = example(), set()
    for field in fields(Boxes):
        values = {name.name: getattr(boxes, name.name).copy() for name in fields(Boxes)}
        array = values[field.name]
        array[-1] = ~array[-1] if array.dtype == bool else array[-1] + 1
        contents.add(Boxes(**values).content())
    assert len(contents | {boxes.content()}) == len(fields(Boxes)) + 1


def test_strata_are_the_rarest_classes() -> None:
    rows = [[0], [0, 1], [0, 0, 2], [], [1, 2], [0, 1]]
    parts = [ImageBoxes.of([[0, 0, 1, 1]] * len(labels), labels, (10, 10)) for labels in rows]
    assert Boxes.stack(parts).strata().tolist() == [1, 2, 3, 0, 3, 2]
    assert Boxes.stack(parts[3:4]).strata().tolist() == [0]


def test_pixels_are_those_of_the_annotations() -> None:
    rng = np.random.default_rng(0)
    for size in [(375, 500), (480, 640), (4000, 6000), (1, 3)]:
        scale = np.array([size[1], size[0]] * 2)
        pixels = np.round(rng.uniform(0, 1, (200, 4)) * scale, 2)
        boxes = Boxes.stack([ImageBoxes.of(pixels / scale, np.zeros(200), size)])
        assert (boxes.pixels() == pixels).all()
    fine = rng.uniform(0, 300, (50, 4))
    boxes = Boxes.stack([ImageBoxes.of(fine / 300, np.zeros(50), (300, 300))])
    assert np.abs(boxes.pixels() - fine).max() < 4e-5


def test_default_areas_are_in_pixels() -> None:
    boxes = ImageBoxes.of([[0.1, 0.2, 0.6, 0.4]], [0], (100, 200))
    assert boxes.areas[0] == pytest.approx(100 * 20)
    assert ImageBoxes.of([[0.1, 0.2, 0.6, 0.4]], [0], (100, 200), areas=[7]).areas.tolist() == [7]


def test_resizing_moves_nothing() -> None:
    boxes = example()
    moved = boxes.moved(Geometry.resize(len(boxes), (40, 60), (64, 64)))
    assert np.allclose(moved.coordinates, boxes.coordinates, atol=1e-6) and np.allclose(moved.areas, boxes.areas)
    assert (moved.starts == boxes.starts).all() and (moved.classes == boxes.classes).all()


def test_mirroring_and_shifting() -> None:
    """The output column c shows the input column 9 - c, and the row r the row r + 5."""
    geometry = Geometry((10, 10), (10, 10), np.array([[5.0, 1, 0, 9, 0, -1]]))
    corners = [[0.0, 0.6, 0.2, 1.0], [0.1, 0.0, 0.3, 0.4], [0.5, 0.3, 0.7, 0.8], [0.5, 0.1, 0.7, 0.58]]
    boxes = Boxes.stack([ImageBoxes.of(corners, [1, 2, 3, 4], (10, 10))])
    moved = boxes.moved(geometry)
    assert np.allclose(moved.coordinates, [[0.8, 0.1, 1.0, 0.5], [0.3, 0.0, 0.5, 0.3]], atol=1e-6)
    assert moved.classes.tolist() == [1, 3] and moved.starts.tolist() == [0, 2]
    assert moved.areas == pytest.approx([8, 6])
    assert boxes.moved(geometry, min_visible=0.1).classes.tolist() == [1, 3]  # 0.8 of a pixel is too little
    assert boxes.moved(geometry, min_visible=0.61).classes.tolist() == [1]


@pytest.mark.parametrize("seed", range(4))
def test_boxes_follow_the_pixels_of_augmented_images(seed: int) -> None:
    """Paint each box into an image, move the image, and look where it is."""
    policy = Augmentation(flip=True, crop_area=0.4, aspect=1.3)
    size = (240, 320)
    boxes = example(seed)
    maps = draw.affine_maps(policy, Frame(size, (200, 200)), draw.uniform(len(boxes), seed, 0))
    geometry = Geometry(size, (200, 200), maps)
    moved = boxes.moved(geometry, min_visible=0.0)
    checked = 0
    for number in range(len(boxes)):
        rows, columns, inside = geometry.sources(number)
        expected = []
        for left, top, right, bottom in boxes.of(number).coordinates * [320, 240, 320, 240]:
            y, x = rows + 0.5, columns + 0.5
            hit = inside & (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
            if hit.any(1).sum() > 3 and hit.any(0).sum() > 3:
                found = np.flatnonzero(hit.any(0)), np.flatnonzero(hit.any(1))
                expected.append([found[0][0], found[1][0], found[0][-1] + 1, found[1][-1] + 1])
        coordinates = moved.of(number).coordinates * 200
        for box in expected:
            assert (np.abs(coordinates - box).max(1) < 2.5).any()
            checked += 1
    assert checked > 5


def test_overlaps() -> None:
    a = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 5, 5]], np.float64)
    assert iou(a, a) == pytest.approx(np.array([[1, 1 / 7, 0], [1 / 7, 1, 0], [0, 0, 0]]))
    crowd = np.array([True, False, True])
    assert iou(a, a, crowd) == pytest.approx(np.array([[1, 1 / 7, 0], [1 / 4, 1, 0], [0, 0, 0]]))
    assert iou(a[:0], a).shape == (0, 3) and iou(a, a[:0]).shape == (3, 0)
