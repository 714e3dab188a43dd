"""A portable program as parts of a C file: weights, memory, kernels, and the calls in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from opsin.backends.c.expressions import NARROW, memory_type
from opsin.backends.c.kernel import CKernel, render_kernel
from opsin.backends.c.shared_kernels import SHARED_KERNELS, STRUCTURES, shared_text
from opsin.backends.c.stream import render_stream, step_table
from opsin.backends.c.tables import Structures, Table
from opsin.backends.portable import Address, Call, PortableProgram, Segment
from opsin.kernels.ir import F32, Kernel

WORDS_PER_LINE = 10
WORD_BYTES = 4
BYTE_ORDER = """\
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "weights of 8 bits are written in words for processors with the lowest byte first"
#endif
"""


@dataclass(frozen=True)
class CProgram:
    """The parts of a C file; `functions` are those of the prelude that it needs.

    `constants` defines the weights, `memory` the arena of `ARENA_WORDS` words, `kernels` their functions, and `calls`
    are the statements that compute the outputs from the inputs in the arena. Both segments are unions; their member `f`
    is an array of float. `stream` defines the functions of a program that takes its image row by row (see `stream.py`).
    `tables` are the constants besides the weights that results depend on.
    """

    constants: str
    memory: str
    kernels: str
    calls: str
    functions: frozenset[str]
    stream: str = ""
    tables: tuple[Table, ...] = ()


def render_program(program: PortableProgram) -> CProgram:
    """Return `program`, which has a compact layout, in C. Raise `CompileError` for what C programs do not have."""
    calls: list[list[Call]] = [[] for _ in program.kernels]
    for call in program.all_calls:
        calls[call.kernel].append(call)
    kernels = {
        number: render_kernel(
            kernel, f"{re.sub(r'[^a-z0-9_]', '_', kernel.name)}_{number}", _common_numbers(calls[number])
        )
        for number, kernel in enumerate(program.kernels)
        if kernel.name not in SHARED_KERNELS
    }
    names = {kernel.name for kernel in program.kernels}
    elements = [[parameter.element for parameter in kernel.parameters] for kernel in program.kernels]

    sizes = Structures(STRUCTURES)

    def lines(calls: tuple[Call, ...]) -> list[str]:
        return [line for c in calls for line in _call(c, program.kernels[c.kernel], kernels.get(c.kernel), sizes)]

    constants, text = _constants(program.constants), "\n".join(lines(program.calls)) + "\n"
    stream = render_stream(program.stream, lines) if program.stream else ""
    is_narrow = any(name in NARROW for names in elements for name in names)
    return CProgram(
        BYTE_ORDER + constants if is_narrow else constants,
        "static union { float f[ARENA_WORDS]; uint8_t bytes[4 * ARENA_WORDS]; } arena DATA;\n",
        "\n".join([shared_text(sorted(names)), *(kernel.text for kernel in kernels.values()), sizes.text]),
        text,
        frozenset().union(
            *(kernel.functions for kernel in kernels.values()),
            *(shared.functions for name, shared in SHARED_KERNELS.items() if name in names),
        ),
        stream,
        (*sizes.tables, *((step_table(program.stream),) if program.stream else ())),
    )


def _common_numbers(calls: list[Call]) -> dict[int, int]:
    """Return the numbers that are the same in all calls of a kernel, by their place among the arguments."""
    first = calls[0].arguments
    return {
        place: value
        for place, value in enumerate(first)
        if isinstance(value, int) and all(call.arguments[place] == value for call in calls)
    }


def _constants(data: bytes) -> str:
    """Return the definition of the weights as words, which is exact and has the same value on every processor."""
    words = np.frombuffer(data, "<u4")
    members = f"uint32_t words[{len(words)}]; float f[{len(words)}]; uint8_t bytes[{len(data)}];"
    head = f"static const union {{ {members} }} weights DATA = {{{{\n"
    text = np.full((len(words), len("0x01234567,\n")), ord("\n"), np.uint8)
    text[:, :2], text[:, 10] = [ord("0"), ord("x")], ord(",")
    text[:, 2:10] = np.frombuffer(words.astype(">u4").tobytes().hex().encode(), np.uint8).reshape(-1, 8)
    kept = np.ones(text.shape, np.bool_)
    kept[:, 11] = np.arange(len(words)) % WORDS_PER_LINE == WORDS_PER_LINE - 1
    return head + text[kept].tobytes().decode() + "\n}};\n"


def _call(call: Call, kernel: Kernel, function: CKernel | None, sizes: Structures) -> Iterator[str]:
    """Yield a comment and the statement of a call: of `function`, or of that which all calls of such kernels share,
    whose numbers are kept in `sizes`."""
    macs = f", {call.macs:,} MACs" if call.macs else ""
    scope = re.sub(r"[^\w.\- ]", "?", call.scope)
    yield f"  /* {scope}{': ' if scope else ''}{call.label.replace('*/', '')}{macs} */"
    arguments = [_argument(a, p.element) for a, p in zip(call.arguments, kernel.parameters, strict=True)]
    scratch = _argument(call.scratch, F32)
    if function is None:
        named = dict(zip((p.name for p in kernel.parameters), arguments, strict=True)) | {"scratch": scratch}
        numbers = [(p.name, a) for a, p in zip(call.arguments, kernel.parameters, strict=True) if isinstance(a, int)]
        shared = SHARED_KERNELS[kernel.name]
        yield "  " + shared.call(kernel.name, sizes.place(shared.structure, numbers), named, call.blocks)
        return
    given = [arguments[place] for place in function.parameters]
    if function.begin:
        given.append("0")
    if function.end:
        given.append(str(call.blocks))
    if function.scratch:
        given.append(scratch)
    yield f"  {function.name}({', '.join(given)});"


def _argument(value: Address | int, element: str) -> str:
    if isinstance(value, int):
        return str(value)
    name = "weights" if value.segment is Segment.CONSTANTS else "arena"
    words, rest = divmod(value.offset, WORD_BYTES)
    kind = memory_type(element)
    cast = "" if kind == "float" else f"({'const ' if value.segment is Segment.CONSTANTS else ''}{kind} *)"
    array, index = (f"{name}.bytes", value.offset) if rest else (f"{name}.f", words)
    place = f"{array} + {index}" if index else array
    return f"{cast}({place})" if cast else place
