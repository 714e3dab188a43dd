"""Building kernels: kinds, operators and structure."""

from __future__ import annotations

import pytest

from opsin.kernels.ir import (
    BOOL,
    F32,
    I32,
    INDEX,
    Branch,
    Builder,
    Instruction,
    Loop,
    ScalarType,
    best_target,
    usable_targets,
)
from opsin.kernels.ir.target import TARGETS


def test_kinds_print_their_lanes() -> None:
    assert str(ScalarType(F32)) == "f32"
    assert str(ScalarType(I32, 8)) == "i32×8"


def test_numbers_and_scalars_take_the_lanes_of_the_other_operand() -> None:
    k = Builder("lanes")
    x = k.buffer("x")
    vector, scalar = k.load(x, 0, 8), k.load(x, 0)
    for value in (vector + 1, 1 - vector, vector * scalar, scalar / vector, k.maximum(0.0, vector)):
        assert value.kind == ScalarType(F32, 8)
    assert (vector < scalar).kind == ScalarType(BOOL, 8)
    assert k.select(vector < 0, 1.0, scalar).kind == ScalarType(F32, 8)
    assert (k.begin * 3 + 1).kind == ScalarType(INDEX)
    assert k.reduce_lanes("add", vector).kind == ScalarType(F32)


def test_kinds_do_not_mix() -> None:
    k = Builder("mixed")
    x, w = k.load(k.buffer("x"), 0, 8), k.load(k.buffer("w", I32), 0, 8)
    with pytest.raises(TypeError, match="mixed: a value of kind i32×8 where f32×8 is expected"):
        x + w
    with pytest.raises(TypeError, match="mixed: a value of kind f32×8 where index is expected"):
        k.load(k.buffer("y"), x)
    with pytest.raises(TypeError, match="f32×4"):
        x + k.broadcast(1.0, 4)


def test_conversions_keep_the_lanes() -> None:
    k = Builder("conversions")
    whole = k.iota(8)
    assert k.convert("float", whole).kind == ScalarType(F32, 8)
    assert k.convert("index", whole).kind == ScalarType(INDEX, 8)
    assert k.convert("int_bits", k.convert("float_bits", whole)).kind == ScalarType(I32, 8)


def test_strides_of_one_are_plain_loads_and_stores() -> None:
    k = Builder("strides")
    x, step = k.buffer("x"), k.index("step")
    k.store(x, 0, k.load(x, 0, 8, stride=1), stride=1)
    k.store(x, 0, k.load(x, 0, 8, stride=2), stride=2)
    k.store(x, 0, k.load(x, 0, 8, stride=step), stride=step)
    k.store(x, 0, k.load(x, 0, stride=step), stride=step)  # one lane has no stride
    names = [item.name for item in k.kernel().instructions()]
    assert [n for n in names if n not in ("constant", "parameter")] == [
        "load", "store", "gather", "scatter", "gather", "scatter", "load", "store",
    ]  # fmt: skip


def test_parameters_come_first_wherever_they_are_declared() -> None:
    k = Builder("parameters")
    first = k.index("first")
    with k.loop(0, first) as i:
        late = k.buffer("late", I32)
        k.store(late, i, k.convert("i32", i))
    kernel = k.kernel()
    assert [(p.name, p.element, p.is_buffer) for p in kernel.parameters] == [
        ("first", INDEX, False),
        ("late", I32, True),
    ]
    assert [item.data for item in kernel.body[:2]] == [0, 1]
    assert [item.name for item in kernel.body[:2]] == ["parameter", "parameter"]


def test_blocks_nest_and_instructions_come_in_order() -> None:
    k = Builder("nest")
    y = k.buffer("y", I32)

    def mark(number: int) -> None:
        k.store(y, 0, k.constant(number, ScalarType(I32)))

    mark(0)
    with k.loop(0, 2):
        mark(1)
        with k.when(k.equal(k.begin, 0)) as branch:
            mark(2)
        with k.otherwise(branch):
            mark(3)
        mark(4)
    mark(5)
    kernel = k.kernel()
    (loop,) = (item for item in kernel.body if isinstance(item, Loop))
    (actual,) = (item for item in loop.body if isinstance(item, Branch))
    assert actual is branch
    marks = [
        item.data for item in kernel.instructions() if item.result is not None and item.result.kind == ScalarType(I32)
    ]
    assert marks == [0, 1, 2, 3, 4, 5]
    assert all(isinstance(item, Instruction) for item in kernel.instructions())


def test_an_error_inside_a_loop_leaves_the_builder_outside() -> None:
    k = Builder("failed")
    with pytest.raises(ZeroDivisionError), k.loop(0, 2), k.when(k.equal(k.begin, 0)):
        raise ZeroDivisionError
    k.store(k.buffer("y"), 0, k.broadcast(1.0, 1))
    assert k.kernel().body[-1].name == "store"


def test_python_unrolls_and_the_language_loops() -> None:
    k = Builder("unrolled")
    y = k.buffer("y")
    for i in range(4):
        k.store(y, i, k.broadcast(0.0, 1))
    with k.loop(4, 100) as j:
        k.store(y, j, k.broadcast(0.0, 1))
    assert [item.name for item in k.kernel().instructions()].count("store") == 5


def test_the_widest_row_that_the_processor_meets() -> None:
    names = {row.name: row for row in TARGETS}
    assert best_target({"avx2", "fma", "sse4.1", "avx"}) == names["avx2"]
    assert best_target({"avx2", "sse4.1"}) == names["sse4"]
    assert best_target({"neon"}) == names["neon"]
    assert best_target({"sse2"}) is None
    assert best_target({need for row in TARGETS for need in row.needs}) == names["avx512"]
    assert usable_targets({"avx2", "fma", "sse4.1"}) == [names["avx2"], names["sse4"]]
