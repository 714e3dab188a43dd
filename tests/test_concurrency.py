"""What is made once is made once by many threads, and nothing of other threads reaches a forked process."""

from __future__ import annotations

import gc
import os
import signal
import tarfile
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from opsin.backends.native.codegen import _llvm
from opsin.base.concurrency import ForkLock, in_child, lazy, locked_cache
from opsin.base.file_lock import Lock, is_held
from opsin.data import batches
from opsin.data.dataset import LabeledImages
from opsin.data.decode.pillow_warnings import suppress_pillow_warnings
from opsin.data.parallel import prefetch
from opsin.data.positional import PositionalFile, read_into
from opsin.data.preprocessing import Preprocessing
from opsin.data.sources.tars import Tar
from opsin.data.sources.zips import Zip
from opsin.data.store import StoreWriter
from opsin.ir import gc_paused

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def at_once(work: Callable[[], object], count: int = 8) -> list[object]:
    """What `work` gives to so many threads that call it at the same moment."""
    gate, results = threading.Barrier(count), list[object]()

    def go() -> None:
        gate.wait()
        results.append(work())

    threads = [threading.Thread(target=go) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def fork(work: Callable[[], bool], seconds: float = 20) -> int:
    """Starts a process that says whether `work` is true within so many seconds."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # a child that waits for ever is ended
    signal.alarm(int(seconds))
    code = 1
    try:
        code = 0 if work() else 2
    finally:
        os._exit(code)


def true_in_a_child(work: Callable[[], bool]) -> bool:
    return os.waitpid(fork(work), 0)[1] == 0


@contextmanager
def elsewhere(enter: Callable[[], None], leave: Callable[[], None]) -> Iterator[None]:
    """Another thread has called `enter`, and calls `leave` in the end."""
    entered, done = threading.Event(), threading.Event()

    def go() -> None:
        enter()
        entered.set()
        done.wait()
        leave()

    thread = threading.Thread(target=go)
    thread.start()
    entered.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_result_is_computed_once() -> None:
    calls: list[int] = []

    @locked_cache()
    def slow(number: int) -> object:
        calls.append(number)
        time.sleep(0.01)
        return object()

    found = at_once(lambda: (slow(1), slow(2)))
    assert len(set(found)) == 1 and sorted(calls) == [1, 2]
    assert slow.__name__ == "slow"


def test_failures_are_not_cached() -> None:
    answers = iter([ValueError(), 7])

    @locked_cache()
    def fickle() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(ValueError):
        fickle()
    assert fickle() == fickle() == 7


def test_functions_may_need_each_other_in_any_order() -> None:
    mutex = ForkLock()

    @locked_cache(mutex)
    def first(depth: int) -> int:
        time.sleep(0.001)
        return second(depth - 1) + 1 if depth else 0

    @locked_cache(mutex)
    def second(depth: int) -> int:
        time.sleep(0.001)
        return first(depth - 1) + 1 if depth else 0

    turn = iter(range(8))
    assert at_once(lambda: first(6) if next(turn) % 2 else second(6)) == [6] * 8


def test_an_attribute_is_the_same_for_all_threads() -> None:
    class Owner:
        @lazy
        def thing(self) -> object:
            """A thing."""
            time.sleep(0.005)
            return object()

    owner = Owner()
    assert len(set(at_once(lambda: owner.thing))) == 1
    assert Owner.thing.__doc__ == "A thing." and owner.__dict__["thing"] is owner.thing is not Owner().thing


@needs_fork
def test_a_lock_is_free_in_a_forked_process() -> None:
    for lock in (ForkLock(), ForkLock(reentrant=False)):
        with elsewhere(lambda lock=lock: lock.lock.acquire(), lambda lock=lock: None):  # type: ignore[misc]
            assert not lock.lock.acquire(blocking=False)
            assert true_in_a_child(lambda lock=lock: lock.lock.acquire(timeout=5))  # type: ignore[misc]
            assert not lock.lock.acquire(blocking=False)


@needs_fork
def test_a_lock_held_by_the_forking_thread_is_released_on_both_sides() -> None:
    mutex = ForkLock(reentrant=False)
    with mutex.lock:
        child = os.fork()
    free = mutex.lock.acquire(timeout=5)
    if not child:
        os._exit(0 if free else 1)
    assert free and os.waitpid(child, 0)[1] == 0


@needs_fork
def test_forks_wait_for_locks_that_are_held_over_forks() -> None:
    """LLVM in the middle of something could never be used again."""
    steps: list[str] = []

    def soon() -> None:
        time.sleep(0.1)
        release.set()

    release = threading.Event()
    ready = threading.Event()

    def hold() -> None:
        with _llvm.lock:
            ready.set()
            release.wait()
            steps.append("done")

    holder, waker = threading.Thread(target=hold), threading.Thread(target=soon)
    holder.start()
    ready.wait()
    waker.start()
    assert true_in_a_child(lambda: steps == ["done"] and _llvm.lock.acquire(timeout=5))
    holder.join()
    waker.join()
    assert _llvm.lock.acquire(timeout=5)
    _llvm.lock.release()


@needs_fork
def test_collected_owners_are_not_called() -> None:
    told: list[str] = []

    class Owner:
        pass

    kept, gone = Owner(), Owner()
    in_child(kept, lambda owner: told.append("kept"))
    in_child(gone, lambda owner: told.append("gone"))
    reference = weakref.ref(gone)
    del gone
    gc.collect()
    assert reference() is None
    assert true_in_a_child(lambda: told == ["kept"]) and not told


@needs_fork
def test_garbage_is_collected_in_a_process_forked_while_others_plan() -> None:
    inside = gc_paused()
    with elsewhere(inside.__enter__, lambda: inside.__exit__(None, None, None)):
        assert not gc.isenabled()
        with gc_paused():
            pass
        assert not gc.isenabled()
        assert true_in_a_child(gc.isenabled)
    assert gc.isenabled()


@needs_fork
def test_warnings_are_shown_in_a_process_forked_while_others_decode() -> None:
    before, inside = list(warnings.filters), suppress_pillow_warnings()
    with elsewhere(inside.__enter__, lambda: inside.__exit__(None, None, None)):
        assert list(warnings.filters) != before
        assert true_in_a_child(lambda: list(warnings.filters) == before)


@needs_fork
def test_a_forked_process_does_not_hold_on_to_a_run(tmp_path: Path) -> None:
    lock, stop = Lock(tmp_path / "lock"), tmp_path / "stop"

    def stay() -> bool:
        while not stop.exists():
            time.sleep(0.01)
        return True

    child = fork(stay)
    assert is_held(tmp_path / "lock")
    lock.close()
    until = time.monotonic() + 10
    while is_held(tmp_path / "lock") and time.monotonic() < until:
        time.sleep(0.01)  # until the child has run what belongs to a fork
    assert not is_held(tmp_path / "lock")
    stop.touch()
    assert os.waitpid(child, 0)[1] == 0


# -- files that were opened before a fork -----------------------------------------------------------


def read_by_all(read: Callable[[int], bytes], expected: list[bytes]) -> None:
    """Four processes and this one, with two threads each, read the same open file at the same time."""

    def right(start: int = 0) -> bool:
        order = np.random.default_rng(os.getpid() + start).integers(0, len(expected), 400)
        return all(read(int(number)) == expected[number] for number in order)

    children = [fork(lambda: at_once(right, 2) == [True, True]) for _ in range(4)]
    assert at_once(right, 2) == [True, True]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


CONTENTS = [bytes([number]) * (5000 + 37 * number) for number in range(50)]


@needs_fork
def test_a_store_is_read_by_several_processes(tmp_path: Path) -> None:
    rows = np.arange(50, dtype=np.uint8)[:, None] * np.ones(3000, np.uint8)
    writer = StoreWriter(tmp_path / "a.pixels", 50, 3000)
    for number, row in enumerate(rows):
        writer.put(number, np.full(16, number, np.uint8), row)
    store = writer.finish()

    def read(number: int) -> bytes:
        into = np.empty(3000, np.uint8)
        store.read(number, into)
        return into.tobytes()

    read_by_all(read, [row.tobytes() for row in rows])


@needs_fork
def test_a_zip_is_read_by_several_processes(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as file:
        for number, content in enumerate(CONTENTS):
            file.writestr(f"a/{number:02}.png", content)
    archive = Zip(tmp_path / "a.zip")
    read_by_all(lambda number: archive.read(number, "x"), CONTENTS)


@needs_fork
@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_tar_is_read_by_several_processes(tmp_path: Path, ending: str) -> None:
    with tarfile.open(tmp_path / f"a.{ending}", "w:gz" if ending.endswith("gz") else "w") as file:
        for number, content in enumerate(CONTENTS):
            member = tarfile.TarInfo(f"a/{number:02}.png")
            member.size = len(content)
            file.addfile(member, BytesIO(content))
    archive = Tar(tmp_path / f"a.{ending}")
    read_by_all(lambda number: archive.read(number, "x"), CONTENTS)


def test_a_positional_file_behaves_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    for missing in (None, "preadv", "pread"):
        if missing:
            monkeypatch.delattr(os, missing, raising=False)
        with PositionalFile(path) as file:
            assert file.readable() and file.seekable() and file.read(3) == b"\0\1\2" and file.tell() == 3
            assert (file.seek(-2, os.SEEK_END), file.read(), file.read(1)) == (198, bytes([198, 199]), b"")
            assert (file.seek(5), file.seek(5, os.SEEK_CUR), file.read(1)) == (5, 10, b"\x0a")
            with pytest.raises(OSError, match="before the beginning"):
                file.seek(-1)
        target = bytearray(9)
        with path.open("rb") as plain:
            assert read_into(plain.fileno(), memoryview(target), 195) == 5
        assert target == bytes([195, 196, 197, 198, 199, 0, 0, 0, 0])


# -- work done ahead --------------------------------------------------------------------------------


@needs_fork
def test_batches_continue_in_a_forked_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BLOCK_BYTES", 1)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    images = LabeledImages(pixels, np.arange(40, dtype=np.int32) % 2, ("a", "b"))
    made = batches.Batches(images, Preprocessing(1, 8, 8, (0.5,), (0.5,)), 4, seed=1)
    expected = [batch[0].tobytes() for batch in made.epoch(0)]
    epoch = made.epoch(0)
    begun = [next(epoch)[0].tobytes() for _ in range(3)]
    children = [fork(lambda: begun + [batch[0].tobytes() for batch in epoch] == expected) for _ in range(2)]
    assert begun + [batch[0].tobytes() for batch in epoch] == expected
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]


def test_work_ahead_comes_in_order_and_its_errors_come_through() -> None:
    assert list(prefetch(lambda number: number * number, range(9), 3)) == [n * n for n in range(9)]
    assert list(prefetch(str, (), 3)) == []
    going = prefetch(lambda number: 1 // (3 - number), range(9), 2)
    assert [next(going), next(going), next(going)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(going)
