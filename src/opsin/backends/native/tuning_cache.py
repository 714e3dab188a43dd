"""The results of tuning convolutions on this machine, on disk.

There is one file for each processor and version of the kernels, with one JSON object on each line; the last one about a
problem counts. Each line is appended in one piece, so that processes that tune at the same time lose none of each
other's records; lines that cannot be read are skipped.
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
from typing import Any

import opsin.compiler.lower
from opsin.backends.native.cache import key
from opsin.backends.native.codegen import host
from opsin.base.cache import cache_folder
from opsin.base.legacy import CONV_ALGORITHMS, TUNING_RECORD
from opsin.kernels.ir import Target


@dataclass(frozen=True)
class TuningRecord:
    """The result of tuning a problem (see `compiler.lower.conv_algorithms`) on `threads` threads.

    `heuristic` is the algorithm that the heuristic chooses, `algorithm` the one that is used from now on; `before` and
    `after` are their times in seconds.
    """

    problem: str
    heuristic: str
    algorithm: str
    before: float
    after: float
    threads: int

    @classmethod
    def from_line(cls, line: str) -> TuningRecord:
        """Return the record of a line, also under the names of Opsin 0.1.0; raise TypeError or ValueError otherwise."""
        data: dict[str, Any] = json.loads(line)
        if not isinstance(data, dict):
            raise TypeError(f"a tuning record is a JSON object, not {line!r}")
        record = cls(**{TUNING_RECORD.get(name, name): value for name, value in data.items()})
        heuristic, algorithm = (CONV_ALGORITHMS.get(name, name) for name in (record.heuristic, record.algorithm))
        before, after = float(record.before), float(record.after)
        return replace(record, heuristic=heuristic, algorithm=algorithm, before=before, after=after)


def load(target: Target) -> dict[str, TuningRecord]:
    """Return all records of this machine, by problem."""
    try:
        lines = _path(target).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    records: dict[str, TuningRecord] = {}
    for line in lines:
        try:
            record = TuningRecord.from_line(line)
            records[record.problem] = record
        except (TypeError, ValueError):  # An empty line, or one that was cut short.
            continue
    return {problem: record for problem, record in records.items() if record.algorithm}


def tuned_algorithms(target: Target) -> dict[str, str]:
    """Return the algorithms that tuning on this machine chose, by problem."""
    return {problem: record.algorithm for problem, record in load(target).items()}


def save(records: Iterable[TuningRecord], target: Target) -> None:
    """Append records to the file; warn if it cannot be written."""
    # Each line also begins with a line feed, so that a line that another process left incomplete spoils only itself.
    text = "".join(f"\n{json.dumps(asdict(record))}\n" for record in records)
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
            f"tuning results cannot be saved in {path.parent}: {error.strerror or error}; set OPSIN_CACHE to a folder "
            "that can be written", RuntimeWarning, stacklevel=2,
        )  # fmt: skip


def delete(problems: Iterable[str], target: Target) -> int:
    """Delete the records of these problems, which leaves them to the heuristic; return how many there were."""
    records = load(target)
    keys = [problem for problem in dict.fromkeys(problems) if problem in records]
    save([TuningRecord(problem, "", "", 0.0, 0.0, 0) for problem in keys], target)
    return len(keys)


@cache
def _lowering_digest() -> str:
    """Return a digest of the files that define the problems and their algorithms."""
    lower = Path(opsin.compiler.lower.__file__).parent
    files = [lower.parent / "cost_model.py", *sorted(lower.glob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _path(target: Target) -> Path:
    machine = host()
    name = key("tuning", repr(target), machine.cpu, machine.features, _lowering_digest())[:32]
    return cache_folder() / "tuning" / f"{name}.jsonl"
