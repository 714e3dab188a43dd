"""Kernels for 8-bit integers, on random odd shapes, against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from opsin.kernels.conv import windows
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import I8, I16, I32, PORTABLE, TARGETS, Target
from opsin.kernels.panels import PackPanels, PanelShape, whole_panel_shape
from opsin.kernels.quantized import AvgPoolWhole, Lookup, OffsetBias
from opsin.kernels.quantized_taps import DepthwiseWhole, PackTaps, patterns, tap_groups, tile_rows
from opsin.kernels.taps import Axis
from opsin.kernels.tile import Epilogue
from tests.kernels.support import arguments, each_run, guarded, margins_hold
from tests.kernels.test_conv import Case

Array = np.ndarray
Run = Callable[..., None]
DTYPES = {I8: np.int8, I16: np.int16}
SCALING = (3, -100, 120)
SCALED = Epilogue(Expression(3, (Step("requantize", (0, 1, 2), SCALING),), (3,)), ("channel", "channel"))
KINDS = [PanelShape(1, 1, I8), PanelShape(1, 1, I16), PanelShape(1, 1, I8, pairs=True)]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=str)
each_seed = pytest.mark.parametrize("seed", range(2))


def random(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(-128, 127, shape, np.int8, endpoint=True)


def with_slack(x: Array) -> Array:
    """Return `x` with memory behind it that may be read, and must not matter."""
    return np.concatenate([x.ravel(), np.full(64, 99, x.dtype)])


def scaled(sums: Array, bias: Array, multiplier: Array) -> Array:
    """Return what the epilogue `SCALED` stores, with Python's whole numbers."""
    zero, low, high = SCALING
    high_halves = (sums + bias).astype(object) * multiplier.astype(object) // 2**32
    return np.clip(high_halves + zero, low, high).astype(np.int8)


def scales(rng: np.random.Generator, channels: int) -> tuple[Array, Array]:
    bias = rng.integers(-9000, 9000, channels).astype(np.int32)
    return bias, rng.integers(2**20, 2**23, channels).astype(np.int32)


def packed_panels(w: Array, shape: PanelShape, run: Run, target: Target) -> Array:
    """Return weights kh × runs × run × filters in panels, packed by the kernel for that."""
    height, width, depth, filters = w.shape
    count = shape.count(filters, target)
    size = (count, height, width, shape.depth(depth), shape.columns(target))
    u = guarded(size, DTYPES[shape.element])
    spec = PackPanels(filters, shape, False).typed({"w": I8, "u": shape.element})
    words = {"kh_stride": width * depth * filters, "kw_stride": depth * filters, "step": filters}
    run(spec, arguments(spec, w=w, u=u, kh=height, kw=width, depth=depth, **words), 0, count, target=target)
    assert margins_hold(u)
    return u


@each_run
@each_kind
@pytest.mark.parametrize("interleave", [1, 2])
@pytest.mark.parametrize(("depth", "filters"), [(9, 5), (4, 37), (3, 64)])
def test_packed_panels(depth: int, filters: int, interleave: int, kind: PanelShape, run: Run, target: Target) -> None:
    shape = replace(kind, vectors=2, interleave=interleave * kind.pack)
    w = random(np.random.default_rng(depth), 2, 1, depth, filters)
    u = packed_panels(w, shape, run, target)
    width, n = shape.columns(target), shape.interleave
    padded = np.zeros((2, shape.depth(depth), len(u) * width), np.int8)
    padded[:, :depth, :filters] = w[:, 0]
    expected = padded.reshape(2, -1, n, len(u), width).transpose(3, 0, 1, 4, 2)
    np.testing.assert_array_equal(u.reshape(expected.shape), expected)


@each_run
@each_seed
@each_kind
@pytest.mark.parametrize(
    ("channels", "filters", "vectors", "folds", "shares"),
    [(4, 21, 2, 1, 1), (3, 9, 1, 2, 1), (8, 36, 3, 2, 2), (1, 24, 3, 1, 1), (6, 50, 2, 4, 3)],
)
def test_panels(
    seed: int,
    channels: int,
    filters: int,
    vectors: int,
    folds: int,
    shares: int,
    kind: PanelShape,
    run: Run,
    target: Target,
) -> None:
    case, rng = Case.random(seed, 1, channels, filters), np.random.default_rng(seed)
    x, w, zero = random(rng, 2, *case.size, channels), random(rng, *case.kernel, channels, filters), seed - 120
    bias, multiplier = scales(rng, filters)
    y = guarded((2, *case.out, filters), np.int8)
    shape = replace(kind, vectors=vectors, interleave=folds * kind.pack)
    window, rows = case.window, 1 + seed % 3
    blocks = -(-case.out[0] // rows)
    spec = ConvPanels(window, filters, case.out[1], shape, True, False, shares, SCALED)
    spec = spec.typed({"x": I8, "u": shape.element, "e0": I32, "e1": I32, "y0": I8})
    u = packed_panels(w.reshape(case.kernel[0], window.runs, window.run, filters), shape, run, target)
    words = {**case.words, "rows": rows, "blocks": blocks, "out_strides": [], "zero": [zero]}
    # Bytes of the image are multiplied as unsigned ones, 128 larger.
    offset = 128 * w.astype(np.int32).sum((0, 1, 2), dtype=np.int32) if shape.pack == 4 else 0
    args = arguments(spec, bias - offset, multiplier, y, x=with_slack(x), u=u, **words)
    reach = (rows - 1) * case.stride[0] + (case.kernel[0] - 1) * case.dilation[0] + 1
    run(spec, args, 0, 2 * blocks * shares, reach * case.padded_width * channels + 64, target)
    # Padding is the value that 0 has after the zero point is subtracted.
    sums = case.outputs(x.astype(int) - zero, w) + zero * w.astype(int).sum((0, 1, 2))
    np.testing.assert_array_equal(y, scaled(sums.astype(int), bias, multiplier))
    assert margins_hold(y)


def depthwise_sums(x: Array, w: Array, axes: tuple[Axis, Axis], out: tuple[int, int], zero: int) -> Array:
    stride, dilation = (axes[0].stride, axes[1].stride), (axes[0].dilation, axes[1].dilation)
    padding = axes[0].before, axes[1].before
    view = windows(x.astype(int) - zero, w.shape[:2], stride, dilation, padding, out)  # type: ignore[arg-type]
    return np.einsum("nyxcrs,rsc->nyxc", view + zero, w.astype(int))


@each_run
@pytest.mark.parametrize(("element", "pack"), [(I8, 4), (I16, 2), (I8, 2)])
@pytest.mark.parametrize("channels", [5, 33])
@pytest.mark.parametrize(
    ("rows", "columns", "size", "out"),
    [
        (Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), (5, 4), (5, 4)), (Axis(3, 2, 1, 1), Axis(3, 2, 1, 1), (6, 7), (3, 4)),
        (Axis(5, 1, 1, 2), Axis(5, 1, 1, 2), (7, 5), (7, 5)), (Axis(2, 1, 3, 0), Axis(1, 3, 1, 2), (7, 3), (4, 3)),
        (Axis(1, 2, 1, 1), Axis(2, 1, 2, 3), (3, 3), (3, 7)),
    ],
)  # fmt: skip
def test_depthwise(
    rows: Axis, columns: Axis, size: tuple[int, int], out: tuple[int, int], channels: int, element: str, pack: int,
    run: Run, target: Target,
) -> None:  # fmt: skip
    rng, zero, tile = np.random.default_rng(channels), -77, tile_rows(rows, pack) if element == I16 or pack == 4 else 1
    x, w = random(rng, 2, *size, channels), random(rng, rows.taps, columns.taps, channels)
    bias, multiplier = scales(rng, channels)
    taps = patterns(rows, out[0], tile, pack)
    u = guarded((columns.taps, len(taps), channels, pack), DTYPES[element])
    packing = PackTaps(channels, columns.taps, taps).typed({"u": element})
    run(packing, arguments(packing, w=w, u=u), 0, columns.taps, target=target)
    y = guarded((2, *out, channels), np.int8)
    spec = DepthwiseWhole(channels, size[0], out[0], rows, columns, None, pack, tile, 1 + channels % 3, SCALED)
    spec = spec.typed({"u": element, "e0": I32, "e1": I32, "y0": I8})
    offset = 128 * w.astype(np.int32).sum((0, 1), dtype=np.int32) if pack == 4 else 0
    args = arguments(spec, bias - offset, multiplier, y, x=x, u=with_slack(u), W=size[1], OW=out[1], x_zero=zero)
    run(spec, args, 0, 2 * -(-out[1] // spec.tile_columns), target=target)
    np.testing.assert_array_equal(y, scaled(depthwise_sums(x, w, (rows, columns), out, zero), bias, multiplier))
    assert margins_hold(u) and margins_hold(y)


def test_groups_of_rows_serve_several_results() -> None:
    axis = Axis(3, 1, 1, 1)
    assert tile_rows(axis, 4) == 2
    groups = tap_groups(axis, 2, 4)
    assert groups.positions == ((-1, 0, 1, 2),)
    assert groups.products == ((0, 0, (0, 1, 2, None)), (1, 0, (None, 0, 1, 2)))
    assert patterns(axis, 3, 2, 4) == ((0, 1, 2, None), (None, 0, 1, 2))


@each_run
def test_the_bias_undoes_an_offset_of_128(run: Run, target: Target) -> None:
    rng = np.random.default_rng(0)
    w, bias, y = random(rng, 7, 37), rng.integers(-99, 99, 37).astype(np.int32), guarded((37,), np.int32)
    spec = OffsetBias(37)
    run(spec, arguments(spec, w=w, bias=bias, y=y, terms=7), 0, -(-37 // target.lanes), target=target)
    x = random(rng, 7)
    np.testing.assert_array_equal((x.astype(int) + 128) @ w + y, x.astype(int) @ w + bias)
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_lookup(channels: int, run: Run, target: Target) -> None:
    rng = np.random.default_rng(channels)
    x, table = random(rng, 43, channels), random(rng, channels, 256)
    x[0, 0], x[1, 0] = -128, 127
    y, spec = guarded(x.shape, np.int8), Lookup(channels)
    args = arguments(spec, x=x, table=table, y=y, count=x.size, block=40 * channels)
    run(spec, args, 0, 2, target=target)
    np.testing.assert_array_equal(y, table[np.arange(channels), x.astype(int) + 128])
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("padding", [0, 1])
def test_avg_pool(padding: int, run: Run, target: Target) -> None:
    rng, zero, bias, multiplier = np.random.default_rng(1), -9, 700, 2**29
    x = random(rng, 2, 5, 4, 19)
    out = (5 + 2 * padding - 3) // 2 + 1, (4 + 2 * padding - 2) // 1 + 1
    y = guarded((2, *out, 19), np.int8)
    spec = AvgPoolWhole(19, (3, 2), (2, 1), bool(padding), (multiplier, *SCALING))
    sizes = {"H": 5, "W": 4, "OH": out[0], "OW": out[1], "top": padding, "left": padding}
    run(spec, arguments(spec, x=x, y=y, **sizes, x_zero=zero, bias=bias), 0, 2 * out[0], target=target)
    view = windows(x.astype(int) - zero, (3, 2), (2, 1), (1, 1), (padding, padding), out) + zero
    np.testing.assert_array_equal(y, scaled(view.sum((4, 5)), np.array(bias), np.array(multiplier)))
    assert margins_hold(y)


@pytest.mark.parametrize("target", [*TARGETS, replace(TARGETS[0], byte_dot=True), PORTABLE], ids=str)
def test_shapes_fill_lanes_and_registers(target: Target) -> None:
    for filters in (8, 24, 96, 1000):
        shape = whole_panel_shape(filters, 64, 3, 14, target)
        assert (shape.element, shape.pack) == ((I8, 4) if target.byte_dot else (I8 if target.keeps_bytes else I16, 2))
        used = shape.rows(target) * shape.vectors + shape.vectors + 2 - shape.pairs
        assert used <= target.registers
        lanes = shape.count(filters, target) * shape.vectors * target.lanes / shape.folds
        assert filters / lanes > 0.7 or filters < target.lanes
