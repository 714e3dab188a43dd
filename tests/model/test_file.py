"""Model files: all damage is detected, and writing is atomic."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from opsin.base.errors import ModelError
from opsin.model import file, load
from tests.model.networks import small_model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    small_model().save(tmp_path / "m.opsin")
    return tmp_path / "m.opsin"


def message(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def change(path: Path, alter: Callable[[dict[str, Any], dict[str, Any]], object], sign: bool = True) -> None:
    """Edits description and tensors of a model file, with a right checksum afterwards or the old one."""
    description, tensors = file.read(path)
    checksum = file._checksum(description, tensors)
    alter(description, tensors)
    description["checksum"] = file._checksum(description, tensors) if sign else checksum
    save_file(tensors, path, {file.METADATA_KEY: json.dumps(description)})


def test_every_truncation_is_detected(saved: Path) -> None:
    data = saved.read_bytes()
    for length in (9, 20, 100, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:length])
        text = message(saved)
        assert "is damaged or cut short; copy it again" in text or "is not an Opsin model file" in text, length
    saved.write_bytes(data + b"more")
    assert message(saved) == " is damaged or cut short; copy it again, or train it again"
    saved.write_bytes(b"")
    assert message(saved) == " is damaged or cut short; copy it again, or train it again"


def test_every_changed_byte_is_detected(saved: Path) -> None:
    data = saved.read_bytes()
    for position in np.linspace(40, len(data) - 1, 60).astype(int):
        changed = bytearray(data)
        changed[position] ^= 1
        saved.write_bytes(changed)
        assert "changed after it was written" in message(saved) or "damaged" in message(saved), position


def test_an_edited_file_is_refused(saved: Path) -> None:
    change(saved, lambda description, _: description.update(labels=["a", "b", "c"]), sign=False)
    text = message(saved)
    assert text == " was changed after it was written (its checksum is wrong); copy it again, or train it again"


def test_other_file_types_are_named(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for data in (b"hello", b"PK\3\4" + bytes(100), os.urandom(1000), b"\xff" * 500):
        path.write_bytes(data)
        assert message(path) == " is not an Opsin model file; give one that `opsin train` wrote"
    save_file({"weight": np.zeros(3, np.float32)}, path)
    assert "is not an Opsin model file" in message(path)
    assert message(tmp_path / "missing.opsin") == ": there is no such file; make a model with `opsin train`"
    assert message(tmp_path) == " is a folder, not a model file"


def test_a_newer_format_is_refused(saved: Path) -> None:
    change(saved, lambda description, _: description.update(format=2, opsin="9.1", graph="unheard of"))
    assert "has model format 2, written by Opsin 9.1; this Opsin " in message(saved)
    assert "pip install --upgrade opsin" in message(saved)


@pytest.mark.parametrize(
    ("alter", "text"),
    [
        (lambda d, t: d.pop("graph"), "lacks a part of a model file ('graph')"),
        (lambda d, t: t.pop("golden.logits"), "lacks a part of a model file ('golden.logits')"),
        (lambda d, t: d.update(layers="conv"), "lacks a part of a model file"),
        (lambda d, t: d.update(graph={}), "does not describe a valid network: the data describes no graph"),
        (lambda d, t: d["graph"]["nodes"][-1].update(op="system"), "there is no operation called 'system'"),
        (lambda d, t: d.update(preprocessing={}), "the preprocessing is not described completely"),
        (lambda d, t: d["preprocessing"].update(height=7), "does not take the images that its preprocessing makes"),
        (lambda d, t: d.update(labels=["a"]), "but there are 1 classes"),
        (lambda d, t: d.update(labels=7), "lacks a part of a model file"),
        (lambda d, t: t.pop("conv.weight"), "the tensor 'conv.weight' is missing or unexpected"),
        (lambda d, t: t.update(extra=np.zeros(2, np.float32)), "the tensor 'extra' is missing or unexpected"),
        (lambda d, t: t.update({"conv.bias": np.zeros(3, np.float32)}), "the tensor 'conv.bias' is float32 3, not 4"),
        (lambda d, t: t.update({"conv.bias": np.zeros(4)}), "the tensor 'conv.bias' is float64 4, not 4"),
        (lambda d, t: t.update({"golden.logits": np.zeros((9, 3))}), "its golden images and outputs do not match"),
    ],
)
def test_an_inconsistent_file_with_a_valid_checksum_is_refused(saved: Path, alter: Any, text: str) -> None:
    change(saved, alter)
    assert text in message(saved)


def test_equal_models_give_equal_files(tmp_path: Path) -> None:
    small_model().save(tmp_path / "a")
    small_model().save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert load_file(tmp_path / "a").keys() >= {"conv.weight", "golden.images"}


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a letter")
    for path, text in {
        tmp_path
        / "nowhere"
        / "m.opsin": f"{tmp_path}/nowhere is not a folder; create it first, or name another place for the model",
        tmp_path: f"{tmp_path} is a folder; give the name of a file for the model, such as {tmp_path}/model.opsin",
        tmp_path
        / "file"
        / "m.opsin": f"{tmp_path}/file is not a folder; create it first, or name another place for the model",
        tmp_path / ("x" * 300): "the model cannot be written here (File name too long); give another place",
    }.items():
        for attempt in (small_model().save, file.check_writable):
            with pytest.raises(ModelError) as caught:
                attempt(path)
            assert text in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_other_files_are_not_replaced(tmp_path: Path, saved: Path) -> None:
    (tmp_path / "letter.txt").write_text("a letter")
    with pytest.raises(ModelError, match=r"letter\.txt exists and is not an Opsin model; give another name"):
        file.check_writable(tmp_path / "letter.txt")
    file.check_writable(saved)
    file.check_writable(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letter.txt", "m.opsin"]


FULL_DISK = """
import resource, sys
from pathlib import Path
from opsin.base.errors import ModelError
from tests.model.networks import small_model
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    small_model().save(Path(sys.argv[1]))
except ModelError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk_leaves_the_old_file(saved: Path) -> None:
    before = saved.read_bytes()
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(saved)], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert result.stdout == (
        f"{saved}: there is not enough disk space for the model (0.0 MB); free some, or save it elsewhere\n"
    )
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_an_interrupted_save_leaves_nothing(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        small_model(2).save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
