"""Weights from the files that people keep them in, and whether they fit a network."""

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
"""The format's names of what numbers are."""

MOST_HEADER = 4 * 2**20
"""Bytes of a safetensors header: enough for 30,000 tensors."""

GOLDENS = ("golden.images", "golden.logits", "golden.pictures")
"""What model files hold besides the weights."""

SHOWN = 3
"""So many tensors are named where several do not fit."""

NAMES = re.compile(r"(optimizer|random)\..*|(.*\.)?(num_batches_tracked|n_averaged)")
"""What goes with training, and is no part of a network that is used."""

Renames = Sequence[tuple[str, str]]
"""Regular expressions and what replaces them, one after the other."""


def read_state(path: str | os.PathLike[str], part: str | None = None) -> dict[str, NDArray[Any]]:
    """The weights in a file, by name: PyTorch's checkpoints, safetensors, NPZ, or a model of Opsin's.

    Nothing in the file is run: a checkpoint that holds more than tensors and plain data raises `ModelError`, which
    names what it wanted. {"state_dict": …} and the like are looked into, averaged weights first, and "module.",
    "model." and the like before every name go; a line of the log "opsin" says so. `part`, such as "state_dict", asks
    for certain ones. bfloat16 becomes float32. Tensors that share their numbers in the file share them here.
    """
    with opened(Path(path), part) as found:
        tensors, words = (found.tensors, []) if found.model else without_prefixes(found.tensors)
        say(path, [*found.words, *words])
        return {name: tensor.read() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class Opened:
    """The tensors of a file, and in words which of several they are; whether it is a model of Opsin's."""

    tensors: dict[str, StoredTensor]
    words: list[str] = field(default_factory=list)
    model: bool = False


@contextmanager
def opened(path: Path, part: str | None = None) -> Iterator[Opened]:
    """The tensors of a file, described; they can be read until it closes. What goes wrong names the file."""
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
    """By what the file begins with, whatever it is called."""
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
    """The tensors of a safetensors file of `size` bytes: their places lie inside it, and none in another."""
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(MOST_HEADER, size - 8):
        raise ModelError(f"its header says that it takes {length:,} bytes; it is damaged, or made to harm")
    try:
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        places = {str(name): _place(facts) for name, facts in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(DAMAGED) from None
    end = 0
    for name, (begin, dtype, shape) in sorted(places.items(), key=lambda item: (item[1][0], math.prod(item[1][2]))):
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

    return {name: stored(*place) for name, place in places.items()}


def _place(facts: Mapping[str, Any]) -> tuple[int, str, tuple[int, ...]]:
    """Where a tensor begins behind the header, its type and its shape."""
    if facts["dtype"] not in SAFETENSORS:
        raise ModelError(f"it has numbers of type {quoted(str(facts['dtype']))}; Opsin reads {', '.join(SAFETENSORS)}")
    dtype, shape, (begin, end) = SAFETENSORS[facts["dtype"]], tuple(facts["shape"]), facts["data_offsets"]
    if any(type(number) is not int or not 0 <= number < 2**48 for number in (begin, end, *shape)) or len(shape) > 32:
        raise ValueError
    if end - begin != math.prod(shape) * size_of(dtype) or math.prod(size or 1 for size in shape) >= 2**48:
        raise ValueError
    return begin, dtype, shape


def rename(tensors: Mapping[str, StoredTensor], known: Container[str], renames: Renames) -> dict[str, StoredTensor]:
    """The same tensors, those that are not `known` by their names renamed."""
    return {name if name in known else _renamed(name, renames): tensor for name, tensor in tensors.items()}


def matched(
    tensors: Mapping[str, StoredTensor], known: Collection[str], renames: Renames
) -> tuple[dict[str, StoredTensor], list[str]]:
    """As `rename`, also without what stands before all of the names; in words, what that was. See `matching`."""
    return matching(rename(tensors, known, renames), known, lambda name: _renamed(name, renames))


def idle_layers(layers: Iterable[str], graph: Graph) -> set[str]:
    """Those layers, by their paths, that do nothing in `graph`: auxiliary classifiers, where it is not for training."""
    return set(layers) - {node.scope for node in graph.nodes}


def fit(
    needed: Mapping[str, Tensor], idle: Container[str], found: Mapping[str, StoredTensor]
) -> dict[str, NDArray[Any]]:
    """A value for each of the `needed` variables, or `ModelError` with all that is missing, unexpected, or different.

    Left aside is what goes with training, and the variables of `idle` layers.
    """
    missing = [quoted(name) for name in needed if name not in found]
    strange = [
        quoted(n) for n in found if n not in needed and not NAMES.fullmatch(n) and n.rpartition(".")[0] not in idle
    ]
    other = [
        f"{quoted(name)} is {found[name].dtype} {show(found[name].shape)}, not {tensor.dtype} {show(tensor.shape)}"
        for name, tensor in needed.items()
        if name in found and not _alike(found[name], tensor)
    ]
    faults = (
        _listed(missing, f"of its {len(needed)} tensors are missing"),
        _listed(strange, "are none of the network's"),
        _listed(other, "have another shape or type"),
    )
    if any(faults):
        raise ModelError(f"the weights are not this network's: {'; '.join(filter(None, faults))}")
    types = {name: np.float32 if tensor.dtype == FLOAT else np.int32 for name, tensor in needed.items()}
    return {name: np.asarray(found[name].read(), types[name], order="C") for name in needed}


def _renamed(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _alike(stored: StoredTensor, tensor: Tensor) -> bool:
    return stored.shape == tensor.shape and ("float" in stored.dtype) == (tensor.dtype == FLOAT)


def _listed(items: Sequence[str], what: str) -> str:
    """`12 <what> (a, b, c, …)`, or nothing where there are none."""
    return f"{len(items)} {what} ({listed(items, SHOWN, count=False)})" if items else ""
