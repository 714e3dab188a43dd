"""Training processes that are killed at random moments and resumed, and what to compare of the results."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from opsin.runs.checkpoint import Checkpoints
from opsin.runs.log import read_log
from tests.data.annotated_folders import write_boxes, write_labels, write_masks, write_numbers
from tests.inputs.questions import questions, write_json
from tests.tasks.identity.blobs import write_people
from tests.tasks.transcription.tones import write_strings

PROGRAM = """
from opsin.apps.cli.main import main
from opsin.training.saving import ModelWriter
ModelWriter.quantize = lambda *_: None
main()
"""
"""Opsin without the record for int8, as in all tests: it follows training, and took most of these short runs."""

COMMAND = (sys.executable, "-c", PROGRAM, "train")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
ANNOTATED = {
    "detection": (write_boxes, ("--network", "fcos_efficientnet_lite0", "--from-scratch", "--size", 64)),
    "segmentation": (write_masks, ("--network", "unet_light", "--size", 32)),
    "regression": (write_numbers, ("--network", "resnet9_half", "--size", 32)),
    "multilabel": (write_labels, ("--network", "resnet9_half", "--size", 32)),
    "transcription": (write_strings, ()),
    **{
        task: (lambda folder, _: write_people(folder), ("--task", task, "--network", "lenet5", "--size", 32))
        for task in ("identity", "self-supervised")
    },
    "several": (
        lambda folder, count: write_json(folder / "rows.json", questions(folder, 4 * count, 4)),
        ("--network", "towers_film", "--inputs", "image,question", "--target", "answer", "--size", 12),
    ),
}
"""Annotated tasks and several inputs: what writes small data for them, and the options of a small network."""

ANNOTATED_IMAGES = 48

TIMED = ("time", "seconds", "compiling")


@dataclass(frozen=True)
class Result:
    """A run's model, the tensors of its last checkpoint, and the epochs in its log, without times."""

    model: bytes
    tensors: dict[str, bytes]
    epochs: list[dict[str, object]]


def annotated_options(task: str, folder: Path, epochs: int) -> list[object]:
    """Write annotated data to `folder`, and return the options of a short training on it."""
    write, options = ANNOTATED[task]
    write(folder, ANNOTATED_IMAGES)
    return [
        folder, *options, "--epochs", epochs, "--batch", 8, "--ema", 0.98, "--patience", 3, "--checkpoint-minutes", 0,
        "--threads", 1, "--no-report",
    ]  # fmt: skip


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Wait for the process, which must succeed."""
    _, error = process.communicate()
    assert process.returncode == 0, error.decode()


def kill_after(process: subprocess.Popen[bytes], run: Path, seconds: float) -> bool:
    """Kill the process after some seconds of training; return False if it had already ended."""
    previous_start = last_start(run)
    while last_start(run) == previous_start and process.poll() is None:
        time.sleep(0.002)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def last_start(run: Path) -> float:
    """Return the time at which training last began or continued, according to the log."""
    return max(
        (float(record["time"]) for record in read_log(run / "log.jsonl") if record["event"] == "started"), default=0
    )


def interrupted_run(run: Path, options: list[object], kills: int, seconds: float, moments: random.Random) -> int:
    """Kill a run of about `seconds` up to `kills` times, then let it finish; return how often it was killed."""
    kill_count = 0
    while kill_count < kills:
        if not kill_after(_start_or_resume(run, options), run, moments.uniform(0, 1.5 * seconds / (kills + 1))):
            return kill_count  # It finished before it was killed.
        kill_count += 1
    finish(_start_or_resume(run, options))
    return kill_count


def _start_or_resume(run: Path, options: list[object]) -> subprocess.Popen[bytes]:
    return start("--resume", run) if (run / "config.json").exists() else start(*options, "--run", run)


def result(run: Path) -> Result:
    """Return what must not depend on interruptions."""
    stored = Checkpoints(run / "checkpoints").read()
    assert stored is not None
    snapshot = stored[0]
    assert not list(run.rglob("*.part"))
    epochs = [record for record in read_log(run / "log.jsonl") if record["event"] == "epoch"]
    return Result(
        (run / "model.opsin").read_bytes(),
        {name: array.tobytes() for name, array in snapshot.values.items()},
        [{key: value for key, value in epoch.items() if key not in TIMED} for epoch in epochs],
    )
