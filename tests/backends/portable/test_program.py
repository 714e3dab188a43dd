"""A portable program is data: its calls in the interpreter of the kernel IR give the bits of `compile`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from opsin import nn
from opsin.backends.options import CompileOptions
from opsin.backends.portable import COMPACT, Address, Call, PortableProgram, Segment, compile, portable_program
from opsin.base.errors import UsageError
from opsin.compiler.precision import Precision
from opsin.ir import Graph
from opsin.kernels.ir import PORTABLE, PORTABLE_SMALL
from opsin.kernels.ir.interpreter import Interpreter

SHAPE = 5, 11, 9
DENORMAL = np.float32(1e-39)


@pytest.fixture(scope="module")
def graph() -> Graph:
    network = nn.Sequential(
        nn.Conv2d(16, 3, padding=1, bias=False), nn.BatchNorm2d(), nn.ReLU(), nn.Conv2d(16, 3, stride=2, groups=16),
        nn.MaxPool2d(2), nn.Conv2d(24, 1), nn.Tanh(), nn.Flatten(), nn.Linear(7),
    )  # fmt: skip
    return nn.trace(network, SHAPE)


def interpret(program: PortableProgram, inputs: np.ndarray) -> np.ndarray:
    """Run the calls in the interpreter and return the only output."""
    memory = {
        Segment.ARENA: np.zeros(program.arena_bytes, np.uint8),
        Segment.CONSTANTS: np.frombuffer(program.constants, np.uint8).copy(),
    }
    place = program.inputs["inputs"].of(memory[Segment.ARENA])
    if program.stream:
        for tick in range(program.stream.ticks):
            if tick < program.stream.rows:
                place[...] = inputs[:, :, tick : tick + 1]
            if tick == 0:
                run_calls(program, program.stream.begin, memory)
            for step in program.stream.steps:
                if tick in range(step.first, step.first + step.count * step.period, step.period):
                    run_calls(program, step.calls, memory)
    else:
        place[...] = inputs
    run_calls(program, program.calls, memory)
    assert memory[Segment.CONSTANTS].tobytes() == program.constants
    (output,) = program.outputs.values()
    return output.of(memory[Segment.ARENA]).copy()


def run_calls(program: PortableProgram, calls: Iterable[Call], memory: dict[Segment, np.ndarray]) -> None:
    for call in calls:
        interpreter = Interpreter(program.kernels[call.kernel], fused=False)
        bases = {key: interpreter.memory.add(area.view(np.float32), untyped=True) for key, area in memory.items()}
        words = [bases[a.segment] + a.offset if isinstance(a, Address) else a for a in call.arguments]
        interpreter.run(words, 0, call.blocks, max(program.scratch_bytes, program.arena_bytes) // 4)


def test_calls_give_the_bits_of_the_engine(graph: Graph) -> None:
    state = nn.initial_state(graph, 3)
    inputs = np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float32)
    engine = compile(graph, 1, 2)
    engine.load_state(state)
    (expected,) = engine.run(inputs=inputs).values()
    found = interpret(portable_program(graph, state), inputs)
    assert found.tobytes() == expected.tobytes()
    assert np.unique(found).size == 7


def test_equal_constants_are_stored_once() -> None:
    graph = nn.trace(nn.Sequential(nn.Conv2d(5, 1, bias=False), nn.ReLU(), nn.Conv2d(5, 1, bias=False)), SHAPE)
    state = nn.initial_state(graph, 3)
    different = portable_program(graph, state, COMPACT)
    state["2.weight"] = state["0.weight"]
    equal = portable_program(graph, state, COMPACT)
    assert len(different.constants) - len(equal.constants) == state["0.weight"].nbytes
    inputs = np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float32)
    engine = compile(graph, 1)
    engine.load_state(state)
    assert interpret(equal, inputs).tobytes() == next(iter(engine.run(inputs=inputs).values())).tobytes()


def test_inputs_share_memory_with_later_results(graph: Graph) -> None:
    program = portable_program(graph, nn.initial_state(graph, 3))
    image, first_map, second_map = 4 * 11 * 9 * 5, 4 * 11 * 9 * 16, 4 * 5 * 4 * 16
    assert first_map + max(image, second_map) < program.arena_bytes < image + first_map + second_map


def test_denormal_numbers_are_kept() -> None:
    network = nn.Sequential(nn.ReLU())
    program = compile(nn.trace(network, (1, 1, 4)), 1, 1)
    images = np.full((1, 1, 1, 4), DENORMAL, np.float32)
    (output,) = program.run(inputs=images).values()
    assert output.tobytes() == images.tobytes()


def test_bfloat16_is_refused(graph: Graph) -> None:
    with pytest.raises(UsageError, match="portable engine cannot compute in another precision"):
        compile(graph, options=CompileOptions(precision=Precision.BF16))


def test_a_compact_program_has_the_bits_of_the_engine_and_no_gaps(graph: Graph) -> None:
    state, inputs = nn.initial_state(graph, 3), np.random.default_rng(1).normal(size=(1, *SHAPE)).astype(np.float32)
    program, wide = portable_program(graph, state, COMPACT), portable_program(graph, state)
    assert interpret(program, inputs).tobytes() == interpret(wide, inputs).tobytes()
    assert program.scratch_bytes == 0
    assert program.arena_bytes < wide.arena_bytes + wide.scratch_bytes
    assert len(program.constants) < len(wide.constants)


def test_small_tiles_are_bit_identical(graph: Graph) -> None:
    x = np.random.default_rng(8).standard_normal((1, *SHAPE)).astype(np.float32)
    whole, small = compile(graph, 1, 1), compile(graph, 1, 1, target=PORTABLE_SMALL)
    for each in (whole, small):
        each.load_state(nn.initial_state(graph, 4))
    expected, actual = whole.run(inputs=x), small.run(inputs=x)
    assert {k: v.tobytes() for k, v in actual.items()} == {k: v.tobytes() for k, v in expected.items()}
    state = nn.initial_state(graph, 4)
    sizes = [
        sum(1 for kernel in portable_program(graph, state, COMPACT, row).kernels for _ in kernel.instructions())
        for row in (PORTABLE_SMALL, PORTABLE)
    ]
    assert sizes[0] != sizes[1], "the kernels differ"
