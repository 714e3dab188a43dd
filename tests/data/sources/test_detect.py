"""What is recognised, and what is said of everything else."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import Dataset
from opsin.data.sources import open_source
from opsin.data.sources.detect import SUPPORTED_SOURCES
from tests.data.files import noise, write_image, write_mnist, write_stripes


def message(source: str | Path) -> str:
    with pytest.raises(DataError) as caught:
        open_source(source)
    return str(caught.value)


def test_arrays_come_as_a_dataset_at_once(tmp_path: Path) -> None:
    for data in (open_source("digits"), open_source(write_mnist(tmp_path / "mini"))):
        assert isinstance(data, Dataset)
    assert not isinstance(open_source(write_stripes(tmp_path / "stripes", 1)), Dataset)


def test_what_is_not_there(tmp_path: Path) -> None:
    assert (
        message(tmp_path / "nowhere")
        == f"{tmp_path}/nowhere: there is no such folder or file; give {SUPPORTED_SOURCES}"
    )
    assert "there is no such folder or file" in message(tmp_path / ("x" * 300))
    assert "there is no such file, nor any that matches this pattern" in message(tmp_path / "*.tar")


def test_files_of_other_kinds(tmp_path: Path) -> None:
    (tmp_path / "empty.zip").touch()
    assert message(tmp_path / "empty.zip") == f"{tmp_path}/empty.zip is an empty file; give {SUPPORTED_SOURCES}"
    (tmp_path / "a.doc").write_text("hello")
    assert (
        message(tmp_path / "a.doc")
        == f"{tmp_path}/a.doc is not a file that can be trained on; give {SUPPORTED_SOURCES}"
    )
    assert "is a single image; training needs many" in message(write_image(tmp_path / "a.png", noise(0, 4, 4)))
    write_mnist(tmp_path / "mini", suffix=".gz")
    for path in (tmp_path / "mini").iterdir():
        assert message(path) == f"{path} is one of MNIST's files; give the folder that it is in"
    write_mnist(tmp_path / "plain")
    assert "is one of MNIST's files, not their folder" in message(tmp_path / "plain" / "train-images-idx3-ubyte")
    os.mkfifo(tmp_path / "pipe")
    assert message(tmp_path / "pipe") == f"{tmp_path}/pipe is neither a file nor a folder; give {SUPPORTED_SOURCES}"


def test_folders_without_images(tmp_path: Path) -> None:
    assert message(tmp_path) == (
        f"{tmp_path} holds no images in class folders; put each class's images into a separate folder: "
        f"{tmp_path}/cat/1.jpg, {tmp_path}/dog/1.jpg, …"
    )
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("path,label\n")
    assert message(tmp_path) == f"{tmp_path} holds 2 tables (a.csv, b.csv); give the path of one of them"


def test_patterns_of_several_kinds(tmp_path: Path) -> None:
    for name in ("a.tar", "b.zip"):
        (tmp_path / name).touch()
    assert "matches 2 files (.tar, .zip); give .tar shards or Parquet files" in message(tmp_path / "*")


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_its_package(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    assert message(tmp_path) == "Parquet files need pyarrow; install it with: pip install 'opsin[parquet]'"
