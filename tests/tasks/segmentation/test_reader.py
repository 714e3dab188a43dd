"""Masks of all forms, and what their values mean."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.base.errors import DataError
from opsin.tasks.annotations import Annotations
from opsin.tasks.segmentation.reader import read
from opsin.tasks.segmentation.voc import VOC_CLASSES, voc_colour
from tests.data import bombs
from tests.tasks.segmentation.support import MemoryFiles, folders, grey, photo, png

VOC_PALETTE = [channel for i in range(256) for channel in voc_colour(i).to_bytes(3, "big")]


def loaded(files: MemoryFiles, found: Annotations, index: int = 0) -> list[list[int]]:
    ids = found.images[index].target.load(files, (6, 8))
    assert ids.dtype == np.uint8 and ids.shape == (6, 8)
    rows: list[list[int]] = ids.tolist()
    return rows


def kinds(found: Annotations) -> list[str]:
    return [problem.kind for problem in found.problems]


# -- where masks are ---------------------------------------------------------------------------


BINARY = png(grey([255, 255]))
LAYOUTS: dict[str, dict[str, tuple[str, str]]] = {
    "folders": {"images/a.png": ("masks/a.png", "")},
    "nested": {"data/images/a.png": ("data/masks/a.png", "")},
    "splits around": {"train/images/a.png": ("train/masks/a.png", "train"),
                      "valid/images/a.png": ("valid/masks/a.png", "validation")},
    "splits inside": {"images/train/a.png": ("masks/train/a.png", "train"),
                      "images/test/a.png": ("masks/test/a.png", "test")},
    "split in the name": {"train_images/a.png": ("train_masks/a.png", "train")},
    "camvid": {"train/0001.png": ("trainannot/0001.png", "train"), "val/0002.png": ("valannot/0002.png", "validation")},
    "alongside": {"a.png": ("masks/a.png", "")},
    "suffix": {"a.png": ("a_mask.png", ""), "b.png": ("b_mask.png", "")},
    "suffix and folder": {"imgs/a.png": ("masks/a_mask.png", "")},
    "cityscapes": {"leftImg8bit/train/aa/aa_0_leftImg8bit.png": ("gtFine/train/aa/aa_0_gtFine_labelIds.png", "train")},
    "left and right": {"images/1_l.png": ("masks/1_l.png", ""), "images/1.png": ("masks/1.png", "")},
    "pets": {"images/a.png": ("annotations/trimaps/a.png", "")},
    "voc": {"JPEGImages/a.png": ("SegmentationClass/a.png", "")},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str) -> None:
    pairs = LAYOUTS[layout]
    contents = dict.fromkeys(pairs, photo()) | {mask: BINARY for mask, _ in pairs.values()}
    files = MemoryFiles(contents | {"gtFine/train/aa/aa_0_gtFine_color.png": photo(), "readme.md": b"masks"})
    found = files.annotations()
    assert not found.problems
    assert {image.path: (image.target.path, image.split) for image in found.images} == pairs
    assert found.settings["classes"] == ("background", "foreground")
    assert loaded(files, found)[:2] == [[1, 1, 0, 0, 0, 0, 0, 0], [0] * 8]


def test_camvid_with_suffixes_and_codes() -> None:
    masks = {f"labels/x_{i}_L.png": png(grey([i, 2, 9])) for i in range(3)}
    files = MemoryFiles(masks | {f"images/x_{i}.png": photo() for i in range(3)} | {"codes.txt": b"Sky\nCar\nTree\n"})
    found = files.annotations()
    assert found.settings["classes"] == ("Sky", "Car", "Tree")
    assert kinds(found) == ["unknown id"] * 3
    assert "1 pixel with ids that no class has (9)" in found.problems[0].reason
    assert loaded(files, found, 1)[0][:4] == [1, 2, 255, 0]


@pytest.mark.parametrize("paths", [
    ["a.png"], ["cat/1.png", "dog/2.png"], ["with_mask/1.png", "without_mask/2.png"],
    ["photos/cat_mask.png", "photos/dog.png"],
    ["images/1.png", "labels/1.txt"], ["masks/a.png"], [], ["train/cat/1.png", "train/mask/2.png", "test/cat/9.png"],
])  # fmt: skip
def test_other_data_is_not_read(paths: list[str]) -> None:
    files = MemoryFiles(dict.fromkeys(paths, photo()))
    assert read(files, files.image_size) is None


def test_voc_lists_give_the_splits() -> None:
    contents = {f"VOC/JPEGImages/{name}.png": photo() for name in "abcdef"}
    contents |= {f"VOC/SegmentationClass/{name}.png": png(grey([15, 15, 255]), VOC_PALETTE) for name in "abcd"}
    contents |= {f"VOC/SegmentationObject/{name}.png": png(grey([1, 2]), VOC_PALETTE) for name in "abcd"}
    lists = {"train": b"a\nb\n", "val": b"c\ne\n", "trainval": b"a\nb\nc\n"}
    contents |= {f"VOC/ImageSets/Segmentation/{name}.txt": text for name, text in lists.items()}
    files = MemoryFiles(contents)
    found = files.annotations()
    assert [image.split for image in found.images] == ["train", "train", "validation"]
    assert [(problem.name[-5:], problem.kind) for problem in found.problems] == [("e.png", "image without mask")]
    assert found.settings["classes"] == VOC_CLASSES
    assert loaded(files, found)[0][:4] == [15, 15, 255, 0]
    assert found.counts["person"] == 3 and found.counts["cat"] == 0
    assert any("1 masks are in none" in note for note in found.notes)


@pytest.mark.parametrize("mask", [png(grey([15, 15, 255]), VOC_PALETTE), png(grey([255, 15, 1]), VOC_PALETTE)])
def test_colours_of_voc_in_its_folder(mask: bytes) -> None:
    with Image.open(io.BytesIO(mask)) as image:
        colour = png(np.asarray(image.convert("RGB")))
    files = MemoryFiles({"JPEGImages/a.png": photo(), "SegmentationClass/a.png": colour})
    plain = MemoryFiles({"JPEGImages/a.png": photo(), "SegmentationClass/a.png": mask})
    found, expected = files.annotations(), plain.annotations()
    assert found.settings["classes"] == expected.settings["classes"] == VOC_CLASSES
    assert loaded(files, found) == loaded(plain, expected)


def test_a_table_of_masks_and_splits() -> None:
    rows = [
        b"file,mask,split", b"images/1.png,m/x.png,train", b"images\\2.png,./m/y.png,val", b"images/3.png,m/z.png,test",
        b"../1.png,m/x.png,train", b"images/4.png,m/x.png,train", b"images/1.png,m/x.png,train", b"images/5.png,,train",
        b"images/5.png,m/x.png,holdout",
    ]  # fmt: skip
    images = {f"images/{i}.png": photo() for i in (1, 2, 3, 5)}
    files = MemoryFiles(images | {f"m/{name}.png": BINARY for name in "xyz"} | {"split.csv": b"\n".join(rows)})
    found = files.annotations()
    assert [(image.path, image.target.path, image.split) for image in found.images] == [
        ("images/1.png", "m/x.png", "train"), ("images/2.png", "m/y.png", "validation"),
        ("images/3.png", "m/z.png", "test"),
    ]  # fmt: skip
    assert [(problem.name, problem.kind) for problem in found.problems] == [
        ("split.csv, line 5", "path"), ("split.csv, line 6", "mask without image"),
        ("split.csv, line 7", "second mask"),
        ("split.csv, line 8", "image without mask"), ("split.csv, line 9", "unknown split"),
    ]  # fmt: skip


def test_a_table_of_splits_alone() -> None:
    files = folders({"a": BINARY, "b": BINARY}, **{"split.csv": b"file,split\nimages/a.png,test\nb,train\n"})
    assert [image.split for image in files.annotations().images] == ["test", "train"]


# -- what their values mean --------------------------------------------------------------------


def colours(*values: int) -> Any:
    mask = np.zeros((6, 8, 3), np.uint8)
    for i, value in enumerate(values):
        mask[0, i] = list(value.to_bytes(3, "big"))
    return mask


@pytest.mark.parametrize(("masks", "classes", "row", "note"), [
    ([grey([255, 255])], ("background", "foreground"), [1, 1, 0], "Masks hold 0 and 255: read as"),
    ([grey([1, 1])], ("background", "foreground"), [1, 1, 0], "Masks hold 0 and 1: read as background and foreground."),
    ([grey([1, 1], dtype=np.uint16)], ("background", "foreground"), [1, 1, 0], "in 16 bits"),
    ([grey([1, 1]) > 0], ("background", "foreground"), [1, 1, 0], "Masks hold 0 and 1"),
    ([grey([1, 255])], ("background", "foreground"), [1, 255, 0], "and 255 is ignored"),
    ([grey([0])], ("background", "foreground"), [0, 0, 0], "Masks hold 0:"),
    ([grey([255]), grey([0])], ("background", "foreground"), [1, 0], "Masks hold 0 and 255"),
    ([grey([1, 3, 255]), grey([7, 1])], ("background", "1", "3", "7"), [1, 2, 255, 0], "4 ids from 0 to 7"),
    ([grey([128, 255])], ("background", "128", "255"), [1, 2, 0], "3 ids from 0 to 255"),
    ([grey([60000, 2], dtype=np.uint16)], ("background", "2", "60000"), [2, 1, 0], "in 16 bits"),
    ([colours(0xFF0000, 0x00FF00)], ("background", "#00ff00", "#ff0000"), [2, 1, 0], "3 colours, which no table names"),
    ([colours(0xFFFFFF)], ("background", "foreground"), [1, 0, 0], "0 and 255"),
    ([colours(0x00FF00)], ("background", "foreground"), [1, 0, 0], "2 colours"),
    ([colours(0x800000, 0x808000, 0xE0E0C0)], ("background", "#800000", "#808000"), [1, 2, 255, 0], "colours"),
])  # fmt: skip
def test_values(masks: list[Any], classes: tuple[str, ...], row: list[int], note: str) -> None:
    files = folders({f"m{i}": png(mask) for i, mask in enumerate(masks)})
    found = files.annotations()
    assert not found.problems
    assert found.settings["classes"] == classes
    assert loaded(files, found)[0][: len(row)] == row
    assert note in found.notes[-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_numbered_instances_are_foreground(dtype: Any) -> None:
    masks = {f"m{i}": png(np.arange(48, dtype=dtype).reshape(6, 8) * (np.arange(48).reshape(6, 8) < 12 + i))
             for i in range(8)}  # fmt: skip
    found = folders(masks).annotations()
    assert found.settings["classes"] == ("background", "foreground")
    bits = "in 16 bits" if dtype == np.uint16 else "many ids"
    assert found.notes == [f"Masks hold 0 and 1 to 18 per image, {bits}: read as background and foreground."]
    assert loaded(folders(masks), found)[0] == [0] + [1] * 7


def test_many_sparse_ids_are_classes(rng: np.random.Generator) -> None:
    masks = {f"m{i}": png(rng.choice(150, (6, 8)).astype(np.uint8)) for i in range(30)}
    found = folders(masks).annotations()
    assert len(found.settings["classes"]) == 150 and found.settings["classes"][:2] == ("background", "1")


def test_more_than_255_ids_are_instances() -> None:
    masks = {f"m{i}": png(np.arange(48 * i, 48 * i + 48, dtype=np.uint16).reshape(6, 8) * 7) for i in range(8)}
    found = folders(masks).annotations()
    assert found.settings["classes"] == ("background", "foreground")


def test_soft_edges_are_cut_at_half() -> None:
    row = np.concatenate([np.zeros(300), np.linspace(0, 255, 20), np.full(80, 255)]).astype(np.uint8)
    mask = np.tile(row, (6, 1))
    files = MemoryFiles({"images/a.png": photo(6, 400), "masks/a.png": png(mask)})
    found = files.annotations()
    assert "mostly 0 and 255" in found.notes[0]
    assert (found.images[0].target.load(files, (6, 400)) == (mask >= 128)).all()


def test_jpeg_masks_are_cut_at_half() -> None:
    mask = np.zeros((64, 64), np.uint8)
    mask[10:50, 20:40] = 255
    files = MemoryFiles({"a.jpg": photo(64, 64), "a_mask.jpg": png(mask, format="JPEG", quality=60)})
    found = files.annotations()
    assert (found.images[0].target.load(files, (64, 64)) == (mask > 0)).all()


def test_palettes_among_grey_masks_are_colours() -> None:
    files = folders({"a": png(grey([1, 0, 1]), [0, 0, 0, 255, 255, 255]), "b": png(grey([255, 255]))})
    found = files.annotations()
    assert found.settings["classes"] == ("background", "foreground")
    assert loaded(files, found, 0)[0][:3] == [1, 0, 1] and loaded(files, found, 1)[0][:3] == [1, 1, 0]


def test_palettes_that_differ_are_colours() -> None:
    red, green = [255, 0, 0], [0, 255, 0]
    files = folders({
        "a": png(grey([1, 2]), [0, 0, 0, *red, *green]),
        "b": png(grey([1, 2]), [0, 0, 0, *green, *red]),
    })  # fmt: skip
    found = files.annotations()
    assert found.settings["classes"] == ("background", "#00ff00", "#ff0000")
    assert loaded(files, found, 0)[0][:3] == [2, 1, 0] and loaded(files, found, 1)[0][:3] == [1, 2, 0]


@pytest.mark.parametrize(("name", "text"), [
    ("class_dict.csv", b"name,r,g,b\nSky,0,0,0\nCar,255,0,0\nVoid,9,9,9\nTree,0,0,255\n"),
    ("labelmap.txt", b"# label:color_rgb:parts:actions\nSky:0,0,0::\nCar:255,0,0::\nVoid:9,9,9::\nTree:0,0,255::\n"),
    ("label_colors.txt", b"0 0 0\tSky\n255 0 0\tCar\n9 9 9\tVoid\n0 0 255\tTree\n"),
])  # fmt: skip
@pytest.mark.parametrize("palette", [False, True])
def test_colour_tables(name: str, text: bytes, palette: bool) -> None:
    mask = png(grey([5, 1, 2, 3]), [0, 0, 0, 255, 0, 0, 0, 0, 255, 9, 9, 9, 1, 1, 1, 7, 8, 9]) if palette else png(
        colours(0x070809, 0xFF0000, 0x0000FF, 0x090909))  # fmt: skip
    files = folders({"a": mask}, **{name: text})
    found = files.annotations()
    assert found.settings["classes"] == ("Sky", "Car", "Tree")
    assert loaded(files, found)[0][:5] == [255, 1, 2, 255, 0]
    assert [(p.kind, p.reason) for p in found.problems] == [
        ("unknown colour", "1 pixel with colours that no class has (#070809) are ignored")
    ]


def test_names_by_pixel_value() -> None:
    text = b"Pixel Value, Class\n0, background\n1, cat\n2, dog\n"
    files = folders({"a": png(grey([2, 1]))}, **{"masks/_classes.csv": text})
    found = files.annotations()
    assert found.settings["classes"] == ("background", "cat", "dog")
    assert found.counts == {"background": 1, "cat": 1, "dog": 1}


def test_names_without_the_background() -> None:
    files = folders({"a": png(grey([2, 1]))}, **{"classes.txt": b"cat\ndog\n"})
    assert files.annotations().settings["classes"] == ("background", "cat", "dog")


def test_too_many_colours(rng: np.random.Generator) -> None:
    files = folders({name: png(rng.integers(1, 255, (6, 8, 3)).astype(np.uint8)) for name in "abc"})
    found = files.annotations()
    assert not found.images and kinds(found) == ["unknown colour"] * 3
    many = np.zeros((6, 30, 3), np.uint8)
    many[:3] = rng.integers(1, 255, (3, 30, 3))
    files = MemoryFiles({"images/a.png": photo(6, 30), "masks/a.png": png(many)})
    found = files.annotations()
    assert found.settings["classes"] == ("background", "foreground") and "other colours" in found.notes[0]
    assert (found.images[0].target.load(files, (6, 30)) == many.any(-1)).all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_values_of_few_bits_are_not_spread(bits: int) -> None:
    """Pillow would return 85 and 17 times the values of 2 and 4 bits."""
    top = min(2**bits - 1, 5)
    pixels = png_of_bits(grey([top, 1]), bits)
    found = folders({"a": pixels}).annotations()
    ids = loaded(folders({"a": pixels}), found)[0][:3]
    assert ids == ([1, 1, 0] if bits == 1 else [2, 1, 0])
    assert "0 and 1" in found.notes[0] if bits == 1 else f"from 0 to {top}" in found.notes[0]


def png_of_bits(values: Any, bits: int) -> bytes:
    """A grey PNG (ISO/IEC 15948) of 1, 2 or 4 bits."""
    bits_of_rows = [np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].reshape(-1) for row in values]
    rows = b"".join(b"\0" + np.packbits(row).tobytes() for row in bits_of_rows)
    head = struct.pack(">2I5B", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


# -- faults ------------------------------------------------------------------------------------


def test_faults_of_masks() -> None:
    files = folders({
        "good": png(grey([1, 2, 255])), "damaged": BINARY[:40], "text": b"hello", "nothing": b"",
        "ignored": png(np.full((6, 8), 255, np.uint8)), "size": png(grey([1], height=8, width=6)),
        "noimage": BINARY, "badimage": BINARY,
    })  # fmt: skip
    contents = {
        **files.contents,
        "images/badimage.png": b"no",
        "images/nomask.png": photo(),
        "masks/good.tif": b"GIF89a",
    }
    del contents["images/noimage.png"]
    found = MemoryFiles(contents).annotations()
    assert [image.path for image in found.images] == ["images/good.png"]
    assert sorted((problem.name, problem.kind) for problem in found.problems) == [
        ("images/badimage.png", "damaged image"), ("images/nomask.png", "image without mask"),
        ("masks/damaged.png", "damaged mask"), ("masks/good.tif", "second mask"), ("masks/ignored.png", "empty mask"),
        ("masks/noimage.png", "mask without image"), ("masks/nothing.png", "damaged mask"),
        ("masks/size.png", "mask size"), ("masks/text.png", "damaged mask"),
    ]  # fmt: skip


def test_huge_masks_are_not_decoded() -> None:
    bomb = bombs.png(30_000, colours=0)
    found = folders({"a": BINARY, "b": bomb}).annotations()
    assert [(p.name, p.kind) for p in found.problems] == [("masks/b.png", "too large")]


def test_a_mask_that_changes_after_reading_is_an_error() -> None:
    files = folders({"a": BINARY})
    target = files.annotations().images[0].target
    changed = MemoryFiles({"masks/a.png": png(grey([1], height=9))})
    with pytest.raises(DataError, match="changed since"):
        target.load(changed, (6, 8))


def test_targets_can_be_compared_and_hashed() -> None:
    first, second = (folders({"a": BINARY}).annotations().images[0].target for _ in range(2))
    assert first == second and hash(first) == hash(second)
