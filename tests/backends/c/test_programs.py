"""Programs in C give the bits of the portable engine, for samples of every operation and for a network."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.c import prelude, render_program
from opsin.backends.native import compile as native
from opsin.backends.portable import COMPACT, PortableProgram, compile, portable_program
from opsin.backends.reference import Reference
from opsin.ir import Graph
from opsin.ops import OPS
from opsin.quantization.partition import steps_of
from opsin.quantization.quantize import calibrated, quantize_graph
from tests.backends.c.support import VARIANTS, library
from tests.support import forward_graph


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
    for name in sorted(OPS):
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


class Block(nn.Layer):
    """Convolutions, one of them by channel, around an addition."""

    def __init__(self) -> None:
        self.first, self.last = nn.Conv2d(10, 3, padding=1), nn.Conv2d(6, 1)
        self.depthwise, self.pool = nn.Conv2d(10, 3, 2, 1, groups=10), nn.AvgPool2d(2)

    def forward(self, x: Any) -> Any:
        x = ops.relu(self.first(x))
        return self.last(ops.add(ops.relu(self.depthwise(x)), self.pool(x)))


def network_in_8_bits() -> tuple[Graph, dict[str, Any], dict[str, Any]]:
    """Return a quantized graph, in which the result of the first layer has 16 bits, its state, and inputs."""
    network = nn.Sequential(Block(), nn.SiLU(), nn.MaxPool2d(2), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(5))
    graph = nn.trace(network, (3, 12, 10))
    state = nn.initial_state(graph, 1)
    x = np.random.default_rng(2).standard_normal((1, 3, 12, 10)).astype(np.float32)
    ranges = calibrated(graph, state, x, native)
    ranges.wide.add(steps_of(graph, state)[0].output)
    whole, whole_state = quantize_graph(graph, state, ranges)
    assert {"rescale", "join_bytes"} <= {node.op.name for node in whole.nodes}
    return whole, dict(whole_state), {"inputs": x}


@pytest.mark.parametrize("options", [(), ("-DSCALARS",)])
def test_networks_in_8_bits_have_the_bits_of_the_reference(
    options: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    graph, state, inputs = network_in_8_bits()
    program = portable_program(graph, state, COMPACT)
    command = ("gcc", "-O1", "-fsanitize=undefined", *options)
    built = library(tmp_path, {"network.c": source(program, "network")}, command)
    found = run(built, "network", program, inputs)
    engine, reference = compile(graph, 1, 1), Reference(graph, 1, np.float32)
    for each in (engine, reference):
        each.load_state(state)
        expected = each.run(**inputs)
        assert {k: v.tobytes() for k, v in found.items()} == {k: v.tobytes() for k, v in expected.items()}
    assert capfd.readouterr().err == "", "undefined behaviour"
