"""Whole numbers of 8 and 16 bits: their meaning in NumPy, machine code that agrees, and the instructions it consists
of."""

from __future__ import annotations

import re
from dataclasses import replace

import llvmlite.binding as llvm
import numpy as np
import pytest

from opsin.backends.native import codegen, render
from opsin.kernels.ir import (
    I8,
    I16,
    I16_PAIR,
    I32,
    PACKED,
    PORTABLE,
    QUAD,
    TARGETS,
    U8,
    Builder,
    Kernel,
    Target,
    interpret,
)
from tests.kernels.ir.support import ALL_TARGETS, agree, check_parts_and_strides

WITHOUT_BYTE_DOT = [replace(row, byte_dot=False) for row in ALL_TARGETS if row.byte_dot]
each_target = pytest.mark.parametrize(
    "target", [*ALL_TARGETS, *WITHOUT_BYTE_DOT, PORTABLE], ids=lambda row: f"{row.name}-{row.byte_dot}"
)
DTYPES = {I8: np.int8, U8: np.uint8, I16: np.int16}
each_narrow = pytest.mark.parametrize("element", DTYPES)
RNG = np.random.default_rng(7)
EXTREMES = np.array([0, 1, -1, 2**31 - 1, -(2**31), 2**30, -(2**30), 65535, -65536, 3], np.int32)


def numbers(element: str, size: int) -> np.ndarray:
    """Return random numbers of all values, the smallest and largest first."""
    limits = np.iinfo(DTYPES[element])
    values = RNG.integers(limits.min, limits.max, size, DTYPES[element], endpoint=True)
    values[:4] = [limits.min, limits.max, limits.min, limits.max]
    return values


def narrowing(element: str, lanes: int) -> Kernel:
    k = Builder("narrowing")
    x, y, z = k.buffer("x", I32), k.buffer("y", element), k.buffer("z", I32)
    with k.loop(k.begin, k.end) as block:
        k.store(y, block * lanes, k.load(x, block * lanes, lanes))
        k.store(z, block * lanes, k.load(y, block * lanes, lanes))
    return k.kernel()


@each_target
@each_narrow
@pytest.mark.parametrize("divisor", [1, 2, 4, 16])
def test_stores_take_the_low_bits_and_loads_widen(element: str, target: Target, divisor: int) -> None:
    lanes = max(1, target.lanes // divisor)
    x = np.concatenate([EXTREMES, RNG.integers(-300, 300, 246), RNG.integers(-(2**31), 2**31, 256)]).astype(np.int32)
    arrays = [x, np.zeros(512, DTYPES[element]), np.zeros(512, np.int32)]
    _, y, z = agree(narrowing(element, lanes), arrays, target, 0, 512 // lanes)
    bits = 8 * y.itemsize
    expected = [(int(n) + (0 if element == U8 else 2 ** (bits - 1))) % 2**bits for n in x]
    np.testing.assert_array_equal(y.astype(int) + (0 if element == U8 else 2 ** (bits - 1)), expected)
    np.testing.assert_array_equal(z, y)


@each_target
@each_narrow
def test_parts_and_strides(element: str, target: Target) -> None:
    check_parts_and_strides(element, numbers(element, 3 * target.lanes), target, Builder.load_narrow)


def dots(element: str, lanes: int, first: int) -> Kernel:
    """Lanes of a from element `first` on, one of b for all, and their products added to c."""
    k = Builder("dots")
    a, b, c = k.buffer("a", element), k.buffer("b", element), k.buffer("c", I32)
    packed = PACKED[element]
    left = k.offset(a, first).of(packed)
    with k.loop(k.begin, k.end) as block:
        at = block * lanes
        one = k.broadcast(k.load(b.of(packed), block), lanes, packed)
        factor = k.unsigned(one) if packed == QUAD else one
        k.store(c, at, k.dot(factor, k.load(left, at, lanes), k.load(c, at, lanes)))
    return k.kernel()


@each_target
@pytest.mark.parametrize("element", [I16, I8])
@pytest.mark.parametrize("divisor", [1, 4, 16])
@pytest.mark.parametrize("first", [0, 1])
def test_dot(element: str, target: Target, divisor: int, first: int) -> None:
    lanes, blocks = max(1, target.lanes // divisor), 50
    pack = 4 // DTYPES[element]().itemsize
    size = lanes * blocks * pack
    a, b = numbers(element, size + pack), numbers(element, blocks * pack)
    a[:4] = b[:4] = np.iinfo(a.dtype).min  # of int16, both products together are 2³¹: the sum wraps around
    c = RNG.integers(-(2**31), 2**31, lanes * blocks, np.int64).astype(np.int32)
    actual = agree(dots(element, lanes, first), [a, b, c], target, 0, blocks)[2]
    right = b.astype(np.int64) + (128 if element == I8 else 0)
    left = a[first : first + size].astype(np.int64).reshape(blocks, lanes, pack)
    expected = (left * right.reshape(blocks, 1, pack)).sum(2).ravel() + c
    np.testing.assert_array_equal(actual, expected.astype(np.int32))


@each_target
def test_pairs_of_two_vectors(target: Target) -> None:
    lanes = target.lanes
    k = Builder("pairs")
    a, b, y = k.buffer("a", I8), k.buffer("b", I16), k.buffer("y", I16)
    k.store(y.of(I16_PAIR), 0, k.pair(k.load(a, 0, lanes), k.load(b, 0, lanes)))
    arrays = [numbers(I8, lanes), numbers(I16, lanes), np.zeros(2 * lanes, np.int16)]
    a_actual, b_actual, y_actual = agree(k.kernel(), arrays, target)
    np.testing.assert_array_equal(y_actual.reshape(-1, 2), np.stack([a_actual, b_actual], 1))


@each_target
@pytest.mark.parametrize("first", [0, 1])
def test_bytes_are_loaded_as_pairs(first: int, target: Target) -> None:
    lanes = target.lanes
    k = Builder("pairs")
    x, y = k.buffer("x", I8), k.buffer("y", I16)
    k.store(y.of(I16_PAIR), 0, k.load_pairs(x, first, lanes))
    k.store(y.of(I16_PAIR), lanes, k.load_pairs(x, first))
    arrays = [numbers(I8, 2 * lanes + 1), np.full(2 * lanes + 3, 77, np.int16)]
    x_actual, y_actual = agree(k.kernel(), arrays, target)
    np.testing.assert_array_equal(y_actual[: 2 * lanes], x_actual[first : first + 2 * lanes])
    assert y_actual[2 * lanes :].tolist() == [*x_actual[first : first + 2], 77]
    with pytest.raises(TypeError, match="pairs are loaded from i8, not from i16"):
        k.load_pairs(y, 0)


@each_target
@pytest.mark.parametrize("divisor", [1, 2, 16])
def test_multiply_high(target: Target, divisor: int) -> None:
    lanes = max(1, target.lanes // divisor)
    k = Builder("high")
    a, b, y = (k.buffer(name, I32) for name in "aby")
    with k.loop(k.begin, k.end) as block:
        k.store(y, block * lanes, k.multiply_high(k.load(a, block * lanes, lanes), k.load(b, block * lanes, lanes)))
    pairs = np.array([(p, q) for p in EXTREMES for q in EXTREMES], np.int32)
    values = np.concatenate([pairs, RNG.integers(-(2**31), 2**31, (412, 2), np.int64).astype(np.int32)])
    left, right = values[:, 0].copy(), values[:, 1].copy()
    y_actual = agree(k.kernel(), [left, right, np.zeros(512, np.int32)], target, 0, 512 // lanes)[2]
    assert y_actual.tolist() == [int(p) * int(q) // 2**32 for p, q in values]


@each_target
def test_signed_bytes_are_loaded_at_indices(target: Target) -> None:
    lanes = target.lanes
    k = Builder("lookup")
    table, places, y = k.buffer("table", I8), k.buffer("places", I8), k.buffer("y", I32)
    k.store(y, 0, k.load_bytes(table, k.load(places, 0, lanes) + 128))
    arrays = [numbers(I8, 256), numbers(I8, lanes), np.zeros(lanes, np.int32)]
    table_actual, places_actual, y_actual = agree(k.kernel(), arrays, target)
    np.testing.assert_array_equal(y_actual, table_actual[places_actual.astype(int) + 128])


def test_bytes_must_be_inside_the_array() -> None:
    k = Builder("beyond")
    a, y = k.buffer("a", I8), k.buffer("y", I8)
    k.store(y.of(QUAD), 0, k.load(k.offset(a, 1).of(QUAD), 0))
    with pytest.raises(IndexError):
        interpret(k.kernel(), [np.zeros(4, np.int8), np.zeros(4, np.int8)], 0, 1)


X86, ARM = "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"
PROCESSORS = {
    "icelake-server": ("avx512", X86, True), "skylake-avx512": ("avx512", X86, False),
    "alderlake": ("avx2", X86, True), "haswell": ("avx2", X86, False), "penryn": ("sse4", X86, False),
    "generic": ("neon", ARM, False),
}  # fmt: skip
"""The row of the table, the platform and whether bytes are multiplied, by LLVM's name of the processor."""


def machine_code(kernel: Kernel, processor: str) -> list[str]:
    """Return the names of the instructions of `kernel`."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    name, triple, byte_dot = PROCESSORS[processor]
    target = replace(next(row for row in TARGETS if row.name == name), byte_dot=byte_dot)
    host = codegen.Host(processor, triple, "+neon" if triple == ARM else "")
    text = codegen.assembly(render.render(kernel, target), host).replace("{vex}", "")
    return re.findall(r"^\t+(\w+)", text, re.M)


@pytest.mark.parametrize(
    ("processor", "element", "lanes", "expected"),
    [
        ("icelake-server", I16, 16, ["vpdpwssd"]), ("icelake-server", I8, 16, ["vpdpbusd"]),
        ("skylake-avx512", I16, 16, ["vpmaddwd"]), ("alderlake", I8, 8, ["vpdpbusd"]),
        ("alderlake", I16, 8, ["vpdpwssd"]), ("haswell", I16, 8, ["vpmaddwd"]), ("penryn", I16, 4, ["pmaddwd"]),
        ("generic", I16, 4, ["smull", "smlal"]),
    ],
)  # fmt: skip
def test_a_dot_is_the_instruction_for_it(processor: str, element: str, lanes: int, expected: list[str]) -> None:
    code = machine_code(dots(element, lanes, 0), processor)
    products = [name for name in code if re.match(r"v?p(madd|mul|dp)|smull|smlal|mul|mla", name)]
    assert products == expected


@pytest.mark.parametrize(
    ("processor", "lanes", "name", "count"),
    [
        ("skylake-avx512", 16, "vpmuldq", 2),
        ("haswell", 8, "vpmuldq", 2),
        ("penryn", 4, "pmuldq", 2),
        ("generic", 4, "smull", 2),
    ],
)
def test_multiply_high_takes_two_products(processor: str, lanes: int, name: str, count: int) -> None:
    k = Builder("high")
    a, b, y = (k.buffer(name, I32) for name in "aby")
    k.store(y, 0, k.multiply_high(k.load(a, 0, lanes), k.load(b, 0, lanes)))
    assert machine_code(k.kernel(), processor).count(name) == count


def test_the_sign_is_flipped_in_a_vector() -> None:
    """A number from a general register would take a slot of the units that multiply."""
    code = machine_code(dots(I8, 16, 0), "icelake-server")
    assert "vpxord" in code and "xorl" not in code
