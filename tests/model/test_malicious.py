"""Malicious files are refused: no code runs, no other file is read, and memory stays bounded."""

from __future__ import annotations

import builtins
import io
import json
import os
import pickle
import struct
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from opsin.base.errors import ModelError
from opsin.interop.torch import unpickle as unpickler
from opsin.interop.torch.unpickle import unpickle
from opsin.model import read_state
from tests.model.checkpoints import (
    call,
    group,
    mapping,
    name,
    number,
    plain,
    storage,
    tensor,
    text,
    whole,
    write_legacy,
    write_state,
    write_zip,
)  # fmt: skip

ONE = np.ones(1, np.float32)
COMMAND = "touch harm"


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_state(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message) < 700 + len(str(path))
    assert message.isprintable()
    return message


@pytest.fixture(autouse=True)
def nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs each test in a folder of its own, and sees that nothing is executed for a file."""
    monkeypatch.chdir(tmp_path)

    def harm(*_: object, **__: object) -> None:
        raise AssertionError("the file's code was run")

    for module, attribute in ((os, "system"), (subprocess, "Popen"), (builtins, "eval"),
                              (pickle, "loads"), (pickle, "load"), (pickle, "Unpickler")):  # fmt: skip
        monkeypatch.setattr(module, attribute, harm)


ATTACKS = {
    "reduce": (call("os.system", text(COMMAND)), "refers to 'os.system'"),
    "posix": (call("posix.system", text(COMMAND)), "refers to 'posix.system'"),
    "eval": (call("builtins.eval", text("1")), "refers to 'builtins.eval'"),
    "python 2": (call("__builtin__.eval", text("1")), "refers to '__builtin__.eval'"),
    "getattr": (call("builtins.getattr", name("os.path"), text("os")), "refers to 'builtins.getattr'"),
    "by import": (name("no_such_module.anything"), "refers to 'no_such_module.anything'"),
    "stack global": (text("os") + text("system") + b"\x93" + group(text(COMMAND)) + b"R", "refers to 'os.system'"),
    "dotted": (text("torch._utils") + text("os.system") + b"\x93", "refers to 'torch._utils.os.system'"),
    "inst": (b"(" + text(COMMAND) + b"ios\nsystem\n", "instruction INST 'os.system'"),
    "inst of a known name": (b"(icollections\nOrderedDict\n", "instruction INST 'collections.OrderedDict'"),
    "obj": (b"(" + name("collections.OrderedDict") + b"o", "instruction OBJ"),
    "newobj": (name("collections.OrderedDict") + b")\x81", "instruction NEWOBJ"),
    "newobj_ex": (name("collections.OrderedDict") + b")}\x92", "instruction NEWOBJ_EX"),
    "ext1": (b"\x82\x01", "instruction EXT1"),
    "ext2": (b"\x83\x01\x00", "instruction EXT2"),
    "ext4": (b"\x84\x01\x00\x00\x00", "instruction EXT4"),
    "persid": (b"Pstorage\n", "instruction PERSID"),
    "build of a list": (b"]}b", "damaged"),
    "build with a function": (call("collections.OrderedDict") + mapping({"__reduce__": name("os.system")}) + b"b",
                              "refers to 'os.system'"),
    "call of a storage": (name("torch.FloatStorage") + group(number(1)) + b"R", "damaged"),
    "call of a string": (text("os.system") + group(text(COMMAND)) + b"R", "damaged"),
    "inside a call": (call("collections.OrderedDict", call("os.system", text(COMMAND))), "refers to 'os.system'"),
    "inside a tensor": (tensor(call("os.system", text(COMMAND)), (1,), (1,)), "refers to 'os.system'"),
    "torch.load": (call("torch.load", text("other.pth")), "refers to 'torch.load'"),
    "another storage": (storage("0", 1, "TypedStorage"), "refers to 'torch.TypedStorage'"),
    "an escape sequence": (name("a\x1b[2J.b"), r"refers to 'a\x1b[2J.b'"),
    "a long name": (name("a." + "b" * 5000), "…"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_pickles_that_would_run_code(tmp_path: Path, attack: str, legacy: bool) -> None:
    code, expected = ATTACKS[attack]
    path = tmp_path / "a.pth"
    for harmful in (whole(mapping({"w": plain("0", ONE), "evil": code})), whole(code), whole(b"]" + code + b"a")):
        if legacy:
            write_legacy(path, harmful, {"0": (1, ONE.tobytes())})
        else:
            write_zip(path, harmful, {"0": ONE.tobytes()})
        assert expected in refusal(path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


def test_the_older_format_is_guarded_in_each_of_its_pickles(tmp_path: Path) -> None:
    evil = whole(call("os.system", text(COMMAND)))
    sound = write_legacy(tmp_path / "a.pth", whole(mapping({"w": plain("0", ONE)})), {"0": (1, ONE.tobytes())})
    data, parts = io.BytesIO(sound.read_bytes()), []
    for _ in range(5):
        begin = data.tell()
        unpickle(data)
        parts.append(data.getvalue()[begin : data.tell()])
    for index in range(1, 5):
        changed = [*parts[:index], evil, *parts[index + 1 :]]
        sound.write_bytes(b"".join(changed) + data.read())
        assert "refers to 'os.system'" in refusal(sound)


def test_pickles_of_python_itself_with_objects_in_them(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, ...]:
            return print, ("harm",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        write_zip(tmp_path / "a.pth", pickle.dumps({"a": [Harm()]}, protocol), {})
        assert "refers to" in refusal(tmp_path / "a.pth")
        assert "print'" in refusal(tmp_path / "a.pth")


@pytest.mark.parametrize("shape, strides, offset, count", [
    ((2,), (1,), 0, 1), ((1,), (1,), 1, 1), ((2, 2), (2, 1), 1, 4), ((3,), (2,), 0, 4), ((1000,), (0,), 0, 1),
    ((2**40,), (0,), 0, 1), ((1,), (1,), 2**47, 1), ((2,), (2**47,), 0, 1),
])  # fmt: skip
def test_tensors_beyond_their_storage(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int, count: int
) -> None:
    data = np.ones(count, np.float32)
    code = whole(mapping({"w": tensor(storage("0", count), shape, strides, offset)}))
    assert "larger than its storage" in refusal(write_zip(tmp_path / "a.pth", code, {"0": data.tobytes()}))


@pytest.mark.parametrize("shape, strides, offset", [
    ((-1,), (1,), 0), ((1,), (-1,), 0), ((1,), (1,), -1), ((1,), (1, 1), 0), ((1,) * 40, (1,) * 40, 0),
    ((2**62,), (1,), 0), ((2**30, 2**30), (1, 1), 0), ((0, 2**40, 2**40), (1, 1, 1), 0),
])  # fmt: skip
def test_tensors_of_senseless_shapes(
    tmp_path: Path, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    code = whole(mapping({"w": tensor(storage("0", 1), shape, strides, offset)}))
    assert "damaged" in refusal(write_zip(tmp_path / "a.pth", code, {"0": ONE.tobytes()}))


def test_storages_of_other_sizes_than_they_say(tmp_path: Path) -> None:
    for count in (2, 10**12):
        code = whole(mapping({"w": tensor(storage("0", count), (1,), (1,))}))
        assert "storage '0' is missing or of another size" in refusal(
            write_zip(tmp_path / "a.pth", code, {"0": ONE.tobytes()})
        )
        for said in (count, 1, 2**62):
            path = write_legacy(tmp_path / "b.pth", code, {"0": (said, ONE.tobytes())})
            assert "storage '0' is cut short or of another size" in refusal(path)
    two_sizes = tensor(storage("0", 1), (1,), (1,)), tensor(storage("0", 1, "DoubleStorage"), (1,), (1,))
    code = whole(mapping({"a": two_sizes[0], "b": two_sizes[1]}))
    assert "damaged" in refusal(write_zip(tmp_path / "a.pth", code, {"0": ONE.tobytes()}))


@pytest.mark.parametrize(
    "key", ["../../secret", "/etc/passwd", "..\\..\\secret", "C:\\secret", "0/../../../secret", ""]
)
def test_path_traversal_is_harmless(tmp_path: Path, key: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(ONE.tobytes())
    code = whole(mapping({"../../w": tensor(storage(key, 1), (1,), (1,))}))
    assert "is missing or of another size" in refusal(write_zip(tmp_path / "in" / "a.pth", code, {}))
    actual = read_state(write_zip(tmp_path / "in" / "a.pth", code, {key: (ONE * 7).tobytes()}))  # a key in the archive
    assert actual["../../w"].tolist() == [7]
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.pth", "in", "secret"]


def test_every_truncation(tmp_path: Path) -> None:
    state = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.arange(3)}
    for write in (
        lambda path: write_state(path, state), lambda path: write_state(path, state, legacy=True),
        lambda path: np.savez(path, **state), write_safetensors,
    ):  # fmt: skip
        path = tmp_path / "whole.npz"
        write(path)
        data = path.read_bytes()
        for length in range(0, len(data), 5):
            path.write_bytes(data[:length])
            refusal(path)


def test_every_changed_byte_is_harmless(tmp_path: Path) -> None:
    """A changed file is refused, or has other numbers; nothing else may come of it."""
    for legacy in (False, True):
        path = write_state(tmp_path / "a.pth", {"a": np.arange(4, dtype=np.float32)}, legacy)
        data = path.read_bytes()
        for position in range(len(data)):
            changed = bytearray(data)
            changed[position] ^= 0x15
            path.write_bytes(changed)
            try:
                actual = read_state(path)
            except ModelError as error:
                assert str(error).startswith(f"{path}: ")
            else:
                assert sum(array.nbytes for array in actual.values()) <= len(data)


def write_safetensors(path: Path) -> None:
    write_header(path, {"a": entry([2], 0, 8)}, bytes(8))


def write_header(path: Path, header: object, data: bytes = b"") -> Path:
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)
    return path


def entry(shape: list[object], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("header, size, expected", [
    ({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12, "tensor 'b' overlaps another one"),
    ({"a": entry([2], 0, 8), "b": entry([1], 0, 4)}, 8, "overlaps another one"),
    ({"a": entry([3], 0, 12)}, 8, "extend beyond its end"),
    ({"a": entry([2**40], 0, 2**42)}, 8, "extend beyond its end"),
    ({"a": entry([1], 2**40, 2**40 + 4)}, 8, "extend beyond its end"),
    ({"a": entry([3], 0, 8)}, 8, "damaged"),
    ({"a": entry([-1], 0, -4)}, 8, "damaged"),
    ({"a": entry([1], -4, 0)}, 8, "damaged"),
    ({"a": entry([2**62], 0, 2**64)}, 8, "damaged"),
    ({"a": entry([0, 2**47, 2**47], 0, 0)}, 8, "damaged"),
    ({"a": entry([1.0], 0, 4)}, 8, "damaged"),
    ({"a": entry([True], 0, 4)}, 8, "damaged"),
    ({"a": entry([1], 0, 1, "F8_E4M3")}, 8, "elements of type 'F8_E4M3'; Opsin reads F64, F32"),
    ({"a": [1, 2]}, 8, "damaged"),
    ({"a": {"dtype": "F32"}}, 8, "damaged"),
    ([1], 8, "no weights that Opsin can read"),
])  # fmt: skip
def test_safetensors_headers_that_lie(tmp_path: Path, header: object, size: int, expected: str) -> None:
    assert expected in refusal(write_header(tmp_path / "a.safetensors", header, bytes(size)))


def test_safetensors_headers_that_are_too_long_or_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    for length in (2**63, 2**40, 100, 3):
        path.write_bytes(struct.pack("<Q", length) + b"{}")
        assert "its header claims a length of" in refusal(path)
    deep = b'{"a":' + b"[" * 500_000
    path.write_bytes(struct.pack("<Q", len(deep)) + deep)
    assert "damaged" in refusal(path)
    path.write_bytes(struct.pack("<Q", 5 * 2**20) + b"{" + b" " * (5 * 2**20))
    assert "its header claims a length of 5,242,880 bytes" in refusal(path)


def test_npz_files_with_objects_in_them(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.ones(2), evil=np.array([{}, print], dtype=object))
    assert (
        "its array 'evil.npy' contains Python objects, which cannot be loaded without running code; give numeric arrays"
        in refusal(path)
    )
    np.savez(path, a=np.array(["text"]))
    assert "its array 'a.npy' contains <U4; give numeric arrays" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", npy((10**12,)) + bytes(8))
    assert "damaged" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 5000) + b"(" * 5000)
    assert "damaged" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{")
    assert "in a format that numpy.savez does not use" in refusal(path)


def npy(shape: tuple[int, ...]) -> bytes:
    header = str({"descr": "<f8", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def bomb_of_zeros(path: Path) -> None:
    """A quarter of a gigabyte of zeros in a quarter of a megabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", whole(mapping({"w": plain("0", ONE)})))
        with archive.open("archive/data/0", "w", force_zip64=True) as out:
            for _ in range(256):
                out.write(bytes(2**20))


def bomb_of_overlaps(path: Path) -> None:
    """Two hundred entries, all of which are the same ten megabytes."""
    code = mapping({str(i): tensor(storage(str(i), 10 * 2**18), (1,), (1,)) for i in range(200)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", whole(code))
        archive.writestr("archive/data/0", bytes(10 * 2**20))
        first = archive.infolist()[1]
        for i in range(1, 200):
            twin = zipfile.ZipInfo(f"archive/data/{i}")
            twin.CRC, twin.file_size, twin.compress_size = first.CRC, first.file_size, first.compress_size
            twin.header_offset, twin.external_attr = first.header_offset, first.external_attr
            archive.filelist.append(twin)
            archive.NameToInfo[twin.filename] = twin


def bomb_of_arrays(path: Path) -> None:
    np.savez_compressed(path, a=np.zeros(2**27, np.uint8))


def bomb_of_entries(path: Path) -> None:
    """A table of contents of a million entries."""
    one = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 65535, 65535, len(one) * 2**20, 4, 0)
    path.write_bytes(b"PK\3\4" + one * 2**20 + end)


def bomb_of_steps(path: Path) -> None:
    write_zip(path, whole(b"]" * 2**20), {})


def bomb_of_copies(path: Path) -> None:
    """A long list, made into dictionaries again and again."""
    pair = text("k") + b"N\x86q\x00"
    listed = b"](" + pair + b"h\x00" * 100_000 + b"eq\x01"
    write_zip(path, whole(listed + (name("collections.OrderedDict") + b"h\x01\x85R") * 20_000), {})


def bomb_of_depth(path: Path) -> None:
    """A tuple in a tuple in a tuple …, used as a key."""
    write_zip(path, whole(b"})" + b"\x85" * 100_000 + b"Ns"), {})


def bomb_of_a_long_string(path: Path) -> None:
    write_zip(path, whole(b"X\xff\xff\xff\x7fabc"), {})


def bomb_of_a_long_description(path: Path) -> None:
    write_zip(path, whole(b"B" + struct.pack("<I", 40 * 2**20) + bytes(40 * 2**20)), {})


def bomb_of_shared_storages(path: Path) -> None:
    """A thousand names for the same ten megabytes of bfloat16."""
    shared = storage("0", 5 * 2**20, "BFloat16Storage") + b"q\x07"
    tensors = {str(i): tensor(b"h\x07" if i else shared, (5 * 2**20,), (1,)) for i in range(1000)}
    write_zip(path, whole(mapping(tensors)), {"0": bytes(10 * 2**20)})


BOMBS = {
    bomb_of_zeros: "is compressed or encrypted, which PyTorch's entries never are",
    bomb_of_overlaps: "its entries are larger than the file",
    bomb_of_arrays: "its arrays take more than 20 times the file",
    bomb_of_entries: "its table of contents is too large",
    bomb_of_steps: "its pickle has more than 131,072 steps",
    bomb_of_copies: "its pickle has more than 131,072 steps",
    bomb_of_depth: "damaged",
    bomb_of_a_long_string: "damaged",
    bomb_of_a_long_description: "damaged",
    bomb_of_shared_storages: None,
}


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bomb: Callable[[Path], None]) -> None:
    """With an eighth of the steps that a pickle may have: tracing them is slow."""
    monkeypatch.setattr(unpickler, "MAX_STEPS", unpickler.MAX_STEPS // 8)
    path = tmp_path / "bomb.npz"
    bomb(path)
    tracemalloc.start()
    try:
        if BOMBS[bomb]:
            assert BOMBS[bomb] in refusal(path)
        else:
            assert len(read_state(path)) == 1000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (20 if bomb is bomb_of_steps else 140) * 2**20
