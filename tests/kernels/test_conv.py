"""Convolution kernels on random odd shapes, forward and weight gradient, against plain NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from opsin.kernels.conv import Conv2d, ConvWindow, windows
from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.conv_weight import Conv2dWeight
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.expression import Expression, Step
from opsin.kernels.ir import Target
from opsin.kernels.panels import PanelShape
from opsin.kernels.tile import Epilogue
from tests.kernels.support import UNTOUCHED, arguments, each_run, guarded, interleaved, margins_hold, pack, with_slack

Array = np.ndarray
Run = Callable[..., None]
BIAS_RELU = Epilogue(Expression(2, (Step("add", (0, 1)), Step("relu", (2,))), (3,)), ("channel",))
ADD = Epilogue(Expression(2, (Step("add", (0, 1)),), (2,)), ("same",))

each_seed = pytest.mark.parametrize("seed", range(5))


@dataclass(frozen=True)
class Case:
    """A convolution of `images` images; `channels` and `filters` are those of a group."""

    images: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    out: tuple[int, int]
    groups: int
    channels: int
    filters: int

    @staticmethod
    def random(seed: int, groups: int, channels: int, filters: int) -> Case:
        rng = np.random.default_rng(seed)

        def pair(low: int, high: int) -> tuple[int, int]:
            return int(rng.integers(low, high)), int(rng.integers(low, high))

        size, kernel, stride, dilation = pair(2, 8), pair(1, 4), pair(1, 3), pair(1, 3)
        reach = [(taps - 1) * d + 1 for taps, d in zip(kernel, dilation, strict=True)]
        padding = int(rng.integers(-1, reach[0])), int(rng.integers(-1, reach[1]))
        return Case(2, size, kernel, stride, dilation, padding, pair(1, 5), groups, channels, filters)

    @property
    def window(self) -> ConvWindow:
        return ConvWindow(self.channels, self.groups, self.kernel[1], self.stride[1], self.dilation[1])

    @property
    def padded_width(self) -> int:
        return (self.out[1] - 1) * self.stride[1] + (self.kernel[1] - 1) * self.dilation[1] + 1

    @property
    def padded(self) -> bool:
        return self.padding[1] != 0 or self.padded_width > self.size[1]

    @property
    def words(self) -> dict[str, int]:
        """The words that the direct kernels share."""
        pad_left, skip = max(0, self.padding[1]), max(0, -self.padding[1])
        copied = min(self.size[1] - skip, self.padded_width - pad_left)
        return {
            "H": self.size[0], "W": self.size[1], "OH": self.out[0], "kh": self.kernel[0], "sh": self.stride[0],
            "dh": self.dilation[0], "top": self.padding[0], "pad_left": pad_left, "skip": skip, "copied": copied,
            "padded_width": self.padded_width,
        }  # fmt: skip

    @property
    def packed_words(self) -> dict[str, int]:
        """The words that the packed kernels share."""
        words = {name: self.words[name] for name in ("H", "W", "OH", "sh", "dh", "top")}
        return {**words, "OW": self.out[1], "left": self.padding[1]}

    def arrays(self) -> tuple[Array, Array, Array]:
        """Images, weights (kh × kw × C/groups × K) and a gradient of the outputs."""
        rng = np.random.default_rng(self.channels)
        filters = self.filters * self.groups
        x = rng.standard_normal((self.images, *self.size, self.channels * self.groups), np.float32)
        w = rng.standard_normal((*self.kernel, self.channels, filters), np.float32)
        return x, w, rng.standard_normal((self.images, *self.out, filters), np.float32)

    def windows(self, x: Array) -> list[Array]:
        """The windows of each group, N × OH × OW × C × kh × kw; negative padding crops the images."""
        crop, padding = [max(0, -p) for p in self.padding], (max(0, self.padding[0]), max(0, self.padding[1]))
        cropped = x[:, crop[0] :, crop[1] :].astype(np.float64)
        view = windows(cropped, self.kernel, self.stride, self.dilation, padding, self.out)
        return np.split(view, self.groups, 3)

    def outputs(self, x: Array, w: Array) -> Array:
        groups = zip(self.windows(x), np.split(w, self.groups, 3), strict=True)
        return np.concatenate([np.einsum("nyxcrs,rsck->nyxk", view, weights) for view, weights in groups], 3)

    def weight_gradients(self, x: Array, g: Array) -> Array:
        """The gradient from each image."""
        groups = zip(self.windows(x), np.split(g, self.groups, 3), strict=True)
        return np.concatenate([np.einsum("nyxcrs,nyxk->nrsck", view, gradient) for view, gradient in groups], 4)


def test_windows_by_their_definition() -> None:
    x = np.arange(2 * 5 * 6 * 3).reshape(2, 5, 6, 3)
    actual = windows(x, (2, 3), (2, 1), (1, 2), (1, 2), (3, 4))
    padded = np.pad(x, ((0, 0), (1, 9), (2, 9), (0, 0)))
    for i, j, r, s in np.ndindex(3, 4, 2, 3):
        np.testing.assert_array_equal(actual[:, i, j, :, r, s], padded[:, 2 * i + r, j + 2 * s])


@each_run
@each_seed
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 3, 21), (2, 5, 4), (1, 11, 9), (3, 1, 1)])
def test_direct(seed: int, groups: int, channels: int, filters: int, run: Run, target: Target) -> None:
    case = Case.random(seed, groups, channels, filters)
    x, w, g = case.arrays()
    bias, y = g[0, 0, 0], guarded(g.shape)
    rows = 1 + seed % 3
    blocks = -(-case.out[0] // rows)
    reach = (rows - 1) * case.stride[0] + (case.kernel[0] - 1) * case.dilation[0] + 1
    spec = Conv2d(case.window, filters, case.out[1], case.padded, BIAS_RELU)
    args = arguments(spec, bias, y, x=x, w=with_slack(w), **case.words, rows=rows, blocks=blocks)
    scratch = reach * case.padded_width * x.shape[3]
    count = case.images * blocks
    for begin, end in ((1, count), (0, 1)):
        run(spec, args, begin, end, scratch, target)
    np.testing.assert_allclose(y, np.maximum(case.outputs(x, w) + bias, 0), atol=1e-4)
    assert margins_hold(y)


@each_run
@each_seed
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 3, 21), (2, 5, 4), (1, 11, 9), (3, 1, 1)])
def test_direct_weight_gradient(seed: int, groups: int, channels: int, filters: int, run: Run, target: Target) -> None:
    case = Case.random(seed, groups, channels, filters)
    x, w, g = case.arrays()
    partial = guarded((case.images, *w.shape))
    spec = Conv2dWeight(case.window, filters, case.out[1], case.padded, gradient_block=60, min_accumulators=8)
    args = arguments(spec, x=x, g=with_slack(g), partial=partial, N=case.images, **case.words, images=1)
    run(spec, args, 0, case.images, case.size[0] * case.padded_width * x.shape[3], target)
    np.testing.assert_allclose(partial, case.weight_gradients(x, g), atol=1e-4)
    assert margins_hold(partial)


@each_run
@each_seed
@pytest.mark.parametrize(("channels", "filters"), [(3, 21), (11, 9), (1, 1), (12, 36)])
def test_transposed_weight_gradient(seed: int, channels: int, filters: int, run: Run, target: Target) -> None:
    case = Case.random(seed, 1, channels, filters)
    case = replace(case, dilation=(case.dilation[0], 1))
    x, _, g = case.arrays()
    height, width = case.kernel
    partial = guarded((case.images, height, filters, width, channels))
    spec = Conv2dWeight(case.window, filters, case.out[1], case.padded, 60, min_accumulators=8, transposed=True)
    args = arguments(spec, x=with_slack(x), g=g, partial=partial, N=case.images, **case.words, images=1)
    run(spec, args, 0, case.images, case.size[0] * case.padded_width * x.shape[3] + target.lanes, target)
    np.testing.assert_allclose(partial.transpose(0, 1, 3, 4, 2), case.weight_gradients(x, g), atol=1e-4)
    assert margins_hold(partial)


@each_run
@each_seed
@pytest.mark.parametrize(("channels", "filters", "shares"), [(3, 21, 1), (9, 40, 2), (1, 2, 1)])
def test_packed(seed: int, channels: int, filters: int, shares: int, run: Run, target: Target) -> None:
    """Into outputs that are apart in all directions, as for the gradient of a strided convolution."""
    case = Case.random(seed, 1, channels, filters)
    x, w, g = case.arrays()
    rows, columns = 2 * case.out[0], 3 * case.out[1]
    y = guarded((case.images, rows, columns, filters))
    count, pixels = g.size // filters, 1 + 4 * seed
    spec = ConvPacked(case.window, case.kernel[0], filters, pixels, True, True, shares, False, BIAS_RELU)
    strides = [rows * columns * filters, 2 * columns * filters, 3 * filters]
    u, bias = pack(w.reshape(-1, filters), target), g[0, 0, 0]
    args = arguments(spec, bias, y, x=x, u=u, **case.packed_words, count=count, out_strides=strides)
    run(spec, args, 0, -(-count // pixels) * shares, spec.scratch(target), target)
    np.testing.assert_allclose(y[:, ::2, ::3], np.maximum(case.outputs(x, w) + bias, 0), atol=1e-4)
    assert (y[:, 1::2] == UNTOUCHED).all() and (y[:, :, 1::3] == UNTOUCHED).all()
    assert margins_hold(y)


@each_run
@each_seed
@pytest.mark.parametrize("strided", [False, True])
@pytest.mark.parametrize(
    ("channels", "filters", "vectors", "interleave", "shares"),
    [(3, 21, 2, 1, 1), (2, 9, 1, 2, 1), (8, 36, 3, 4, 2), (4, 24, 3, 2, 1), (4, 7, 5, 4, 1), (6, 50, 2, 2, 3)],
)
def test_panels(
    seed: int, channels: int, filters: int, vectors: int, interleave: int, shares: int, strided: bool, run: Run,
    target: Target,
) -> None:  # fmt: skip
    """Into adjacent outputs, or into outputs that are apart in all directions."""
    case = Case.random(seed, 1, channels, filters)
    x, w, g = case.arrays()
    rows, columns = (2 * case.out[0], 3 * case.out[1]) if strided else case.out
    y, bias, shape = guarded((case.images, rows, columns, filters)), g[0, 0, 0], PanelShape(vectors, interleave)
    block_rows = 1 + seed % 3
    blocks = -(-case.out[0] // block_rows)
    spec = ConvPanels(case.window, filters, case.out[1], shape, case.padded, strided, shares, epilogue=BIAS_RELU)
    strides = [rows * columns * filters, 2 * columns * filters, 3 * filters] if strided else []
    u = interleaved(w.reshape(-1, filters), shape, target)
    args = arguments(
        spec, bias, y, x=x, u=u, **case.words, rows=block_rows, blocks=blocks, out_strides=strides, zero=[]
    )
    reach = (block_rows - 1) * case.stride[0] + (case.kernel[0] - 1) * case.dilation[0] + 1
    scratch = reach * case.padded_width * x.shape[3]
    count = case.images * blocks * shares
    for begin, end in ((1, count), (0, 1)):
        run(spec, args, begin, end, scratch, target)
    results = y[:, ::2, ::3] if strided else y
    np.testing.assert_allclose(results, np.maximum(case.outputs(x, w) + bias, 0), atol=1e-4)
    if strided:
        assert (y[:, 1::2] == UNTOUCHED).all() and (y[:, :, 1::3] == UNTOUCHED).all()
    assert margins_hold(y)


@each_run
def test_panels_in_place_with_prefetches(run: Run, target: Target) -> None:
    """The numbers to prefetch may be beyond the end of the image."""
    case = Case(2, (3, 37), (1, 1), (1, 1), (1, 1), (0, 0), (3, 37), 1, 4, 24)
    x, w, _ = case.arrays()
    y, shape = guarded((2, 3, 37, 24)), PanelShape(3, 2)
    spec = ConvPanels(case.window, 24, 37, shape, case.padded, prefetches=True)
    u = interleaved(w.reshape(-1, 24), shape, target)
    args = arguments(spec, y, x=x, u=u, **case.words, rows=3, blocks=1, out_strides=[], zero=[])
    run(spec, args, 0, 2, 0, target)
    np.testing.assert_allclose(y, case.outputs(x, w), atol=1e-4)
    assert margins_hold(y)


@each_run
@pytest.mark.parametrize("prefetches", [False, True])
@pytest.mark.parametrize(("channels", "filters", "pixels"), [(5, 33, 7), (8, 3, 48)])
def test_packed_pixels_in_place(
    channels: int, filters: int, pixels: int, prefetches: bool, run: Run, target: Target
) -> None:
    """1×1 convolutions of stride 1, added to another array."""
    case = Case(3, (3, 5), (1, 1), (1, 1), (1, 1), (0, 0), (3, 5), 1, channels, filters)
    x, w, g = case.arrays()
    y, count = guarded(g.shape), g.size // filters
    spec = ConvPacked(case.window, 1, filters, pixels, False, prefetches=prefetches, epilogue=ADD)
    u = pack(w.reshape(-1, filters), target)
    args = arguments(spec, g, y, x=x, u=u, **case.packed_words, count=count, out_strides=[])
    run(spec, args, 0, -(-count // pixels), spec.scratch(target), target)
    np.testing.assert_allclose(y, case.outputs(x, w) + g, atol=1e-4)
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
    x, w, g = case.arrays()
    result = guarded((case.images, *w.shape))
    spec = ConvWeightTaps(case.window, filters, rows, panel, columns, depth=96)
    args = arguments(spec, x=x, g=g, result=result, N=case.images, kh=case.kernel[0], **case.packed_words, images=1)
    blocks = result.size // (rows * columns)
    run(spec, args, 0, blocks, spec.scratch(target), target)
    np.testing.assert_allclose(result, case.weight_gradients(x, g), atol=1e-4)
    assert margins_hold(result)


@each_run
@pytest.mark.parametrize(("channels", "filters", "panel", "depth"), [(2, 3, 2, 96), (20, 37, 10, 5)])
def test_weight_gradient_of_more_pixels_than_are_packed_at_a_time(
    channels: int, filters: int, panel: int, depth: int, run: Run, target: Target
) -> None:
    case = Case(2, (8, 9), (1, 1), (1, 1), (1, 1), (0, 0), (8, 9), 1, channels, filters)
    x, w, g = case.arrays()
    result = guarded((1, *w.shape))
    spec = ConvWeightTaps(case.window, filters, channels, panel, filters, depth)
    args = arguments(spec, x=x, g=g, result=result, N=2, kh=1, **case.packed_words, images=2)
    run(spec, args, 0, 1, spec.scratch(target), target)
    np.testing.assert_allclose(result[0], case.weight_gradients(x, g).sum(0), atol=1e-4)
