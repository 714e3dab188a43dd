"""Processes that answer as workers do, right or wrong, for tests."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from opsin.apps.benchmark import measure, peers
from opsin.apps.benchmark.peers import Competitor, Peer, Worker

ANSWERS = """
import json, sys, time
import numpy as np
for line in sys.stdin:
    request = json.loads(line)
    BODY
    print(json.dumps(answer), flush=True)
"""
SAME = """
    if request["do"] == "open":
        arrays = np.load(request["folder"] + "/expected.npz")
        np.savez(request["folder"] + "/other.npz", **{name: values + SHIFT for name, values in arrays.items()})
        answer = {"results": request["folder"] + "/other.npz", "seconds": 0.1, "version": "1.2", "memory": 1e6}
    else:
        answer = {"calls": 10, "seconds": PACE, "idle": 0.0, "memory": 2e6}
"""
DEAD = "sys.exit('no more input')"
REFUSING = "answer = {'error': 'ValueError: what is an image?', 'memory': None}"
SILENT = "time.sleep(60)"


def answering(body: str) -> str:
    """A program that answers each request by `body`, which sets `answer`."""
    return ANSWERS.replace("    BODY", "    " + body.strip())


def equal_answers(pace: float, shift: float = 0.0) -> str:
    """A program that computes what Opsin did, plus `shift`, and says that ten calls took `pace` seconds."""
    return answering(SAME.replace("SHIFT", repr(shift)).replace("PACE", repr(pace)))


@dataclass(frozen=True)
class FakePeer(Peer):
    """A library that is a program in a test."""

    program: str = ""


def fake_competitor(name: str, program: str) -> Competitor:
    return Competitor(FakePeer(name, name, "", "", ("",), ("",), program=program), "", sys.executable)


class TestWorker(Worker):
    """Runs a fake_competitor's program; Opsin is run as always, and its results are left for the pretenders."""

    __test__ = False

    def command(self) -> list[str]:
        peer = self.competitor.peer
        return [sys.executable, "-c", peer.program] if isinstance(peer, FakePeer) else super().command()

    def ask(self, request: dict[str, object], limit: float) -> dict[str, object]:
        answer = super().ask(request, limit)
        if self.competitor.peer is peers.OPSIN and "results" in answer:
            Path(str(request["folder"]), "expected.npz").write_bytes(Path(str(answer["results"])).read_bytes())
        return answer


@pytest.fixture
def fake_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretenders can be measured."""
    monkeypatch.setattr(measure, "Worker", TestWorker)
