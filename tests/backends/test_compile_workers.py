"""Kernels compiled in processes of their own are those compiled here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opsin.backends.native import codegen, compile_workers
from opsin.kernels.panels import PackPanels, PanelShape

JOBS = [
    (f"kernel_{columns}", PackPanels(columns, PanelShape(2, 1), False))
    for columns in range(1, compile_workers.MIN_PARALLEL_JOBS + 2)
]


def test_processes_give_the_same_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_workers, "processors", lambda: 2)
    target = codegen.host().target
    found = compile_workers.compile_all(JOBS, target)
    assert found.keys() == dict(JOBS).keys()
    for symbol, spec in JOBS:
        assert found[symbol] == compile_workers.compile_kernel(symbol, spec, target)


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
def test_what_a_process_does_not_give_is_left_to_the_asker(monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
    monkeypatch.setattr(compile_workers, "processors", lambda: 2)
    monkeypatch.setattr(sys, "executable", executable)
    found = compile_workers.compile_all(JOBS, codegen.host().target)
    assert found.keys() == dict(JOBS).keys()


FORKED = """
import os, signal, threading, time
from opsin.backends.native import codegen, compile_workers
from opsin.kernels.panels import PackPanels, PanelShape

compile_workers.processors = lambda: 3
count = 2 * compile_workers.MIN_PARALLEL_JOBS
jobs = [(f"kernel_{columns}", PackPanels(columns, PanelShape(2, 1), False)) for columns in range(1, count)]
made = {}
target = codegen.host().target
compiling = threading.Thread(target=lambda: made.update(compile_workers.compile_all(jobs, target)), daemon=True)
compiling.start()
children = []
while compiling.is_alive() and len(children) < 40:
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(0)
    children.append(child)
    compiling.join(0.05)
compiling.join(30)
for child in children:
    os.kill(child, signal.SIGKILL)
print(compiling.is_alive(), len(made) == len(jobs), flush=True)
os._exit(0)
"""
"""Processes forked meanwhile have the pipes to those that compile open, too."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_processes_end_though_others_were_forked_meanwhile(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPSIN_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, env=environment, timeout=100)
    assert done.stdout == "False True\n", done.stderr
