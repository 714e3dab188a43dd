"""Finding peers, and talking to their processes."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from opsin.apps.benchmark import peers
from opsin.apps.benchmark.peers import PEERS, PeerError, interpreters
from opsin.base.errors import UsageError
from tests.apps.benchmark.workers import DEAD, REFUSING, SILENT, TestWorker, answering, fake_competitor


def worker(program: str, folder: Path) -> TestWorker:
    return TestWorker(fake_competitor("Djinn", program), 1, folder / "log")


@pytest.mark.parametrize(
    ("program", "text"),
    [
        (answering(DEAD), "Djinn ended with exit code 1: no more input"),
        (answering(REFUSING), r"Djinn: ValueError: what is an image\?"),
        ("import os; os.kill(os.getpid(), 9)", "Djinn ended with signal 9"),
        ("import module_that_is_not_there", "Djinn ended with exit code 1: ModuleNotFoundError"),
    ],
    ids=["dead", "refusing", "killed", "missing"],
)
def test_failures_are_reported(program: str, text: str, tmp_path: Path) -> None:
    asked = worker(program, tmp_path)
    try:
        with pytest.raises(PeerError, match=text):
            asked.ask({"do": "open"}, 30)
    finally:
        asked.close()


def test_a_silent_worker_times_out(tmp_path: Path) -> None:
    asked = worker(answering(SILENT), tmp_path)
    begin = time.monotonic()
    with pytest.raises(PeerError, match="Djinn did not answer within 0 seconds"):
        asked.ask({"do": "open"}, 0.2)
    asked.close()
    assert time.monotonic() - begin < 10
    assert asked.process.poll() is not None


def test_private_environment_variables_are_not_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    asked = worker(answering("import os; answer = {k: os.environ.get(k) for k in request['keys']}"), tmp_path)
    try:
        keys = ["PYTHONPATH", "OPENBLAS_CORETYPE", "OMP_NUM_THREADS"]
        assert asked.ask({"do": "tell", "keys": keys}, 30) == dict(zip(keys, (None, None, "1"), strict=True))
    finally:
        asked.close()


@pytest.mark.parametrize("text", ["pytorch", "torch=/usr/bin/python3"])
def test_a_peer_is_a_known_name_and_an_interpreter(text: str) -> None:
    with pytest.raises(UsageError, match=f"--peer takes NAME=PYTHON with a name of pytorch, .*; not '{text}'"):
        interpreters([text])


def test_an_interpreter_without_the_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = peers.Peer("djinn", "Djinn", "djinn", "package_that_is_not_there", (), ())
    monkeypatch.setitem(PEERS, "djinn", absent)
    with pytest.raises(UsageError, match=r"cannot import package_that_is_not_there; .* -m pip install"):
        interpreters([f"djinn={sys.executable}"])
    with pytest.raises(UsageError, match="/no/python cannot import"):
        interpreters(["djinn=/no/python"])


def test_installed_peers_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "djinn", peers.Peer("djinn", "Djinn", "djinn", "numpy", (), ()))
    assert interpreters([])["djinn"] == sys.executable


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups of processes here")
def test_child_processes_end_with_their_worker(tmp_path: Path) -> None:
    child = "[sys.executable, '-c', 'import time; time.sleep(60)']"
    asked = worker(answering(f"import subprocess; answer = {{'child': subprocess.Popen({child}).pid}}"), tmp_path)
    number = asked.ask({"do": "start"}, 30)["child"]
    assert isinstance(number, int)
    asked.close()
    end = time.monotonic() + 10
    while (stat := Path(f"/proc/{number}/stat")).exists() and " Z " not in stat.read_text():
        assert time.monotonic() < end, "the child is still there"
        time.sleep(0.05)
