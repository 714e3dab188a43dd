"""The processor's time-stamp counter in seconds."""

from __future__ import annotations

import ctypes
from time import perf_counter, sleep

from opsin.backends.native import codegen
from opsin.base.concurrency import locked_cache

SYMBOL = "opsin_ticks"
TEXT = f"""
declare i64 @llvm.readcyclecounter()

define i64 @{SYMBOL}() nounwind {{
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}}
"""
PAUSE = 0.02
"""Seconds between two readings: a microsecond of delay in taking one is then a part in ten thousand."""


@locked_cache()
def ticks_per_second() -> float:
    """How fast the counter that times kernels runs, measured against the system's clock: the median of three tries."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64)(*codegen.load(codegen.object_code(TEXT), SYMBOL))
    rates: list[float] = []
    for _ in range(3):
        start, begin = perf_counter(), function()
        sleep(PAUSE)
        passed, ticks = perf_counter() - start, function() - begin
        rates.append(ticks / passed)
    return sorted(rates)[1]
