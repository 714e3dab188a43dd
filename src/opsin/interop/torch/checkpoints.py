"""Reader of PyTorch checkpoints (.pth, .pt), which needs no PyTorch and executes nothing in them.

There are two formats. Since PyTorch 1.6, a checkpoint is a ZIP archive with `data.pkl`, which describes the tensors,
and `data/KEY`, the elements of each storage. Older checkpoints are a sequence of five pickles (a magic number, the
protocol version, properties of the computer, the description, the keys of the storages); the storages follow, each
after its length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.interop.tensors import DAMAGED, StoredTensor, element_bytes, quote, read_numbers
from opsin.interop.torch.allowlist import to_array
from opsin.interop.torch.archives import as_model_error, check_uncompressed
from opsin.interop.torch.objects import QuantizedTensor, Storage, StridedTensor, UnsupportedTensor
from opsin.interop.torch.unpickle import ADVICE, unpickle
from opsin.interop.torch.unwrap import select_weights

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of the older format: the pickle of the magic number 0x1950a86a20f9469cfc6c."""

PROTOCOL = 1001
MAX_PICKLE_BYTES = 32 * 2**20
"""Limit of the pickle that describes the tensors."""

EXTENSIONS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".npz", ".onnx", ".opsin")
"""File extensions of weights."""

Reader = Callable[[Storage], NDArray[Any]]


def archive_tensors(archive: ZipFile, size: int, part: str | None = None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the tensors by name in an archive of `size` bytes, and notes about the choice of the dictionary.

    `part` selects a dictionary; see `select_weights`. Raise `ModelError` if the archive is not a valid checkpoint.
    """
    entries = {info.filename: info for info in archive.infolist()}
    descriptions = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(descriptions) != 1:
        weights_file = next((quote(name) for name in entries if name.lower().endswith(EXTENSIONS)), None)
        advice = (
            f"it contains {weights_file}: unpack it, and give that file" if weights_file else "give a .pth or .npz file"
        )
        raise ModelError(f"it is a ZIP archive, but neither PyTorch's nor NumPy's; {advice}")
    root = descriptions[0].removesuffix("data.pkl")
    if f"{root}constants.pkl" in entries:
        raise ModelError(f"it is a TorchScript program, not weights alone; {ADVICE}")
    check_uncompressed(archive, size)

    big_endian = False

    def read(name: str, dtype: str, count: int) -> NDArray[Any]:
        with as_model_error(), archive.open(root + name) as entry:
            return read_numbers(entry, dtype, count, big_endian)

    def content(name: str) -> bytes:
        return read(name, "uint8", min(entries[root + name].file_size, MAX_PICKLE_BYTES)).tobytes()

    if f"{root}byteorder" in entries and (order := content("byteorder")) != b"little":
        big_endian = order == b"big"
        if not big_endian:
            raise ModelError(DAMAGED)
    tree, storages = unpickle(BytesIO(content("data.pkl")))
    for storage in storages.values():
        entry = entries.get(f"{root}data/{storage.key}")
        if entry is None or entry.file_size != storage.count * element_bytes(storage.dtype):
            raise ModelError(f"its storage {quote(storage.key)} is missing or of another size; copy the file again")
    return _tensors(tree, lambda storage: read(f"data/{storage.key}", storage.dtype, storage.count), part)


def legacy_tensors(file: IO[bytes], size: int, part: str | None = None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the same as `archive_tensors`, for a file of `size` bytes in the older format."""
    file.seek(0)
    head = BytesIO(file.read(MAX_PICKLE_BYTES))
    (_, _), (protocol, _), (computer, _) = unpickle(head), unpickle(head), unpickle(head)
    (tree, storages), (keys, _) = unpickle(head), unpickle(head)
    if protocol != PROTOCOL or type(computer) is not dict or type(keys) is not list:
        raise ModelError(DAMAGED)
    if computer.get("little_endian") is not True:
        raise ModelError(f"its elements are big-endian; on a little-endian computer, {ADVICE}")
    offsets, offset = {}, head.tell()
    for key in keys:
        storage = storages.get(key) if type(key) is str else None
        if storage is None or key in offsets:
            raise ModelError(DAMAGED)
        file.seek(offset)
        length = int.from_bytes(file.read(8), "little")
        offsets[key] = offset + 8
        offset += 8 + length * element_bytes(storage.dtype)
        if length != storage.count or offset > size:
            raise ModelError(f"its storage {quote(key)} is cut short or of another size; copy the file again")
    if offsets.keys() != storages.keys():
        raise ModelError(DAMAGED)

    def read(storage: Storage) -> NDArray[Any]:
        file.seek(offsets[storage.key])
        return read_numbers(file, storage.dtype, storage.count)

    return _tensors(tree, read, part)


def _tensors(tree: Any, read: Reader, part: str | None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the weights of a checkpoint by name, and notes. Each storage is read once, on first use."""
    tensors, notes = select_weights(tree, _is_tensor, part) if type(tree) is dict else ({}, [])
    if not tensors:
        names = ", ".join(quote(str(name), 40) for name in list(tree)[:5]) if type(tree) is dict else ""
        contents = f"it contains {names or 'another object'}"
        place = f"under {quote(part)}" if part is not None else "by name"
        raise ModelError(f"it is a PyTorch checkpoint without tensors {place} ({contents}); {ADVICE}")
    read_once = cache(read)
    return {name: _stored_tensor(name, tensor, read_once) for name, tensor in tensors.items()}, notes


def _is_tensor(value: Any) -> bool:
    return type(value) in (StridedTensor, QuantizedTensor, UnsupportedTensor) or to_array(value) is not None


def _stored_tensor(name: str, tensor: Any, read: Reader) -> StoredTensor:
    if type(tensor) is UnsupportedTensor:
        raise ModelError(
            f"its tensor {quote(name)} is {tensor.description}, which Opsin does not read; {tensor.advice}"
        )
    if type(tensor) is QuantizedTensor:
        return StoredTensor(tensor.integers.shape, "float32", lambda: _dequantize(tensor, read))
    if type(tensor) is not StridedTensor:
        return StoredTensor.of(np.asarray(to_array(tensor)))
    return StoredTensor(tensor.shape, tensor.storage.dtype, lambda: _view(tensor, read))


def _view(tensor: StridedTensor, read: Reader) -> NDArray[Any]:
    elements = read(tensor.storage)[tensor.offset :]
    return as_strided(elements, tensor.shape, [stride * elements.itemsize for stride in tensor.strides])


def _dequantize(tensor: QuantizedTensor, read: Reader) -> NDArray[np.float32]:
    """Return the float32 values, like PyTorch's `dequantize`."""
    scale, zero_point = (
        _view(parameter, read) if isinstance(parameter, StridedTensor) else np.array(parameter)
        for parameter in (tensor.scale, tensor.zero_point)
    )
    shape = [-1 if axis == tensor.axis else 1 for axis in range(len(tensor.integers.shape))]
    if scale.ndim:
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    difference = _view(tensor.integers, read) - zero_point
    return np.asarray(difference.astype(np.float32) * scale.astype(np.float32), np.float32)
