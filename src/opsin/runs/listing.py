"""Listing and comparing runs, by what their folders say, even while they train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsin.base.errors import UsageError
from opsin.base.file_lock import is_held
from opsin.compiler.precision import Precision
from opsin.runs.log import LOG, read_log
from opsin.runs.run import CONFIG, FOLDER, LOCK, read_config
from opsin.tasks.score import ACCURACY, Score
from opsin.training.events import DIVERGED, LOG_NAMES, Epoch, Finished, Interrupted

RUNNING = "running"
FINISHED = LOG_NAMES[Finished]
INTERRUPTED = LOG_NAMES[Interrupted]
EPOCH = LOG_NAMES[Epoch]


@dataclass(frozen=True)
class Summary:
    """The main facts of a run.

    `epochs` of `planned` epochs are done. `validation`, of the last epoch, and `test` are values of the task's main
    `metric`, such as "accuracy"; None if there is none yet. `seconds` is the time trained. `began` is a date and time
    in ISO 8601.
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
    metric: str = ACCURACY


def summary(folder: Path) -> Summary:
    """Return the summary of the run in `folder`. `UsageError` if there is none."""
    config = read_config(folder)
    state, epochs, validation, test, seconds, metric = INTERRUPTED, 0, None, None, 0.0, ACCURACY
    for record in read_log(folder / LOG):
        event = record.get("event")
        if event == EPOCH:
            epochs, seconds = epochs + 1, seconds + float(record["seconds"])
            score = Score.from_data(record["held_out"])
            validation, metric = score.value, score.main
        elif event == FINISHED:
            state, seconds = FINISHED, float(record["seconds"])
            test = Score.from_data(record["test"]).value if record["test"] else None
        elif event == DIVERGED:
            state = DIVERGED
    if is_held(folder / LOCK):
        state = RUNNING
    plan = config["plan"]
    planned = sum(int(stage["epochs"]) for stage in plan["stages"])
    return Summary(
        folder, str(config["data"]["name"]), str(plan["network"]), state, epochs, planned, validation, test, seconds,
        str(config.get("began", "")), metric,
    )  # fmt: skip


def summaries(folder: Path | None = None) -> list[Summary]:
    """Return the summaries of all runs in `folder`, the oldest first. By default these are the runs in runs/.

    Raise `UsageError` if the folder that was given does not exist.
    """
    parent = folder or Path(FOLDER)
    if folder is None and not parent.is_dir():
        return []
    if not parent.is_dir():
        raise UsageError(f"{parent}: there is no such folder; give one that holds runs, such as {FOLDER}")
    runs = [summary(path.parent) for path in parent.glob(f"*/{CONFIG}")]
    return sorted(runs, key=lambda run: (run.began, str(run.folder)))


def differences(first: Path, second: Path) -> list[tuple[str, str, str]]:
    """Return the options in which two runs differ: (option, value in the first, value in the second)."""
    options, other_options = (dict(_leaves(_options(read_config(folder)))) for folder in (first, second))
    names = [*options, *(name for name in other_options if name not in options)]
    pairs = ((name, options.get(name, "–"), other_options.get(name, "–")) for name in names)
    return [row for row in pairs if row[1] != row[2]]


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of a run's configuration on which its result depends."""
    plan = {"precision": Precision.FLOAT32.value, "loss": None, **config["plan"]}  # Older plans state neither.
    stages = {str(stage["name"]): {k: v for k, v in stage.items() if k != "name"} for stage in plan.pop("stages")}
    data = {key: value for key, value in config["data"].items() if key in ("source", "fingerprint", "images", "shape")}
    algorithms = plan.get("conv_algorithms", {})
    plan["conv_algorithms"] = [f"{problem}: {algorithm}" for problem, algorithm in algorithms.items()]
    return {**plan, **stages, "data": data, "made with": config.get("made", {})}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested dictionaries as text, each with the path to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name} {key}".strip().replace("_", " "))
    elif isinstance(value, list):
        yield name, ", ".join(f"{item:g}" if isinstance(item, float) else str(item) for item in value) or "none"
    else:
        yield name, "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
