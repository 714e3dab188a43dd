"""No bytes crash a reader, and every target that it returns is sound."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.tasks.annotations import Annotations
from opsin.tasks.detection.boxes import Boxes
from opsin.tasks.detection.reader import READERS, detect
from tests.tasks.detection.memory_files import images
from tests.tasks.detection.test_coco import content, entry
from tests.tasks.detection.test_table import HEADER
from tests.tasks.detection.test_voc import box, document
from tests.tasks.detection.test_yolo import YAML
from tests.tasks.memory_files import MemoryFiles, image_size

PATHS = images("a.jpg", "images/train/b.jpg", "JPEGImages/c.png", "broken.jpg")
SEEDS: Mapping[str, Mapping[str, str]] = {
    "voc": {
        "a.xml": document(box(), box("dog")), "Annotations/c.xml": document(box(extra="<difficult>1</difficult>")),
        "ImageSets/Main/train.txt": "c\na\n", "broken.xml": document(box()),
    },
    "coco": {"train.json": content(entry(), entry(id=2, segmentation=[[1, 2, 3, 4, 5, 6]], iscrowd=1))},
    "yolo": {"data.yaml": YAML, "labels/train/b.txt": "0 .5 .5 .1 .1\n1 .1 .1 .2 .1 .2 .2\n", "a.txt": "0 .5 .5 .2 .2"},
    "table": {"boxes.csv": HEADER + "a.jpg,200,100,cat,10,20,50,60\n", "train.csv": "c,1,2,3,4,dog\n"},
}  # fmt: skip
SNIPPETS = (
    b"", b"\0", b"\xff\xfe", b"<", b"&lt;", b"<!DOCTYPE a>", b"]]>", b"nan", b"-1", b"1e309", b"[" * 300, b"{", b"}",
    b'"', b",", b"\n", b"../", b"null", b"9" * 400, b"'", b":", b"- ", b"\xc3\x28", b"<object>", b"true", b"1.5", b"\r",
)  # fmt: skip


def check(found: Annotations | None) -> None:
    if found is None:
        return
    boxes = Boxes.stack([image.target for image in found.images])
    assert ((boxes.coordinates >= 0) & (boxes.coordinates <= 1)).all()
    assert (boxes.coordinates[:, 2:] > boxes.coordinates[:, :2]).all() and (boxes.areas > 0).all()
    assert np.isfinite(boxes.areas).all()
    assert ((boxes.classes >= 0) & (boxes.classes < len(found.settings["classes"]))).all()
    assert sum(found.counts.values()) == len(boxes.classes)
    assert {image.split for image in found.images} <= {"train", "validation", "test", ""}
    for problem in found.problems:
        assert problem.kind and problem.name and len(problem.reason) < 500


@pytest.mark.parametrize("form", READERS)
def test_the_seeds_are_read(form: str) -> None:
    found = READERS[form](MemoryFiles(SEEDS[form], PATHS), image_size)
    check(found)
    assert found is not None and sum(found.counts.values()) >= 1


@pytest.mark.parametrize("form", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_damaged_files(form: str, data: st.DataObject) -> None:
    """Cut, overwrite and insert at random."""
    files: dict[str, bytes] = {}
    for path, text in SEEDS[form].items():
        damaged = text.encode()
        for _ in range(data.draw(st.integers(0, 3))):
            start = data.draw(st.integers(0, len(damaged)))
            end = data.draw(st.integers(start, min(len(damaged), start + 12)))
            damaged = damaged[:start] + data.draw(st.sampled_from(SNIPPETS)) + damaged[end:]
        files[path] = damaged
    check(READERS[form](MemoryFiles(files, PATHS), image_size))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([path for seed in SEEDS.values() for path in seed]), st.binary(max_size=200)))
def test_random_bytes(files: dict[str, bytes]) -> None:
    check(detect(MemoryFiles(files, PATHS), image_size))


VALUES: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["a.jpg", 7, 17]),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["id", "bbox", "name"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["id", "image_id", "category_id", "bbox", "area", "iscrowd", "segmentation"]), VALUES
    ),
    st.dictionaries(st.sampled_from(["id", "file_name", "height", "width"]), VALUES),
    VALUES,
)
def test_json_of_other_shapes(annotation: dict[str, object], image: dict[str, object], categories: object) -> None:
    text = content(entry() | annotation, entry(id=2), annotation, files=[image, {"id": 7, "file_name": "a.jpg"}])
    check(READERS["coco"](MemoryFiles({"x.json": text}, PATHS), image_size))
    document = json.loads(text) | {"categories": categories}
    check(READERS["coco"](MemoryFiles({"x.json": json.dumps(document)}, PATHS), image_size))
