"""The protocol of all workers: each request and each answer is a line of JSON. Between them the worker sleeps.

| request | answer |
|---|---|
| `{"do": "open", …}`, see `BenchmarkJob` | `Session.info`, seconds to open, and the file of the results |
| `{"do": "time", "seconds": s}` | number of calls, their total seconds, and CPU seconds used since the last answer |
| `{"do": "close"}` | none; the process ends |

An error is also an answer: `{"error": …}`. Output of libraries goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np

Arrays = dict[str, Any]
"""NumPy arrays by name."""
WARM_UP_SHARE = 0.2
"""The duration of the uncounted warm-up, as a share of a turn."""

QDQ_FILE = "qdq.onnx"
"""The quantized network that ONNX Runtime's process writes to the folder of the case, for others to read."""


@dataclass(frozen=True)
class BenchmarkJob:
    """The network to run. `network` is the data of a `layer_list.LayerList`; files hold the weights and inputs."""

    task: str
    """train or infer."""
    mode: str
    batch: int
    threads: int
    network: dict[str, Any]
    weights: str
    """NPZ of parameters and running statistics by name."""
    inputs: str
    """NPZ of images N×C×H×W and, for training, of labels N or of "target0", "target1", … like the outputs."""
    onnx: str
    """ONNX file of the same network and weights for inference; empty for training."""
    rate: float
    momentum: float
    folder: str
    """For files that the worker writes."""

    def arrays(self) -> tuple[Arrays, Arrays]:
        """Return the weights and the inputs."""
        return dict(np.load(self.weights)), dict(np.load(self.inputs))


class Session(Protocol):
    """A network that is ready to run."""

    def step(self) -> object:
        """Run a training step, or predict a batch, and wait for the result."""

    def results(self) -> Arrays:
        """Return `named_outputs` of inference, or the "losses" of the first two training steps."""

    def info(self) -> dict[str, Any]:
        """Return the version, and other facts for the record."""


def named_outputs(outputs: Iterable[Any]) -> Arrays:
    """Return the results of inference by name, in the order of the outputs."""
    return {f"output{number}": np.asarray(output) for number, output in enumerate(outputs)}


def serve(open_session: Callable[[BenchmarkJob], Session]) -> None:
    """Answer requests until the other side closes the channel."""
    channel = _answer_channel()
    session: Session | None = None
    cpu_seconds = time.process_time()
    for line in sys.stdin:
        request = json.loads(line)
        idle_seconds = time.process_time() - cpu_seconds
        action = request.pop("do")
        if action == "close":
            break
        try:
            if action == "open":
                begin = time.perf_counter()
                job = BenchmarkJob(**request)
                session = open_session(job)
                answer = _first_results(session, job, begin)
            else:
                assert session is not None
                answer = {**_timed(session, request["seconds"]), "idle": idle_seconds}
        except Exception as error:  # whatever a library may raise
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"}
        answer["memory"] = _peak_memory()
        cpu_seconds = time.process_time()
        channel.write(json.dumps(answer) + "\n")
        channel.flush()
    os._exit(0)  # libraries with threads may take long to exit, or crash


def _first_results(session: Session, job: BenchmarkJob, begin: float) -> dict[str, Any]:
    """Write the first results to a file, and return the answer."""
    results = session.results()
    seconds = time.perf_counter() - begin
    path = str(Path(job.folder) / f"{os.getpid()}.npz")
    np.savez(path, **results)
    return {"results": path, "seconds": seconds, **session.info()}


def _timed(session: Session, seconds: float) -> dict[str, Any]:
    _repeat(session, WARM_UP_SHARE * seconds)
    calls, elapsed = _repeat(session, seconds)
    return {"calls": calls, "seconds": elapsed}


def _repeat(session: Session, seconds: float) -> tuple[int, float]:
    """Run steps for about `seconds`, at least one. Return their number and how long they took."""
    begin, calls, elapsed = time.perf_counter(), 0, 0.0
    while not calls or elapsed + elapsed / calls / 2 < seconds:
        session.step()
        calls += 1
        elapsed = time.perf_counter() - begin
    return calls, elapsed


def _peak_memory() -> float | None:
    """Return the peak bytes of this process in memory; None if the system does not report them."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)


def _answer_channel() -> TextIO:
    """Return the stream for answers. `start` has redirected standard output to standard error before."""
    return os.fdopen(int(os.environ["OPSIN_ANSWERS"]), "w", encoding="utf-8")
