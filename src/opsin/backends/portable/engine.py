"""The engine of portable results: machine code of this processor that computes what exported programs compute."""

from __future__ import annotations

from dataclasses import replace

from opsin.backends.native import Native
from opsin.backends.native import compile as compile_native
from opsin.backends.options import DEFAULT, CompileOptions, refuse
from opsin.ir import Graph
from opsin.kernels.ir import PORTABLE, Target


def compile(
    graph: Graph,
    batch: int = 1,
    threads: int | None = None,
    *,
    options: CompileOptions = DEFAULT,
    target: Target = PORTABLE,
) -> Native:
    """Return `graph` as a program whose results every rendering of the same graph repeats bit by bit.

    It uses four lanes, no fused multiply-add, no algorithm with Winograd's rounding, no tuned algorithm, and keeps
    denormal numbers. Exported programs have a batch size of 1; with another one, convolutions may add in another order.
    `target` is `PORTABLE`, or `PORTABLE_SMALL`, with bit-identical results.
    Raise `UsageError` if `options` ask for another precision or for algorithms.
    """
    refuse("portable", options, "precision", "conv_algorithms")
    return compile_native(graph, batch, threads, target, options=replace(options, winograd=False))
