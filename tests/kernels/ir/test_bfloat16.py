"""bfloat16: its meaning in NumPy; machine code is bit-identical."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import BF16, PAIR, Builder, Kernel, Target, bfloat16, interpret
from tests.kernels.ir.support import ALL_TARGETS, agree, check_parts_and_strides

each_target = pytest.mark.parametrize("target", ALL_TARGETS)
RNG = np.random.default_rng(5)


def patterns(count: int) -> np.ndarray:
    """Return float32 numbers of all kinds: any bits, and those around the borders of the format."""
    bits = RNG.integers(0, 2**32, count, np.uint32)
    for number, border in enumerate((0, 0x007FFF00, 0x7F7F7F00, 0x7F7FFF00, 0x7F800000 - 64, 0x80000000)):
        bits[128 * number : 128 * (number + 1)] = border + np.arange(128, dtype=np.uint32)
    return bits.view(np.float32)


def test_narrow_rounds_to_the_nearest_and_to_even() -> None:
    cases = {
        1.0: 1.0,
        1 + 2**-8: 1.0,
        1 + 3 * 2**-8: 1 + 2**-6,
        1 + 2**-8 + 2**-20: 1 + 2**-7,
        -0.0: -0.0,
        3.4e38: np.inf,
    }
    actual = bfloat16.rounded(np.array(list(cases), np.float32))
    np.testing.assert_array_equal(actual.view(np.int32), np.array(list(cases.values()), np.float32).view(np.int32))


def test_narrow_chooses_the_nearer_neighbour() -> None:
    values = (RNG.standard_normal(10_000) * 2.0 ** RNG.integers(-100, 100, 10_000)).astype(np.float32)
    lower = values.view(np.uint32) & np.uint32(0xFFFF0000)
    neighbours = np.stack([lower, lower + np.uint32(0x10000)]).view(np.float32).astype(np.float64)
    distances = np.abs(neighbours - values)
    np.testing.assert_array_equal(np.abs(bfloat16.rounded(values) - values.astype(np.float64)), distances.min(0))


def test_special_numbers() -> None:
    values = np.array([np.inf, -np.inf, np.nan, 1e-40, -1e-40], np.float32)
    actual = bfloat16.rounded(values)
    np.testing.assert_array_equal(actual, np.array([np.inf, -np.inf, np.nan, 0, 0], np.float32))
    assert np.signbit(actual[4])


def test_pytorch_rounds_alike() -> None:
    torch = pytest.importorskip("torch")
    values = patterns(100_000)
    values = values[np.isfinite(values) & (np.abs(values) >= bfloat16.SMALLEST_NORMAL)]
    expected = torch.from_numpy(values.copy()).bfloat16().float().numpy()
    np.testing.assert_array_equal(bfloat16.rounded(values), expected)


def narrowing(lanes: int) -> Kernel:
    k = Builder("narrowing")
    x, y, z = k.buffer("x"), k.buffer("y", BF16), k.buffer("z")
    with k.loop(k.begin, k.end) as block:
        k.store(y, block * lanes, k.load(x, block * lanes, lanes))
        k.store(z, block * lanes, k.load(y, block * lanes, lanes))
    return k.kernel()


@each_target
@pytest.mark.parametrize("divisor", [1, 2, 4, 16])
def test_stores_round_and_loads_widen(target: Target, divisor: int) -> None:
    lanes = max(1, target.lanes // divisor)
    x = patterns(4096)
    _, y, z = agree(
        narrowing(lanes), [x, np.zeros(4096, np.uint16), np.zeros(4096, np.float32)], target, 0, 4096 // lanes
    )
    np.testing.assert_array_equal(y, bfloat16.narrow(x))
    np.testing.assert_array_equal(z, bfloat16.widen(y))


@each_target
def test_parts_and_strides(target: Target) -> None:
    x = bfloat16.narrow(RNG.standard_normal(3 * target.lanes).astype(np.float32))
    check_parts_and_strides(BF16, x, target)


def dots(lanes: int, first: int) -> Kernel:
    """Pairs of a from element `first` on, one of b for all lanes, and their products added to c."""
    k = Builder("dots")
    a, b, c = k.buffer("a", BF16), k.buffer("b", BF16), k.buffer("c")
    left = k.offset(a, first).of(PAIR)
    with k.loop(k.begin, k.end) as block:
        at = block * lanes
        for pairs in (k.load(b.of(PAIR), at, lanes), k.load(b.of(PAIR), block)):
            k.store(c, at, k.dot(k.load(left, at, lanes), pairs, k.load(c, at, lanes)))
    return k.kernel()


@each_target
@pytest.mark.parametrize("first", [0, 1])
def test_dot(target: Target, first: int) -> None:
    lanes, blocks = target.lanes, 200
    size = lanes * blocks
    a, b, c = (RNG.standard_normal(n).astype(np.float32) for n in (2 * size + 2, 2 * size, size))
    a[first : first + 8] = [np.inf, 1, np.nan, 0, 3e38, 3e38, -0.0, 0]
    actual = agree(dots(lanes, first), [bfloat16.narrow(a), bfloat16.narrow(b), c], target, 0, blocks)[2]
    pairs, others = (bfloat16.rounded(x).astype(np.float64).reshape(-1, 2) for x in (a[first : first + 2 * size], b))
    expected = c + (pairs * others).sum(1) + (pairs * np.repeat(others[:blocks], lanes, 0)).sum(1)
    np.testing.assert_allclose(actual[8:], expected[8:], rtol=1e-5, atol=1e-5)


@each_target
def test_pairs_of_two_vectors(target: Target) -> None:
    lanes = target.lanes
    k = Builder("pairs")
    a, b, y = (k.buffer(name, BF16) for name in "aby")
    k.store(y.of(PAIR), 0, k.pair(k.load_narrow(a, 0, lanes), k.load_narrow(b, 0, lanes)))
    arrays = [RNG.integers(0, 2**16, n, np.uint16) for n in (lanes, lanes, 2 * lanes)]
    a_actual, b_actual, y_actual = agree(k.kernel(), arrays, target)
    np.testing.assert_array_equal(y_actual.reshape(-1, 2), np.stack([a_actual, b_actual], 1))


def test_pairs_need_not_be_aligned_but_inside_the_array() -> None:
    k = Builder("beyond")
    a, y = k.buffer("a", BF16), k.buffer("y", BF16)
    k.store(y.of(PAIR), 0, k.load(k.offset(a, 2).of(PAIR), 0))
    with pytest.raises(IndexError):
        interpret(k.kernel(), [np.zeros(3, np.uint16), np.zeros(2, np.uint16)], 0, 1)
