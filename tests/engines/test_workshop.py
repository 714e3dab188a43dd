"""Kernels compiled in processes of their own are those compiled here."""

from __future__ import annotations

import sys

import pytest

from opsin.engines.native import codegen, workshop
from opsin.kernels.panels import PackPanels

JOBS = [(f"kernel_{columns}", PackPanels(columns)) for columns in range(1, workshop.ENOUGH + 2)]


def test_processes_give_the_same_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "processors", lambda: 2)
    target = codegen.host().target
    found = workshop.compile_all(JOBS, target)
    assert found.keys() == dict(JOBS).keys()
    for symbol, spec in JOBS:
        assert found[symbol] == workshop.compile_kernel(symbol, spec, target)


@pytest.mark.parametrize("executable", ["/nowhere/python", "/bin/false"])
def test_what_a_process_does_not_give_is_left_to_the_asker(monkeypatch: pytest.MonkeyPatch, executable: str) -> None:
    monkeypatch.setattr(workshop, "processors", lambda: 2)
    monkeypatch.setattr(sys, "executable", executable)
    found = workshop.compile_all(JOBS, codegen.host().target)
    assert found.keys() == dict(JOBS).keys()
