"""What files are that are not what was expected, by their first bytes; and that every reader says so."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.base.errors import OpsinError
from opsin.base.file_types import HEAD, identify
from opsin.data.decode.read import read_header
from opsin.data.sources.detect import open_source
from opsin.model import read_state
from tests.interop.onnx.writer import File, external
from tests.model.networks import small_model

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n"
PAGE = b"\n<!DOCTYPE html>\n<html><head><title>Sign in &amp; continue</title>"
DENIED = b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>no</Message></Error>'

ABSENT = {
    POINTER: "a Git LFS pointer, which only stands for the real file of 12,345 bytes; fetch the file with `git lfs",
    PAGE: "a web page (HTML) titled 'Sign in & continue'; a page was saved in place of the file; download it again",
    DENIED: "the error message of a web server ('AccessDenied'); it was saved in place of the file",
    b'{"error":"Repository not found"}': "the error message of a web server ('Repository not found')",
    b'{"error": {"code": 403, "message": "no access"}}': "the error message of a web server ('no access')",
    b"Entry not found": "the error message of a web server ('Entry not found')",
    b"404: Not Found": "the error message of a web server ('404: Not Found')",
    "\ufeff<html>é".encode("utf-16"): "a web page (HTML); a page was saved",
    b"/annex/objects/MD5E-s5--a.pth\n": "a git-annex pointer, which only stands for the real file",
}


def zipped(name: str) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(name, b"content")
    return data.getvalue()


@pytest.mark.parametrize(("data", "what"), [
    (b"", "empty"), (bytes(100), "nothing but zeros"), (gzip.compress(b"a", mtime=0), "compressed by gzip"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes"), (b"Rar!\x1a\x07\1", "a RAR archive"),
    (zipped("model.pth"), "a ZIP archive"), (zipped("archive/data.pkl"), "a checkpoint of PyTorch's"),
    (b"\x80\x04}.", "a Python pickle"), (File().add("Relu", "x", "y").data(), "an ONNX file"),
    (b"@\0\0\0\0\0\0\0" + b'{"a":', "a safetensors file"), (b"\0\0\0\0TFL3", "a TensorFlow Lite model"),
    (b"conv.weight 1 2 3", "text ('conv.weight 1 2 3')"), (b'{"lr": 0.1}', "JSON text"),
    (json.dumps({"weight_map": {"a": "1.safetensors"}}).encode(), "the index of weights that are in several files"),
    ("Zürich".encode() * 700, f"text ({('Zürich' * 20)[:79] + '…'!r})"), (b"\xff\x00\xfe\x01", None),
    (b"<!-- saved -->\n<HTML>", "a web page (HTML)"), (b"a\x1b[2J", None),
])  # fmt: skip
def test_kinds_of_files(data: bytes, what: str | None) -> None:
    kind = identify(data[:HEAD])
    assert (kind.what if kind else None) == what


def test_files_of_opsin_are_recognised(tmp_path: Path) -> None:
    small_model().save(tmp_path / "a")
    kind = identify((tmp_path / "a").read_bytes()[:HEAD])
    assert kind is not None
    assert kind.what == "a model file of Opsin's"


def image(path: Path) -> object:
    return read_header(path, str(path))


READERS: dict[str, Callable[[Path], Any]] = {
    "a.pth": read_state, "a.safetensors": read_state, "a.npz": read_state, "a.onnx": opsin.import_onnx,
    "a.opsin": opsin.load, "a.zip": open_source, "a.tar": open_source, "a.parquet": open_source,
    "data.npz": open_source,
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("data", ABSENT, ids=lambda data: data[:12].decode("latin-1"))
def test_every_reader_reports_what_stands_in_for_the_file(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(OpsinError) as caught:
        READERS[name](path)
    message = str(caught.value).removeprefix(str(path)).removeprefix(":")
    assert message.removeprefix(" it").startswith(f" is {ABSENT[data]}")
    assert message.isprintable()


def test_images_and_tables(tmp_path: Path) -> None:
    for name, reader in (("a.png", image), ("a.csv", open_source)):
        path = tmp_path / name
        path.write_bytes(POINTER)
        with pytest.raises(OpsinError, match=r"is (not an image but )?a Git LFS pointer, which .*`git lfs pull`"):
            reader(path)
    (tmp_path / "a.csv").write_text("path,label\nlogin.png,not found\n")  # a table like others
    with pytest.raises(OpsinError, match="lists no existing image"):
        open_source(tmp_path / "a.csv")


def test_models_of_other_kinds(tmp_path: Path) -> None:
    for data, onnx, weights, model in (
        (
            gzip.compress(b"a", mtime=0),
            "compressed by gzip; decompress it first",
            "compressed by gzip",
            "compressed by gzip",
        ),
        (b"\x89HDF\r\n\x1a\n" + bytes(9), "an HDF5 file", "an HDF5 file, as Keras writes; export", "an HDF5 file"),
        (zipped("a/model.pth"), "a ZIP archive; give one", "it contains 'a/model.pth': unpack it, and give that", ""),
        (zipped("x/data.pkl"), "a checkpoint of PyTorch's; it holds weights without a network", "", "a checkpoint"),
    ):
        for reader, expected in ((opsin.import_onnx, onnx), (read_state, weights), (opsin.load, model)):
            (tmp_path / "a").write_bytes(data)
            with pytest.raises(OpsinError) as caught:
                reader(tmp_path / "a")
            assert expected in str(caught.value)


def test_weights_beside_an_onnx_file_that_are_pointers(tmp_path: Path) -> None:
    (tmp_path / "net.data").write_bytes(POINTER)
    file = File(weights={"w": external("w", (8, 8), "net.data", offset=0, length=256)}).add("MatMul", "x w", "y")
    with pytest.raises(OpsinError, match=r"net\.data is a Git LFS pointer, which only stands"):
        opsin.interop.onnx.read(file.write(tmp_path / "net.onnx"))
