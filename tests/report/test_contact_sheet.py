"""Contact sheets: the layout, and names in any script."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from opsin.data import LabeledImages, Preprocessing
from opsin.data.augment import Augmentation, Augmenter
from opsin.data.dataset import AnnotatedImages
from opsin.report import contact_sheet as module
from opsin.report import drawn_rows
from opsin.report.contact_sheet import GAP, MARGIN, MAX_IMAGE_SIDE, NAME_WIDTH, contact_sheet
from opsin.tasks.detection import Boxes, ImageBoxes, ObjectDetection
from opsin.tasks.segmentation import Masks, SemanticSegmentation
from tests.data.files import noise

LEFT = MARGIN + NAME_WIDTH
TOP = MARGIN + module.COLUMN_HEADING.size + GAP


def images(*shape: int, classes: tuple[str, ...] = ("cat", "dog")) -> LabeledImages:
    """Noise, two of each class, the classes taking turns."""
    count = 2 * len(classes)
    labels = np.arange(count, dtype=np.int32) % len(classes)
    return LabeledImages(noise(0, count, *shape), labels, classes)


def cut(sheet: Image.Image, row: int, column: int, height: int, width: int, caption: int = 0) -> np.ndarray:
    """The pixels of an image on the sheet, column 0 the one that is kept."""
    left = LEFT + column * (width + GAP) + (2 * GAP if column else 0)
    top = TOP + row * (height + GAP + caption)
    return np.asarray(sheet)[top : top + height, left : left + width]


def test_the_stored_image_and_its_augmented_versions() -> None:
    these, limits = images(3, 32, 32), Augmentation(flip=True, shift=0.1)
    preprocessing = Preprocessing.of(these)
    sheet = contact_sheet(these, preprocessing, limits, versions=3, seed=5)
    augmenter = Augmenter(limits, preprocessing, (32, 32), these.task, 5)
    scale, shift = (factor.reshape(-1, 1, 1) for factor in preprocessing.scale_and_shift)
    for row in (0, 1):
        large = np.repeat(np.repeat(these.pixels[row], 4, axis=1), 4, axis=2).transpose(1, 2, 0)
        np.testing.assert_array_equal(cut(sheet, row, 0, 128, 128), large)
    for epoch in (1, 2, 3):
        seen, _ = augmenter(these.pixels[:2], these.targets.take(np.arange(2)), 2, epoch, 0)
        values = np.rint((seen - shift) / scale).astype(np.uint8)
        for row in (0, 1):
            np.testing.assert_array_equal(cut(sheet, row, epoch, 128, 128)[::4, ::4], values[row].transpose(1, 2, 0))


def test_large_images_are_reduced_and_grey_ones_stay_grey() -> None:
    these = images(1, 100, 300)
    sheet = contact_sheet(these, Preprocessing.of(these), Augmentation())
    assert sheet.width == LEFT + 9 * (MAX_IMAGE_SIDE + GAP) + GAP + MARGIN
    assert sheet.height == TOP + 2 * (MAX_IMAGE_SIDE // 3 + GAP) + MARGIN
    actual = cut(sheet, 0, 0, MAX_IMAGE_SIDE // 3, MAX_IMAGE_SIDE)
    assert (actual.max(axis=2) == actual.min(axis=2)).all()
    assert 100 < actual.mean() < 155


def test_a_margin_is_shown_as_stored_and_cropped_as_seen() -> None:
    these = images(3, 40, 40)
    preprocessing = Preprocessing(3, 32, 32, (0.5, 0.5, 0.5), (0.3, 0.3, 0.3))
    sheet = contact_sheet(these, preprocessing, Augmentation(), versions=1)
    assert sheet.width == LEFT + 2 * (128 + GAP) + GAP + MARGIN


def test_mixed_images_have_captions(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(module, "_write_line", lambda pen, text, place, width, style: written.append(text))
    these = images(3, 32, 32, classes=("cat", "dog", "mouse"))
    contact_sheet(these, Preprocessing.of(these), Augmentation(mixup=1), versions=4)
    assert written[:3] == ["as stored", "as the network sees it", "cat"]
    captions = [text for text in written if text.startswith("+ ")]
    assert len(captions) == 12
    assert all(text.endswith(("% dog", "% mouse", "% cat")) for text in captions)
    assert all(text.endswith("% dog") for text in written[3:7])


def test_some_of_many_classes_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(module, "_write_line", lambda pen, text, place, width, style: names.append(text))
    these = images(1, 8, 8, classes=tuple(f"class {n:03}" for n in range(100)))
    sheet = contact_sheet(these, Preprocessing.of(these), Augmentation(), versions=1)
    rows = [name for name in names if name.startswith("class")]
    assert len(rows) == module.MAX_ROWS
    assert (rows[0], rows[-1]) == ("class 000", "class 099")
    assert sheet.height == TOP + module.MAX_ROWS * (128 + GAP) + MARGIN


STRANGE = (
    "cat",
    "длинный рукав",
    "シャツ",
    "قميص",
    "👕 shirt",
    "a\udc80b",
    "",
    " \n\t",
    "\x07\x00",
    "é́" * 3,
    "w" * 500,
)


def test_names_are_rendered_or_become_numbers() -> None:
    these = images(1, 8, 8, classes=STRANGE)
    sheet = contact_sheet(these, Preprocessing.of(these), Augmentation(mixup=1), versions=1)
    margin = np.asarray(sheet)[:, NAME_WIDTH + MARGIN - GAP + 1 : LEFT]
    assert (margin == 255).all(), "no name reaches into the images"
    ink = np.asarray(sheet)[:, :LEFT].min(axis=(1, 2)) < 128
    assert ink[TOP : TOP + 128].any()


def test_names_without_a_font_become_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FONTS", ())
    module._fonts.cache_clear()
    names = ("cat", "длинный рукав", "シャツ", "t-shirt, été", "", "two\nlines")
    actual = [module._name(names, number) for number in range(6)]
    assert actual == ["cat", "class 2", "class 3", "t-shirt, ete", "class 5", "two lines"]
    module._fonts.cache_clear()


def boxes_in(sheet: Image.Image, row: int, column: int) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the saturated pixels of an image with a frame, in pixels of the sheet."""
    side = drawn_rows.MAX_DRAWN_WIDTH
    pixels = cut(sheet, row, column, side, side).astype(int)
    is_coloured = pixels.max(axis=2) - pixels.min(axis=2) > 100
    rows, columns = np.flatnonzero(is_coloured.any(axis=1)), np.flatnonzero(is_coloured.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def test_targets_follow_the_images() -> None:
    pixels = np.full((1, 3, 48, 48), 40, np.uint8)
    pixels[:, :, 24:36, 6:18] = 90
    boxes = Boxes.stack([ImageBoxes.of([(6 / 48, 24 / 48, 18 / 48, 36 / 48)], [0], (100, 200))])
    these = AnnotatedImages(pixels, boxes, ObjectDetection(("cat",)), ("photos/\udc80 a\n.png",))
    sheet = contact_sheet(these, Preprocessing.of(these), Augmentation(flip=True, mixup=1), versions=2)
    assert sheet.height == TOP + drawn_rows.MAX_DRAWN_WIDTH + GAP + MARGIN
    stored = boxes_in(sheet, 0, 0)
    assert stored == pytest.approx((45, 180, 135, 270), abs=25), "a label lies above or below the box"
    side = drawn_rows.MAX_DRAWN_WIDTH
    first, second = boxes_in(sheet, 0, 1), boxes_in(sheet, 0, 2)
    mirrored = (side - stored[2], stored[1], side - stored[0], stored[3])
    assert {min(abs(a[0] - b[0]) for b in (stored, mirrored)) <= 25 for a in (first, second)} == {True}
    assert abs(first[0] - second[0]) > 100, "each image is mirrored in one of two epochs"


def test_a_few_images_are_chosen_from_all_groups() -> None:
    ids = np.zeros((40, 12, 12), np.uint8)
    for number in range(40):
        ids[number, :4, : 1 + number // 4] = 1 + number % 10
    classes = ("background", *(f"class {number}" for number in range(10)))
    these = AnnotatedImages(noise(0, 40, 3, 12, 12), Masks(ids), SemanticSegmentation(classes), None)
    rows = drawn_rows.drawn_rows(these, Preprocessing.of(these), Augmentation(), versions=1)
    assert len(rows) == drawn_rows.MAX_DRAWN_ROWS
    assert all(row.name.startswith("image ") and len(row.augmented) == 1 for row in rows)
    assert {drawing.width for row in rows for drawing in (row.original, *row.augmented)} == {360}
