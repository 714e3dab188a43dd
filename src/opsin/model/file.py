"""The model file: one safetensors file whose metadata describes the network completely.

Its metadata has one entry, "opsin": JSON with the version of the format, the network's graph, the preprocessing, the
labels and the training record, and a checksum over all of that and every tensor. Reading a file runs no code of it; a
truncated or modified file is detected.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from opsin import __version__
from opsin.base.atomic import AtomicFile
from opsin.base.errors import ModelError
from opsin.base.file_types import HEAD, identify, is_model

FORMAT = 1
"""Version of the format; increased by every change that an older Opsin would misread."""

METADATA_KEY = "opsin"

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Tensors = Mapping[str, NDArray[Any]]


def write(path: Path, description: Mapping[str, Any], tensors: Tensors) -> None:
    """Write the file atomically; raise `ModelError` if it cannot be written."""
    metadata = {**description, "format": FORMAT, "opsin": __version__}
    metadata["checksum"] = _checksum(metadata, tensors)
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    data = save(arrays, {METADATA_KEY: _dumps(metadata)})
    with _new_file(path, len(data)) as atomic_file:
        atomic_file.file.write(data)
        atomic_file.commit()


def check_writable(path: Path) -> None:
    """Raise `ModelError` if `write(path, …)` would fail, or would replace a file that is not a model."""
    if os.path.isfile(path) and path.stat().st_size and not is_model(path):
        raise ModelError(f"{path} exists and is not an Opsin model; give another name, or remove it first")
    with _new_file(path, 0):
        pass


def read(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return description and tensors of a model file; raise `ModelError` if its checksum is wrong."""
    try:
        if not is_model(path) and path.stat().st_size:
            raise ModelError(f"{path} is {_describe_other(path)}")
        with safe_open(path, framework="numpy") as file:
            text = file.metadata()[METADATA_KEY]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        description = json.loads(text)
        version = description["format"]
        if type(version) is int and version > FORMAT:
            raise ModelError(
                f"{path} has model format {version}, written by Opsin {description.get('opsin', '?')}; this Opsin "
                f"{__version__} reads format {FORMAT}: upgrade with `pip install --upgrade opsin`"
            )
        is_intact = description.pop("checksum") == _checksum(description, tensors)
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file; make a model with `opsin train`") from None
    except IsADirectoryError:
        raise ModelError(f"{path} is a folder, not a model file") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ModelError(f"{path} is damaged or cut short; copy it again, or train it again") from None
    if not is_intact:
        raise ModelError(
            f"{path} was changed after it was written (its checksum is wrong); copy it again, or train it again"
        )
    return description, tensors


def digest(path: Path) -> str:
    """Return a digest of the content of a model file. Raise `OSError` if it cannot be read."""
    with path.open("rb") as content:
        return file_digest(content, "blake2b").hexdigest()[:32]


def _describe_other(path: Path) -> str:
    """Say what a file is instead of a model file, and what to do."""
    with path.open("rb") as file:
        kind = identify(file.read(HEAD))
    if kind and kind.absent:
        return f"{kind.what}; {kind.advice}"
    if kind and kind.advice:
        return f"not an Opsin model file but {kind.what}; {kind.advice}"
    return "not an Opsin model file; give one that `opsin train` wrote"


def _dumps(description: Mapping[str, Any]) -> str:
    return json.dumps(description, separators=(",", ":"))


def _checksum(description: Mapping[str, Any], tensors: Tensors) -> str:
    checksum = blake2b(_dumps(description).encode(), digest_size=32)
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        checksum.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        checksum.update(array.tobytes())
    return checksum.hexdigest()


@contextmanager
def _new_file(path: Path, size: int) -> Iterator[AtomicFile]:
    """Open a file that replaces `path` if it is committed. Raise `ModelError` if a file of `size` bytes cannot be."""
    if os.path.isdir(path):  # unlike Path.is_dir, accepts names that no file can have
        raise ModelError(f"{path} is a folder; give the name of a file for the model, such as {path / 'model.opsin'}")
    if not os.path.isdir(path.parent):
        raise ModelError(f"{path.parent} is not a folder; create it first, or name another place for the model")
    atomic_file = None
    try:
        atomic_file = AtomicFile(path)
        yield atomic_file
    except OSError as error:
        raise ModelError(f"{path}: {_reason(error, size)}") from None
    finally:
        if atomic_file is not None:
            atomic_file.discard()


def _reason(error: OSError, size: int) -> str:
    if error.errno in DISK_FULL:
        return f"there is not enough disk space for the model ({size / 1e6:.1f} MB); free some, or save it elsewhere"
    return f"the model cannot be written here ({error.strerror}); give another place"
