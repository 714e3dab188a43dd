"""Every instruction in C gives the bits of the interpreter of the kernel IR."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from opsin.backends.c import prelude, render_kernel
from opsin.base.errors import CompileError
from opsin.kernels.ir import BF16, F32, I32, Builder, Kernel, Pointer, Value
from opsin.kernels.ir.interpreter import Interpreter
from tests.backends.c.support import VARIANTS, library

FLOATS = np.array(
    [0.0, -0.0, 1.5, -2.5, 3.999, -7.25, 1e-39, -1e-44, 8388607.5, -8388608.5, 16777217.0, 3e38, -3e38, 0.1, -0.7, 2.0],
    np.float32,
)  # fmt: skip
"""Zeros of both signs, denormal numbers, and numbers with and without fractions."""
OTHERS = np.roll(FLOATS, 5)
INTS = np.array([0, 1, -1, 7, -8, 2**31 - 1, -(2**31), 123456, 5, 3, 31, 16, -77, 9, 12, 2], np.int32)
SMALL = np.array([1, 2, 3, 4, 31, 0, 7, 16, 5, 9, 11, 13, 8, 6, 10, 30], np.int32)
FLOAT_BINARY = ("add", "sub", "mul", "div", "min", "max")
INT_BINARY = ("add", "sub", "mul", "min", "max", "and", "or", "xor")

Operation = Callable[[Builder, Value, Value], Value]
FLOAT_OPERATIONS: dict[str, Operation] = {
    **{name: (lambda k, a, b, name=name: k.binary(name, a, b)) for name in FLOAT_BINARY},
    **{name: (lambda k, a, b, name=name: k.unary(name, a)) for name in ("neg", "abs", "floor")},
    "sqrt": lambda k, a, b: k.unary("sqrt", k.unary("abs", a)),
    "fma": lambda k, a, b: k.fma(a, b, a),
    "less": lambda k, a, b: k.select(a < b, a, b),
    "less or equal": lambda k, a, b: k.select(a <= b, a, -3.5),
    "equal": lambda k, a, b: k.select(k.equal(a, b), a, 0.5),
    "not": lambda k, a, b: k.select((a < b) ^ k.constant(1, (a < b).kind), a, b),
    "bits": lambda k, a, b: k.convert("float_bits", k.convert("int_bits", a) ^ 0x80000),
    "whole": lambda k, a, b: k.convert("float", k.convert("int", k.minimum(k.maximum(a, -1e9), 1e9))),
    "infinity": lambda k, a, b: k.select(a < b, float("inf"), a),
    "register": lambda k, a, b: swapped(k, a, b),
}
INT_OPERATIONS: dict[str, Operation] = {
    **{name: (lambda k, a, b, name=name: k.binary(name, a, b)) for name in INT_BINARY},
    "shift left": lambda k, a, b: a << (b & 31),
    "shift right": lambda k, a, b: a >> (b & 31),
    "quotient": lambda k, a, b: k.maximum(a, -(2**31) + 1) // k.maximum(b & 1023, 1),
    "remainder": lambda k, a, b: k.maximum(a, -(2**31) + 1) % k.maximum(b & 1023, 1),
    "compared": lambda k, a, b: k.select(a < b, a, k.select(k.equal(a, b), a + 5, b)),
}


def swapped(k: Builder, a: Value, b: Value) -> Value:
    """Exchange two registers: their values must be read before either changes."""
    first, second = k.register(a), k.register(b)
    kept = first.get()
    first.set(second.get())
    second.set(kept)
    return first.get() - second.get() * 0.5


def elementwise(name: str, operation: Operation, element: str, lanes: int) -> Kernel:
    k = Builder(name)
    x, y, z = (k.buffer(n, element) for n in "xyz")
    with k.loop(k.begin, k.end) as block:
        at = block * lanes
        k.store(z, at, operation(k, k.load(x, at, lanes), k.load(y, at, lanes)))
    return k.kernel()


def memory_kernel(element: str) -> Kernel:
    """Loads and stores of parts of vectors, with strides, from a pointer that moved, and in branches and loops."""
    k = Builder("memory")
    x, y, z = (k.buffer(n, element) for n in "xyz")
    n = k.index("n")
    moved = k.offset(x, 2)
    for count in (1, 2, 3):
        k.store(z, 4 * count, k.load(x, count, 4, count), 4)
        k.store(z, 14 + 5 * count, k.load(moved, 1, 4), count)
        k.store(z, 32 + 5 * count, k.load(y, 0, 4, count, stride=3))
        k.store(z, 52 + count, k.load(y, 1, 4), count, stride=n)
    k.store(z, 64, k.load(x, 0, 4, 4, stride=n), 4, stride=2)
    k.store(z, 80, k.load(x, n * 2 - n, 1))
    k.store(k.scratch.of(element), 3, k.load(x, 5))
    k.store(z, 81, k.load(k.scratch.of(element), 3))
    with k.loop(0, 9, 4) as i:
        k.store(z, 82 + i, k.load(x, i % 3))
        with k.when(i <= n) as branch:
            k.store(z, 92 + i // 4, k.load(y, i))
        with k.otherwise(branch):
            k.store(z, 92 + i // 4, k.load(y, i + 1))
    return k.kernel()


def lanes_kernel() -> Kernel:
    """Shuffles, sums over lanes, and lanes that are numbered."""
    k = Builder("lanes")
    x, y, z = (k.buffer(n) for n in "xyz")
    a, b = k.load(x, 2, 4), k.load(y, 2, 4)
    k.store(z, 0, k.shuffle(a, b, (0, 4, 1, 5)))
    k.store(z, 4, k.shuffle(a, a, (3, 2, 1, 0)))
    k.store(z, 8, k.shuffle(a, b, (7, 0)), 2)
    k.store(z, 10, k.reduce_lanes("add", b))
    k.store(z, 11, k.reduce_lanes("max", b))
    k.store(z, 12, k.convert("float", k.iota(4) + k.broadcast(3, 4, I32)))
    k.store(z, 16, k.convert("float", k.convert("i32", k.begin + 7)))
    pair = k.load(x, 2, 2) * k.load(y, 2, 2) + 1.0
    k.store(z, 17, pair)
    k.store(z, 19, k.reduce_lanes("add", pair))
    return k.kernel()


def kernels() -> list[tuple[Kernel, np.ndarray, np.ndarray, list[int], int]]:
    """Return kernels, their inputs, further numbers, and how many blocks they have."""
    cases: list[tuple[Kernel, np.ndarray, np.ndarray, list[int], int]] = []
    for lanes in (1, 4):
        for name, operation in FLOAT_OPERATIONS.items():
            cases.append((elementwise(name, operation, F32, lanes), FLOATS, OTHERS, [], 16 // lanes))
        for name, operation in INT_OPERATIONS.items():
            cases.append((elementwise(name, operation, I32, lanes), INTS, SMALL, [], 16 // lanes))
    cases.append((memory_kernel(F32), FLOATS, OTHERS, [3], 1))
    cases.append((memory_kernel(I32), INTS, SMALL, [3], 1))
    cases.append((lanes_kernel(), FLOATS, OTHERS, [], 1))
    return cases


@pytest.mark.parametrize("variant", VARIANTS)
def test_instructions_have_the_bits_of_the_interpreter(variant: str, tmp_path: Path) -> None:
    cases, functions, texts = kernels(), set(), []
    for number, (kernel, *_, words, _) in enumerate(cases):
        rendered = render_kernel(kernel, f"k{number}", {3: words[0]} if words and number % 2 else {})
        functions |= rendered.functions
        pointers = ("x", "y", "z") if kernel.parameters[0].element == F32 else ("(word *)x", "(word *)y", "(word *)z")
        arguments = [pointers[place] if place < 3 else str(words[place - 3]) for place in rendered.parameters]
        arguments += ["0"] * rendered.begin + ["blocks"] * rendered.end + ["scratch"] * rendered.scratch
        head = f"void c{number}(float *x, float *y, float *z, int blocks, float *scratch)"
        unused = " ".join(f"(void){name};" for name in ("x", "y", "blocks", "scratch"))
        texts += [rendered.text, f"{head};\n{head} {{ {unused} k{number}({', '.join(arguments)}); }}\n"]
    built = library(tmp_path, {"kernels.c": "\n".join([prelude(functions), *texts])}, VARIANTS[variant])
    for number, (kernel, x, y, words, blocks) in enumerate(cases):
        expected, found, scratch = np.zeros(128, x.dtype), np.zeros(128, x.dtype), np.zeros(64, np.float32)
        interpreter = Interpreter(kernel, fused=False)
        interpreter.run([x, y, expected, *words], 0, blocks, 64)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, y, found)]
        getattr(built, f"c{number}")(*pointers, blocks, scratch.ctypes.data_as(ctypes.c_void_p))
        assert found.tobytes() == expected.tobytes(), (kernel.name, number)
        assert found.any(), kernel.name


def test_square_roots_by_whole_numbers_are_rounded_correctly(tmp_path: Path) -> None:
    text = prelude({"f_sqrt_bits"}).split("#if !defined(__GNUC__)")[0]
    text += "\n".join(prelude({"f_sqrt_bits"}).split("SOFTFP__)))\n")[1:]).replace("#endif\n", "", 1)
    text += "float root(float a);\nfloat root(float a) { return f_sqrt_bits(a); }\n"
    built = library(tmp_path, {"root.c": text}, VARIANTS["gcc, vectors"])
    built.root.restype, built.root.argtypes = ctypes.c_float, [ctypes.c_float]
    bits = np.random.default_rng(0).integers(0, 0x7F800001, 20_000, dtype=np.uint32)
    values = np.concatenate([bits.view(np.float32), np.abs(FLOATS), np.float32([np.inf, 1e-45, 0.25, 9.0])])
    found = np.array([built.root(float(value)) for value in values], np.float32)
    assert found.tobytes() == np.sqrt(values).tobytes()


def test_fast_math_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="compile without -ffast-math"):
        library(tmp_path, {"a.c": prelude(())}, ("gcc", "-ffast-math"))


def test_types_that_c_does_not_have_are_refused() -> None:
    k = Builder("narrow")
    x: Pointer = k.buffer("x", BF16)
    k.store(x, 0, k.load_narrow(x, 1))
    with pytest.raises(CompileError, match="bf16"):
        render_kernel(k.kernel(), "narrow")
