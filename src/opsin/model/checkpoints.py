"""PyTorch's checkpoints (.pth, .pt), read without PyTorch and without running anything of theirs.

There are two formats. Since PyTorch 1.6 it is a ZIP archive with `data.pkl`, which describes the tensors, and
`data/KEY`, the numbers of each storage. Before, it was four pickles in a row (a magic number, the protocol's number,
facts about the computer, the description), a fifth with the storages' keys, and then each storage behind its length.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from io import BytesIO
from typing import IO, Any
from zipfile import ZipFile

from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from opsin.errors import ModelError
from opsin.model.archives import careful, check_uncompressed
from opsin.model.pickles import ADVICE, Storage, Strided, unpickle
from opsin.model.tensors import DAMAGED, Stored, quoted, read_numbers, size_of

LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""How the older format begins: the pickle of 0x1950a86a20f9469cfc6c."""

PROTOCOL = 1001
MOST_PICKLE = 32 * 2**20
"""Bytes of the description of the tensors."""

ENDINGS = (".pth", ".pt", ".ckpt", ".bin", ".safetensors", ".npz", ".onnx", ".opsin")
"""What files of weights are called."""

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "network", "net", "weights", "params")
"""Names under which people keep weights among other things."""

PREFIXES = ("module.", "_orig_mod.")
"""What PyTorch's DataParallel and torch.compile put before every name."""

Reader = Callable[[Storage], NDArray[Any]]


def archive_tensors(archive: ZipFile, size: int) -> dict[str, Stored]:
    """The tensors by name in an archive of `size` bytes."""
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

    def read(name: str, dtype: str, count: int) -> NDArray[Any]:
        with careful(), archive.open(root + name) as entry:
            return read_numbers(entry, dtype, count)

    def content(name: str) -> bytes:
        return read(name, "uint8", min(entries[root + name].file_size, MOST_PICKLE)).tobytes()

    if f"{root}byteorder" in entries and content("byteorder") != b"little":
        raise ModelError(f"its numbers are big-endian; on a common computer, {ADVICE}")
    tree, storages = unpickle(BytesIO(content("data.pkl")))
    for storage in storages.values():
        entry = entries.get(f"{root}data/{storage.key}")
        if entry is None or entry.file_size != storage.count * size_of(storage.dtype):
            raise ModelError(f"its storage {quoted(storage.key)} is missing or of another size; copy the file again")
    return _tensors(tree, lambda storage: read(f"data/{storage.key}", storage.dtype, storage.count))


def legacy_tensors(file: IO[bytes], size: int) -> dict[str, Stored]:
    """The tensors by name in a file of `size` bytes in the older format."""
    file.seek(0)
    head = BytesIO(file.read(MOST_PICKLE))
    (_, _), (protocol, _), (computer, _) = unpickle(head), unpickle(head), unpickle(head)
    (tree, storages), (keys, _) = unpickle(head), unpickle(head)
    if protocol != PROTOCOL or type(computer) is not dict or type(keys) is not list:
        raise ModelError(DAMAGED)
    if computer.get("little_endian") is not True:
        raise ModelError(f"its numbers are big-endian; on a common computer, {ADVICE}")
    places, place = {}, head.tell()
    for key in keys:
        storage = storages.get(key) if type(key) is str else None
        if storage is None or key in places:
            raise ModelError(DAMAGED)
        file.seek(place)
        length = int.from_bytes(file.read(8), "little")
        places[key] = place + 8
        place += 8 + length * size_of(storage.dtype)
        if length != storage.count or place > size:
            raise ModelError(f"its storage {quoted(key)} is cut short or of another size; copy the file again")
    if places.keys() != storages.keys():
        raise ModelError(DAMAGED)

    def read(storage: Storage) -> NDArray[Any]:
        file.seek(places[storage.key])
        return read_numbers(file, storage.dtype, storage.count)

    return _tensors(tree, read)


def _tensors(tree: Any, read: Reader) -> dict[str, Stored]:
    """The weights of a checkpoint, by name; each storage is read once, when it is first needed."""
    found = _find(tree)
    if not found:
        names = ", ".join(quoted(str(name), 40) for name in list(tree)[:5]) if type(tree) is dict else ""
        holds = f"it holds {names or 'something else'}"
        raise ModelError(f"it is a checkpoint of PyTorch's without tensors by name ({holds}); {ADVICE}")
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    once = cache(read)
    return {name: _stored(tensor, once) for name, tensor in found.items()}


def _find(tree: Any, depth: int = 3) -> dict[str, Strided]:
    """The dictionary of tensors in a checkpoint: itself, or below one of the names that are usual for it."""
    if type(tree) is not dict or not depth:
        return {}
    for wrapper in WRAPPERS:
        if found := _find(tree.get(wrapper), depth - 1):
            return found
    return {name: value for name, value in tree.items() if type(name) is str and type(value) is Strided}


def _stored(tensor: Strided, read: Reader) -> Stored:
    def view() -> NDArray[Any]:
        numbers = read(tensor.storage)[tensor.offset :]
        return as_strided(numbers, tensor.shape, [stride * numbers.itemsize for stride in tensor.strides])

    return Stored(tensor.shape, tensor.storage.dtype, view)
