"""Reader of weights in several file formats, and their match with the variables of a network."""

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
from opsin.interop.tensors import DAMAGED, StoredTensor, element_bytes, quote, read_numbers
from opsin.interop.torch.archives import numpy_arrays, open_archive
from opsin.interop.torch.checkpoints import LEGACY_MAGIC, archive_tensors, legacy_tensors
from opsin.interop.torch.unwrap import log_notes, match_prefixes, remove_prefixes
from opsin.ir import FLOAT, Graph, Tensor, show

SAFETENSORS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Element types, by their names in the safetensors format."""

MAX_HEADER_BYTES = 4 * 2**20
"""Limit of a safetensors header: enough for 30,000 tensors."""

GOLDEN_TENSORS = ("golden.images", "golden.logits", "golden.pictures")
"""Names of the tensors of model files that are not weights."""

MAX_NAMES = 3
"""Limit of the tensors that a message names for one reason."""

TRAINING_NAMES = re.compile(r"(optimizer|random)\..*|(.*\.)?(num_batches_tracked|n_averaged)")
"""Matches names of training state, which a network for prediction does not have."""

Renames = Sequence[tuple[str, str]]
"""Regular expressions and their replacements, applied in order."""


def read_state(path: str | os.PathLike[str], part: str | None = None) -> dict[str, NDArray[Any]]:
    """Return the weights by name in a PyTorch checkpoint, a safetensors or NPZ file, or an Opsin model.

    Nothing in the file is executed. Raise `ModelError`, which names the object, if a checkpoint contains anything but
    tensors and plain data.

    Nested dictionaries such as {"state_dict": …} are searched, averaged weights first, and a prefix of all names, such
    as "module." or "model.", is removed; the log "opsin" reports both. `part`, such as "state_dict", selects a
    dictionary. bfloat16 becomes float32. Tensors that share memory in the file share it in the result, too.
    """
    with open_weights(Path(path), part) as file:
        tensors, notes = (file.tensors, []) if file.is_model else remove_prefixes(file.tensors)
        log_notes(path, [*file.notes, *notes])
        return {name: tensor.read() for name, tensor in tensors.items()}


@dataclass(frozen=True)
class WeightsFile:
    """The tensors of an open file, notes about the choice of its dictionary, and whether it is an Opsin model."""

    tensors: dict[str, StoredTensor]
    notes: list[str] = field(default_factory=list)
    is_model: bool = False


@contextmanager
def open_weights(path: Path, part: str | None = None) -> Iterator[WeightsFile]:
    """Open a file of weights; its tensors can be read until it is closed. Raise `ModelError`, which names the file."""
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


def _tensors(file: IO[bytes], path: Path, part: str | None) -> WeightsFile:
    """Return the tensors of a file; its first bytes determine the format, not its name."""
    size, head = os.fstat(file.fileno()).st_size, file.read(len(LEGACY_MAGIC))
    if head == LEGACY_MAGIC:
        return WeightsFile(*legacy_tensors(file, size, part))
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        archive = open_archive(file, size)
        names = archive.namelist()
        is_npz = bool(names) and all(name.endswith(".npy") for name in names)
        if is_npz:
            return WeightsFile(numpy_arrays(archive, size))
        return WeightsFile(*archive_tensors(archive, size, part))
    if head[8:9] == b"{":
        tensors, model = safetensors(file, size), is_model(path)
        return WeightsFile({n: t for n, t in tensors.items() if not (model and n in GOLDEN_TENSORS)}, is_model=model)
    raise ModelError(_no_weights(file))


def _no_weights(file: IO[bytes]) -> str:
    file.seek(0)
    kind = identify(file.read(HEAD))
    if kind and kind.absent and kind != EMPTY:
        return f"it is {kind.what}; {kind.advice}"
    description = f": it is {kind.what}{'; ' if kind.advice else ''}{kind.advice}" if kind else ""
    return f"it has no weights that Opsin can read; give a PyTorch (.pth, .pt), safetensors or NPZ file{description}"


def safetensors(file: IO[bytes], size: int) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file of `size` bytes.

    Raise `ModelError` if they overlap, or if the file is too short.
    """
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ModelError(f"its header claims a length of {length:,} bytes; it is damaged or malicious")
    try:
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        entries = {str(name): _entry(fields) for name, fields in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise ModelError(DAMAGED) from None
    end = 0
    for name, (begin, dtype, shape) in sorted(entries.items(), key=lambda item: (item[1][0], math.prod(item[1][2]))):
        if begin < end:
            raise ModelError(f"its tensor {quote(name)} overlaps another one; it is damaged or malicious")
        end = begin + math.prod(shape) * element_bytes(dtype)
    if 8 + length + end > size:
        raise ModelError("its tensors extend beyond its end; it is damaged or cut short; copy it again")

    def stored_tensor(begin: int, dtype: str, shape: tuple[int, ...]) -> StoredTensor:
        def read() -> NDArray[Any]:
            file.seek(8 + length + begin)
            return read_numbers(file, dtype, math.prod(shape)).reshape(shape)

        return StoredTensor(shape, dtype, read)

    return {name: stored_tensor(*entry) for name, entry in entries.items()}


def _entry(fields: Mapping[str, Any]) -> tuple[int, str, tuple[int, ...]]:
    """Return a tensor's offset after the header, its element type and its shape."""
    if fields["dtype"] not in SAFETENSORS:
        raise ModelError(f"it has elements of type {quote(str(fields['dtype']))}; Opsin reads {', '.join(SAFETENSORS)}")
    dtype, shape, (begin, end) = SAFETENSORS[fields["dtype"]], tuple(fields["shape"]), fields["data_offsets"]
    if any(type(number) is not int or not 0 <= number < 2**48 for number in (begin, end, *shape)) or len(shape) > 32:
        raise ValueError
    if end - begin != math.prod(shape) * element_bytes(dtype) or math.prod(size or 1 for size in shape) >= 2**48:
        raise ValueError
    return begin, dtype, shape


def rename(tensors: Mapping[str, StoredTensor], known: Container[str], renames: Renames) -> dict[str, StoredTensor]:
    """Return the tensors; those with names that are not `known` are renamed."""
    return {name if name in known else _apply_renames(name, renames): tensor for name, tensor in tensors.items()}


def match_names(
    tensors: Mapping[str, StoredTensor], known: Collection[str], renames: Renames
) -> tuple[dict[str, StoredTensor], list[str]]:
    """Rename tensors like `rename`, and add or remove a common prefix; also return notes. See `match_prefixes`."""
    return match_prefixes(rename(tensors, known, renames), known, lambda name: _apply_renames(name, renames))


def idle_layers(layers: Iterable[str], graph: Graph) -> set[str]:
    """Return the layer paths without nodes in `graph`, such as auxiliary classifiers in a graph for prediction."""
    return set(layers) - {node.scope for node in graph.nodes}


def fit(
    variables: Mapping[str, Tensor], idle_paths: Container[str], stored_tensors: Mapping[str, StoredTensor]
) -> dict[str, NDArray[Any]]:
    """Return the values of `variables`, float32 or int32, by name.

    Raise `ModelError`, which lists all missing and unexpected tensors and those with another shape or type. Training
    state and tensors of `idle_paths` are ignored.
    """
    missing_names = [quote(name) for name in variables if name not in stored_tensors]
    unexpected_names = [
        quote(name)
        for name in stored_tensors
        if name not in variables and not TRAINING_NAMES.fullmatch(name) and name.rpartition(".")[0] not in idle_paths
    ]
    mismatches = [
        _mismatch(name, stored_tensors[name], tensor)
        for name, tensor in variables.items()
        if name in stored_tensors and not _matches(stored_tensors[name], tensor)
    ]
    problems = (
        _enumerate(missing_names, f"of its {len(variables)} tensors are missing"),
        _enumerate(unexpected_names, "unexpected"),
        _enumerate(mismatches, "have another shape or type"),
    )
    if any(problems):
        raise ModelError(f"the weights are not this network's: {'; '.join(filter(None, problems))}")
    types = {name: np.float32 if tensor.dtype == FLOAT else np.int32 for name, tensor in variables.items()}
    return {name: np.asarray(stored_tensors[name].read(), types[name], order="C") for name in variables}


def _apply_renames(name: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def _matches(stored: StoredTensor, tensor: Tensor) -> bool:
    return stored.shape == tensor.shape and ("float" in stored.dtype) == (tensor.dtype == FLOAT)


def _mismatch(name: str, stored: StoredTensor, tensor: Tensor) -> str:
    return f"{quote(name)} is {stored.dtype} {show(stored.shape)}, not {tensor.dtype} {show(tensor.shape)}"


def _enumerate(items: Sequence[str], predicate: str) -> str:
    """Return `12 <predicate> (a, b, c, …)`, or "" if there are no items."""
    return f"{len(items)} {predicate} ({listed(items, MAX_NAMES, count=False)})" if items else ""
