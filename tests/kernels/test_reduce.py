"""Sums and maxima along any axes, whole and in partial results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.reduce import MIN_DIVIDED_ELEMENTS, Combine, Reduce, segment_elements
from tests.kernels.support import arguments, each_run, guarded, margins_hold

Run = Callable[..., None]
REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {"sum": np.sum, "max": np.max}


@dataclass(frozen=True)
class Case:
    """The reduction of an array of `shape` over `axes`."""

    function: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @property
    def kept(self) -> list[int]:
        """The axes that remain, without the innermost one."""
        return [d for d in range(len(self.shape) - 1) if d not in self.axes]

    @property
    def reduced(self) -> list[int]:
        """The axes that are reduced, without the innermost one."""
        return [d for d in self.axes if d != len(self.shape) - 1]

    @property
    def spec(self) -> Reduce:
        return self.divided(None)

    def divided(self, segment_loop: int | None) -> Reduce:
        """The specification of a sum in segments of the loop of that number."""
        channels = None if len(self.shape) - 1 in self.axes else self.shape[-1]
        return Reduce(self.function, len(self.kept), len(self.reduced), channels, segment_loop)

    @property
    def words(self) -> dict[str, list[int]]:
        strides = [prod(self.shape[d + 1 :]) for d in range(len(self.shape))]
        kept = []
        for number, d in enumerate(self.kept):
            inner = [self.shape[e] for e in self.kept[number + 1 :]] + [self.spec.channels or 1]
            kept += [self.shape[d], strides[d], prod(inner)]
        reduced = [word for d in self.reduced for word in (self.shape[d], strides[d])]
        extent = [self.shape[-1]] if self.spec.channels is None else []
        return {"kept": kept, "reduced": reduced, "extent": extent, "segment": []}

    @property
    def x(self) -> np.ndarray:
        return np.random.default_rng(prod(self.shape)).standard_normal(self.shape, np.float32)

    @property
    def expected(self) -> np.ndarray:
        return np.asarray(REDUCTIONS[self.function](self.x.astype(np.float64), self.axes))


CASES = [
    Case("sum", (3, 4, 21), (1,)),
    Case("max", (3, 4, 35), (0, 1)),
    Case("sum", (2, 3, 4, 19), (1, 3)),
    Case("max", (5, 40), (1,)),
    Case("max", (7,), (0,)),
    Case("sum", (3, 2, 5, 1), (0, 2)),
    Case("sum", (2, 33), (0,)),
    Case("sum", (33,), ()),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.function}{case.shape}{case.axes}")


@each_run
@each_case
@pytest.mark.parametrize("block", [1, 2])
def test_whole(case: Case, block: int, run: Run, target: Target) -> None:
    y = guarded(case.expected.shape)
    args = arguments(case.spec, x=case.x, y=y, **case.words, shared=0, block=block)
    blocks = -(-case.shape[case.kept[0]] // block) if case.kept else 1
    run(case.spec, args, 0, blocks, target=target)
    np.testing.assert_allclose(y, case.expected, rtol=1e-5, atol=1e-5)
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("case", [case for case in CASES if case.reduced], ids=str)
@pytest.mark.parametrize("block", [1, 2])
def test_in_partial_results(case: Case, block: int, run: Run, target: Target) -> None:
    parts = -(-case.shape[case.reduced[0]] // block)
    partial = guarded((parts, *case.expected.shape))
    args = arguments(case.spec, x=case.x, y=partial, **case.words, shared=1, block=block)
    run(case.spec, args, 0, parts, target=target)
    assert margins_hold(partial)
    np.testing.assert_allclose(REDUCTIONS[case.function](partial, 0), case.expected, rtol=1e-5, atol=1e-5)


DIVIDED = [
    (case, loop)
    for case in [*CASES, Case("sum", (2, 100), (0, 1)), Case("sum", (3, 5, 4, 21), (0, 2))]
    if case.function == "sum"
    for loop in range(len(case.reduced) + (case.spec.channels is None))
]


@each_run
@pytest.mark.parametrize(("case", "loop"), DIVIDED, ids=str)
@pytest.mark.parametrize("segment", [1, 3])
@pytest.mark.parametrize("shared", [0, 1])
def test_in_segments(case: Case, loop: int, segment: int, shared: int, run: Run, target: Target) -> None:
    spec = case.divided(loop)
    words = case.words | {"segment": [segment * target.lanes if loop == len(case.reduced) else segment]}
    divided_extent = case.shape[(case.reduced if shared else case.kept or [0])[0]]
    parts = -(-divided_extent // 2) if shared or case.kept else 1
    y = guarded((parts, *case.expected.shape) if shared else case.expected.shape)
    run(spec, arguments(spec, x=case.x, y=y, **words, shared=shared, block=2), 0, parts, target=target)
    np.testing.assert_allclose(y.sum(0) if shared else y, case.expected, rtol=1e-5, atol=1e-5)
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("channels", [None, 19])
def test_segments_that_are_rounded_away_are_corrected(channels: int | None, run: Run, target: Target) -> None:
    """Each segment adds 1 to a total of 2²⁴, whose neighbour is 2²⁴ + 2."""
    rows, columns = 33, channels or target.lanes
    x = np.ones((rows, columns), np.float32)
    x[0] = 2**24
    case = Case("sum", (x.size,) if channels is None else x.shape, (0,))
    spec, y = case.divided(0), guarded((1,) if channels is None else (columns,))
    words = case.words | {"segment": [target.lanes if channels is None else 1]}
    run(spec, arguments(spec, x=x, y=y, **words, shared=0, block=1), 0, 1, target=target)
    np.testing.assert_array_equal(
        y, np.broadcast_to(x.sum(dtype=np.float64) if channels is None else 2**24 + 32, y.shape)
    )


@each_run
def test_sums_in_segments_are_infinite_or_nan_as_others(run: Run, target: Target) -> None:
    x = np.ones((20, 4), np.float32)
    x[3, 1] = x[4, 2] = x[7, 2] = x[5, 3] = np.inf
    x[16, 3] = -np.inf
    case, y = Case("sum", x.shape, (0,)), guarded((4,))
    spec, words = case.divided(0), case.words | {"segment": [4]}
    run(spec, arguments(spec, x=x, y=y, **words, shared=0, block=1), 0, 1, target=target)
    np.testing.assert_array_equal(y, [20, np.inf, np.inf, np.nan])


@pytest.mark.parametrize("width", [1, 4, 16])
def test_only_long_sums_have_segments(width: int) -> None:
    assert segment_elements(MIN_DIVIDED_ELEMENTS - 1, width) is None
    for elements in (MIN_DIVIDED_ELEMENTS, 10**6 + 1, 10**9):
        segment = segment_elements(elements, width)
        assert segment is not None and segment % width == 0
        assert abs(segment // width - elements / segment) < 3


@each_run
@pytest.mark.parametrize(("count", "parts", "block"), [(61, 3, 16), (5, 1, 8), (40, 4, 9)])
def test_partial_results_are_added_in_order(count: int, parts: int, block: int, run: Run, target: Target) -> None:
    partial = np.random.default_rng(count).standard_normal((parts, count), np.float32)
    y, spec = guarded((count,)), Combine()
    args = arguments(spec, partial=partial, y=y, count=count, parts=parts, block=block)
    run(spec, args, 0, -(-count // block), target=target)
    total = partial[0].copy()
    for part in partial[1:]:
        total += part
    np.testing.assert_array_equal(y, total)
    assert margins_hold(y)
