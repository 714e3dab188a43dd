"""The kernel language: how something is computed, apart from what runs it.

`ir` holds the data, `build` writes it, `meaning` runs it in NumPy, `target` describes processors,
`functions` has the transcendental functions written in it.
"""

from opsin.kernels.ir.builder import Builder, Operand, Pointer, Register, Value
from opsin.kernels.ir.interpreter import interpret
from opsin.kernels.ir.nodes import BOOL, F32, I32, INDEX, U8, Branch, Instruction, Kernel, Loop, Parameter, ScalarType
from opsin.kernels.ir.target import TARGETS, Target, best_target, usable_targets

__all__ = [
    "BOOL",
    "F32",
    "I32",
    "INDEX",
    "TARGETS",
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
