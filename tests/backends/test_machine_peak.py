"""The machine's own limits, and that the loops that measure them compute what they say."""

from __future__ import annotations

import pytest

from opsin.backends.native import machine_peak


def test_multiply_adds_are_all_done() -> None:
    peak = machine_peak.Peak(2)
    peak()
    # Each sum goes to its fixed point x = 0.999 x + 0.001.
    assert peak._results == pytest.approx(machine_peak.ACCUMULATORS, rel=1e-3)
    assert peak.flops == 2 * machine_peak.ACCUMULATORS * peak._results.size * machine_peak.ITERATIONS


def test_streams_are_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_peak, "STREAM_ELEMENTS", 2**12)
    stream = machine_peak.Triad(2)
    stream()
    for a, b, c in stream._arrays:
        assert (a == b + 0.5 * c).all() and (a == 2.0).all()
    assert stream.bytes == 12 * 2**12


def test_figures_are_of_a_processor() -> None:
    assert 1e9 < machine_peak.fma_peak(1, 0.01) < 1e13
    assert 1e8 < machine_peak.memory_bandwidth(1, 0.01) < 1e13
    assert machine_peak.cpu_model()
