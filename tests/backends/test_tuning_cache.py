"""What was timed on this machine, on disk: whatever lies there, and whoever else writes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opsin.backends.native import tuning_cache
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import TuningRecord, delete, load, save

TARGET = host().target
TIMED = TuningRecord("forward 1x1", "direct", "implicit GEMM", 2e-3, 1e-3, 2)
WRITER = """
import sys
from dataclasses import replace
from opsin.backends.native.tuning_cache import TuningRecord, save
from opsin.backends.native.codegen import host
(target,) = (row for row in host().targets if row.name == sys.argv[2])
for number in range(40):
    save([TuningRecord(f"{sys.argv[1]} {number}", "direct", "implicit GEMM", 2.0, 1.0, 1)], target)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)
    return tmp_path / "tuning"


def file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_the_last_about_a_problem_counts() -> None:
    assert load(TARGET) == {}
    other = replace(TIMED, problem="other")
    save([TIMED, other], TARGET)
    later = replace(TIMED, algorithm="direct", after=2e-3)
    save([later], TARGET)
    assert load(TARGET) == {TIMED.problem: later, "other": other}
    assert tuning_cache.tuned_algorithms(TARGET) == {TIMED.problem: "direct", "other": "implicit GEMM"}


def test_records_of_opsin_0_1_0_are_read(folder: Path) -> None:
    save([], TARGET)
    file(folder).write_text(
        '{"problem": "p", "model": "direct", "way": "packed", "before": 2e-3, "after": 1e-3, "threads": 2}'
    )
    assert load(TARGET) == {"p": TuningRecord("p", "direct", "implicit GEMM", 2e-3, 1e-3, 2)}


def test_deleted_problems_are_left_to_the_heuristic() -> None:
    save([TIMED, replace(TIMED, problem="other")], TARGET)
    assert delete([TIMED.problem, TIMED.problem, "never timed"], TARGET) == 1
    assert tuning_cache.tuned_algorithms(TARGET) == {"other": "implicit GEMM"}
    save([TIMED], TARGET)
    assert set(load(TARGET)) == {"other", TIMED.problem}


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\xff\xfe\n\n", b'{"problem": "cut sh', b"[1, 2]\n", b'{"problem": 1}\n', b"null\n",
        b'{"problem": [], "model": "", "way": "a", "before": 1, "after": 1, "threads": 1}\n',
        b'{"problem": "p", "model": "", "way": "a", "before": "soon", "after": 1, "threads": 1}\n',
    ],
)  # fmt: skip
def test_a_broken_file_is_passed_over_and_written_on(junk: bytes, folder: Path) -> None:
    save([TIMED], TARGET)
    path = file(folder)
    path.write_bytes(path.read_bytes() + junk)
    assert load(TARGET) == {TIMED.problem: TIMED}
    path.write_bytes(junk)
    assert load(TARGET) == {}
    save([TIMED], TARGET)
    assert load(TARGET) == {TIMED.problem: TIMED}


def test_other_kernels_and_other_processors_have_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    save([TIMED], TARGET)
    with monkeypatch.context() as patch:
        patch.setattr(tuning_cache, "_lowering_digest", lambda: "changed")
        assert load(TARGET) == {}
    with monkeypatch.context() as patch:
        patch.setattr(tuning_cache, "key", lambda *parts: tuning_cache.hashlib.sha256(repr(parts).encode()).hexdigest())
        assert load(TARGET) == {}
    assert load(replace(TARGET, registers=TARGET.registers * 2)) == {}
    assert load(TARGET) == {TIMED.problem: TIMED}


def test_a_folder_that_cannot_be_written_is_a_warning(folder: Path) -> None:
    folder.write_text("in the way")
    text = "tuning results cannot be saved in .*tuning: .*; set OPSIN_CACHE to a folder"
    with pytest.warns(RuntimeWarning, match=text):
        save([TIMED], TARGET)
    assert load(TARGET) == {}


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "OPSIN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, name, TARGET.name], env=environment) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert set(load(TARGET)) == {f"{name} {number}" for name in "abc" for number in range(40)}
