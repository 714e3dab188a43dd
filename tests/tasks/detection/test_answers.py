"""Detections as text, as results of COCO, and as drawings."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from opsin.tasks.detection.answers import Detection
from opsin.tasks.detection.draw import COLOURS, MIN_SIDE, class_colours, draw_detections


def test_a_detection_as_text_and_as_a_result() -> None:
    detection = Detection("dog", 0.982, (12.2, 30, 150, 219.9))
    assert str(detection) == "dog 98.2% at 12, 30 to 150, 220"
    assert detection.to_coco(7, 3) == {
        "image_id": 7, "category_id": 3, "bbox": pytest.approx([12.2, 30, 137.8, 189.9]), "score": 0.982,
    }  # fmt: skip


def colours(image: Image.Image) -> set[str]:
    return {"#" + bytes(pixel).hex() for pixel in np.unique(np.asarray(image).reshape(-1, 3), axis=0)}


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1"])
def test_boxes_are_drawn_in_the_colours_of_their_classes(mode: str) -> None:
    image = Image.new(mode, (640, 480))
    before = image.tobytes()
    detections = [Detection("dog", 0.9, (100, 100, 300, 300)), Detection("cat", 0.8, (350, 50, 500, 200))]
    drawn = draw_detections(image, detections, ["cat", "dog"])
    assert drawn.size == image.size and drawn.mode == "RGB" and image.tobytes() == before
    pixels = np.asarray(drawn)
    assert "#" + bytes(pixels[200, 100]).hex() == COLOURS[1] and "#" + bytes(pixels[200, 400]).hex() == COLOURS[0]
    assert {COLOURS[0], COLOURS[1]} <= colours(drawn) and COLOURS[2] not in colours(drawn)


def test_small_images_are_enlarged() -> None:
    drawn = draw_detections(Image.new("RGB", (32, 20)), [Detection("a", 0.5, (4, 4, 20, 12))])
    assert drawn.size == (MIN_SIDE, 300)
    assert np.asarray(drawn)[100, 4 * 15].any()
    assert draw_detections(Image.new("RGB", (32, 20)), []).size == (MIN_SIDE, 300)


def test_labels_stay_inside_and_apart() -> None:
    same = [Detection("a", 0.9, (0, 0, 640, 480)), Detection("b", 0.8, (0, 0, 640, 480))]
    one, both = (
        draw_detections(Image.new("RGB", (640, 480)), same[:1]),
        draw_detections(Image.new("RGB", (640, 480)), same),
    )
    field = np.all(np.asarray(both) == [0, 114, 178], axis=2), np.all(np.asarray(one) == [0, 114, 178], axis=2)
    assert abs(int(field[0][5:-5, 5:-5].sum()) - int(field[1][5:-5, 5:-5].sum())) < 40  # the first label is not covered


def test_any_box_can_be_drawn() -> None:
    odd = [(-50, -50, 900, 900), (700, 500, 800, 600), (5, 5, 5, 5), (9, 9, 3, 3), (0.2, 0.2, 0.4, 0.4)]
    draw_detections(Image.new("RGB", (640, 480)), [Detection(f"класс {box}", 0.5, box) for box in odd])
    draw_detections(Image.new("RGB", (1, 3)), [Detection("a", 1.0, (0, 0, 1, 3))])


def test_colours_repeat_after_the_palette() -> None:
    names = [f"class {number}" for number in range(10)]
    assert [*class_colours(names).values()] == [*COLOURS, *COLOURS[:2]]
