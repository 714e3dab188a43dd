"""The runs there are, and how two of them differ: read from their folders, also while they go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsin.base.errors import UsageError
from opsin.runs.lock import is_held
from opsin.runs.log import read_log
from opsin.runs.run import CONFIG, FOLDER, LOCK, LOG, read_config

RUNNING, FINISHED, INTERRUPTED, DIVERGED = "running", "finished", "interrupted", "diverged"


@dataclass(frozen=True)
class Summary:
    """A run at a glance. `epochs` of `planned` are done; accuracies are from 0 to 1, None where there is none yet.

    `validation` is that of the last epoch, `seconds` the time trained.
    """

    folder: Path
    data: str
    network: str
    state: str
    epochs: int
    planned: int
    validation: float | None
    test: float | None
    seconds: float
    began: str


def summary(folder: Path) -> Summary:
    """Of the run in `folder`; `UsageError` where there is none."""
    config = read_config(folder)
    state, epochs, validation, test, seconds = INTERRUPTED, 0, None, None, 0.0
    for record in read_log(folder / LOG):
        kind = record.get("event")
        if kind == "epoch":
            epochs, seconds = epochs + 1, seconds + float(record["seconds"])
            validation = _accuracy(record["held_out"])
        elif kind == FINISHED:
            state, test, seconds = FINISHED, _accuracy(record["test"]), float(record["seconds"])
        elif kind == DIVERGED:
            state = DIVERGED
    if is_held(folder / LOCK):
        state = RUNNING
    plan = config["plan"]
    planned = sum(int(stage["epochs"]) for stage in plan["stages"])
    return Summary(
        folder, str(config["data"]["name"]), str(plan["network"]), state, epochs, planned, validation, test, seconds,
        str(config.get("began", "")),
    )  # fmt: skip


def summaries(folder: Path | None = None) -> list[Summary]:
    """Of all runs in `folder` (runs/ here, where none is given), the oldest first; `UsageError` where it is none."""
    place = folder or Path(FOLDER)
    if folder is None and not place.is_dir():
        return []
    if not place.is_dir():
        raise UsageError(f"{place}: there is no such folder; give one that holds runs, such as {FOLDER}")
    found = [summary(path.parent) for path in place.glob(f"*/{CONFIG}")]
    return sorted(found, key=lambda each: (each.began, str(each.folder)))


def differences(first: Path, second: Path) -> list[tuple[str, str, str]]:
    """What two runs were asked for differently: (what, in the first, in the second)."""
    ours, theirs = (dict(_flat(_asked(read_config(folder)))) for folder in (first, second))
    names = [*ours, *(name for name in theirs if name not in ours)]
    pairs = ((name, ours.get(name, "–"), theirs.get(name, "–")) for name in names)
    return [row for row in pairs if row[1] != row[2]]


def _asked(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a run's configuration that decides what comes out."""
    plan = dict(config["plan"])
    stages = {str(stage["name"]): {k: v for k, v in stage.items() if k != "name"} for stage in plan.pop("stages")}
    data = {
        key: value for key, value in config["data"].items() if key in ("source", "fingerprint", "images", "shape")
    }
    plan["choices"] = [f"{problem}: {way}" for problem, way in plan.get("choices", {}).items()]
    return {**plan, **stages, "data": data, "made with": config.get("made", {})}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested dictionaries, by the path to them, as text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{name} {key}".strip().replace("_", " "))
    elif isinstance(value, list):
        yield name, ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value) or "none"
    else:
        yield name, "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _accuracy(score: Mapping[str, Any]) -> float:
    return int(score["correct"]) / int(score["images"])
