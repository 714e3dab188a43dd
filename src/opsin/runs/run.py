"""A run's folder: its configuration, log, checkpoints and results.

| file | content |
|---|---|
| `config.json` | the plan, the data it was made for, versions, the command |
| `log.jsonl` | the events, one JSON object per line |
| `receipt.json`, `receipt.txt` | what was found in the data |
| `checkpoints/` | the last two checkpoints |
| `model.opsin` | the model, written whenever training ends |
| `report.html` | the report on the model |
| `see.html` | the network at work on its mistakes, if the page was asked for |
| `replay/` | snapshots of the network while it learned, if they were asked for |
| `learning_curve.json`, `learning-curve/` | results of training on parts of the images, and such a run |
| `lock` | locked by the process that trains |
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opsin import __version__
from opsin.backends.native import codegen
from opsin.base.atomic import atomic_write, remove_temporaries
from opsin.base.errors import TrainingError, UsageError
from opsin.base.file_lock import Lock, LockHeld
from opsin.base.legacy import renamed, upgraded_plan
from opsin.runs.checkpoint import Checkpoints
from opsin.runs.log import LOG, Log
from opsin.runs.replay import REPLAY, ReplayFiles
from opsin.training.state import Snapshot

FOLDER = "runs"
CONFIG, LOCK, MODEL, REPORT = "config.json", "lock", "model.opsin", "report.html"
RECEIPT = "receipt"
CHECKPOINT_MINUTES = 5.0
"""The default time between two checkpoints within an epoch."""


class Run:
    """The folder of a run that this process trains; see `create` and `reopen`. Other processes may only read it.

    `clock` gives the time in seconds.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], lock: Lock, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.config = folder, dict(config)
        self.model, self.report = folder / MODEL, folder / REPORT
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.checkpoint_seconds = 60 * float(self.config.get("checkpoint_minutes", CHECKPOINT_MINUTES))
        self.replay = ReplayFiles(folder / REPLAY) if self.config.get(REPLAY) else None
        self.damaged: list[Path] = []
        self._lock, self._clock = lock, clock
        self._log: Log | None = None
        self._last_checkpoint = clock()

    @classmethod
    def create(cls, config: Mapping[str, Any], name: str, folder: Path | None = None) -> Run:
        """Create a run in `folder`, or in runs/<name>-<number>/ of the current folder.

        Raise `UsageError` if the folder is not empty or cannot be created.
        """
        folder = _new_folder(folder) if folder else _numbered_folder(name)
        began = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        run = cls(folder, {**config, "made": made_with(), "began": began}, _locked(folder))
        try:
            run.write(CONFIG, json.dumps(run.config, indent=2, ensure_ascii=False) + "\n")
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def check_folder(folder: Path | None = None) -> None:
        """Raise `UsageError` if `create` could not create a run in `folder`, or in the current folder."""
        parent = (folder or Path(FOLDER)).absolute()
        if folder and folder.is_dir() and any(folder.iterdir()):
            raise _not_empty(folder)
        existing = next(path for path in (parent, *parent.parents) if path.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise UsageError(f"{parent}: no run can be written there; name another folder with --run FOLDER")

    @classmethod
    def reopen(cls, folder: Path) -> Run:
        """Open an existing run. `UsageError` if there is none, or if another process trains it."""
        config = read_config(folder)
        return cls(folder, config, _locked(folder))

    def resume(self) -> Snapshot | None:
        """Return the last intact checkpoint and truncate the log to that moment; None if there is no checkpoint."""
        self.checkpoints.clean()
        remove_temporaries(self.folder)
        snapshot, size, self.damaged = self.checkpoints.read() or (None, 0, [])
        self._log = Log(self.folder / LOG, size)
        return snapshot

    def log(self, record: Mapping[str, Any]) -> None:
        """Append to the log, with the time in seconds since 1970. If the disk is full, the record is missing."""
        with suppress(OSError):
            if self._log is None:
                self._log = Log(self.folder / LOG)
            self._log.write({"time": round(time.time(), 3), **record})

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return self._clock() - self._last_checkpoint >= self.checkpoint_seconds

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint. Raise `TrainingError` if that fails."""
        self._last_checkpoint = self._clock()
        self.checkpoints.write(snapshot, self._log.size if self._log else 0)

    def write(self, name: str, text: str) -> None:
        """Write a text file of the run, atomically. Raise `TrainingError` if that fails."""
        try:
            atomic_write(self.folder / name, text)
        except OSError as error:
            raise TrainingError(f"{self.folder / name} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Release the folder for other processes."""
        if self._log:
            self._log.close()
            self._log = None
        self._lock.close()


def read_config(folder: Path) -> dict[str, Any]:
    """Return a run's configuration, with the names of today. `UsageError` if `folder` holds no run."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; `opsin runs` lists the runs there are")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if isinstance(config, dict) and isinstance(config["plan"], dict) and isinstance(config["data"], dict):
            config = renamed(config)
            return {**config, "plan": upgraded_plan(config["plan"])}
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no run (there is no {CONFIG}); `opsin runs` lists the runs there are"
        ) from None
    except OSError as error:
        raise UsageError(f"{folder / CONFIG} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError):
        pass
    raise UsageError(f"{folder / CONFIG} was changed and no longer describes a run; start a new one")


def made_with() -> dict[str, str]:
    """Return the versions on which the bits of a result may depend, besides the plan and the data."""
    packages = {name: version(name) for name in ("numpy", "llvmlite", "pillow")}
    target = codegen.host().target.name
    return {"opsin": __version__, "python": platform.python_version(), "target": target, **packages}


def _locked(folder: Path) -> Lock:
    try:
        return Lock(folder / LOCK)
    except LockHeld:
        raise UsageError(f"another process is training in {folder}; wait for it, or stop it first") from None
    except OSError as error:
        raise UsageError(f"{folder} cannot be written: {error.strerror}; give another folder for the run") from None


def _new_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise _not_empty(folder)
    except OSError as error:
        raise UsageError(f"{folder}: the run's folder cannot be created ({error.strerror})") from None
    return folder


def _not_empty(folder: Path) -> UsageError:
    text = f"{folder} is not empty; give a new folder for the run"
    if (folder / CONFIG).is_file():
        text += f"; to continue the run in it: opsin train --resume {folder}"
    return UsageError(text)


def _numbered_folder(name: str) -> Path:
    """Create a folder runs/<name>-1, -2, …; its creation claims the number."""
    safe_name = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "run"
    try:
        Path(FOLDER).mkdir(exist_ok=True)
        numbers = [
            int(path.name[len(safe_name) + 1 :])
            for path in Path(FOLDER).glob(f"{safe_name}-*")
            if _is_numbered(path, safe_name)
        ]
        number = max(numbers, default=0)
        while True:
            number += 1
            try:
                folder = Path(FOLDER) / f"{safe_name}-{number}"
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageError(
            f"{Path(FOLDER).resolve()}: the run's folder cannot be created there ({error.strerror}); "
            "name another with --run FOLDER"
        ) from None


def _is_numbered(path: Path, name: str) -> bool:
    return path.name[len(name) + 1 :].isdigit()
