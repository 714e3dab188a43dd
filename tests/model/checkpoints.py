"""Writes valid and malicious PyTorch checkpoints without PyTorch: pickles are assembled byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
KINDS = {
    "float64": "DoubleStorage", "float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage",
    "int32": "IntStorage", "int16": "ShortStorage", "int8": "CharStorage", "uint8": "ByteStorage",
    "bool": "BoolStorage",
}  # fmt: skip


def whole(code: bytes) -> bytes:
    """Return a pickle of protocol 2."""
    return b"\x80\x02" + code + b"."


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value) if abs(value) < 2**31 else b"\x8a\x08" + struct.pack("<q", value)


def group(*items: bytes) -> bytes:
    """Return a tuple."""
    return b"(" + b"".join(items) + b"t"


def numbers(values: Sequence[int]) -> bytes:
    return group(*map(number, values))


def mapping(items: Mapping[str, bytes]) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def name(path: str) -> bytes:
    """Return a global by its name, such as "os.system"."""
    module, _, attribute = path.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def call(path: str, *arguments: bytes) -> bytes:
    return name(path) + group(*arguments) + b"R"


def ordered(items: Mapping[str, bytes]) -> bytes:
    """Return an OrderedDict like that of `state_dict`, with the modules' versions as an attribute."""
    filled = call("collections.OrderedDict") + b"(" + b"".join(text(k) + v for k, v in items.items()) + b"u"
    return filled + mapping({"_metadata": call("collections.OrderedDict")}) + b"b"


def storage(key: str, count: int, kind: str = "FloatStorage") -> bytes:
    return group(text("storage"), name(f"torch.{kind}"), text(key), text("cpu"), number(count)) + b"Q"


def tensor(stored: bytes, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> bytes:
    hooks = call("collections.OrderedDict")
    return call(
        "torch._utils._rebuild_tensor_v2", stored, number(offset), numbers(shape), numbers(strides), b"\x89", hooks
    )


def plain(key: str, array: NDArray[np.generic]) -> bytes:
    """Return a contiguous tensor that fills its storage."""
    strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
    return tensor(storage(key, array.size, KINDS[array.dtype.name]), array.shape, strides)


def write_zip(
    path: Path, pickle: bytes, storages: Mapping[str, bytes], root: str = "archive", byteorder: bytes = b"little"
) -> Path:
    """Write the format since PyTorch 1.6."""
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", pickle)
        archive.writestr(f"{root}/byteorder", byteorder)
        for key, data in storages.items():
            archive.writestr(f"{root}/data/{key}", data)
        archive.writestr(f"{root}/version", b"3\n")
    return path


def write_legacy(path: Path, pickle: bytes, storages: Mapping[str, tuple[int, bytes]]) -> Path:
    """Write the format before PyTorch 1.6, in which the number of elements precedes each storage."""
    out = BytesIO()
    out.write(MAGIC)
    out.write(whole(b"M\xe9\x03"))
    sizes = mapping({"short": number(2), "int": number(4), "long": number(4)})
    facts = b"}(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88" + text("type_sizes")
    out.write(whole(facts + sizes + b"u"))
    out.write(pickle)
    out.write(whole(b"](" + b"".join(map(text, storages)) + b"e"))
    for count, data in storages.values():
        out.write(struct.pack("<q", count) + data)
    path.write_bytes(out.getvalue())
    return path


def write_state(path: Path, state: Mapping[str, NDArray[np.generic]], legacy: bool = False) -> Path:
    """Write a state dict of arrays in either format."""
    pickle = whole(ordered({key: plain(str(i), array) for i, (key, array) in enumerate(state.items())}))
    data = {str(i): array for i, array in enumerate(state.values())}
    if legacy:
        return write_legacy(path, pickle, {key: (array.size, array.tobytes()) for key, array in data.items()})
    return write_zip(path, pickle, {key: array.tobytes() for key, array in data.items()})
