"""The libraries that are compared, their modes, and their processes."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from opsin.apps.benchmark.precision import PRECISIONS, precision_of
from opsin.base.errors import OpsinError, UsageError

WORKERS = Path(__file__).parent / "workers"
PRIVATE_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH", "PYTHONSTARTUP")
"""Environment variables that are for this process only."""
OPEN_LIMIT, TURN_LIMIT = 600.0, 120.0
"""Seconds that a worker may take to start, and to finish a turn after its requested time."""


class PeerError(OpsinError):
    """A worker failed, died or did not answer. The case continues without it."""


@dataclass(frozen=True)
class Peer:
    """A library: its module in `workers`, the package that it needs, and its modes for each task."""

    name: str
    title: str
    module: str
    package: str
    train: tuple[str, ...]
    infer: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def modes(self, task: str, precisions: Collection[str] = PRECISIONS) -> tuple[str, ...]:
        """Return the modes for a task that have one of the precisions."""
        modes = self.train if task == "train" else self.infer
        return tuple(mode for mode in modes if precision_of(mode) in precisions)


OPSIN = Peer("opsin", "Opsin", "native", "opsin", ("", "bf16"), ("", "bf16", "int8"))
PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "pytorch", "PyTorch", "pytorch", "torch",
            (
                "eager", "eager channels_last", "compile", "compile channels_last",
                "eager channels_last bf16", "compile bf16", "compile channels_last bf16",
            ),
            (
                "eager", "eager channels_last", "frozen", "compile", "compile channels_last",
                "eager channels_last bf16", "compile bf16", "compile channels_last bf16",
            ),
        ),
        Peer("onnxruntime", "ONNX Runtime", "onnx_runtime", "onnxruntime", (), ("", "QDQ int8", "QOperator int8")),
        Peer(
            "openvino", "OpenVINO", "intel_openvino", "openvino", (), ("latency", "latency bf16", "latency int8"),
            {"CI": "true"},  # otherwise another process sends usage statistics
        ),
        Peer("mnn", "MNN", "alibaba_mnn", "MNN", (), ("",)),
        Peer(
            "tensorflow", "TensorFlow", "keras_layers", "tensorflow", ("", "XLA"), ("", "XLA"),
            {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"},
        ),
        Peer(
            "jax", "JAX", "keras_layers", "jax", ("",), ("",),
            {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Competitor:
    """A library in one of its modes, run by `python`."""

    peer: Peer
    mode: str
    python: str

    @property
    def title(self) -> str:
        """The library and its mode."""
        return f"{self.peer.title} {self.mode}".strip()

    @property
    def precision(self) -> str:
        """The precision of the mode."""
        return precision_of(self.mode)


def interpreters(arguments: Sequence[str]) -> dict[str, str]:
    """Return the interpreter of each available peer: `NAME=PYTHON` of the arguments, or this one if it has the package.

    Raise `UsageError` if a name is unknown, or an interpreter of the arguments lacks the package.
    """
    pythons = {}
    for text in arguments:
        name, equals, python = text.partition("=")
        if name not in PEERS or not equals:
            raise UsageError(f"--peer takes NAME=PYTHON with a name of {', '.join(PEERS)}; not '{text}'")
        if not _has(python, PEERS[name].package):
            raise UsageError(
                f"{python} cannot import {PEERS[name].package}; name an interpreter that can, or install it there "
                f"with: {python} -m pip install {PEERS[name].package}"
            )
        pythons[name] = python
    return pythons | {
        name: sys.executable
        for name, peer in PEERS.items()
        if name not in pythons and _has(sys.executable, peer.package)
    }  # fmt: skip


@cache
def _has(python: str, package: str) -> bool:
    """Return whether an interpreter has a package, and Keras if the package is one of its backends."""
    packages = [package, *(["keras"] if package in ("tensorflow", "jax") else [])]
    code = f"import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, {packages!r})))"
    try:
        process = subprocess.run([python, "-c", code], env=_environment(), capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return process.returncode == 0


def _environment(variables: Mapping[str, str] | None = None) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in PRIVATE_VARIABLES} | dict(variables or {})


class Worker:
    """The process of a competitor. Its output goes to the file `log`."""

    def __init__(self, competitor: Competitor, threads: int, log: Path) -> None:
        self.competitor = competitor
        self.log = log
        variables = {"OMP_NUM_THREADS": str(threads), "NPROC": str(threads), "CUDA_VISIBLE_DEVICES": ""}
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file, encoding="utf-8",
                env=_environment(variables | dict(competitor.peer.environment)), start_new_session=True,
            )  # fmt: skip
        self._answers: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def command(self) -> list[str]:
        """Return the command line."""
        return [self.competitor.python, str(WORKERS / "start.py"), self.competitor.peer.module]

    def ask(self, request: dict[str, Any], limit: float) -> dict[str, Any]:
        """Return the answer to a request. Raise `PeerError` if it is an error, or none comes within `limit` seconds."""
        title = self.competitor.title
        try:
            assert self.process.stdin
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self._answers.get(timeout=limit)
        except queue.Empty:
            raise PeerError(f"{title} did not answer within {limit:.0f} seconds") from None
        except OSError:
            line = ""
        if not line:
            code = self.process.wait()
            reason = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise PeerError(f"{title} ended with {reason}{self._last_line()}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(f"{title}: {answer['error']}")
        return answer

    def close(self) -> None:
        """Kill the process and those that it started."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            assert self.process.stdin
            self.process.stdin.close()

    def _listen(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put("")

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""
