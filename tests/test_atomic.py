"""Files are written completely or not at all, whatever fails on the way."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pytest

from opsin.base import atomic
from opsin.base.atomic import PRIVATE, AtomicFile, atomic_file, atomic_write, remove_temporaries

posix = pytest.mark.skipif(os.name == "nt", reason="modes, links and signals of POSIX")


@pytest.mark.parametrize(
    "content",
    [b"caf\xc3\xa9\n", "café\n", lambda file: [file.write(b"caf"), file.write(b"\xc3\xa9\n")]],
    ids=["bytes", "text", "function"],
)
@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("old", [None, b"what was there before, and is longer"])
def test_content(
    tmp_path: Path, content: bytes | str | Callable[[BinaryIO], object], durable: bool, old: bytes | None
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    atomic_write(path, content, durable=durable)
    assert path.read_bytes() == "café\n".encode()
    assert os.listdir(tmp_path) == ["file"]


def test_paths_may_be_text(tmp_path: Path) -> None:
    atomic_write(str(tmp_path / "file"), b"1")
    assert (tmp_path / "file").read_bytes() == b"1"


def test_names_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic_write(path, b"1")
    assert path.read_bytes() == b"1"


@posix
def test_names_that_are_too_long_fail_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        AtomicFile(tmp_path / ("n" * 256))
    assert not os.listdir(tmp_path)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("failure", "error"), [(full, OSError), (interrupted, KeyboardInterrupt)])
@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_failures_leave_what_was_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    failure: Callable[..., None],
    error: type[BaseException],
    old: bytes | None,
) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    if step == "fsync":
        monkeypatch.setattr(os, "fsync", failure)
    if step == "replace":
        monkeypatch.setattr(Path, "replace", failure)
    with pytest.raises(error):
        atomic_write(path, failure if step == "write" else b"new")
    assert os.listdir(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old


def test_nothing_is_visible_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with atomic_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_missing_folders_and_folders_in_the_place_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "missing" / "file", b"1")
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=r"irectory|enied"):
        atomic_write(tmp_path / "folder", b"1")
    assert os.listdir(tmp_path) == ["folder"]


@posix
def test_new_files_get_their_mode_and_existing_ones_keep_it(tmp_path: Path) -> None:
    path, private = tmp_path / "file", tmp_path / "private"
    old = os.umask(0o027)
    try:
        atomic_write(path, b"1")
        atomic_write(private, b"1", mode=PRIVATE)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
        path.chmod(0o604)
        atomic_write(path, b"2")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old)


@posix
def test_a_symbolic_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"target")
    target.chmod(0o600)
    link.symlink_to(target)
    atomic_write(link, b"new")
    assert not link.is_symlink()
    assert (link.read_bytes(), target.read_bytes()) == (b"new", b"target")


@posix
def test_a_durable_file_is_synced_before_it_is_renamed_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[bool, list[str]]] = []
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append((stat.S_ISDIR(os.fstat(handle).st_mode), os.listdir(tmp_path)))
    )
    atomic_write(tmp_path / "file", b"1", durable=False)
    assert not synced
    (tmp_path / "file").unlink()
    atomic_write(tmp_path / "file", b"1")
    (first, before), (second, after) = synced
    assert (first, second, after) == (False, True, ["file"])
    assert [name.startswith(atomic.PREFIX) for name in before] == [True]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "open", full)
    atomic.sync_folder(tmp_path)


@posix
def test_a_killed_process_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import os, signal\n"
        "from opsin.base.atomic import atomic_write\n"
        "def write(file):\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        f"atomic_write({str(path)!r}, write)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(os.listdir(tmp_path)) == 2
    remove_temporaries(tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_threads_that_write_one_file_leave_one_of_their_contents(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [bytes([number]) * 100_000 for number in range(8)]
    threads = [Thread(target=atomic_write, args=(path, content), kwargs={"durable": False}) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_discarding_after_a_commit_changes_nothing(tmp_path: Path) -> None:
    new = AtomicFile(tmp_path / "file", buffering=0)
    new.file.write(b"1")
    new.commit()
    new.discard()
    assert (tmp_path / "file").read_bytes() == b"1"
    dropped = AtomicFile(tmp_path / "other")
    dropped.discard()
    dropped.discard()
    assert os.listdir(tmp_path) == ["file"]


def test_an_empty_name_is_an_error_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match=r".+"):
        atomic_write("", b"1")
    assert not os.listdir(tmp_path)
