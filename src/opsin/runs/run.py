"""A run's folder: what was asked for, what happened, checkpoints, and what came out.

| file | holds |
|---|---|
| `config.json` | the plan, the data it was made for, versions, the command |
| `log.jsonl` | what happened, a JSON object a line |
| `receipt.json`, `receipt.txt` | what was found in the data |
| `checkpoints/` | the last two checkpoints |
| `model.opsin` | the model, at the end of each sitting |
| `report.html` | the account of the model |
| `lock` | held by the process that trains |
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opsin import __version__
from opsin.backends.native import codegen
from opsin.base.atomic import atomic_write, remove_temporaries
from opsin.base.errors import TrainingError, UsageError
from opsin.base.legacy import renamed
from opsin.runs.checkpoint import Checkpoints
from opsin.runs.lock import Lock, LockHeld
from opsin.runs.log import Log
from opsin.training.state import Snapshot

FOLDER = "runs"
CONFIG, LOG, LOCK, MODEL, REPORT = "config.json", "log.jsonl", "lock", "model.opsin", "report.html"
RECEIPT = "receipt"
MINUTES = 5.0
"""Between two checkpoints within an epoch."""


class Run:
    """The folder of a run that this process trains; see `create` and `reopen`. Nobody else may write it meanwhile."""

    def __init__(self, folder: Path, config: Mapping[str, Any], lock: Lock) -> None:
        self.folder, self.config = folder, dict(config)
        self.model, self.report = folder / MODEL, folder / REPORT
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.seconds_between = 60 * float(self.config.get("checkpoint_minutes", MINUTES))
        self.damaged: list[Path] = []
        self._lock, self._log, self._written = lock, None, time.monotonic()  # type: tuple[Lock, Log | None, float]

    @classmethod
    def create(cls, config: Mapping[str, Any], name: str, folder: Path | None = None) -> Run:
        """A new run in `folder`, or in runs/<name>-<number>/ of the current folder.

        `UsageError` where there is one already, or the folder cannot be made.
        """
        place = _new_folder(folder) if folder else _numbered_folder(name)
        run = cls(place, {**config, "made": made_with(), "began": time.strftime("%Y-%m-%dT%H:%M:%S%z")}, _locked(place))
        try:
            run.write(CONFIG, json.dumps(run.config, indent=2, ensure_ascii=False) + "\n")
        except BaseException:
            run.close()
            raise
        return run

    @staticmethod
    def check_place(folder: Path | None = None) -> None:
        """`UsageError` where `create` could make no run in `folder`, or in the current folder. Makes nothing."""
        place = folder or Path(FOLDER)
        if folder and folder.is_dir() and any(folder.iterdir()):
            raise _taken(folder)
        existing = next(parent for parent in (place.absolute(), *place.absolute().parents) if parent.exists())
        if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
            raise UsageError(f"{place.absolute()}: no run can be written there; name another folder with --run FOLDER")

    @classmethod
    def reopen(cls, folder: Path) -> Run:
        """A run that was begun before; `UsageError` where there is none, or another process is at it."""
        config = read_config(folder)
        return cls(folder, config, _locked(folder))

    def resume(self) -> Snapshot | None:
        """The last sound checkpoint; None where the run has not come so far. The log is cut to that moment."""
        self.checkpoints.clean()
        remove_temporaries(self.folder)
        found = self.checkpoints.read()
        snapshot, size, self.damaged = found or (None, 0, [])
        self._log = Log(self.folder / LOG, size)
        return snapshot

    def log(self, record: Mapping[str, Any]) -> None:
        """Adds to the log, with the time in seconds since 1970; a full disk only leaves a gap."""
        with suppress(OSError):
            if self._log is None:
                self._log = Log(self.folder / LOG)
            self._log.write({"time": round(time.time(), 3), **record})

    @property
    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        return time.monotonic() - self._written >= self.seconds_between

    def save(self, snapshot: Snapshot) -> None:
        """Writes a checkpoint; `TrainingError` where that fails."""
        self._written = time.monotonic()
        self.checkpoints.write(snapshot, self._log.size if self._log else 0)

    def write(self, name: str, text: str) -> None:
        """Writes a text file of the run, whole or not at all."""
        try:
            atomic_write(self.folder / name, text)
        except OSError as error:
            raise TrainingError(f"{self.folder / name} cannot be written: {error.strerror}") from None

    def close(self) -> None:
        """Lets others use the folder."""
        if self._log:
            self._log.close()
            self._log = None
        self._lock.close()


def read_config(folder: Path) -> dict[str, Any]:
    """What a run was begun with; `UsageError` where `folder` holds no run."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; `opsin runs` lists the runs there are")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if isinstance(config, dict) and isinstance(config["plan"], dict) and isinstance(config["data"], dict):
            return dict(renamed(config))
    except FileNotFoundError:
        raise UsageError(
            f"{folder} holds no run (there is no {CONFIG}); `opsin runs` lists the runs there are"
        ) from None
    except OSError as error:
        raise UsageError(f"{folder / CONFIG} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError):
        pass
    raise UsageError(f"{folder / CONFIG} was changed and describes no run any more; start a new one")


def made_with() -> dict[str, str]:
    """What the bits of a result may depend on besides plan and data."""
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
            raise _taken(folder)
    except OSError as error:
        raise UsageError(f"{folder}: the run's folder cannot be made ({error.strerror})") from None
    return folder


def _taken(folder: Path) -> UsageError:
    text = f"{folder} is not empty; give a new folder for the run"
    if (folder / CONFIG).is_file():
        text += f", or go on with the one in it: opsin train --resume {folder}"
    return UsageError(text)


def _numbered_folder(name: str) -> Path:
    """A new folder runs/<name>-1, -2, …; making it is what claims the number."""
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "run"
    try:
        Path(FOLDER).mkdir(exist_ok=True)
        numbers = [int(path.name[len(safe) + 1 :]) for path in Path(FOLDER).glob(f"{safe}-*") if _number(path, safe)]
        number = max(numbers, default=0)
        while True:
            number += 1
            try:
                folder = Path(FOLDER) / f"{safe}-{number}"
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise UsageError(
            f"{Path(FOLDER).resolve()}: the run's folder cannot be made there ({error.strerror}); "
            "name another with --run FOLDER"
        ) from None


def _number(path: Path, name: str) -> bool:
    return path.name[len(name) + 1 :].isdigit()
