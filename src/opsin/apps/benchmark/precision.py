"""The precisions in which networks are compared, and the processors that multiply them."""

from __future__ import annotations

from opsin.apps.benchmark.cases import INFER, TRAIN
from opsin.backends.native import codegen
from opsin.compiler.precision import Precision

FLOAT32, BF16 = PRECISIONS = tuple(precision.value for precision in Precision)
INT8 = "int8"
"""Predictions in 8-bit integers. Each library chooses the scales from the images of the case."""
MODES = (*PRECISIONS, INT8)
"""Everything that a mode may compute in. Tables of the fastest precision leave out int8, which answers differently."""

BF16_FEATURES = frozenset({"avx512bf16", "amx-bf16", "bf16"})
"""LLVM's names of the features with which x86 and Arm processors multiply bfloat16."""

LIMITS = {
    (TRAIN, FLOAT32): 5e-2, (INFER, FLOAT32): 1e-3, (TRAIN, BF16): 0.5, (INFER, BF16): 5e-2, (INFER, INT8): 0.1
}  # fmt: skip
"""The largest accepted differences from Opsin's float32: of losses relative to their change in a step, of outputs
relative to their range. Modes of one library differ by 2% in losses if a deep network begins with many normalizations.
bfloat16 has 8 bits of precision, so that the loss of a deep network moves by a good part of what a step changes.
Rounding in int8 adds up over the layers of a network with random weights, which were not trained to resist it."""


def precision_of(mode: str) -> str:
    """Return the precision of a peer's mode, which is its last word unless it is float32."""
    last = mode.split(" ")[-1]
    return last if last in MODES else FLOAT32


def multiplied_here() -> tuple[str, ...]:
    """Return the precisions that this processor multiplies; others are converted, which is slower."""
    return PRECISIONS if codegen.host().enabled & BF16_FEATURES else (FLOAT32,)
