"""What the kernels need to know of a processor: a row a family.

A kernel never asks which processor it is built for; it asks for lanes and registers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """`lanes` float32 in a vector register, `registers` of them, and whether it multiplies and adds in one."""

    name: str
    lanes: int
    registers: int
    fma: bool
    needs: tuple[str, ...]


TARGETS = (
    Target("avx512", 16, 32, True, ("avx512f", "avx512vl", "avx512bw", "avx512dq")),
    Target("avx2", 8, 16, True, ("avx2", "fma")),
    Target("sse4", 4, 16, False, ("sse4.1",)),
    Target("neon", 4, 32, True, ("neon",)),
)
"""Widest first."""


def best_target(features: Collection[str]) -> Target | None:
    """The widest row whose needs `features` (LLVM's names) meet."""
    return next((row for row in TARGETS if all(need in features for need in row.needs)), None)


def usable_targets(features: Collection[str]) -> list[Target]:
    """Every row that this processor can run, widest first."""
    return [row for row in TARGETS if all(need in features for need in row.needs)]
