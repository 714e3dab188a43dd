"""Programs with bit-identical results everywhere: in this process, and as data from which other languages are written.

`compile` runs a graph here. `portable_program` returns the same calls as plain data, with prepared weights and places
in memory; `backends/wasm` and `backends/c` write it in their languages.
"""

from opsin.backends.portable.engine import compile
from opsin.backends.portable.program import (
    COMPACT,
    Address,
    Array,
    Call,
    Layout,
    PortableProgram,
    Segment,
    portable_program,
)

__all__ = ["COMPACT", "Address", "Array", "Call", "Layout", "PortableProgram", "Segment", "compile", "portable_program"]
