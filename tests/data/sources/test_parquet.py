"""Parquet as Hugging Face keeps it: images in structures, names of classes in the schema; needs pyarrow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opsin.base.errors import DataError
from opsin.data import items
from opsin.data.items import ItemError
from opsin.data.sources import open_source
from opsin.data.sources.annotated import AnnotatedSource
from opsin.data.sources.detect import TaskRequest

pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
from pyarrow import parquet  # noqa: E402

FEATURES = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}


def write(path: Path, columns: dict[str, Any], features: object = None, rows: int = 3) -> Path:
    table = pyarrow.table(columns)
    if features is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=rows)
    return path


def images(first: int, count: int) -> list[dict[str, Any]]:
    return [{"bytes": b"image %d" % n, "path": f"{n}.jpg"} for n in range(first, first + count)]


def test_a_dataset_in_splits(tmp_path: Path) -> None:
    labels = [0, 1, 0, 1, None, -1, 1, 0]
    for name, first in (("train-00000-of-00002", 0), ("train-00001-of-00002", 8), ("test-00000-of-00001", 16)):
        columns = {"image": images(first, 8), "label": pyarrow.array(labels, pyarrow.int64())}
        write(tmp_path / "set" / "data" / f"{name}.parquet", columns, FEATURES)
    (tmp_path / "set" / "README.md").touch()
    source = open_source(tmp_path / "set")
    assert source.name == "set"
    assert [item.split for item in source.items] == ["test"] * 6 + ["train"] * 12
    assert [item.label for item in source.items[:6]] == ["cat", "dog", "cat", "dog", "dog", "cat"]
    assert source.items[4].name == "data/test-00000-of-00001.parquet/6"
    assert [source.read(n) for n in (4, 17, 0)] == [b"image 22", b"image 15", b"image 16"]
    assert {problem.kind for problem in source.problems} == {items.UNLABELLED}
    assert len(source.problems) == 6
    assert len({source.stamp(n) for n in range(18)}) == 18


@pytest.mark.parametrize("columns", [
    {"image": [b"1", b"2"], "label": ["x", "y"]},
    {"img": [b"1", b"2"], "fine_label": ["x", "y"], "coarse_label": [1, 2]},
    {"jpg": [b"1", b"2"], "cls": ["x", "y"]},
])  # fmt: skip
def test_plain_columns(tmp_path: Path, columns: dict[str, Any]) -> None:
    source = open_source(write(tmp_path / "a.parquet", columns))
    assert [(item.name, item.label) for item in source.items] == [("a.parquet/0", "x"), ("a.parquet/1", "y")]
    assert source.read(1) == b"2"


def test_only_a_few_row_groups_are_cached(tmp_path: Path) -> None:
    source = open_source(write(tmp_path / "a.parquet", {"image": images(0, 30), "label": [0, 1] * 15}))
    for n in (0, 29, 12, 3, 28):
        assert source.read(n) == b"image %d" % n
    assert len(source._groups) == 2


def test_rows_and_files_that_cannot_be_used(tmp_path: Path) -> None:
    columns = {"image": [{"bytes": None, "path": "a.jpg"}, {"bytes": b"2", "path": "b.jpg"}], "label": [0, 1]}
    path = write(tmp_path / "a.parquet", columns)
    with pytest.raises(
        ItemError, match=r"a\.parquet/0 does not hold the bytes of an image; save the data set with embedded images"
    ) as caught:
        open_source(path).read(0)
    assert caught.value.problem.kind == items.MISSING
    write(tmp_path / "b.parquet", {"text": ["a"], "n": [1]})
    with pytest.raises(DataError, match="has the columns 'text', 'n'; call the one with the images"):
        open_source(tmp_path / "b.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(
        DataError, match=r"a\.parquet is not a Parquet file, or damaged or cut short \(.*\); fetch it again"
    ):
        open_source(path)


def test_images_without_labels(tmp_path: Path) -> None:
    request = TaskRequest("self-supervised")
    for name, first in (("train-0", 0), ("test-0", 40)):
        columns = {"image": images(first, 40), "width": [8] * 40, "caption": ["text"] * 40}
        write(tmp_path / "set" / f"{name}.parquet", columns)
    with pytest.raises(DataError, match="call the one with the classes"):
        open_source(tmp_path / "set")
    source = open_source(tmp_path / "set", request=request)
    assert isinstance(source, AnnotatedSource)
    assert [item.split for item in source.items] == ["test"] * 40 + ["train"] * 40
    assert source.annotations.settings["names"] == ("",)
    assert [source.read(n) for n in (0, 79)] == [b"image 40", b"image 39"]
    labels = pyarrow.array([*[0, 1] * 18, None, None, -1, -1], pyarrow.int64())
    path = write(tmp_path / "some.parquet", {"image": images(0, 40), "label": labels}, FEATURES)
    assert len(open_source(path).items) == 36
    some = open_source(path, request=request)
    assert isinstance(some, AnnotatedSource) and not some.problems
    assert [image.target for image in some.annotations.images] == [*["cat", "dog"] * 18, *[""] * 4]
