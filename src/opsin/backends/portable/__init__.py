"""Programs with bit-identical results everywhere: in this process, and as data from which other languages are written.

`compile` runs a graph here. `portable_program` returns the same calls as plain data, with prepared weights and places
in memory, and `streamed_program` calls that compute the same row by row; `backends/wasm` and `backends/c` write them in
their languages, C also those that go by rows.
"""

from opsin.backends.portable.build import portable_program, streamed_program
from opsin.backends.portable.engine import compile
from opsin.backends.portable.program import (
    COMPACT,
    Address,
    Array,
    Call,
    Layout,
    PortableProgram,
    Segment,
    Step,
    Stream,
)

__all__ = [
    "COMPACT", "Address", "Array", "Call", "Layout", "PortableProgram", "Segment", "Step", "Stream", "compile",
    "portable_program", "streamed_program",
]  # fmt: skip
