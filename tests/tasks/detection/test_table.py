"""Tables of boxes."""

from __future__ import annotations

import pytest

from opsin.tasks.detection import table
from opsin.tasks.detection.reader import detect
from tests.tasks.detection.memory_files import image, images, kinds, pixels, present, splits
from tests.tasks.detection.test_voc import box, document
from tests.tasks.memory_files import MemoryFiles, image_size

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def test_named_corners_and_tables_for_splits() -> None:
    files = MemoryFiles(
        {
            "train_labels.csv": HEADER + "a.jpg,200,100,cat,10,20,50,60\na.jpg,200,100,dog,0,0,9,9\n",
            "test_labels.csv": HEADER + "b.jpg,400,200,cat,10,20,50,60\n",
        },
        images("train/a.jpg", "test/b.jpg", "train/c.jpg", "unlabeled/d.jpg"),
    )
    found = present(table.read(files, image_size))
    assert splits(found) == {"train/a.jpg": "train", "test/b.jpg": "test", "train/c.jpg": "train"}
    assert pixels(found, "train/a.jpg") == [[10, 20, 50, 60], [0, 0, 9, 9]]
    assert pixels(found, "test/b.jpg") == [[5, 10, 25, 30]]
    assert found.counts == {"cat": 2, "dog": 1} and not found.problems
    assert "empty on purpose" in " ".join(found.notes)


@pytest.mark.parametrize(
    "text",
    [
        "image_id,x,y,w,h,label\na,10,20,40,40,cat\n",
        "image;label;x;y;width;height\na.jpg;cat;10;20;40;40\n",
        'image_id,width,height,bbox,source\na,200,100,"[10.0, 20.0, 40.0, 40.0]",x\n',
        "a.jpg,10,20,50,60,cat\n",
        "/home/me/photos/a.jpg\t10\t20\t50\t60\tcat\n",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\na,x,cat,1,0.05,0.25,0.2,0.6\n",
        "\ufeffFile Name,Class,X1,Y1,X2,Y2\r\na.jpg,cat,10,20,50,60\r\n",
    ],
)
def test_forms_of_tables(text: str) -> None:
    found = present(table.read(MemoryFiles({"boxes.csv": text}, images("a.jpg")), image_size))
    assert pixels(found, "a.jpg") == [[10, 20, 50, 60]] and not found.problems
    assert list(found.counts) in (["cat"], ["object"])


def test_open_images_with_descriptions() -> None:
    boxes = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\na,/m/1,0,1,0,1,1\na,/m/2,0.5,1,0.5,1,0\n"
    files = MemoryFiles(
        {"train-bbox.csv": boxes, "class-descriptions.csv": "/m/1,Cat\n/m/2,Dog\n"}, images("train/a.jpg")
    )
    found = table.read(files, image_size)
    assert present(found).counts == {"Cat": 1, "Dog": 1}
    assert image(found, "train/a.jpg").target.crowd.tolist() == [True, False]
    assert pixels(found, "train/a.jpg")[0] == [0, 0, 200, 100]


def test_rows_without_box_and_columns_of_splits() -> None:
    files = MemoryFiles(
        {"a.csv": "path,x1,y1,x2,y2,class,split\na.jpg,1,2,3,4,cat,train\nb.jpg,,,,,,val\n"}, images("a.jpg", "b.jpg")
    )
    found = table.read(files, image_size)
    assert splits(found) == {"a.jpg": "train", "b.jpg": "validation"} and not present(found).problems
    files = MemoryFiles({"a.csv": "a.jpg,,,,,\nb.jpg,1,2,3,4,cat\n"}, images("a.jpg", "b.jpg"))
    assert splits(table.read(files, image_size)) == {"a.jpg": "", "b.jpg": ""}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("z.jpg,200,100,cat,1,2,3,4", "missing image"), ("../a.jpg,200,100,cat,1,2,3,4", "unsafe path"),
        (",200,100,cat,1,2,3,4", "invalid entry"), ("a.jpg,200,100,,1,2,3,4", "unknown class"),
        ("a.jpg,200,100,cat,1,2,3", "invalid number"), ("a.jpg,200,100,cat,1,2,NaN,4", "invalid number"),
        ("a.jpg,200,100,cat,1_0,2,30,4", "invalid number"), ("a.jpg,200,100,cat,3,2,1,4", "reversed box"),
        ("a.jpg,200,100,cat,3,2,3,4", "empty box"), ("a.jpg,200,100,cat,300,2,303,4", "box outside image"),
        ("a.jpg,200,100,cat,10,20,50,60", "repeated box"),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_used_are_named(line: str, kind: str) -> None:
    text = HEADER + f"a.jpg,200,100,cat,10,20,50,60\n{line}\n"
    found = table.read(MemoryFiles({"x.csv": text}, images("a.jpg")), image_size)
    assert kinds(found) == [("x.csv, line 3", kind)] and present(found).counts == {"cat": 1}


def test_a_cell_without_end() -> None:
    text = HEADER + "a.jpg,200,100,cat,10,20,50,60\n" + '"' + "x" * 200_000
    assert ("x.csv, line 3", "unreadable file") in kinds(
        table.read(MemoryFiles({"x.csv": text}, images("a.jpg")), image_size)
    )


def test_other_tables_are_not_of_boxes() -> None:
    for text in ("filename,label\na.jpg,cat\n", "", "\n", "a,b\n1,2\n"):
        assert table.read(MemoryFiles({"x.csv": text}, images("a.jpg")), image_size) is None


def test_the_form_with_most_images_is_taken() -> None:
    xml = {f"{name}.xml": document(box(), box("dog", "1 2 3 4")) for name in "ab"}
    rows = {"x.csv": HEADER + "a.jpg,200,100,cat,10,20,50,60\n"}
    paths = images("a.jpg", "b.jpg")
    found = present(detect(MemoryFiles(xml, rows, paths), image_size))
    assert found.form == "Pascal VOC XML"
    assert found.notes[0] == (
        "The boxes are annotated in several forms: Pascal VOC XML (4 boxes in 2 images) and table of boxes (1 box in "
        "1 image). Pascal VOC XML is used, because it covers the most images."
    )
    alone = present(detect(MemoryFiles(rows, paths), image_size))
    assert alone.form == "table of boxes" and "several" not in " ".join(alone.notes)
