"""The kernel language: how something is computed, apart from what runs it.

`ir` holds the data, `build` writes it, `meaning` runs it in NumPy, `target` describes processors,
`functions` has the transcendental functions written in it.
"""

from opsin.loops.build import Buffer, Builder, Operand, Register, Value
from opsin.loops.ir import BOOL, F32, I32, INDEX, U8, Branch, Instruction, Kernel, Kind, Loop, Parameter
from opsin.loops.meaning import interpret
from opsin.loops.target import TARGETS, Target, best_target, usable_targets

__all__ = [
    "BOOL", "F32", "I32", "INDEX", "TARGETS", "U8", "Branch", "Buffer", "Builder", "Instruction", "Kernel", "Kind",
    "Loop", "Operand", "Parameter", "Register", "Target", "Value", "best_target", "interpret", "usable_targets",
]  # fmt: skip
