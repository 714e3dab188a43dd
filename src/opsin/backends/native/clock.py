"""The processor's time-stamp counter in seconds."""

from __future__ import annotations

import ctypes
from time import perf_counter, sleep

from opsin.backends.native import codegen
from opsin.base.concurrency import locked_cache

SYMBOL = "opsin_ticks"
LLVM_TEXT = f"""
declare i64 @llvm.readcyclecounter()

define i64 @{SYMBOL}() nounwind {{
  %now = call i64 @llvm.readcyclecounter()
  ret i64 %now
}}
"""
PAUSE_SECONDS = 0.02
"""Seconds between two readings: a delay of a microsecond in one of them is then an error of 1 in 10,000."""


@locked_cache()
def ticks_per_second() -> float:
    """Return the rate of the counter that times kernels, measured by the system's clock: the median of three tries."""
    function = ctypes.CFUNCTYPE(ctypes.c_int64)(*codegen.load(codegen.object_code(LLVM_TEXT), SYMBOL))
    rates: list[float] = []
    for _ in range(3):
        start, begin = perf_counter(), function()
        sleep(PAUSE_SECONDS)
        seconds, ticks = perf_counter() - start, function() - begin
        rates.append(ticks / seconds)
    return sorted(rates)[1]
