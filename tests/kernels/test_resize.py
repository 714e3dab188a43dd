"""Resizing of packed pixels, against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.resize import ResizeSeparable
from tests.kernels.support import each_run


def matrix(starts: np.ndarray, weights: np.ndarray, size: int) -> np.ndarray:
    result = np.zeros((len(starts), size))
    for row, start in enumerate(starts):
        result[row, start : start + weights.shape[1]] = weights[row]
    return result


@each_run
@pytest.mark.parametrize("seed", range(4))
def test_any_runs_and_weights(seed: int, run: object, target: Target) -> None:
    rng = np.random.default_rng(seed)
    height, width, stride = 9 + seed, target.lanes + 5 * seed, target.lanes + 5 * seed + 3
    out_height, out_width = target.lanes + 3 * seed, 4 * (seed + 1)
    taps = [int(n) for n in rng.integers(1, 6, 2)]
    starts = [rng.integers(0, size - n + 1, out).astype(np.int32)
              for size, n, out in zip((height, width), taps, (out_height, out_width), strict=True)]  # fmt: skip
    weights = [rng.uniform(-0.3, 0.9, (len(s), n)).astype(np.float32) for s, n in zip(starts, taps, strict=True)]
    x = rng.integers(0, 256, (height, stride, 4), np.uint8)
    y = np.full((3 * out_height * out_width + 64) // 4, -1, np.int32)
    args = [x.view(np.int32)[..., 0].copy(), y, starts[0], weights[0], starts[1], weights[1], stride, width, out_height,
            out_width, *taps]  # fmt: skip
    scratch = 3 * target.lanes * width
    run(ResizeSeparable(), args, 0, -(-out_height // target.lanes), scratch, target=target)  # type: ignore[operator]
    rows, columns = matrix(starts[0], weights[0], height), matrix(starts[1], weights[1], width)
    exact = np.einsum("rh,hwc,qw->crq", rows, x[:, :width, :3].astype(np.float64), columns)
    actual = y.view(np.uint8)
    assert (actual[3 * out_height * out_width :] == 255).all(), "written behind the result"
    difference = np.abs(actual[: 3 * out_height * out_width].reshape(exact.shape) - np.clip(exact, 0, 255))
    assert difference.max() < 0.501
