"""The kernel IR, a small language of vector loops that does not depend on the processor.

`nodes` defines it, `builder` builds kernels, `interpreter` runs them in NumPy, `bfloat16` defines the narrow type,
`target` describes processors, and `functions` has the transcendental functions.
"""

from opsin.kernels.ir.builder import Builder, Operand, Pointer, Register, Value
from opsin.kernels.ir.interpreter import interpret
from opsin.kernels.ir.nodes import (
    BF16,
    BOOL,
    ELEMENT_BYTES,
    F32,
    I32,
    INDEX,
    PAIR,
    TILE_ROWS,
    U8,
    Branch,
    Instruction,
    Kernel,
    Loop,
    Parameter,
    ScalarType,
)
from opsin.kernels.ir.target import PORTABLE, TARGETS, Target, best_target, usable_targets

__all__ = [
    "BF16",
    "BOOL",
    "ELEMENT_BYTES",
    "F32",
    "I32",
    "INDEX",
    "PAIR",
    "PORTABLE",
    "TARGETS",
    "TILE_ROWS",
    "U8",
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
