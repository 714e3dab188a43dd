"""Programs in C give the bits of the portable engine, for samples of every operation and for a network."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.backends.c import prelude, render_program
from opsin.backends.portable import COMPACT, PortableProgram, compile, portable_program
from opsin.ir import Graph
from opsin.ops import OPS
from tests.backends.c.support import VARIANTS, library
from tests.support import QUANTIZED, forward_graph


def source(program: PortableProgram, name: str) -> str:
    """Return a file with a function that computes, and one that returns the address of the arena."""
    parts = render_program(program)
    ends = f"void *{name}_arena(void);\nvoid *{name}_arena(void) {{ return &arena; }}\nvoid {name}(void);\n"
    head = f"#define ARENA_WORDS {program.arena_bytes // 4}"
    body = f"void {name}(void)\n{{\n{parts.calls}}}\n"
    return "\n".join([head, prelude(parts.functions), parts.constants, parts.memory, parts.kernels, ends, body])


def run(library: ctypes.CDLL, name: str, program: PortableProgram, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    address = getattr(library, f"{name}_arena")
    address.restype = ctypes.c_void_p
    memory = np.ctypeslib.as_array((ctypes.c_uint8 * program.arena_bytes).from_address(address()))
    memory[...] = 0xFF  # NaNs, which must not be used
    for key, value in inputs.items():
        program.inputs[key].of(memory)[...] = value
    getattr(library, name)()
    return {key: array.of(memory).copy() for key, array in program.outputs.items()}


def cases() -> dict[str, tuple[Graph, dict[str, Any], PortableProgram]]:
    """Return graphs of one operation each, with inputs."""
    rng = np.random.default_rng(5)
    found = {}
    for name in (name for name in sorted(OPS) if name not in QUANTIZED):
        for number in range(2):
            sample = OPS[name].sample(rng)
            graph = forward_graph(name, sample)
            values = [a.astype(np.float32) if a.dtype.kind == "f" else a.astype(np.int32) for a in sample.inputs]
            inputs = {t.node.attrs["name"]: v for t, v in zip(graph.inputs, values, strict=True)}
            found[f"run_{name}_{number}"] = graph, inputs, portable_program(graph, {}, COMPACT)
    return found


@pytest.fixture(scope="module")
def every_operation() -> dict[str, tuple[Graph, dict[str, Any], PortableProgram]]:
    return cases()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_operation_has_the_bits_of_the_engine(
    variant: str, tmp_path: Path, every_operation: dict[str, tuple[Graph, dict[str, Any], PortableProgram]]
) -> None:
    chosen = {name: case for name, case in every_operation.items() if case[2].calls}
    if variant != "gcc, vectors":  # to save time
        chosen = {name: case for name, case in chosen.items() if name.endswith("_0")}
    files = {f"{name}.c": source(program, name) for name, (_, _, program) in chosen.items()}
    built = library(tmp_path, files, VARIANTS[variant])
    for name, (graph, inputs, program) in chosen.items():
        expected = compile(graph, 1, 1).run(**inputs)
        found = run(built, name, program, inputs)
        assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in expected.items()}, name
