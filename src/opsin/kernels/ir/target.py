"""The target table: one row for each family of processors.

Kernels use only the properties of a row, such as its lanes and registers, and never its name.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

BYTE_DOT_FEATURES = {"avx512f": "avx512vnni", "avx2": "avxvnni"}
"""The feature that multiplies bytes in the vectors of a row, by what that row needs."""


@dataclass(frozen=True)
class Target:
    """A family of processors: float32 `lanes` of a vector register, number of vector `registers`, whether there is a
    fused multiply-add (`fma`), and the features that a processor `needs` (LLVM's names).

    `factor_registers` are kept free for the numbers that a register tile multiplies its rows by. Instructions of x86
    read them from memory, or LLVM loads each into the same register. For Arm, LLVM loads several ahead of their use,
    and a tile that leaves only one register for them is spilled.

    `bf16_dot`: there are instructions that round to bfloat16 and that multiply pairs of them. `tiles`: there are
    registers for tiles of a matrix, and instructions that multiply them in bfloat16 (AMX). `byte_dot`: there is an
    instruction that adds four products of unsigned and signed bytes without saturation (VNNI). Rows of the table have
    none of them; `with_features` adds them for a processor.

    `masks_bytes`: one instruction loads a part of a vector of bytes. `keeps_bytes`: weights of 8 bits stay so in
    memory, as stored programs should be small. `shares_kernels`: sizes are arguments of kernels where that is possible,
    so that all layers of a program share their code. `flush_denormals`: programs compute with denormal numbers as zero,
    because arithmetic on them is slow.
    """

    name: str
    lanes: int
    registers: int
    fma: bool
    needs: tuple[str, ...]
    factor_registers: int = 1
    bf16_dot: bool = False
    tiles: bool = False
    byte_dot: bool = False
    masks_bytes: bool = False
    keeps_bytes: bool = False
    shares_kernels: bool = False
    flush_denormals: bool = True

    def with_features(self, features: Collection[str]) -> Target:
        """Return the row for a processor with `features`, which may have more than the row needs."""
        is_wide = "avx512f" in self.needs
        bf16_dot = is_wide and "avx512bf16" in features
        tiles = bf16_dot and {"amx-tile", "amx-bf16"} <= {*features}
        byte_dot = any(need in self.needs and name in features for need, name in BYTE_DOT_FEATURES.items())
        return replace(self, bf16_dot=bf16_dot, tiles=tiles, byte_dot=byte_dot)


TARGETS = (
    Target("avx512", 16, 32, True, ("avx512f", "avx512vl", "avx512bw", "avx512dq"), masks_bytes=True),
    Target("avx2", 8, 16, True, ("avx2", "fma")),
    Target("sse4", 4, 16, False, ("sse4.1",)),
    Target("neon", 4, 32, True, ("neon",), factor_registers=4),
)
"""All rows, widest first."""

PORTABLE = Target("portable", 4, 11, False, (), keeps_bytes=True, flush_denormals=False)
"""What every processor and language computes bit by bit: IEEE 754 float32, each operation rounded once, no fused
multiply-add, denormal numbers kept. Exported programs are made for it; `opsin predict --portable` runs it here.

Register tiles are for 11 of 16 registers: engines of WebAssembly load all factors of a tile before they multiply, and
spill larger tiles, which takes 1.7 times as long."""

PORTABLE_SMALL = replace(PORTABLE, name="portable-small", registers=7, shares_kernels=True)
"""Bit-identical, with kernels that are shared and smaller register tiles: programs take less memory, and
microcontrollers spill less."""


def best_target(features: Collection[str]) -> Target | None:
    """Return the widest row that a processor with `features` (LLVM's names) can run, or None."""
    return next(iter(usable_targets(features)), None)


def usable_targets(features: Collection[str]) -> list[Target]:
    """Return all rows that a processor with `features` can run, widest first."""
    return [row.with_features(features) for row in TARGETS if all(need in features for need in row.needs)]
