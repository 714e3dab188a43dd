"""Weights from files of several formats, matched against the variables of a network."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from opsin.base.errors import ModelError
from opsin.base.file_types import EMPTY, HEAD, identify, is_model
from opsin.base.formatting import listed
from opsin.interop.tensors import DAMAGED, StoredTensor, quoted, read_numbers, size_of
from opsin.interop.torch.archives import numpy_arrays, open_archive
from opsin.interop.torch.checkpoints import LEGACY, archive_tensors, legacy_tensors
from opsin.interop.torch.unwrap import matching, say, without_prefixes
from opsin.ir import FLOAT, Graph, Tensor, show

SAFETENSORS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Element types by their names in the format."""

MAX_HEADER_BYTES = 4 * 2**20
"""Bytes of a safetensors header: enough for 30,000 tensors."""

GOLDENS = ("golden.images", "golden.logits", "golden.pictures")
"""Tensors of model files that are not weights."""

MAX_NAMED = 3
"""Tensors that a message names if several do not fit."""

TRAINING_NAMES = re.compile(r"(optimizer|random)\..*|(.*\.)?(num_batches_tracked|n_averaged)")
"""Variables of training, which a network for prediction does not have."""

Renames = Sequence[tuple[str, str]]
"""Regular expressions and their replacements, applied in order."""


def read_state(path: str | os.PathLike[str], part: str | None = None) -> dict[str, NDArray[Any]]:
    """Return the weights in a file, by name: a PyTorch checkpoint, safetensors, NPZ, or an Opsin model.

    No code in the file is run: a checkpoint that holds more than tensors and plain data raises `ModelError`, which
    names the object. Nested dictionaries such as {"state_dict": …} are searched, averaged weights first, and prefixes
    of all names such as "module." or "model." are removed; a line in the log "opsin" says so. `part`, such as
    "state_dict", selects one of the dictionaries. bfloat16 becomes float32. Tensors that share memory in the file share
    it in the result.
    """
    with opened(Path(path), part) as file:
        tensors, words = (file.tensors, []) if file.model else without_prefixes(file.tensors)
        say(path, [*file.words, *words])
        return {name: tensor.read() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class Opened:
    """The tensors of a file, notes about which of several dictionaries they are, and whether it is an Opsin model."""

    tensors: dict[str, StoredTensor]
    words: list[str] = field(default_factory=list)
    model: bool = False


@contextmanager
def opened(path: Path, part: str | None = None) -> Iterator[Opened]:
    """Open a file of weights; its tensors can be read until it is closed. Errors name the file."""
    try:
        with path.open("rb") as file:
            yield _tensors(file, path, part)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file; give a .pth, .safetensors or .npz file") from None
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder, not a file of weights") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None


def _tensors(file: IO[bytes], path: Path, part: str | None) -> Opened:
    """Return the tensors in the format that the file's first bytes identify, whatever its name."""
    size, head = os.fstat(file.fileno()).st_size, file.read(len(LEGACY))
    if head == LEGACY:
        return Opened(*legacy_tensors(file, size, part))
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        archive = open_archive(file, size)
        names = archive.namelist()
        npz = bool(names) and all(name.endswith(".npy") for name in names)
        return Opened(numpy_arrays(archive, size)) if npz else Opened(*archive_tensors(archive, size, part))
    if head[8:9] == b"{":
        tensors, model = safetensors(file, size), is_model(path)
        return Opened({n: t for n, t in tensors.items() if not (model and n in GOLDENS)}, model=model)
    raise ModelError(_no_weights(file))


def _no_weights(file: IO[bytes]) -> str:
    file.seek(0)
    kind = identify(file.read(HEAD))
    if kind and kind.absent and kind != EMPTY:
        return f"it is {kind.what}; {kind.advice}"
    seems = f": it is {kind.what}{'; ' if kind.advice else ''}{kind.advice}" if kind else ""
    return f"it holds no weights that Opsin reads; give PyTorch's (.pth, .pt), safetensors or NPZ{seems}"


def safetensors(file: IO[bytes], size: int) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file of `size` bytes; they lie inside it and do not overlap."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ModelError(f"its header says that it takes {length:,} bytes; it is damaged, or made to harm")
    try:
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        entries = {str(name): _entry(fields) for name, fields in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(DAMAGED) from None
    end = 0
    for name, (begin, dtype, shape) in sorted(entries.items(), key=lambda item: (item[1][0], math.prod(item[1][2]))):
        if begin < end:
            raise ModelError(f"its tensor {quoted(name)} lies over another one; it is damaged, or made to harm")
        end = begin + math.prod(shape) * size_of(dtype)
    if 8 + length + end > size:
        raise ModelError("its tensors reach beyond its end; it is damaged or cut short; copy it again")

    def stored(begin: int, dtype: str, shape: tuple[int, ...]) -> StoredTensor:
        def read() -> NDArray[Any]:
            file.seek(8 + length + begin)
            return read_numbers(file, dtype, math.prod(shape)).reshape(shape)

        return StoredTensor(shape, dtype, read)

    return {name: stored(*entry) for name, entry in entries.items()}


def _entry(fields: Mapping[str, Any]) -> tuple[int, str, tuple[int, ...]]:
    """Return a tensor's offset after the header, its element type and its shape."""
    if fields["dtype"] not in SAFETENSORS:
        raise ModelError(f"it has numbers of type {quoted(str(fields['dtype']))}; Opsin reads {', '.join(SAFETENSORS)}")
    dtype, shape, (begin, end) = SAFETENSORS[fields["dtype"]], tuple(fields["shape"]), fields["data_offsets"]
    if any(type(number) is not int or not 0 <= number < 2**48 for number in (begin, end, *shape)) or len(shape) > 32:
        raise ValueError
    if end - begin != math.prod(shape) * size_of(dtype) or math.prod(size or 1 for size in shape) >= 2**48:
        raise ValueError
    return begin, dtype, shape


def rename(tensors: Mapping[str, StoredTensor], known: Container[str], renames: Renames) -> dict[str, StoredTensor]:
    """Return the same tensors, renamed if their names are not `known`."""
    return {name if name in known else _renamed(name, renames): tensor for name, tensor in tensors.items()}


def matched(
    tensors: Mapping[str, StoredTensor], known: Collection[str], renames: Renames
) -> tuple[dict[str, StoredTensor], list[str]]:
    """Rename tensors as `rename` does, and remove a common prefix; also return notes about it. See `matching`."""
    return matching(rename(tensors, known, renames), known, lambda name: _renamed(name, renames))


def idle_layers(layers: Iterable[str], graph: Graph) -> set[str]:
    """Return the layers, by path, that compute nothing in `graph`: auxiliary classifiers, if it only predicts."""
    return set(layers) - {node.scope for node in graph.nodes}


def fit(
    variables: Mapping[str, Tensor], idle: Container[str], stored: Mapping[str, StoredTensor]
) -> dict[str, NDArray[Any]]:
    """Return a value for each of `variables`; raise `ModelError` with all that are missing, unexpected or different.

    Variables of training and those of `idle` layers may be present, and are ignored.
    """
    missing = [quoted(name) for name in variables if name not in stored]
    unexpected = [
        quoted(name)
        for name in stored
        if name not in variables and not TRAINING_NAMES.fullmatch(name) and name.rpartition(".")[0] not in idle
    ]
    different = [
        f"{quoted(name)} is {stored[name].dtype} {show(stored[name].shape)}, not {tensor.dtype} {show(tensor.shape)}"
        for name, tensor in variables.items()
        if name in stored and not _matches(stored[name], tensor)
    ]
    faults = (
        _listed(missing, f"of its {len(variables)} tensors are missing"),
        _listed(unexpected, "are none of the network's"),
        _listed(different, "have another shape or type"),
    )
    if any(faults):
        raise ModelError(f"the weights are not this network's: {'; '.join(filter(None, faults))}")
    types = {name: np.float32 if tensor.dtype == FLOAT else np.int32 for name, tensor in variables.items()}
    return {name: np.asarray(stored[name].read(), types[name], order="C") for name in variables}


def _renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _matches(stored: StoredTensor, tensor: Tensor) -> bool:
    return stored.shape == tensor.shape and ("float" in stored.dtype) == (tensor.dtype == FLOAT)


def _listed(items: Sequence[str], what: str) -> str:
    """Return `12 <what> (a, b, c, …)`, or "" if there are none."""
    return f"{len(items)} {what} ({listed(items, MAX_NAMED, count=False)})" if items else ""
