"""Pooling against plain NumPy on random odd shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.pool import AvgPool, AvgPoolGradient, MaxPool, MaxPoolGradient
from tests.kernels.support import AVX512, HOST_TARGETS, each_run, guarded, margins_hold, run_native

Run = Callable[..., None]


@dataclass(frozen=True)
class Case:
    """One pooling of random images; padding before and after, for rows and columns."""

    clamp: bool
    tiles: bool
    channels: int
    window: tuple[int, int]
    stride: tuple[int, int]
    include: bool
    count: int
    size: tuple[int, int]
    before: tuple[int, int]
    after: tuple[int, int]
    ceil: bool
    seed: int

    @property
    def out(self) -> tuple[int, int]:
        """PyTorch's rule: the last window must begin in the image or in the padding before it."""
        result = []
        for n, k, s, low, high in zip(self.size, self.window, self.stride, self.before, self.after, strict=True):
            count = (n + low + high - k + (s - 1 if self.ceil else 0)) // s + 1
            result.append(count - 1 if (count - 1) * s >= n + low else count)
        return result[0], result[1]

    def spans(self, axis: int) -> Iterator[tuple[int, int, int]]:
        """For each result: the first and past-last row (column) inside, and how many count with the padding."""
        for i in range(self.out[axis]):
            start = i * self.stride[axis] - self.before[axis]
            stop = start + self.window[axis]
            padded = min(stop, self.size[axis] + self.after[axis]) - start
            yield max(start, 0), min(stop, self.size[axis]), padded

    @property
    def images(self) -> np.ndarray:
        """Few different numbers, so that several maxima are often equal."""
        rng = np.random.default_rng(self.seed)
        shape = (self.count, *self.size, self.channels)
        is_whole = self.seed % 2 == 0
        return (rng.integers(-2, 3, shape) if is_whole else rng.standard_normal(shape)).astype(np.float32)

    @property
    def gradient(self) -> np.ndarray:
        rng = np.random.default_rng(self.seed + 1000)
        return rng.standard_normal((self.count, *self.out, self.channels)).astype(np.float32)

    @property
    def rows(self) -> int:
        """Of results, of all images."""
        return self.count * self.out[0]

    @property
    def statics(self) -> tuple[int, tuple[int, int], tuple[int, int], bool]:
        return self.channels, self.window, self.stride, self.clamp

    @property
    def sizes(self) -> tuple[int, ...]:
        return *self.size, *self.out, *self.before


def random_case(seed: int) -> Case:
    """Return a case; three consecutive ones differ only in the arguments of the kernel."""
    static, rng = np.random.default_rng(200 + seed // 3), np.random.default_rng(seed)
    kind = ("clamp", "inside", "clamp", "tiles")[seed // 3 % 4]
    window, stride, channels = static.integers(1, 6, 2), static.integers(1, 4, 2), int(static.integers(1, 36))
    include = bool(static.integers(2))
    before = after = np.zeros(2, int)
    size = rng.integers(window, 13)
    if kind == "tiles":
        stride, size = window, window * rng.integers(1, 4, 2)
    if kind == "clamp":
        before, after = rng.integers(0, window // 2 + 1), rng.integers(0, window // 2 + 1)
    return Case(
        kind == "clamp", kind == "tiles", channels, _pair(window), _pair(stride), include, int(rng.integers(1, 4)),
        _pair(size), _pair(before), _pair(after), kind == "clamp" and bool(rng.integers(2)), seed,
    )  # fmt: skip


def _pair(numbers: np.ndarray) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[1])


def _name(case: Case) -> str:
    return f"case{case.seed}"


CASES = [random_case(seed) for seed in range(36)]
SMALL = [
    Case(True, False, 3, (2, 3), (2, 1), True, 2, (4, 5), (1, 1), (1, 0), True, 0),
    Case(False, True, 9, (2, 2), (2, 2), True, 1, (4, 6), (0, 0), (0, 0), False, 1),
    Case(True, False, 1, (5, 4), (1, 1), False, 1, (5, 5), (2, 0), (2, 0), False, 2),
]


def max_pool(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the maxima, and the gradient with respect to the images."""
    x, g = case.images, case.gradient.astype(np.float64)
    y, dx = np.zeros(g.shape), np.zeros(x.shape)
    for r, (top, bottom, _) in enumerate(case.spans(0)):
        for c, (left, right, _) in enumerate(case.spans(1)):
            pixels = x[:, top:bottom, left:right].reshape(case.count, -1, case.channels)
            y[:, r, c] = pixels.max(1)
            for n, winners in enumerate(pixels.argmax(1)):
                for channel, index in enumerate(winners):
                    i, j = divmod(int(index), right - left)
                    dx[n, top + i, left + j, channel] += g[n, r, c, channel]
    return y, dx


def avg_pool(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the means, and the gradient with respect to the images."""
    x, g = case.images.astype(np.float64), case.gradient
    y, dx = np.zeros(g.shape), np.zeros(x.shape)
    for r, (top, bottom, rows) in enumerate(case.spans(0)):
        for c, (left, right, columns) in enumerate(case.spans(1)):
            divisor = rows * columns if case.include else (bottom - top) * (right - left)
            y[:, r, c] = x[:, top:bottom, left:right].sum((1, 2)) / divisor
            dx[:, top:bottom, left:right] += g[:, r, c, None, None] / divisor
    return y, dx


def check_max(case: Case, run: Run, target: Target) -> None:
    expected, gradient = max_pool(case)
    y, dx = guarded(case.gradient.shape), guarded(case.images.shape)
    run(MaxPool(*case.statics), [case.images, y, *case.sizes], 0, case.rows, target=target)
    np.testing.assert_array_equal(y, expected)
    spec = MaxPoolGradient(*case.statics, case.tiles)
    run(spec, [case.images, case.gradient, dx, *case.sizes], 0, case.count, target=target)
    np.testing.assert_allclose(dx, gradient, atol=1e-5)
    assert margins_hold(y)
    assert margins_hold(dx)


def check_avg(case: Case, run: Run, target: Target) -> None:
    expected, gradient = avg_pool(case)
    y, dx = guarded(case.gradient.shape), guarded(case.images.shape)
    words = (*case.sizes, *case.after)
    run(AvgPool(*case.statics, case.include), [case.images, y, *words], 0, case.rows, target=target)
    np.testing.assert_allclose(y, expected, atol=1e-5)
    spec = AvgPoolGradient(*case.statics, case.include, case.tiles)
    run(spec, [case.gradient, dx, *words], 0, case.count, target=target)
    np.testing.assert_allclose(dx, gradient, atol=1e-5)
    assert margins_hold(y)
    assert margins_hold(dx)


def test_the_cases_have_every_kind() -> None:
    assert {case.window[0] * case.window[1] > 16 for case in CASES if case.clamp} == {True, False}
    assert {case.include for case in CASES if case.clamp} == {True, False}
    assert any(case.out[0] * case.stride[0] > case.size[0] for case in CASES if case.ceil)
    assert any(case.channels > 16 for case in CASES)
    assert any(case.channels < 8 for case in CASES)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_max_pool_and_its_gradient(case: Case, target: Target) -> None:
    check_max(case, run_native, target)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("case", CASES, ids=_name)
def test_avg_pool_and_its_gradient(case: Case, target: Target) -> None:
    check_avg(case, run_native, target)


@pytest.mark.parametrize("case", CASES[::9], ids=_name)
@pytest.mark.parametrize("check", [check_max, check_avg])
def test_wide_vectors(case: Case, check: Callable[[Case, Run, Target], None]) -> None:
    check(case, run_native, AVX512)


@each_run
@pytest.mark.parametrize("case", SMALL, ids=_name)
@pytest.mark.parametrize("check", [check_max, check_avg])
def test_small_cases(case: Case, check: Callable[[Case, Run, Target], None], run: Run, target: Target) -> None:
    check(case, run, target)


@pytest.mark.parametrize("window", [(3, 3), (5, 5)])
@pytest.mark.parametrize("pad", [0, 1])
def test_max_pooling_propagates_a_nan(window: tuple[int, int], pad: int) -> None:
    padding = (pad, pad)
    case = Case(pad > 0, False, 9, window, (2, 2), True, 1, (7, 7), padding, padding, False, 1)
    for row, column in [(0, 0), (3, 3), (6, 6), (2, 5)]:
        x = case.images
        x[0, row, column, 4] = np.nan
        y, dx = guarded(case.gradient.shape), guarded(x.shape)
        run_native(MaxPool(*case.statics), [x, y, *case.sizes], 0, case.rows)
        g = np.ones_like(y)
        run_native(MaxPoolGradient(*case.statics, False), [x, g, dx, *case.sizes], 0, 1)
        hits = 0
        for r, (top, bottom, _) in enumerate(case.spans(0)):
            for c, (left, right, _) in enumerate(case.spans(1)):
                inside = top <= row < bottom and left <= column < right
                hits += inside
                assert np.isnan(y[0, r, c]).tolist() == [inside and channel == 4 for channel in range(9)]
        assert dx[0, row, column, 4] == hits


def test_the_first_nan_wins_the_gradient() -> None:
    x = np.zeros((1, 2, 2, 1), np.float32)
    x[0, 0, 1] = x[0, 1, 0] = np.nan
    x[0, 1, 1] = np.inf
    dx = guarded(x.shape)
    spec = MaxPoolGradient(1, (2, 2), (2, 2), False, True)
    run_native(spec, [x, np.full((1, 1, 1, 1), 3, np.float32), dx, 2, 2, 1, 1, 0, 0], 0, 1)
    assert dx.ravel().tolist() == [0, 3, 0, 0]


@pytest.mark.parametrize("case", SMALL[:1], ids=_name)
def test_windows_of_minus_infinity(case: Case) -> None:
    x = np.full(case.images.shape, -np.inf, np.float32)
    y, dx = guarded(case.gradient.shape), guarded(x.shape)
    run_native(MaxPool(*case.statics), [x, y, *case.sizes], 0, case.rows)
    assert (y == -np.inf).all()
    g = np.ones_like(y)
    run_native(MaxPoolGradient(*case.statics, False), [x, g, dx, *case.sizes], 0, case.count)
    assert dx.sum() == g.sum()
    first = [(span_r[0], span_c[0]) for span_r in case.spans(0) for span_c in case.spans(1)]
    assert {(int(i), int(j)) for i, j in np.argwhere(dx[0, :, :, 0])} == set(first)


def test_windows_with_nothing_inside() -> None:
    """More padding than a window has rows: a window in the padding gives −∞ or 0, and has no gradient."""
    case = Case(True, False, 9, (2, 2), (1, 1), False, 2, (3, 3), (4, 0), (3, 0), False, 1)
    empty = [top >= bottom for top, bottom, _ in case.spans(0)]
    assert sum(empty) == 4
    y, dx, g = guarded(case.gradient.shape), guarded(case.images.shape), np.ones_like(case.gradient)
    run_native(MaxPool(*case.statics), [case.images, y, *case.sizes], 0, case.rows)
    assert (y == -np.inf).all((0, 2, 3)).tolist() == empty
    run_native(AvgPool(*case.statics, False), [case.images, y, *case.sizes, *case.after], 0, case.rows)
    assert (y == 0).all((0, 2, 3)).tolist() == empty
    for spec, inputs, words in (
        (MaxPoolGradient(*case.statics, False), [case.images, g], case.sizes),
        (AvgPoolGradient(*case.statics, False, False), [g], (*case.sizes, *case.after)),
    ):
        run_native(spec, [*inputs, dx, *words], 0, 2)
        assert margins_hold(dx)
        np.testing.assert_allclose(dx.sum(), g[:, np.logical_not(empty)].sum(), rtol=1e-6)


@pytest.mark.parametrize("case", [replace(case, count=3) for case in CASES[::12]], ids=_name)
def test_blocks_are_independent(case: Case) -> None:
    """A block writes its image or its row of results; computed alone, the result is bit-identical."""
    words = (*case.sizes, *case.after)
    specs = [
        (MaxPool(*case.statics), [case.images], case.gradient.shape, case.sizes),
        (MaxPoolGradient(*case.statics, case.tiles), [case.images, case.gradient], case.images.shape, case.sizes),
        (AvgPool(*case.statics, True), [case.images], case.gradient.shape, words),
        (AvgPoolGradient(*case.statics, True, case.tiles), [case.gradient], case.images.shape, words),
    ]
    for spec, inputs, shape, sizes in specs:
        by_row = shape == case.gradient.shape
        blocks = case.rows if by_row else case.count
        together = guarded(shape)
        run_native(spec, [*inputs, together, *sizes], 0, blocks)
        for block in range(blocks):
            alone = guarded(shape)
            run_native(spec, [*inputs, alone, *sizes], block, block + 1)
            first, second = (array.reshape(blocks, -1) for array in (alone, together))
            np.testing.assert_array_equal(first[block], second[block])
            others = np.delete(first, block, 0)
            np.testing.assert_array_equal(others, np.full_like(others, 77))
