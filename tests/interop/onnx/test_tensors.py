"""Tests of tensors in all encodings, and in external files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import TensorRecord
from opsin.interop.onnx.tensors import TensorLoader
from tests.interop.onnx.support import import_error, network
from tests.interop.onnx.writer import File, entry, external, random, tensor, varint

FLOATS = np.array([1.5, -2.25, 0.0, 65504.0], np.float32)
WEIGHT = random(2, 3, 1, 1)


def read(data: bytes, folder: Path) -> np.ndarray[Any, Any]:
    """Return the array that is imported for the encoded TensorProto `data`, which multiplies four columns."""
    file = File(weights={"w": data}, inputs={"x": ("n", 3, 1, 4)}).add("Mul", "x w", "y")
    (array,) = network(file, folder).state.values()
    return array


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int8", "uint8", "int32", "int64", "bool"])
def test_raw_data(dtype: str, tmp_path: Path) -> None:
    values = FLOATS.clip(-2, 2).astype(dtype) if dtype in ("int8", "uint8", "bool") else FLOATS.astype(dtype)
    assert np.array_equal(read(tensor(values, "w"), tmp_path), values.astype(np.float32))


@pytest.mark.parametrize(
    ("data_type", "field", "numbers"),
    [
        (1, 4, FLOATS.tobytes()),
        (11, 10, FLOATS.astype(np.float64).tobytes()),
        (10, 5, b"".join(varint(int(bits)) for bits in FLOATS.astype(np.float16).view(np.uint16))),
        (16, 5, b"".join(varint(int(bits) >> 16) for bits in FLOATS.view(np.uint32))),
        (6, 5, b"".join(map(varint, [1, -2, 0, 65504]))),
        (7, 7, b"".join(map(varint, [1, -2, 0, 65504]))),
        (13, 11, b"".join(map(varint, [1, 2, 0, 65504]))),
    ],
)
def test_typed_data(data_type: int, field: int, numbers: bytes, tmp_path: Path) -> None:
    array = read(entry(1, 4) + entry(2, data_type) + entry(8, "w") + entry(field, numbers), tmp_path)
    if data_type == 16:  # bfloat16 has eight bits of precision.
        assert np.array_equal(array, (FLOATS.view(np.uint32) & 0xFFFF0000).view(np.float32))
    else:
        integers = {6: [1, -2, 0, 65504], 7: [1, -2, 0, 65504], 13: [1, 2, 0, 65504]}
        assert array.tolist() == integers.get(data_type, FLOATS.tolist())


def test_unpacked_floats(tmp_path: Path) -> None:
    numbers = b"".join(entry(4, float(value)) for value in FLOATS)
    assert np.array_equal(read(entry(1, b"\4") + entry(2, 1) + entry(8, "w") + numbers, tmp_path), FLOATS)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (tensor(FLOATS[:3], "w") + entry(1, 2), "the tensor 'w', 3 × 2, has 12 bytes, not 24"),
        (
            entry(1, 2**40) * 3 + entry(2, 1) + entry(8, "w"),
            "has 0 bytes, not 5,316,911,983,139,663,491,615,228,241,121",
        ),
        (entry(1, 4) + entry(2, 8) + entry(8, "w"), "has a tensor 'w' of element type 8, which Opsin does not read"),
        (entry(1, 4) + entry(2, 99) + entry(8, "w"), "of element type 99"),
    ],
)
def test_invalid_sizes_and_types(array: bytes, text: str, tmp_path: Path) -> None:
    file = File(weights={"w": array}, inputs={"x": ("n", 3, 1, 4)}).add("Mul", "x w", "y")
    assert text in import_error(file, tmp_path)


# -- external files --------------------------------------------------------------------------


def external_file(location: str, **entries: object) -> File:
    """Return a file with one weight, in the external file `location`."""
    weight = external("w", (2, 3, 1, 1), location, **entries)
    return File(weights={"w": weight}).add("Conv", "x w", "y")


def test_external_weights(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "w.bin").write_bytes(b"head" + WEIGHT.tobytes() + b"tail")
    for file in (external_file("folder/w.bin", offset=4, length=24), external_file("folder/w.bin", offset=4)):
        assert np.array_equal(network(file, tmp_path).state["w"], WEIGHT)


def test_limit_of_folding_counts_external_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.interop.onnx.network.MAX_FOLDED_ELEMENTS", 0)
    (tmp_path / "w.bin").write_bytes(random(40, 30, 1, 1).tobytes())
    file = File(weights={"w": external("w", (40, 30, 1, 1), "w.bin")}, inputs={"x": ("n", 40, 2, 2)})
    file.add("Transpose", "w", "t", perm=[1, 0, 2, 3]).add("Conv", "x t", "y")
    assert network(file, tmp_path).state["w"].shape == (30, 40, 1, 1)


def test_model_in_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "w.bin").write_bytes(WEIGHT.tobytes())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert np.array_equal(network(external_file("w.bin"), tmp_path / "link").state["w"], WEIGHT)


@pytest.mark.parametrize(
    "location",
    ["../secret.bin", "sub/../../secret.bin", "/etc/passwd", "..\\secret.bin", "C:\\secret.bin", "\\\\host\\share\\x",
     "C:secret.bin", "", ".", "..", "sub/..", "w\0.bin", "link.bin", "folder/secret.bin", "loop"],
)  # fmt: skip
def test_no_files_outside_the_folder_are_read(location: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "sub").mkdir(parents=True)
    (tmp_path / "secret.bin").write_bytes(WEIGHT.tobytes())
    (home / "link.bin").symlink_to(tmp_path / "secret.bin")
    (home / "folder").symlink_to(tmp_path)
    (home / "loop").symlink_to(home / "loop")
    text = import_error(external_file(location), home)
    assert text.startswith("has weights in other files: '")
    assert text.endswith(
        "' is outside the folder of the model, where Opsin reads no files; "
        "move the file next to the model, and change its location in the model to its name"
    )


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ({"offset": 4}, "the tensor 'w' needs 24 bytes, but has 24 at byte 4 of 'w.bin', which has 24"),
        ({"length": 20}, "needs 24 bytes, but has 20"),
        ({"offset": -4}, "at byte -4"),
        ({"offset": 2**70}, "of 'w.bin', which has 24"),
        ({"offset": "four"}, "an invalid offset or length of the tensor 'w' in 'w.bin'"),
    ],
)
def test_invalid_offsets_and_lengths(entries: dict[str, Any], text: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(WEIGHT.tobytes())
    assert text in import_error(external_file("w.bin", **entries), tmp_path)


def test_missing_and_special_files(tmp_path: Path) -> None:
    file = external_file("w.bin")
    assert import_error(file, tmp_path) == f"has weights in other files: {tmp_path / 'w.bin'}: there is no such file"
    (tmp_path / "w.bin").mkdir()
    assert import_error(file, tmp_path).endswith("is a folder, not a model file")
    (tmp_path / "w.bin").rmdir()
    (tmp_path / "w.bin").touch()
    assert import_error(file, tmp_path).endswith("is empty; copy it again or export it again")
    (tmp_path / "w.bin").unlink()
    os.mkfifo(tmp_path / "w.bin")
    assert import_error(file, tmp_path).endswith("is not a regular file")


def test_overlapping_external_tensors(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(random(3, 3, 1, 1).tobytes())
    weights = {f"w{number}": external(f"w{number}", (3, 3, 1, 1), "w.bin") for number in range(3)}
    file = File(weights=weights).add("Conv", "x w0", "a").add("Conv", "a w1", "b").add("Conv", "b w2", "y")
    assert import_error(file, tmp_path) == "has tensors that overlap in 'w.bin', which Opsin does not read"


def test_external_tensors_of_attributes(tmp_path: Path) -> None:
    record = TensorRecord("c", (6,), 1, external_data={"location": "../c.bin"})
    with pytest.raises(ModelError, match="outside the folder of the model"):
        TensorLoader(tmp_path, 0).read(record)
