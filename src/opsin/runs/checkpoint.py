"""Checkpoints: a run's snapshot as a file from which training goes on to the same bits.

A file is in safetensors' format; its metadata has one entry, "opsin_checkpoint": JSON with the run's memory and a
checksum over it and every tensor. Files are written aside, forced to the disk and renamed, so that a crash at any
moment leaves the one before; the last two are kept. One that was torn all the same is recognised and passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from opsin.base.atomic import atomic_write, remove_temporaries
from opsin.base.errors import TrainingError
from opsin.training.state import ModelState, Snapshot, State, TrainerState

FORMAT = 1
"""Raised by every change that an older Opsin would misread."""

KEY = "opsin_checkpoint"
KEEP = 2
ENDING = ".checkpoint"

Tensors = dict[str, NDArray[Any]]


class Checkpoints:
    """The checkpoints in `folder`, which only one process may write at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, snapshot: Snapshot, log_size: int) -> Path:
        """Adds a checkpoint and removes all but the last two. `log_size` is the log's length in bytes at this moment.

        `TrainingError` where it cannot be written; those before it stay.
        """
        path = self.folder / f"{self._last_number() + 1:06}{ENDING}"
        try:
            self.folder.mkdir(exist_ok=True)
            atomic_write(path, _pack(snapshot, log_size))
        except OSError as error:
            raise TrainingError(f"{path}: the checkpoint cannot be written ({error.strerror})") from None
        for old in self._paths()[KEEP:]:
            with suppress(OSError):  # the new one is there, and that is what counts
                old.unlink()
        return path

    def read(self) -> tuple[Snapshot, int, list[Path]] | None:
        """The newest sound checkpoint, the log's length with it, and damaged newer ones; None where there is none."""
        damaged: list[Path] = []
        for path in self._paths():
            try:
                return *_unpack(path), damaged
            except _Damaged:
                damaged.append(path)
        if damaged:
            raise TrainingError(f"{damaged[0]} and all checkpoints before it are damaged; start a new run")
        return None

    def clean(self) -> None:
        """Removes what a process that was killed left half-written."""
        remove_temporaries(self.folder)

    def _paths(self) -> list[Path]:
        """All checkpoints, the newest first."""
        return sorted((path for path in self.folder.glob(f"*{ENDING}") if path.stem.isdigit()), reverse=True)

    def _last_number(self) -> int:
        return max((int(path.stem) for path in self._paths()), default=0)


class _Damaged(Exception):
    """The file was cut short or changed."""


def _pack(snapshot: Snapshot, log_size: int) -> bytes:
    good, best = snapshot.good, snapshot.best
    tensors = dict(_prefixed("program/", snapshot.state)) | dict(_prefixed("outside/", snapshot.outside))
    tensors |= dict(_prefixed("good/", good.state if good else {})) | dict(
        _prefixed("best/", best.state if best else {})
    )
    described = {
        "format": FORMAT,
        "memory": snapshot.memory.to_data(),
        "good": good and good.steps,
        "best": best and best.steps,
        "log": log_size,
    }
    described["checksum"] = _checksum(described, tensors)
    return save(tensors, {KEY: json.dumps(described)})


def _unpack(path: Path) -> tuple[Snapshot, int]:
    """`_Damaged` for a file that is not whole; `TrainingError` for one of a newer Opsin or that cannot be read."""
    try:
        with safe_open(path, framework="numpy") as file:
            described = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        written, intact = described["format"], described.pop("checksum") == _checksum(described, tensors)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _Damaged from None
    if not intact:
        raise _Damaged
    if written != FORMAT:
        raise TrainingError(f"{path} was written by another Opsin (format {written}); go on with that one")
    parts: dict[str, Tensors] = {"program": {}, "outside": {}, "good": {}, "best": {}}
    for name, array in tensors.items():
        part, _, rest = name.partition("/")
        parts[part][rest] = array
    good = None if described["good"] is None else ModelState(described["good"], parts["good"])
    best = None if described["best"] is None else ModelState(described["best"], parts["best"])
    memory = TrainerState.from_data(described["memory"])
    return Snapshot(memory, parts["program"], parts["outside"], good, best), int(described["log"])


def _prefixed(prefix: str, state: State) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, array in state.items():
        yield prefix + name, np.asarray(array, order="C")  # ascontiguousarray would make a number a row


def _checksum(description: Mapping[str, Any], tensors: Tensors) -> str:
    digest = blake2b(json.dumps(description).encode(), digest_size=32)
    for name in sorted(tensors):
        digest.update(f"\n{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
