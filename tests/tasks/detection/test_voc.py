"""Pascal VOC XML: where files lie, what is wrong with them, and files made to do harm."""

from __future__ import annotations

import pytest

from opsin.tasks.detection import voc
from opsin.tasks.detection.reader import detect
from tests.tasks.detection.memory_files import image, images, kinds, pixels, present, splits
from tests.tasks.memory_files import MemoryFiles, image_size


def box(name: str = "cat", corners: str = "10 20 50 60", extra: str = "") -> str:
    tags = zip("xmin ymin xmax ymax".split(), corners.split(), strict=False)
    numbers = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    return f"<object><name>{name}</name>{extra}<bndbox>{numbers}</bndbox></object>"


def document(*objects: str, size: str = "200 100", filename: str = "", database: str = "Unknown") -> str:
    width, height = size.split()
    return (
        f"<annotation><filename>{filename}</filename><source><database>{database}</database></source>"
        f"<size><width>{width}</width><height>{height}</height></size>{''.join(objects)}</annotation>"
    )


def test_the_folders_of_the_challenge() -> None:
    lists = {
        "V/ImageSets/Main/train.txt": "a\nb\n", "V/ImageSets/Main/val.txt": "c\n",
        "V/ImageSets/Main/trainval.txt": "a\nb\nc\n", "V/ImageSets/Main/cat_train.txt": "d 1\n",
        "V/ImageSets/Segmentation/train.txt": "d\n",
    }  # fmt: skip
    documents = {
        "V/Annotations/a.xml": document(box(), box("dog", "1 1 9 9", "<difficult>1</difficult>")),
        "V/Annotations/c.xml": document(box()),
        "V/Annotations/d.xml": document(box()),
    }
    paths = images(*(f"V/JPEGImages/{name}.jpg" for name in "abcd"))
    found = present(voc.read(MemoryFiles(lists, documents, paths), image_size))
    assert splits(found) == {
        "V/JPEGImages/a.jpg": "train", "V/JPEGImages/b.jpg": "train", "V/JPEGImages/c.jpg": "validation",
    }  # fmt: skip
    assert found.counts == {"cat": 2, "dog": 1} and found.settings == {"classes": ("cat", "dog")}
    target = image(found, "V/JPEGImages/a.jpg").target
    assert target.difficult.tolist() == [False, True] and target.classes.tolist() == [0, 1]
    assert target.size == (100, 200) and target.areas.tolist() == [1600, 64]
    assert not found.problems
    assert any("in no list" in note for note in found.notes)
    assert any("is it empty on purpose?" in note for note in found.notes)


def test_an_image_in_two_lists_is_used_for_testing() -> None:
    lists = {"ImageSets/Main/train.txt": "a\nb\n", "ImageSets/Main/test.txt": "b\n"}
    documents = {f"Annotations/{name}.xml": document(box()) for name in "ab"}
    found = voc.read(MemoryFiles(lists, documents, images("JPEGImages/a.jpg", "JPEGImages/b.jpg")), image_size)
    assert splits(found) == {"JPEGImages/a.jpg": "train", "JPEGImages/b.jpg": "test"}
    assert kinds(found) == [("ImageSets/Main/train.txt, line 2", "image in two splits")]


def test_lists_of_other_images_are_ignored() -> None:
    files = MemoryFiles({"ImageSets/Main/train.txt": "z\n", "a.xml": document(box())}, images("a.jpg", "b.jpg"))
    found = present(voc.read(files, image_size))
    assert splits(found) == {"a.jpg": "", "b.jpg": ""} and "are ignored" in found.notes[0]


def test_many_images_of_the_same_name() -> None:
    names = [f"{number}/photo" for number in range(2000)]
    files = MemoryFiles({f"{name}.xml": document(box()) for name in names}, images(*(f"{name}.jpg" for name in names)))
    found = present(voc.read(files, image_size))
    assert len(found.images) == 2000 and not found.problems


def test_files_next_to_images_and_splits_by_folder() -> None:
    files = MemoryFiles(
        {
            "train/1.xml": document(box()),
            "valid/1.xml": document(box("dog")),
            "other/2.xml": document(filename="9.png"),
        },
        images("train/1.jpg", "valid/1.jpg", "train/3.jpg", "pool/9.png", "elsewhere/4.jpg"),
    )
    found = voc.read(files, image_size)
    assert splits(found) == {
        "train/1.jpg": "train",
        "valid/1.jpg": "validation",
        "train/3.jpg": "train",
        "pool/9.png": "",
    }
    assert len(present(found).notes) == 2


def test_official_boxes_count_pixels_from_one() -> None:
    files = MemoryFiles(
        {"a.xml": document(box(corners="1 1 200 100"), database="The VOC2007 Database")}, images("a.jpg")
    )
    assert pixels(voc.read(files, image_size), "a.jpg") == [[0, 0, 200, 100]]
    assert pixels(voc.read(MemoryFiles({"a.xml": document(box())}, images("a.jpg")), image_size), "a.jpg") == [
        [10, 20, 50, 60]
    ]


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (box(corners="300 20 400 60"), "box outside image"),
        (box(corners="10 20 10 60"), "empty box"),
        (box(corners="50 20 10 60"), "reversed box"),
        (box(corners="nan 20 10 60"), "invalid number"),
        (box(corners="1e999 20 10 60"), "invalid number"),
        (box(corners="ten 20 10 60"), "invalid number"),
        (box(corners="10 20 50"), "invalid number"),
        (box(name=""), "unknown class"),
        (box(), "repeated box"),
        ("<object><name>cat</name></object>", "invalid entry"),
    ],
)
def test_boxes_that_cannot_be_used_are_named(entry: str, kind: str) -> None:
    files = MemoryFiles({"a.xml": document(box(), entry)}, images("a.jpg"))
    found = voc.read(files, image_size)
    assert kinds(found) == [("a.xml, object 2", kind)] and present(found).counts == {"cat": 1}


def test_boxes_partly_outside_are_clipped() -> None:
    files = MemoryFiles({"a.xml": document(box(corners="-20 20 50 160"), box("dog", "0 0 200.5 100"))}, images("a.jpg"))
    found = voc.read(files, image_size)
    assert pixels(found, "a.jpg") == [[0, 20, 50, 100], [0, 0, 200, 100]]
    assert present(found).notes == ("1 box reaches outside its image and is clipped (a.xml, object 1).",)


def test_an_image_without_usable_box_is_not_an_empty_one() -> None:
    files = MemoryFiles(
        {
            "a.xml": document(box(corners="9 9 1 1")),
            "b.xml": document(),
            "c.xml": document(box()),
            "d.xml": "<annotation>",
        },
        images("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
    )
    found = present(voc.read(files, image_size))
    assert [image.path for image in found.images] == ["b.jpg", "c.jpg"]
    assert kinds(found) == [
        ("d.xml", "unreadable file"),
        ("a.xml, object 1", "reversed box"),
        ("a.jpg", "no usable box"),
    ]
    assert found.notes == ("1 image is listed without any box and used as one without objects (b.jpg).",)


def test_sizes_that_differ() -> None:
    files = MemoryFiles(
        {
            "half.xml": document(box(corners="10 20 50 40"), size="400 200"),
            "turned.xml": document(box(), size="100 200"),
            "zero.xml": document(box(), size="0 0"),
        },
        images("half.jpg", "turned.jpg", "zero.jpg", "broken.jpg"),
        {"broken.xml": document(box())},
    )
    found = voc.read(files, image_size)
    assert pixels(found, "half.jpg") == [[5, 10, 25, 20]] and pixels(found, "zero.jpg") == [[10, 20, 50, 60]]
    assert image(found, "half.jpg").target.areas.tolist() == [200]
    assert kinds(found) == [("broken.jpg", "unreadable image"), ("turned.jpg", "size mismatch")]
    assert any("1 image has another size" in note for note in present(found).notes)


def test_annotations_without_image() -> None:
    files = MemoryFiles(
        {
            "a.xml": document(box(), filename="none.jpg"), "b.xml": document(box(), filename="../../etc/passwd.jpg"),
            "c.xml": document(box(), filename="x.jpg"), "d.xml": document(box()), "e.xml": None,
        },
        images("d.jpg", "1/x.jpg", "2/x.jpg"),
    )  # fmt: skip
    assert sorted(kinds(voc.read(files, image_size))) == [
        ("a.xml", "missing image"), ("b.xml", "unsafe path"), ("c.xml", "ambiguous image"),
        ("e.xml", "unreadable file"),
    ]  # fmt: skip


BILLION = (
    '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><annotation><object><name>&b;</name></object></annotation>'
)
EXTERNAL = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><object><name>&x;</name></object></annotation>'
)
REMOTE = '<!DOCTYPE annotation SYSTEM "http://example.invalid/a.dtd"><annotation></annotation>'
DEEP = "<annotation>" + "<a>" * 100_000


@pytest.mark.parametrize("data", [BILLION, EXTERNAL, REMOTE, DEEP, '<?xml version="1.0" encoding="zip"?><annotation/>'])
def test_harmful_xml_is_refused(data: str) -> None:
    files = MemoryFiles({"a.xml": data, "b.xml": document(box())}, images("a.jpg", "b.jpg"))
    found = present(voc.read(files, image_size))
    assert [image.path for image in found.images] == ["b.jpg"]
    assert [name for name, _ in kinds(found)] == ["a.xml"]
    assert kinds(found)[0][1] in ("unsafe XML", "unreadable file")


def test_large_files_are_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voc, "MAX_XML_BYTES", 200)
    files = MemoryFiles({"a.xml": document(*[box()] * 9), "b.xml": "<annotation/>"}, images("a.jpg", "b.jpg"))
    assert kinds(voc.read(files, image_size)) == [("a.xml", "file too large")]


def test_other_xml_is_not_voc() -> None:
    files = MemoryFiles({"pom.xml": "<project/>", "bad.xml": "<"}, images("a.jpg"))
    assert voc.read(files, image_size) is None and detect(files, image_size) is None
