"""What every worker does: it reads requests, a line of JSON each, and answers so; in between it waits without working.

| request | answer |
|---|---|
| `{"do": "open", …}`, see `Job` | what `Session.facts` says, seconds to open, where the results are |
| `{"do": "time", "seconds": s}` | calls, and seconds they took together; CPU seconds used since the last answer |
| `{"do": "close"}` | none; the process ends |

What goes wrong is an answer, too: `{"error": …}`. Whatever a library prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

Arrays = dict[str, Any]
"""NumPy arrays by name."""
WARM = 0.2
"""The share of a turn that is run before, and not counted."""


@dataclass(frozen=True)
class Job:
    """What to run: `network` is the data of `layered.Layered`; files hold the rest."""

    task: str
    """train or infer."""
    mode: str
    batch: int
    threads: int
    network: dict[str, Any]
    weights: str
    """NPZ of parameters and running statistics by name."""
    inputs: str
    """NPZ of images N × C × H × W, and for training labels N."""
    onnx: str
    """The same network and weights for inference, as ONNX has it; empty in training."""
    rate: float
    momentum: float
    folder: str
    """For files of the worker's own."""

    def arrays(self) -> tuple[Arrays, Arrays]:
        """Weights, and inputs."""
        return dict(np.load(self.weights)), dict(np.load(self.inputs))


class Session(Protocol):
    """A network that is ready to run."""

    def step(self) -> object:
        """One training step, or the logits of one batch, until the result is there."""

    def results(self) -> Arrays:
        """Of inference the logits; of training, where it is called first, the losses of two steps."""

    def facts(self) -> dict[str, Any]:
        """Versions, and what else is worth knowing."""


def serve(opened: Callable[[Job], Session]) -> None:
    """Answers requests until the other side goes away."""
    channel = _answers()
    session: Session | None = None
    used = time.process_time()
    for line in sys.stdin:
        request = json.loads(line)
        idle = time.process_time() - used
        do = request.pop("do")
        if do == "close":
            break
        try:
            if do == "open":
                begin = time.perf_counter()
                job = Job(**request)
                session = opened(job)
                answer = _first(session, job, begin)
            else:
                assert session is not None
                answer = {**_timed(session, request["seconds"]), "idle": idle}
        except Exception as error:  # whatever a library may raise
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        answer["memory"] = _peak_memory()
        used = time.process_time()
        channel.write(json.dumps(answer) + "\n")
        channel.flush()
    os._exit(0)  # libraries with threads of their own may take long to leave, or crash


def _first(session: Session, job: Job, begin: float) -> dict[str, Any]:
    """The first results, in a file."""
    results = session.results()
    seconds = time.perf_counter() - begin
    path = str(Path(job.folder) / f"{os.getpid()}.npz")
    np.savez(path, **results)
    return {"results": path, "seconds": seconds, **session.facts()}


def _timed(session: Session, seconds: float) -> dict[str, Any]:
    _repeat(session, WARM * seconds)
    calls, passed = _repeat(session, seconds)
    return {"calls": calls, "seconds": passed}


def _repeat(session: Session, seconds: float) -> tuple[int, float]:
    """Steps for about `seconds`, at least one: how many, and how long they took."""
    begin, calls, passed = time.perf_counter(), 0, 0.0
    while not calls or passed + passed / calls / 2 < seconds:
        session.step()
        calls += 1
        passed = time.perf_counter() - begin
    return calls, passed


def _peak_memory() -> float | None:
    """The most bytes that this process has had in memory, where the system tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


def _answers() -> TextIO:
    """Where answers go: see `start`, which sends what anybody prints to standard error before a library is loaded."""
    return os.fdopen(int(os.environ["OPSIN_ANSWERS"]), "w", encoding="utf-8")
