"""The lock: one holder, and none after its process has ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from opsin.base.file_lock import Lock, LockHeld, is_held

HOLD = """
import sys
from pathlib import Path
from threading import Thread
from opsin.base.file_lock import Lock
lock = Lock(Path(sys.argv[1]))
print("held", flush=True)
input()
"""


def test_the_lock_is_released_when_its_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    assert is_held(path)
    with pytest.raises(LockHeld):
        Lock(path)
    holder.kill()
    holder.communicate()
    assert not is_held(path)
    with Lock(path):
        assert is_held(path)
    assert not is_held(path)


def test_a_missing_file_is_not_locked(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "lock")
    assert not list(tmp_path.iterdir())


def test_a_temporary_file_is_removed_and_whoever_waited_holds_a_new_one(tmp_path: Path) -> None:
    path, waiting = tmp_path / "lock", list[Lock]()
    first = Lock(path, temporary=True)
    thread = Thread(target=lambda: waiting.append(Lock(path, temporary=True)))
    thread.start()
    first.close()
    thread.join()
    assert is_held(path)
    waiting[0].close()
    assert not list(tmp_path.iterdir())
