"""What was timed on this machine, on disk: whatever lies there, and whoever else writes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from opsin.engines.native import choices
from opsin.engines.native.choices import Timed, forget, recall, remember
from opsin.engines.native.codegen import host

TARGET = host().target
TIMED = Timed("forward 1x1", "direct", "packed", 2e-3, 1e-3, 2)
WRITER = """
import sys
from dataclasses import replace
from opsin.engines.native.choices import Timed, remember
from opsin.loops import TARGETS
(target,) = (row for row in TARGETS if row.name == sys.argv[2])
for number in range(40):
    remember([Timed(f"{sys.argv[1]} {number}", "direct", "packed", 2.0, 1.0, 1)], target)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(choices, "cache_folder", lambda: tmp_path)
    return tmp_path / "choices"


def file(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_the_last_about_a_problem_counts() -> None:
    assert recall(TARGET) == {}
    other = replace(TIMED, problem="other")
    remember([TIMED, other], TARGET)
    later = replace(TIMED, way="direct", after=2e-3)
    remember([later], TARGET)
    assert recall(TARGET) == {TIMED.problem: later, "other": other}
    assert choices.choices(TARGET) == {TIMED.problem: "direct", "other": "packed"}


def test_what_is_forgotten_is_left_to_the_model() -> None:
    remember([TIMED, replace(TIMED, problem="other")], TARGET)
    assert forget([TIMED.problem, TIMED.problem, "never timed"], TARGET) == 1
    assert choices.choices(TARGET) == {"other": "packed"}
    remember([TIMED], TARGET)
    assert set(recall(TARGET)) == {"other", TIMED.problem}


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00\xff\xfe\n\n", b'{"problem": "cut sh', b"[1, 2]\n", b'{"problem": 1}\n', b"null\n",
        b'{"problem": [], "model": "", "way": "a", "before": 1, "after": 1, "threads": 1}\n',
        b'{"problem": "p", "model": "", "way": "a", "before": "soon", "after": 1, "threads": 1}\n',
    ],
)  # fmt: skip
def test_a_broken_file_is_passed_over_and_written_on(junk: bytes, folder: Path) -> None:
    remember([TIMED], TARGET)
    path = file(folder)
    path.write_bytes(path.read_bytes() + junk)
    assert recall(TARGET) == {TIMED.problem: TIMED}
    path.write_bytes(junk)
    assert recall(TARGET) == {}
    remember([TIMED], TARGET)
    assert recall(TARGET) == {TIMED.problem: TIMED}


def test_other_kernels_and_other_processors_have_a_file_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    remember([TIMED], TARGET)
    with monkeypatch.context() as patch:
        patch.setattr(choices, "_lowering", lambda: "changed")
        assert recall(TARGET) == {}
    with monkeypatch.context() as patch:
        patch.setattr(choices, "key", lambda *parts: choices.hashlib.sha256(repr(parts).encode()).hexdigest())
        assert recall(TARGET) == {}
    assert recall(replace(TARGET, registers=TARGET.registers * 2)) == {}
    assert recall(TARGET) == {TIMED.problem: TIMED}


def test_a_folder_that_cannot_be_written_is_a_warning(folder: Path) -> None:
    folder.write_text("in the way")
    text = "what was timed cannot be kept in .*choices: .*; set OPSIN_CACHE to a folder"
    with pytest.warns(RuntimeWarning, match=text):
        remember([TIMED], TARGET)
    assert recall(TARGET) == {}


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    environment = {**os.environ, "OPSIN_CACHE": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER]
    writers = [subprocess.Popen([*command, name, TARGET.name], env=environment) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert set(recall(TARGET)) == {f"{name} {number}" for name in "abc" for number in range(40)}
