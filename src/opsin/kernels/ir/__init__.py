"""The kernel IR, a small language of vector loops that does not depend on the processor.

`nodes` defines it, `builder` builds kernels of `values`, `interpreter` runs them in NumPy, `bfloat16` and `integers`
define the narrow types, `target` describes processors, and `functions` has the transcendental functions.
"""

from opsin.kernels.ir.builder import Builder
from opsin.kernels.ir.interpreter import DTYPES, interpret
from opsin.kernels.ir.nodes import (
    BF16,
    BOOL,
    ELEMENT_BYTES,
    F32,
    I8,
    I16,
    I16_PAIR,
    I32,
    INDEX,
    PACKED,
    PAIR,
    QUAD,
    SUMS,
    TILE_ROWS,
    U8,
    U8_QUAD,
    WIDE,
    Branch,
    Instruction,
    Kernel,
    Loop,
    Parameter,
    ScalarType,
)
from opsin.kernels.ir.target import PORTABLE, PORTABLE_SMALL, TARGETS, Target, best_target, usable_targets
from opsin.kernels.ir.values import Operand, Pointer, Register, Value

__all__ = [
    "BF16",
    "BOOL",
    "DTYPES",
    "ELEMENT_BYTES",
    "F32",
    "I8",
    "I16",
    "I16_PAIR",
    "I32",
    "INDEX",
    "PACKED",
    "PAIR",
    "PORTABLE",
    "PORTABLE_SMALL",
    "QUAD",
    "SUMS",
    "TARGETS",
    "TILE_ROWS",
    "U8",
    "U8_QUAD",
    "WIDE",
    "Branch",
    "Builder",
    "Instruction",
    "Kernel",
    "Loop",
    "Operand",
    "Parameter",
    "Pointer",
    "Register",
    "ScalarType",
    "Target",
    "Value",
    "best_target",
    "interpret",
    "usable_targets",
]  # fmt: skip
