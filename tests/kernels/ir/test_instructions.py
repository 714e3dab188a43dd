"""Every arithmetic instruction: the interpreter against NumPy, and the generated code against the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from opsin.kernels.ir import F32, I32, INDEX, Builder, ScalarType, Target, Value
from tests.kernels.ir.support import ALL_TARGETS, FLOATS, INTS, agree, all_pairs
from tests.kernels.support import call_native

DTYPES = {F32: np.float32, I32: np.int32}
Build = Callable[[Builder, Value, Value], Value]
each_target = pytest.mark.parametrize("target", ALL_TARGETS, ids=lambda row: row.name)


def compute(
    element: str, lanes: int, target: Target, builds: dict[str, Build], a: np.ndarray, b: np.ndarray
) -> dict[str, np.ndarray]:
    """`builds` on all of `a` and `b`, in one kernel."""
    k = Builder("every")
    x, y, n = k.buffer("x", element), k.buffer("y", element), k.index("n")
    results = []
    with k.loop(0, n, lanes) as i:
        for name, build in builds.items():
            value = build(k, k.load(x, i, lanes), k.load(y, i, lanes))
            results.append(np.zeros(a.size, DTYPES[value.kind.element]))
            k.store(k.buffer(name, value.kind.element), i, value)
    _, _, *actual = agree(k.kernel(), [a, b, a.size, *results], target)
    return dict(zip(builds, actual, strict=True))


def truth(k: Builder, mask: Value) -> Value:
    return k.select(mask, k.broadcast(1.0, mask.kind.lanes), 0.0)


FLOAT_BUILDS: dict[str, tuple[Build, Callable[..., np.ndarray]]] = {
    "add": (lambda k, a, b: a + b, np.add),
    "sub": (lambda k, a, b: a - b, np.subtract),
    "mul": (lambda k, a, b: a * b, np.multiply),
    "div": (lambda k, a, b: a / b, np.divide),
    "min": (lambda k, a, b: k.minimum(a, b), lambda a, b: np.asarray(np.where(a < b, a, b))),
    "max": (lambda k, a, b: k.maximum(a, b), lambda a, b: np.asarray(np.where(a > b, a, b))),
    "neg": (lambda k, a, b: -a, lambda a, b: -a),
    "sqrt": (lambda k, a, b: k.unary("sqrt", a), lambda a, b: np.sqrt(a)),
    "abs": (lambda k, a, b: k.unary("abs", a), lambda a, b: np.abs(a)),
    "floor": (lambda k, a, b: k.unary("floor", a), lambda a, b: np.floor(a)),
    "lt": (lambda k, a, b: truth(k, a < b), np.less),
    "le": (lambda k, a, b: truth(k, a <= b), np.less_equal),
    "gt": (lambda k, a, b: truth(k, a > b), np.greater),
    "ge": (lambda k, a, b: truth(k, a >= b), np.greater_equal),
    "eq": (lambda k, a, b: truth(k, k.equal(a, b)), np.equal),
    "and": (lambda k, a, b: truth(k, (a < b) & (a < 1.0)), lambda a, b: (a < b) & (a < 1)),
    "or": (lambda k, a, b: truth(k, (a < b) | (a < 1.0)), lambda a, b: (a < b) | (a < 1)),
    "xor": (lambda k, a, b: truth(k, (a < b) ^ (a < 1.0)), lambda a, b: (a < b) ^ (a < 1)),
    "not": (lambda k, a, b: truth(k, (a < b) ^ 1), lambda a, b: ~(a < b)),
    "select": (lambda k, a, b: k.select(a < b, a, 7.0), lambda a, b: np.where(a < b, a, 7)),
    "right": (lambda k, a, b: 1.5 - a + 2 / b, lambda a, b: np.float32(1.5) - a + np.float32(2) / b),
}
INT_BUILDS: dict[str, tuple[Build, Callable[..., np.ndarray]]] = {
    "add": (lambda k, a, b: a + b, np.add),
    "sub": (lambda k, a, b: a - b, np.subtract),
    "mul": (lambda k, a, b: a * b, np.multiply),
    "div": (lambda k, a, b: a // (b | 1), lambda a, b: np.trunc(a / (b | 1).astype(float)).astype(np.int32)),
    "rem": (lambda k, a, b: a % (b | 1), lambda a, b: np.fmod(a, b | 1)),
    "div by constant": (lambda k, a, b: a // 8, lambda a, b: np.trunc(a / 8).astype(np.int32)),
    "rem by constant": (lambda k, a, b: a % 8, lambda a, b: np.fmod(a, 8)),
    "and": (lambda k, a, b: a & b, np.bitwise_and),
    "or": (lambda k, a, b: a | b, np.bitwise_or),
    "xor": (lambda k, a, b: a ^ b, np.bitwise_xor),
    "shl": (lambda k, a, b: a << (b & 31), lambda a, b: a << (b & 31)),
    "shr": (lambda k, a, b: a >> (b & 31), lambda a, b: (a.view(np.uint32) >> (b & 31).view(np.uint32)).view(np.int32)),
    "min": (lambda k, a, b: k.minimum(a, b), np.minimum),
    "max": (lambda k, a, b: k.maximum(a, b), np.maximum),
    "neg": (lambda k, a, b: -a, lambda a, b: -a),
    "lt": (lambda k, a, b: truth(k, a < b), np.less),
    "le": (lambda k, a, b: truth(k, a <= b), np.less_equal),
    "gt": (lambda k, a, b: truth(k, a > b), np.greater),
    "ge": (lambda k, a, b: truth(k, a >= b), np.greater_equal),
    "eq": (lambda k, a, b: truth(k, k.equal(a, b)), np.equal),
    "select": (lambda k, a, b: k.select(a < b, 5, b), lambda a, b: np.where(a < b, 5, b)),
    "float": (lambda k, a, b: k.convert("float", a), lambda a, b: a.astype(np.float32)),
    "index": (lambda k, a, b: k.convert("i32", k.convert("index", a) * 3 - 1), lambda a, b: a * 3 - 1),
}


@each_target
@pytest.mark.parametrize("scalar", [False, True], ids=["vector", "scalar"])
@pytest.mark.parametrize(("element", "table"), [(F32, FLOAT_BUILDS), (I32, INT_BUILDS)], ids=["f32", "i32"])
def test_arithmetic(
    element: str, table: dict[str, tuple[Build, Callable[..., np.ndarray]]], scalar: bool, target: Target
) -> None:
    lanes = 1 if scalar else target.lanes
    a, b = all_pairs(FLOATS if element == F32 else INTS, DTYPES[element], target.lanes)
    actual = compute(element, lanes, target, {name: build for name, (build, _) in table.items()}, a, b)
    with np.errstate(all="ignore"):
        for name, (_, function) in table.items():
            np.testing.assert_array_equal(actual[name], function(a, b), err_msg=name)


@each_target
@pytest.mark.parametrize("scalar", [False, True], ids=["vector", "scalar"])
def test_conversions_of_floats(scalar: bool, target: Target) -> None:
    builds: dict[str, Build] = {
        "int": lambda k, a, b: k.convert("int", a),
        "bits": lambda k, a, b: k.convert("int_bits", a),
        "back": lambda k, a, b: k.convert("float_bits", k.convert("int_bits", a)),
    }
    a = np.array(
        [0, -0.0, 0.5, -0.5, 1.99, -1.99, 16777216, -2147483520, 2147483520, 3e-39, 1e9, -7, 8, 9, 1, 2], np.float32
    )
    actual = compute(F32, 1 if scalar else target.lanes, target, builds, a, a)
    np.testing.assert_array_equal(actual["int"], a.astype(np.int32))
    np.testing.assert_array_equal(actual["bits"], a.view(np.int32))
    np.testing.assert_array_equal(actual["back"].view(np.int32), a.view(np.int32))


@each_target
def test_a_nan_made_whole_spoils_nothing_else(target: Target) -> None:
    """It may become any number, but that number is one."""
    k = Builder("whole_nan")
    y = k.buffer("y")
    number = k.convert("int", k.broadcast(float("nan"), target.lanes))
    k.store(y, 0, k.convert("float", number - number) + 1.0)
    (actual,) = agree(k.kernel(), [np.zeros(target.lanes, np.float32)], target)
    assert (actual == 1).all()


@each_target
def test_fma(target: Target) -> None:
    """Within a unit in the last place of the exact sum, or rounded twice if the processor has no fused multiply-add."""
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(1024) * 10.0 ** rng.integers(-3, 4, 1024) for _ in range(3))
    a, b, c = (v.astype(np.float32) for v in (a, b, c))
    c[:256] = -a[:256] * b[:256]  # what is left is the product's rounding error
    k = Builder("fma")
    x, y, z, r = (k.buffer(name) for name in "xyzr")
    with k.loop(0, 1024, target.lanes) as i:
        k.store(r, i, k.fma(*(k.load(buffer, i, target.lanes) for buffer in (x, y, z))))
    actual = np.zeros(1024, np.float32)
    call_native(k.kernel(), target, [a, b, c, actual], 0, 1)
    if target.fma:
        exact = a.astype(np.longdouble) * b + c
        assert (np.abs(actual - exact) <= np.spacing(np.abs(exact).astype(np.float32))).all()
    else:
        np.testing.assert_array_equal(actual, a * b + c)


@each_target
def test_fma_takes_scalars(target: Target) -> None:
    k = Builder("fma_scalar")
    x, y = k.buffer("x"), k.buffer("y")
    k.store(y, 0, k.fma(k.load(x, 0, target.lanes), k.load(x, 1), k.load(x, 2)))
    ramp = np.arange(target.lanes, dtype=np.float32)
    _, actual = agree(k.kernel(), [ramp, np.zeros_like(ramp)], target)
    np.testing.assert_array_equal(actual, ramp + 2)


@each_target
@pytest.mark.parametrize(("element", "name"), list(product((F32, I32), ("add", "max"))))
def test_reduce_lanes(element: str, name: str, target: Target) -> None:
    """First half with second half, until one is left."""
    rng = np.random.default_rng(1)
    values = (rng.standard_normal((20, target.lanes)) * 1e6).astype(DTYPES[element])
    k = Builder("reduce")
    x, y = k.buffer("x", element), k.buffer("y", element)
    with k.loop(0, 20) as i:
        k.store(y, i, k.reduce_lanes(name, k.load(x, i * target.lanes, target.lanes)))
    _, actual = agree(k.kernel(), [values, np.zeros(20, DTYPES[element])], target)
    if name == "max":
        np.testing.assert_array_equal(actual, values.max(1))
    else:
        np.testing.assert_allclose(actual, values.sum(1, dtype=np.float64), rtol=1e-4, atol=1)


@each_target
def test_iota(target: Target) -> None:
    k = Builder("lanes")
    y = k.buffer("y", I32)
    k.store(y, 0, k.iota(target.lanes))
    k.store(y, target.lanes, k.iota(1) + 9)
    (actual,) = agree(k.kernel(), [np.zeros(target.lanes + 1, np.int32)], target)
    assert actual.tolist() == [*range(target.lanes), 9]


@each_target
def test_broadcast_and_constants(target: Target) -> None:
    lanes = target.lanes
    k = Builder("broadcast")
    x, y, z = k.buffer("x"), k.buffer("y"), k.buffer("z", I32)
    k.store(y, 0, k.broadcast(k.load(x, 3), lanes))
    k.store(y, lanes, k.broadcast(0.1, lanes))
    k.store(y, 2 * lanes, k.broadcast(float("-inf"), lanes))
    k.store(z, 0, k.broadcast(-5, lanes, I32))
    k.store(z, lanes, k.constant(k.constant(9, ScalarType(I32)), ScalarType(I32, lanes)))
    zeros = np.zeros(3 * lanes, np.float32)
    _, y_actual, z_found = agree(k.kernel(), [np.arange(4, dtype=np.float32), zeros, zeros.astype(np.int32)], target)
    assert y_actual.reshape(3, lanes)[:, 0].tolist() == [3, np.float32(0.1), -np.inf]
    assert (y_actual.reshape(3, lanes) == y_actual.reshape(3, lanes)[:, :1]).all()
    assert z_found.reshape(3, lanes)[:2].tolist() == [[-5] * lanes, [9] * lanes]


@each_target
def test_shuffle_picks_lanes_of_both(target: Target) -> None:
    lanes = target.lanes
    k = Builder("shuffle")
    x, y, z = k.buffer("x"), k.buffer("y"), k.buffer("z", I32)
    a, b = k.load(x, 0, lanes), k.load(x, lanes, lanes)
    picks = [(3 * i + 1) % (2 * lanes) for i in range(lanes)]
    k.store(y, 0, k.shuffle(a, b, picks))
    k.store(y, lanes, k.shuffle(b, b, list(reversed(range(lanes)))))
    numbers = k.iota(lanes)
    k.store(z, 0, k.shuffle(numbers, numbers, [0] * lanes))
    values, zeros = np.arange(2 * lanes, dtype=np.float32), np.zeros(2 * lanes, np.float32)
    _, actual, whole = agree(k.kernel(), [values, zeros, np.ones(lanes, np.int32)], target)
    assert actual.tolist() == [*picks, *reversed(range(lanes, 2 * lanes))]
    assert whole.tolist() == [0] * lanes


@each_target
def test_whole_numbers_of_64_bits(target: Target) -> None:
    """Kernel arguments and addresses: arithmetic beyond 32 bits, and division towards zero."""
    k = Builder("indices")
    n, y = k.index("n"), k.buffer("y", I32)
    large = n * n * n  # beyond 32 bits
    results = [
        large // n // n,
        large % 1000,
        (0 - n) // 7,
        (0 - n) % 7,
        k.minimum(n, 5),
        k.maximum(n, 5),
        n >> 2,
        n << 2,
    ]
    results += [(large ^ n) // n // n, n & 12, n | 1, k.select(n < 5, n, 0)]
    for i, value in enumerate(results):
        assert value.kind == ScalarType(INDEX)
        k.store(y, i, k.convert("i32", value))
    m = 100003
    (actual,) = agree(k.kernel(), [m, np.zeros(12, np.int32)], target, portable=False)
    expected = [m, m**3 % 1000, -(m // 7), -(m % 7), 5, m, m >> 2, m << 2, (m**3 ^ m) // m // m, m & 12, m | 1, 0]
    assert actual.tolist() == expected


@each_target
@pytest.mark.parametrize("seed", range(8))
def test_random_programs(seed: int, target: Target) -> None:
    """Straight lines of a hundred instructions on vectors: every value, bit by bit."""
    rng = np.random.default_rng(seed)
    lanes = target.lanes if seed % 4 else 1
    k = Builder("random")
    x, whole, y, w = k.buffer("x"), k.buffer("whole", I32), k.buffer("y"), k.buffer("w", I32)
    floats = [k.load(x, i * lanes, lanes) for i in range(4)]
    ints = [k.load(whole, i * lanes, lanes) for i in range(4)]
    truths = [floats[0] < floats[1]]

    def pick(values: list[Value]) -> Value:
        return values[int(rng.integers(len(values)))]

    def tame(a: Value) -> Value:
        """Neither a NaN nor too large for a whole number."""
        return k.minimum(k.maximum(a, -1e6), 1e6)

    def step() -> None:
        a, b, i, j, m, n = pick(floats), pick(floats), pick(ints), pick(ints), pick(truths), pick(truths)
        makes_float = [
            lambda: a + b, lambda: a - b, lambda: a * b, lambda: a / b, lambda: k.minimum(a, b), lambda: -a,
            lambda: k.maximum(a, b), lambda: k.unary("sqrt", a), lambda: k.unary("abs", a), lambda: k.unary("floor", a),
            lambda: k.select(m, a, b), lambda: k.convert("float", i), lambda: k.convert("float_bits", i),
        ]  # fmt: skip
        makes_int = [
            lambda: i + j, lambda: i - j, lambda: i * j, lambda: i // (j & 255 | 1), lambda: i % (j & 255 | 1),
            lambda: i & j, lambda: i | j, lambda: i ^ j, lambda: i << (j & 31), lambda: i >> (j & 31),
            lambda: k.minimum(i, j), lambda: k.maximum(i, j), lambda: k.select(m, i, j),
            lambda: k.convert("int", tame(a)), lambda: k.convert("int_bits", tame(a)),
        ]  # fmt: skip
        makes_truth = [
            lambda: a < b, lambda: a <= b, lambda: k.equal(a, b), lambda: i < j, lambda: i <= j, lambda: k.equal(i, j),
            lambda: m & n, lambda: m | n, lambda: m ^ n,
        ]  # fmt: skip
        values, makes = [(floats, makes_float), (ints, makes_int), (truths, makes_truth)][int(rng.integers(3))]
        values.append(makes[int(rng.integers(len(makes)))]())

    for _ in range(100):
        step()
    ints += [k.select(m, k.broadcast(1, lanes, I32), 0) for m in truths]
    for buffer, values in ((y, floats), (w, ints)):
        for i, value in enumerate(values):
            k.store(buffer, i * lanes, value)
    args = [
        rng.choice(np.array([*FLOATS, 0.3, 7, 100.25], np.float32), 4 * lanes),
        rng.integers(-(2**31), 2**31, 4 * lanes).astype(np.int32),
        np.zeros(len(floats) * lanes, np.float32),
        np.zeros(len(ints) * lanes, np.int32),
    ]
    agree(k.kernel(), args, target)
