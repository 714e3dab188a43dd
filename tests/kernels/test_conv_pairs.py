"""Convolution kernels that multiply pairs of bfloat16, on random odd shapes, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.ir import BF16, Target, bfloat16
from opsin.kernels.panels import PanelShape
from tests.kernels.support import arguments, each_run, guarded, interleaved, margins_hold
from tests.kernels.test_conv import ADD, BIAS_RELU, Array, Case, Run, each_seed

TWO_VECTORS = PanelShape(2, 2, BF16)


def narrow_arrays(case: Case) -> tuple[Array, Array, Array]:
    """Return the arrays of `case` rounded to bfloat16."""
    x, w, g = (bfloat16.rounded(array) for array in case.arrays())
    return x, w, g


def packed(w: Array, shape: PanelShape, target: Target) -> Array:
    return bfloat16.narrow(interleaved(w.reshape(-1, w.shape[-1]), shape, target))


@each_run
@each_seed
@pytest.mark.parametrize(("channels", "filters", "shares"), [(4, 21, 1), (10, 40, 2), (2, 2, 1)])
def test_packed(seed: int, channels: int, filters: int, shares: int, run: Run, target: Target) -> None:
    """From bfloat16 into bfloat16, and from float32, which is rounded while it is copied."""
    case = Case.random(seed, 1, channels, filters)
    x, w, g = narrow_arrays(case)
    count, pixels, bias = g.size // filters, 1 + 4 * seed, g[0, 0, 0]
    expected = np.maximum(case.outputs(x, w) + bias, 0)
    for names, source, y in (
        (["x", "u", "y0"], bfloat16.narrow(x), guarded(g.shape, np.uint16)),
        (["u"], x, guarded(g.shape)),
    ):
        spec = ConvPacked(case.window, case.kernel[0], filters, pixels, True, False, shares, False, BIAS_RELU)
        spec = spec.narrowed(names)
        u = packed(w, TWO_VECTORS, target)
        args = arguments(spec, bias, y, x=source, u=u, **case.packed_words, count=count, out_strides=[])
        run(spec, args, 0, -(-count // pixels) * shares, spec.scratch(target), target)
        actual = bfloat16.widen(y) if y.dtype == np.uint16 else y
        np.testing.assert_allclose(actual, expected, atol=1e-4, rtol=2**-8 if y.dtype == np.uint16 else 0)
        assert margins_hold(y)


@each_run
@pytest.mark.parametrize("prefetches", [False, True])
@pytest.mark.parametrize(("channels", "filters", "pixels"), [(6, 33, 7), (8, 3, 48)])
def test_packed_pixels_in_place(
    channels: int, filters: int, pixels: int, prefetches: bool, run: Run, target: Target
) -> None:
    case = Case(3, (3, 5), (1, 1), (1, 1), (1, 1), (0, 0), (3, 5), 1, channels, filters)
    x, w, g = narrow_arrays(case)
    y, count = guarded(g.shape), g.size // filters
    spec = ConvPacked(case.window, 1, filters, pixels, False, prefetches=prefetches, epilogue=ADD)
    spec, u = spec.narrowed(["x", "u", "e0"]), packed(w, TWO_VECTORS, target)
    words = {**case.packed_words, "count": count, "out_strides": []}
    args = arguments(spec, bfloat16.narrow(g), y, x=bfloat16.narrow(x), u=u, **words)
    run(spec, args, 0, -(-count // pixels), spec.scratch(target), target)
    np.testing.assert_allclose(y, case.outputs(x, w) + g, atol=1e-4)
    assert margins_hold(y)


@each_run
@each_seed
@pytest.mark.parametrize(
    ("channels", "filters", "vectors", "interleave", "shares"),
    [(4, 21, 2, 2, 1), (4, 9, 1, 4, 1), (8, 36, 3, 4, 2), (2, 24, 3, 2, 1), (6, 50, 2, 2, 3)],
)
def test_panels(
    seed: int, channels: int, filters: int, vectors: int, interleave: int, shares: int, run: Run, target: Target
) -> None:
    case = Case.random(seed, 1, channels, filters)
    x, w, g = narrow_arrays(case)
    y, bias, shape = guarded(g.shape), g[0, 0, 0], PanelShape(vectors, interleave, BF16)
    rows = 1 + seed % 3
    blocks = -(-case.out[0] // rows)
    spec = ConvPanels(case.window, filters, case.out[1], shape, case.padded, False, shares, BIAS_RELU)
    spec, u = spec.narrowed(["x", "u"]), packed(w, shape, target)
    words = {**case.words, "rows": rows, "blocks": blocks, "out_strides": [], "zero": []}
    args = arguments(spec, bias, y, x=bfloat16.narrow(x), u=u, **words)
    reach = (rows - 1) * case.stride[0] + (case.kernel[0] - 1) * case.dilation[0] + 1
    run(spec, args, 0, case.images * blocks * shares, reach * case.padded_width * x.shape[3] // 2, target)
    np.testing.assert_allclose(y, np.maximum(case.outputs(x, w) + bias, 0), atol=1e-4)
    assert margins_hold(y)


@each_run
@each_seed
@pytest.mark.parametrize(
    ("channels", "filters", "rows", "panel", "columns"), [(6, 21, 3, 3, 21), (8, 16, 8, 4, 8), (1, 2, 1, 1, 1)]
)
def test_weight_gradient_by_taps(
    seed: int, channels: int, filters: int, rows: int, panel: int, columns: int, run: Run, target: Target
) -> None:
    case = Case.random(seed, 1, channels, filters)
    x, w, g = narrow_arrays(case)
    result = guarded((case.images, *w.shape))
    spec = ConvWeightTaps(case.window, filters, rows, panel, columns, depth=6, pairs=True).narrowed(["x", "g"])
    arrays = {"x": bfloat16.narrow(x), "g": bfloat16.narrow(g), "result": result}
    args = arguments(spec, **arrays, N=case.images, kh=case.kernel[0], **case.packed_words, images=1)
    run(spec, args, 0, result.size // (rows * columns), spec.scratch(target), target)
    np.testing.assert_allclose(result, case.weight_gradients(x, g), atol=1e-4)
    assert margins_hold(result)
