"""Which ways of convolutions were the fastest when they were timed on this machine.

There is one file for a processor and a version of the kernels: a JSON object a line, the last about a problem counts.
Lines are only ever added, each in one piece, so that processes that tune at the same time lose nothing of each other's;
what cannot be read is passed over.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import opsin.compiler.lower
from opsin.backends.native.cache import key
from opsin.backends.native.codegen import host
from opsin.base.cache import cache_folder
from opsin.kernels.ir import Target


@dataclass(frozen=True)
class TuningRecord:
    """What came of timing a problem (see `compiler.lower.ways`) on so many `threads`.

    `model` is the way by the model, `way` the one that is taken; `before` and `after` are their seconds.
    """

    problem: str
    model: str
    way: str
    before: float
    after: float
    threads: int


def load(target: Target) -> dict[str, TuningRecord]:
    """All that was timed on this machine, by problem."""
    try:
        lines = _path(target).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    found: dict[str, TuningRecord] = {}
    for line in lines:
        try:
            timed = TuningRecord(**json.loads(line))
            found[timed.problem] = replace(timed, before=float(timed.before), after=float(timed.after))
        except (TypeError, ValueError):  # an empty line, or one that was cut short
            continue
    return {problem: timed for problem, timed in found.items() if timed.way}


def tuned_algorithms(target: Target) -> dict[str, str]:
    """The ways that were chosen by timing on this machine, by problem."""
    return {problem: timed.way for problem, timed in load(target).items()}


def save(found: Iterable[TuningRecord], target: Target) -> None:
    """Adds what was timed; where the disk refuses, only a warning."""
    # Lines begin with a line feed, too: what somebody else left half-written spoils only itself.
    text = "".join(f"\n{json.dumps(asdict(timed))}\n" for timed in found)
    path = _path(target)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)
    except OSError as error:
        warnings.warn(
            f"what was timed cannot be kept in {path.parent}: {error.strerror or error}; set OPSIN_CACHE to a folder "
            "with room", RuntimeWarning, stacklevel=2,
        )  # fmt: skip


def delete(problems: Iterable[str], target: Target) -> int:
    """Leaves these problems to the model again; how many of them had been timed."""
    known = load(target)
    gone = [problem for problem in dict.fromkeys(problems) if problem in known]
    save([TuningRecord(problem, "", "", 0.0, 0.0, 0) for problem in gone], target)
    return len(gone)


@cache
def _lowering() -> str:
    """A digest of the files that say what the ways are."""
    folder = Path(opsin.compiler.lower.__file__).parent
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()


def _path(target: Target) -> Path:
    this = host()
    return (
        cache_folder() / "choices" / f"{key('choices', repr(target), this.cpu, this.features, _lowering())[:32]}.jsonl"
    )
