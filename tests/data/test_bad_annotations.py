"""Annotations that cannot be used are named; nothing else is read or changed, and the rest is used."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from opsin.base.errors import DataError
from opsin.data import load
from tests.data.bad_annotations import GOOD, TARGETS, TASKS, WRITERS, write_json_bomb

READER = """
import os
import sys
from pathlib import Path
from opsin.data import load
secret, source, task = sys.argv[1:4]
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
forbidden = "os.system", "os.exec", "os.remove", "os.rename", "socket.connect"
own = lambda args: str(args[0]).startswith(os.environ["OPSIN_CACHE"])  # machine code for reading images
sys.addaudithook(lambda event, args: sys.exit(f"{event} {args}") if event in forbidden and not own(args) else None)
load(source, size=32, cache_size=0, task=task, target=sys.argv[4:])
assert not [path for path in opened if "secret" in path], opened
"""


def digest(folder: Path) -> str:
    parts = sorted((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


@pytest.mark.parametrize("form", WRITERS)
def test_every_fault_is_named(form: str, tmp_path: Path) -> None:
    folder, secret = tmp_path / "data" / form, tmp_path / "secret.png"
    folder.mkdir(parents=True)
    secret.write_bytes(b"secret")
    names = WRITERS[form](folder, secret)
    before = digest(tmp_path)
    data = load(folder, size=32, task=TASKS.get(form, "detection"), target=TARGETS.get(form))
    assert data.receipt is not None and sum(map(len, data.splits.values())) >= GOOD
    text = data.receipt.text(full=True)
    assert not [name for name in names if name not in text]
    assert "\x1b" not in text and digest(tmp_path) == before


@pytest.mark.parametrize("form", WRITERS)
def test_nothing_outside_is_read(form: str, tmp_path: Path) -> None:
    folder, secret = tmp_path / "data" / form, tmp_path / "secret.png"
    folder.mkdir(parents=True)
    secret.write_bytes(b"secret")
    WRITERS[form](folder, secret)
    arguments = [str(secret), str(folder), TASKS.get(form, "detection"), *TARGETS.get(form, ())]
    subprocess.run([sys.executable, "-c", READER, *arguments], check=True)


def test_there_are_150(tmp_path: Path) -> None:
    count = 0
    for form, write in WRITERS.items():
        (tmp_path / form).mkdir()
        count += len(write(tmp_path / form, tmp_path / "secret.png"))
    assert count >= 150


def test_a_file_that_promises_too_much_is_refused(tmp_path: Path) -> None:
    write_json_bomb(tmp_path / "data.zip", 200)
    with pytest.raises(DataError, match=r"data\.zip"):
        load(tmp_path / "data.zip")
