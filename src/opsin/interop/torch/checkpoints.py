"""PyTorch's checkpoints (.pth, .pt), read without PyTorch and without running any code in them.

There are two formats. Since PyTorch 1.6, a checkpoint is a ZIP archive with `data.pkl`, which describes tensors, and
`data/KEY`, the numbers of each storage. Earlier ones are four pickles in a row (a magic number, the protocol's version,
properties of the computer, the description), a fifth with the storages' keys, and then each storage after its length.
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
from opsin.interop.tensors import DAMAGED, StoredTensor, quoted, read_numbers, size_of
from opsin.interop.torch.allowed import array_of
from opsin.interop.torch.archives import as_model_error, check_uncompressed
from opsin.interop.torch.objects import Quantised, Storage, Strided, Unread
from opsin.interop.torch.unpickle import ADVICE, unpickle
from opsin.interop.torch.unwrap import chosen

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of the older format: the pickle of 0x1950a86a20f9469cfc6c."""

PROTOCOL = 1001
MAX_PICKLE_BYTES = 32 * 2**20
"""Limit of the description of the tensors."""

ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".npz", ".onnx", ".opsin")
"""Extensions of files of weights."""

Reader = Callable[[Storage], NDArray[Any]]


def archive_tensors(archive: ZipFile, size: int, part: str | None = None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the tensors by name in an archive of `size` bytes, or in a `part` of it, and notes about the choice."""
    entries = {info.filename: info for info in archive.infolist()}
    descriptions = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(descriptions) != 1:
        inside = next((quoted(name) for name in entries if name.lower().endswith(ENDINGS)), None)
        advice = f"it holds {inside}: unpack it, and give that file" if inside else "give a .pth or .npz file"
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
        if entry is None or entry.file_size != storage.count * size_of(storage.dtype):
            raise ModelError(f"its storage {quoted(storage.key)} is missing or of another size; copy the file again")
    return _tensors(tree, lambda storage: read(f"data/{storage.key}", storage.dtype, storage.count), part)


def legacy_tensors(file: IO[bytes], size: int, part: str | None = None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return what `archive_tensors` does, from a file of `size` bytes in the older format."""
    file.seek(0)
    head = BytesIO(file.read(MAX_PICKLE_BYTES))
    (_, _), (protocol, _), (computer, _) = unpickle(head), unpickle(head), unpickle(head)
    (tree, storages), (keys, _) = unpickle(head), unpickle(head)
    if protocol != PROTOCOL or type(computer) is not dict or type(keys) is not list:
        raise ModelError(DAMAGED)
    if computer.get("little_endian") is not True:
        raise ModelError(f"its numbers are big-endian; on a common computer, {ADVICE}")
    offsets, offset = {}, head.tell()
    for key in keys:
        storage = storages.get(key) if type(key) is str else None
        if storage is None or key in offsets:
            raise ModelError(DAMAGED)
        file.seek(offset)
        length = int.from_bytes(file.read(8), "little")
        offsets[key] = offset + 8
        offset += 8 + length * size_of(storage.dtype)
        if length != storage.count or offset > size:
            raise ModelError(f"its storage {quoted(key)} is cut short or of another size; copy the file again")
    if offsets.keys() != storages.keys():
        raise ModelError(DAMAGED)

    def read(storage: Storage) -> NDArray[Any]:
        file.seek(offsets[storage.key])
        return read_numbers(file, storage.dtype, storage.count)

    return _tensors(tree, read, part)


def _tensors(tree: Any, read: Reader, part: str | None) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return the weights of a checkpoint by name, and notes; each storage is read once, when it is first needed."""
    tensors, words = chosen(tree, _is_tensor, part) if type(tree) is dict else ({}, [])
    if not tensors:
        names = ", ".join(quoted(str(name), 40) for name in list(tree)[:5]) if type(tree) is dict else ""
        holds = f"it holds {names or 'something else'}"
        where = f"without tensors under {quoted(part)}" if part is not None else "of PyTorch's without tensors by name"
        raise ModelError(f"it is a checkpoint {where} ({holds}); {ADVICE}")
    read_once = cache(read)
    return {name: _stored(name, tensor, read_once) for name, tensor in tensors.items()}, words


def _is_tensor(value: Any) -> bool:
    return type(value) in (Strided, Quantised, Unread) or array_of(value) is not None


def _stored(name: str, tensor: Any, read: Reader) -> StoredTensor:
    if type(tensor) is Unread:
        raise ModelError(f"its tensor {quoted(name)} is {tensor.what}, which Opsin does not read; {tensor.advice}")
    if type(tensor) is Quantised:
        return StoredTensor(tensor.whole.shape, "float32", lambda: _dequantised(tensor, read))
    if type(tensor) is not Strided:
        return StoredTensor.of(np.asarray(array_of(tensor)))
    return StoredTensor(tensor.shape, tensor.storage.dtype, lambda: _view(tensor, read))


def _view(tensor: Strided, read: Reader) -> NDArray[Any]:
    numbers = read(tensor.storage)[tensor.offset :]
    return as_strided(numbers, tensor.shape, [stride * numbers.itemsize for stride in tensor.strides])


def _dequantised(tensor: Quantised, read: Reader) -> NDArray[np.float32]:
    """Return the values in float32, as PyTorch's `dequantize` does."""
    scale, zero = (
        _view(fact, read) if isinstance(fact, Strided) else np.array(fact) for fact in (tensor.scale, tensor.zero)
    )
    shape = [-1 if axis == tensor.axis else 1 for axis in range(len(tensor.whole.shape))]
    if scale.ndim:
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    whole = _view(tensor.whole, read) - zero
    return np.asarray(whole.astype(np.float32) * scale.astype(np.float32), np.float32)
