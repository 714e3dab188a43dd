"""Moving, coloring and normalizing images of bytes, against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.ir import Target
from opsin.kernels.warp import Warp
from tests.kernels.support import HOST_TARGETS, each_run, guarded, margins_hold, run_native


def expected(spec: Warp, x: np.ndarray, y: np.ndarray, args: list[np.ndarray]) -> np.ndarray:
    """Return the results by the formula in the kernel's docstring, in float64."""
    maps, colors, boxes, scale, shift = args
    height, width = x.shape[2:]
    rows, columns = np.mgrid[: y.shape[1], : y.shape[2]].astype(np.float64)
    result = np.empty(y.shape)
    for n, (a, color, box) in enumerate(zip(maps.astype(np.float64), colors, boxes, strict=True)):
        p = np.clip(a[0] + a[1] * rows + a[2] * columns, 0, height - 1)
        q = np.clip(a[3] + a[4] * rows + a[5] * columns, 0, width - 1)
        if spec.bilinear:
            top, left = p.astype(int), q.astype(int)
            bottom, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
            down, along = p - top, q - left
            values = (1 - down) * ((1 - along) * x[n][:, top, left] + along * x[n][:, top, right])
            values = values + down * ((1 - along) * x[n][:, bottom, left] + along * x[n][:, bottom, right])
        else:
            values = x[n][:, np.floor(p + 0.5).astype(int), np.floor(q + 0.5).astype(int)].astype(np.float64)
        if spec.colors:
            values = np.einsum("oc,chw->ohw", color[:, :-1].astype(np.float64), values) + color[:, -1, None, None]
            values = np.clip(values, 0, 255)
        result[n] = values.transpose(1, 2, 0) * scale + shift
        top, bottom, left, right = box
        result[n, top:bottom, left:right] = 0
    return result


@each_run
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("colored", [False, True])
def test_any_map_of_any_image(colored: bool, bilinear: bool, seed: int, run: object, target: Target) -> None:
    rng = np.random.default_rng(seed)
    channels, count = (1, 3, 2, 4)[seed], 2
    height, width, rows, columns = (int(n) for n in rng.integers(1, 30, 4))
    x = rng.integers(0, 256, (count, channels, height, width), np.uint8)
    maps = rng.uniform(-1.5, 1.5, (count, 6)).astype(np.float32)
    maps[:, [0, 3]] *= 10
    colors = rng.uniform(-1, 1, (count, channels, channels + 1)).astype(np.float32)
    colors[..., -1] *= 100
    boxes = np.array([[0, rows // 2, columns // 3, columns], [0, 0, 0, 0]], np.int32)
    scale, shift = rng.uniform(0.01, 0.02, channels), rng.uniform(-3, 3, channels)
    args = [maps, colors, boxes, scale.astype(np.float32), shift.astype(np.float32)]
    y, spec = guarded((count, rows, columns, channels)), Warp(channels, bilinear, colored)
    run(spec, [x, y, *args, height, width, rows, columns], 0, count, target=target)  # type: ignore[operator]
    assert margins_hold(y)
    difference = np.abs(y - expected(spec, x, y, args))
    if bilinear:
        assert difference.max() < 1e-3
    else:  # a position between two pixels may be rounded to either
        assert (difference > 1e-4).mean() < 0.01


@each_run
def test_the_identity_map_is_exact(run: object, target: Target) -> None:
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (2, 3, 9, 13), np.uint8)
    maps = np.tile(np.array([0, 1, 0, 0, 0, 1], np.float32), (2, 1))
    scale, shift = rng.normal(size=(2, 3)).astype(np.float32)
    unused, nowhere = np.zeros((2, 3, 4), np.float32), np.zeros((2, 4), np.int32)
    for bilinear in (False, True):
        y = guarded((2, 9, 13, 3))
        args = [x, y, maps, unused, nowhere, scale, shift, 9, 13, 9, 13]
        run(Warp(3, bilinear, False), args, 0, 2, target=target)  # type: ignore[operator]
        np.testing.assert_array_equal(y, x.transpose(0, 2, 3, 1).astype(np.float32) * scale + shift)


def test_blocks_are_images() -> None:
    x = np.arange(3 * 4, dtype=np.uint8).reshape(3, 1, 2, 2)
    y = guarded((3, 2, 2, 1))
    maps = np.tile(np.array([0, 1, 0, 0, 0, 1], np.float32), (3, 1))
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    colors, boxes = np.zeros((3, 1, 2), np.float32), np.zeros((3, 4), np.int32)
    args: list[np.ndarray | int] = [x, y, maps, colors, boxes, one, zero, 2, 2, 2, 2]
    run_native(Warp(1, False, False), args, 1, 2)
    assert y.reshape(3, 4).tolist() == [[77] * 4, [4, 5, 6, 7], [77] * 4]


def test_results_are_bit_identical_on_all_targets() -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (4, 3, 20, 20), np.uint8)
    maps = rng.uniform(-1, 1, (4, 6)).astype(np.float32)
    colors = rng.uniform(-1, 1, (4, 3, 4)).astype(np.float32)
    scale, shift = rng.normal(size=(2, 3)).astype(np.float32)
    actual = []
    for target in HOST_TARGETS:
        y = guarded((4, 17, 19, 3))
        args = [x, y, maps, colors, np.zeros((4, 4), np.int32), scale, shift, 20, 20, 17, 19]
        run_native(Warp(3, True, True), args, 0, 4, target=target)
        actual.append(y.tobytes())
    assert len(set(actual)) == 1
