"""3×3 convolutions by Winograd's algorithm: when, in which blocks, in which rounds."""

from __future__ import annotations

from opsin.compiler.calls import Argument
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import Geometry, divisor
from opsin.compiler.lower.pointwise import BoundTail
from opsin.compiler.views import FILTERS, Buffer, View
from opsin.kernels.panels import padded, panels
from opsin.kernels.transforms import POINTS, STEP
from opsin.kernels.winograd import (
    LINE,
    Winograd,
    WinogradFilters,
    WinogradOutputs,
    WinogradProducts,
    register_rows,
    whole_rows,
)
from opsin.kernels.winograd_weight import TILES, WinogradReduction, WinogradTiles, WinogradWeight

CHANNELS = 16
"""Channels on either side from which on the transforms cost less than they save."""
GAIN = 1.5
"""Multiplications saved, as a ratio, from which on the algorithm is taken."""
BLOCK = 24
"""Tiles of a block: transformed inputs and sums stay in the second-level cache for common channel counts,
and each transformed weight read is used for so many tiles."""
BLOCKS = 16
"""Blocks there should be at least, so that threads share them evenly; for fewer tiles each of the 36 products is
taken over all of them, and its panels are shared out."""
ROUND = 2 * 1024 * 1024
"""Elements of transformed tiles that one round of a weight gradient holds at once, so that they are read from a cache,
or twice as many as the sums that each round adds to, where those are more."""

ROWS = 48
"""Most input channels that a block of a weight gradient owns."""


def tiles(geometry: Geometry) -> tuple[int, int]:
    """Tiles down and across one picture."""
    return -(-geometry.out[0] // STEP), -(-geometry.out[1] // STEP)


def suits(geometry: Geometry) -> bool:
    """Whether a convolution is of the kind, and large enough, for Winograd's algorithm to be faster."""
    down, across = tiles(geometry)
    return (
        geometry.kernel == (3, 3)
        and geometry.stride == geometry.dilation == (1, 1)
        and geometry.groups == 1
        and min(geometry.window.channels, geometry.filters) >= CHANNELS
        and 9 * geometry.out[0] * geometry.out[1] >= GAIN * POINTS * down * across
    )


def _words(geometry: Geometry, count: int) -> list[int]:
    """The arguments of `Tiling`."""
    size = [geometry.height, geometry.width, *geometry.out, geometry.top, geometry.left]
    return [*size, *tiles(geometry), count]


def convolve(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """Forward, or the input gradient with a turned kernel. `w` is dense in `FILTERS`."""
    filters, channels = w.shape[:2]
    wide = panels(filters, lower.target) * 2 * lower.target.lanes
    u = _points(wide * channels)
    lower.free(WinogradFilters(channels, filters), [w, u], [w], [u], channels)
    down, across = tiles(geometry)
    count = x.shape[0] * down * across
    words: list[Argument] = [*_words(geometry, count)]
    finished = [*tail.own, *tail.shared]
    if count >= BLOCK * BLOCKS:
        spec = Winograd(channels, filters, BLOCK, tail.epilogue)
        arguments = [x, u, *words, *tail.arguments]
        blocks, scratch = -(-count // BLOCK), spec.scratch(lower.target)
        lower.free(spec, arguments, [x, u, *finished], tail.results, blocks, scratch, macs)
        return
    held = whole_rows(count, lower.target)
    v, m = _points(held * channels), _points(held * wide)
    _transform(lower, x, v, WinogradTiles(channels, False, channels), [*words, 0, held], count)
    products = WinogradProducts(channels, filters, register_rows(count, lower.target))
    points = POINTS * panels(filters, lower.target)
    lower.free(products, [v, u, m, count, held], [v, u], [m], points, macs=macs)
    outputs = WinogradOutputs(filters, tail.epilogue)
    patch = STEP * STEP * lower.target.lanes
    lower.free(outputs, [m, *words, held, *tail.arguments], [m, *finished], tail.results, count, patch)


def _transform(
    lower: Lowering, source: View, into: View, spec: WinogradTiles, words: list[Argument], count: int
) -> None:
    lower.free(spec, [source, into, *words], [source], [into], -(-count // TILES), POINTS * spec.channels)


def weight_gradient(lower: Lowering, x: View, g: View, geometry: Geometry, result: View, macs: int) -> None:
    """As many rounds of pictures as their transformed tiles need memory for, added up in order."""
    filters, channels = result.shape[:2]
    down, across = tiles(geometry)
    lanes = lower.target.lanes
    whole = channels % lanes == 0
    rows = divisor(channels // lanes, ROWS // lanes) * lanes if whole else divisor(channels, ROWS)
    inputs = WinogradTiles(channels, False, rows if whole else channels)
    gradients = WinogradTiles(filters, True, 2 * lanes)
    held = padded(channels, inputs.panel), padded(filters, gradients.panel)
    most = max(ROUND, 2 * POINTS * channels * filters)
    pictures = max(1, min(x.shape[0], most // (POINTS * down * across * sum(held))))
    v, z = (_points(pictures * down * across * size) for size in held)
    du = _points(channels * filters)
    for first in range(0, x.shape[0], pictures):
        here = min(pictures, x.shape[0] - first)
        count, start = here * down * across, first * down * across
        words: list[Argument] = [*_words(geometry, count), start, count]
        _transform(lower, x, v, inputs, words, count)
        _transform(lower, g, z, gradients, words, count)
        products = WinogradReduction(channels, filters, inputs.panel, rows)
        blocks, share = POINTS * (channels // rows), macs * here // x.shape[0]
        lower.free(products, [v, z, du, count, int(first > 0)], [v, z, du], [du], blocks, macs=share)
    lower.free(WinogradWeight(channels, filters), [du, result], [du], [result], channels)
    assert result.is_dense(FILTERS)


def _points(size: int) -> View:
    """Memory for `size` elements at each of the 36 points."""
    whole = POINTS * (size + LINE)
    return View(Buffer(whole, "f32", "temporary"), (whole,), (1,))
