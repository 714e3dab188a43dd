"""Checkpoints: a run's snapshot as a file, from which training continues to bit-identical results.

A file is in the safetensors format. Its metadata has one entry, "opsin_checkpoint": JSON with the trainer's state and a
checksum of it and of every tensor. A file is written under another name, synced to the disk and renamed, so a crash
at any moment leaves the previous one intact. The last two are kept. A damaged file is recognized and skipped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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

FORMAT = 2
"""Increased by every change that an older Opsin would misread."""

READABLE = (1, FORMAT)
"""Formats that this Opsin can read; 1 is that of Opsin 0.1.0."""

FORMAT_1 = {"memory": "state", "good": "last_finite"}
"""Names in format 1, and those since."""

KEY = "opsin_checkpoint"
KEPT_CHECKPOINTS = 2
SUFFIX = ".checkpoint"

Tensors = dict[str, NDArray[Any]]


class Checkpoints:
    """The checkpoints in `folder`, which only one process may write at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, snapshot: Snapshot, log_size: int) -> Path:
        """Add a checkpoint and remove all but the last two. `log_size` is the present size of the log in bytes.

        Raise `TrainingError` if it cannot be written; the earlier ones stay.
        """
        path = self.folder / f"{self._last_number() + 1:06}{SUFFIX}"
        try:
            self.folder.mkdir(exist_ok=True)
            atomic_write(path, _pack(snapshot, log_size))
        except OSError as error:
            raise TrainingError(f"{path}: the checkpoint cannot be written ({error.strerror})") from None
        for obsolete_path in self._paths()[KEPT_CHECKPOINTS:]:
            with suppress(OSError):  # Only the new checkpoint matters.
                obsolete_path.unlink()
        return path

    def read(self) -> tuple[Snapshot, int, list[Path]] | None:
        """Return the newest intact checkpoint, its size of the log, and damaged newer ones; None if there is none."""
        damaged_files: list[Path] = []
        for path in self._paths():
            try:
                return *_unpack(path), damaged_files
            except _DamagedFileError:
                damaged_files.append(path)
        if damaged_files:
            raise TrainingError(f"{damaged_files[0]} and all checkpoints before it are damaged; start a new run")
        return None

    def clean(self) -> None:
        """Remove files that a killed process left half-written."""
        remove_temporaries(self.folder)
        for part in self.folder.glob("*.part"):  # those of Opsin 0.1.0
            part.unlink()

    def _paths(self) -> list[Path]:
        """Return all checkpoints, the newest first."""
        return sorted((path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdigit()), reverse=True)

    def _last_number(self) -> int:
        return max((int(path.stem) for path in self._paths()), default=0)


class _DamagedFileError(Exception):
    """The file was truncated or changed."""


def _pack(snapshot: Snapshot, log_size: int) -> bytes:
    last_finite, best = snapshot.last_finite, snapshot.best
    tensors = {
        **_prefixed("program", snapshot.values),
        **_prefixed("outside", snapshot.outside),
        **_prefixed("last_finite", last_finite.values if last_finite else {}),
        **_prefixed("best", best.values if best else {}),
    }
    description = {
        "format": FORMAT,
        "state": snapshot.state.to_data(),
        "last_finite": last_finite and last_finite.steps,
        "best": best and best.steps,
        "log": log_size,
    }
    description["checksum"] = _checksum(description, tensors)
    return save(tensors, {KEY: json.dumps(description)})


def _unpack(path: Path) -> tuple[Snapshot, int]:
    """Return a snapshot and the log's size.

    Raise `_DamagedFileError` for a damaged file; `TrainingError` for one of a newer Opsin, or one that cannot be read.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        version, is_intact = description["format"], description.pop("checksum") == _checksum(description, tensors)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise _DamagedFileError from None
    if not is_intact:
        raise _DamagedFileError
    if version not in READABLE:
        raise TrainingError(f"{path} was written by another Opsin (format {version}); continue with that one")
    groups: dict[str, Tensors] = {"program": {}, "outside": {}, "last_finite": {}, "best": {}}
    for name, array in tensors.items():
        group, _, variable = name.partition("/")
        groups[FORMAT_1.get(group, group)][variable] = array
    description = {FORMAT_1.get(key, key): value for key, value in description.items()}
    last_finite, best = (
        None if description[name] is None else ModelState(description[name], groups[name])
        for name in ("last_finite", "best")
    )
    state = TrainerState.from_data(description["state"])
    return Snapshot(state, groups["program"], groups["outside"], last_finite, best), int(description["log"])


def _prefixed(group: str, values: State) -> Tensors:
    # ascontiguousarray would give scalars an axis.
    return {f"{group}/{name}": np.asarray(array, order="C") for name, array in values.items()}


def _checksum(description: Mapping[str, Any], tensors: Tensors) -> str:
    digest = blake2b(json.dumps(description).encode(), digest_size=32)
    for name in sorted(tensors):
        digest.update(f"\n{name} {tensors[name].dtype} {tensors[name].shape}\n".encode())
        digest.update(tensors[name].reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
