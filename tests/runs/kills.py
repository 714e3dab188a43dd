"""Kills training processes at random moments, lets them go on, and compares what comes out with an unbroken run."""

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

COMMAND = (sys.executable, "-m", "opsin", "train")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
TIMED = ("time", "seconds", "compiling")


@dataclass(frozen=True)
class Result:
    """A run's model, all of its last checkpoint's tensors, and what its log says of its epochs: all without times."""

    model: bytes
    tensors: dict[str, bytes]
    epochs: list[dict[str, object]]


def start(*arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end, which has to be a good one."""
    _, error = process.communicate()
    assert process.returncode == 0, error.decode()


def killed(process: subprocess.Popen[bytes], run: Path, after: float) -> bool:
    """Kills the process `after` so many seconds of training; False where it had already ended."""
    sittings = started(run)
    while started(run) == sittings and process.poll() is None:
        time.sleep(0.002)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def started(run: Path) -> float:
    """When the last sitting began to train, by the log."""
    return max(
        (float(record["time"]) for record in read_log(run / "log.jsonl") if record["event"] == "started"), default=0
    )


def broken_run(run: Path, options: list[object], kills: int, seconds: float, moments: random.Random) -> int:
    """A run of about `seconds` that is killed up to `kills` times, and then ends; how often it was."""
    done = 0
    while done < kills:
        if not killed(_sitting(run, options), run, moments.uniform(0, 1.5 * seconds / (kills + 1))):
            return done  # it came to its end before its time
        done += 1
    finish(_sitting(run, options))
    return done


def _sitting(run: Path, options: list[object]) -> subprocess.Popen[bytes]:
    """The run begins, or goes on."""
    return start("--resume", run) if (run / "config.json").exists() else start(*options, "--run", run)


def result(run: Path) -> Result:
    found = Checkpoints(run / "checkpoints").read()
    assert found is not None
    snapshot = found[0]
    assert not list(run.rglob("*.part"))
    epochs = [record for record in read_log(run / "log.jsonl") if record["event"] == "epoch"]
    return Result(
        (run / "model.opsin").read_bytes(),
        {name: array.tobytes() for name, array in snapshot.values.items()},
        [{key: value for key, value in epoch.items() if key not in TIMED} for epoch in epochs],
    )
