"""Resampling against the two dense matrices that the tables are made from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.resample import Resample, nonzero_runs
from tests.kernels.support import HOST_TARGETS, arguments, each_run, guarded, margins_hold, run_native

Run = Callable[..., None]
AXES = ("row", "column")


def axis_matrix(rng: np.random.Generator, size: int, source: int) -> np.ndarray:
    """Return rows with random runs, some of them empty; often all of one length, as for bilinear and nearest."""
    matrix = np.zeros((size, source))
    length = int(rng.integers(1, 5))
    vary = rng.random() < 0.5
    for row in matrix:
        count = min(int(rng.integers(0, 5)) if vary else length, source)
        start = int(rng.integers(0, source - count + 1))
        row[start : start + count] = rng.uniform(0.1, 1, count) * rng.choice([-1, 1], count)
    return matrix


def bilinear(size: int, source: int) -> np.ndarray:
    matrix = np.zeros((size, source))
    for row, position in enumerate((np.arange(size) + 0.5) * source / size - 0.5):
        low, part = divmod(max(position, 0.0), 1.0)
        matrix[row, int(low)] += 1 - part
        matrix[row, min(int(low) + 1, source - 1)] += part
    return matrix


def check(
    rng: np.random.Generator, rows: np.ndarray, columns: np.ndarray, channels: int, run: Run, target: Target
) -> None:
    (out_height, height), (out_width, width) = rows.shape, columns.shape
    images = int(rng.integers(1, 4))
    x = rng.standard_normal((images, height, width, channels)).astype(np.float32)
    y = guarded((images, out_height, out_width, channels))
    spec = Resample(channels)
    tables: dict[str, np.ndarray] = {}
    for axis, matrix in zip(AXES, (rows, columns), strict=True):
        starts, counts, weights = nonzero_runs(matrix)
        tables |= {f"{axis}_starts": starts, f"{axis}_counts": counts, f"{axis}_weights": weights}
    taps = {f"{axis}_taps": tables[f"{axis}_weights"].shape[1] for axis in AXES}
    args = arguments(spec, x=x, y=y, **tables, **taps, H=height, W=width, OH=out_height, OW=out_width)
    run(spec, args, 0, images, target=target)
    np.testing.assert_allclose(y, np.einsum("rh,nhwc,sw->nrsc", rows, x, columns), atol=2e-5)
    assert margins_hold(y)


@pytest.mark.parametrize("target", HOST_TARGETS, ids=lambda row: row.name)
@pytest.mark.parametrize("seed", range(32))
def test_random_maps(seed: int, target: Target) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, 4)
    channels = int(rng.integers(1, 36))
    for _ in range(3):
        rows, columns = axis_matrix(rng, *sizes[:2]), axis_matrix(rng, *sizes[2:])
        check(rng, rows, columns, channels, run_native, target)


@each_run
@pytest.mark.parametrize(("size", "source"), [(8, 4), (4, 8), (5, 7), (13, 6), (1, 5), (5, 1)])
def test_bilinear_and_its_adjoint(size: int, source: int, run: Run, target: Target) -> None:
    rng = np.random.default_rng(size)
    matrix = bilinear(size, source)
    check(rng, matrix, matrix[::-1], 9, run, target)
    check(rng, matrix.T, matrix[::-1].T, 9, run, target)


@each_run
@pytest.mark.parametrize("channels", [1, 19])
def test_runs_of_every_kind(channels: int, run: Run, target: Target) -> None:
    rng = np.random.default_rng(channels)
    for rows in (axis_matrix(rng, 3, 4), bilinear(6, 3), np.eye(4)[[0, 0, 1, 3]]):
        check(rng, rows, rows, channels, run, target)


def test_only_its_own_images() -> None:
    x, y = np.ones((3, 2, 2, 5), np.float32), guarded((3, 4, 4, 5))
    table = nonzero_runs(np.repeat(np.eye(2), 2, 0))
    run_native(Resample(5), [x, y, *table, *table, 2, 2, 4, 4, 1, 1], 1, 2)
    assert (y[1] == 1).all()
    assert (y[[0, 2]] == 77).all()


def test_runs_of_a_matrix() -> None:
    starts, counts, weights = nonzero_runs(np.array([[0, 2, 3, 0], [0, 0, 0, 0], [0, 0, 0, 5], [1, 0, 4, 0]]))
    assert starts.tolist() == [1, 0, 3, 0]
    assert counts.tolist() == [2, 0, 1, 3]
    assert weights.tolist() == [[2, 3, 0], [0, 0, 0], [5, 0, 0], [1, 0, 4]]
    assert [table.dtype.name for table in (starts, counts, weights)] == ["int32", "int32", "float32"]


def test_runs_of_nothing() -> None:
    starts, counts, weights = nonzero_runs(np.zeros((2, 3)))
    assert counts.tolist() == [0, 0]
    assert starts.tolist() == [0, 0]
    assert weights.tolist() == [[0], [0]]
