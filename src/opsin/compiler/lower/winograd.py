"""3×3 convolutions by Winograd's algorithm: when, in which blocks, in which rounds."""

from __future__ import annotations

from opsin.compiler.calls import Argument
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import PARALLEL, Geometry, divisor
from opsin.compiler.lower.pointwise import BoundTail
from opsin.compiler.views import FILTERS, Buffer, View
from opsin.kernels.panels import panel_count, round_up
from opsin.kernels.spec import CACHE_LINE
from opsin.kernels.transforms import POINTS, STEP
from opsin.kernels.winograd import (
    Winograd,
    WinogradFilters,
    WinogradOutputs,
    WinogradProducts,
    padded_tiles,
    register_rows,
)
from opsin.kernels.winograd_weight import TILES, WinogradParts, WinogradReduction, WinogradTiles, WinogradWeight

CHANNELS, FEWEST = 16, 8
"""Channels on either side from which on the transforms cost less than they save, and by blocks, which stay in cache."""
GAIN = 1.5
"""Multiplications saved, as a ratio, from which on the algorithm is taken."""
BLOCK = 24
"""Tiles of a block: transformed inputs and sums stay in the second-level cache for common channel counts,
and each transformed weight read is used for so many tiles."""
BLOCKS = 16
"""Blocks there should be at least, so that threads share them evenly; for fewer tiles each of the 36 products is
taken over all of them, and its panels are shared out."""
ROUND = 1024 * 1024
"""Elements of transformed tiles that one round of a weight gradient holds at once, so that they are read from a cache,
or twice as many as the sums that each round adds to, where those are more."""

NARROW = 32 * 32
"""Most pairs of channels whose sums at all 36 points stay in the second-level cache beside a block's tiles."""
ROWS = 48
"""Most input channels that a block of a weight gradient owns."""


def tiles(geometry: Geometry) -> tuple[int, int]:
    """Tiles down and across one image."""
    return -(-geometry.out[0] // STEP), -(-geometry.out[1] // STEP)


def works(geometry: Geometry) -> bool:
    """Whether a convolution is of the kind that Winograd's algorithm computes."""
    moves = geometry.stride == geometry.dilation == (1, 1)
    return geometry.kernel == (3, 3) and moves and geometry.groups == 1


def suits(geometry: Geometry, by_blocks: bool) -> bool:
    """Whether a convolution for which the algorithm works is large enough for it to be faster."""
    down, across = tiles(geometry)
    return (
        min(geometry.window.channels, geometry.filters) >= (FEWEST if by_blocks else CHANNELS)
        and 9 * geometry.out[0] * geometry.out[1] >= GAIN * POINTS * down * across
    )


def fills_blocks(geometry: Geometry, images: int) -> bool:
    """Whether so many images have tiles enough to go block by block."""
    down, across = tiles(geometry)
    return images * down * across >= BLOCK * BLOCKS


def is_narrow(geometry: Geometry) -> bool:
    """Whether the sums of a weight gradient at all points stay in cache, so that it goes part by part."""
    return geometry.window.channels * geometry.filters <= NARROW


def _words(geometry: Geometry, count: int) -> list[int]:
    """The arguments of `Tiling`."""
    size = [geometry.height, geometry.width, *geometry.out, geometry.top, geometry.left]
    return [*size, *tiles(geometry), count]


def by_blocks(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """Forward, or the input gradient with a turned kernel, some tiles at a time."""
    filters, channels = w.shape[:2]
    u = _filters(lower, w)
    down, across = tiles(geometry)
    count = x.shape[0] * down * across
    spec = Winograd(channels, filters, BLOCK, tail.epilogue)
    arguments: list[Argument] = [x, u, *_words(geometry, count), *tail.arguments]
    blocks, scratch = -(-count // BLOCK), spec.scratch(lower.target)
    lower.free(spec, arguments, [x, u, *tail.own, *tail.shared], tail.results, blocks, scratch, macs)


def by_points(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """As `by_blocks`, with all tiles at once, one point of the transform after the other."""
    filters, channels = w.shape[:2]
    u = _filters(lower, w)
    wide = panel_count(filters, lower.target) * 2 * lower.target.lanes
    down, across = tiles(geometry)
    count = x.shape[0] * down * across
    words: list[Argument] = [*_words(geometry, count)]
    held = padded_tiles(count, lower.target)
    v, m = _points(held * channels), _points(held * wide)
    _transform(lower, x, v, WinogradTiles(channels, False, channels), [*words, 0, held], count)
    products = WinogradProducts(channels, filters, register_rows(count, lower.target))
    points = POINTS * panel_count(filters, lower.target)
    lower.free(products, [v, u, m, count, held], [v, u], [m], points, macs=macs)
    outputs = WinogradOutputs(filters, tail.epilogue)
    patch = STEP * STEP * lower.target.lanes
    finished = [*tail.own, *tail.shared]
    lower.free(outputs, [m, *words, held, *tail.arguments], [m, *finished], tail.results, count, patch)


def _filters(lower: Lowering, w: View) -> View:
    """The transformed weights, in panels."""
    filters, channels = w.shape[:2]
    w = lower.dense(w, FILTERS)
    u = _points(panel_count(filters, lower.target) * 2 * lower.target.lanes * channels)
    lower.free(WinogradFilters(channels, filters), [w, u], [w], [u], channels)
    return u


def _transform(
    lower: Lowering, source: View, into: View, spec: WinogradTiles, words: list[Argument], count: int
) -> None:
    lower.free(spec, [source, into, *words], [source], [into], -(-count // TILES), POINTS * spec.channels)


def weight_gradient(
    lower: Lowering, x: View, g: View, geometry: Geometry, result: View, in_parts: bool, macs: int
) -> None:
    """Part by part in cache, or by matrix products over transformed tiles in memory."""
    filters, channels = result.shape[:2]
    du = _points(channels * filters)
    (_in_parts if in_parts else _in_rounds)(lower, x, g, geometry, du, macs)
    lower.free(WinogradWeight(channels, filters), [du, result], [du], [result], channels)
    assert result.is_dense(FILTERS)


def _in_parts(lower: Lowering, x: View, g: View, geometry: Geometry, du: View, macs: int) -> None:
    """Each part transforms its tiles and sums up their products, block by block in cache; then the parts are added."""
    spec = WinogradParts(geometry.window.channels, geometry.filters)
    down, across = tiles(geometry)
    count = x.shape[0] * down * across
    per = max(TILES, -(-count // PARALLEL))
    parts = -(-count // per)
    partial = View(Buffer(parts * du.size, "f32", "temporary"), (parts, du.size), (du.size, 1))
    arguments: list[Argument] = [x, g, partial, *_words(geometry, count), per]
    lower.free(spec, arguments, [x, g], [partial], parts, spec.scratch(lower.target), macs)
    lower.combine(partial, du)


def _in_rounds(lower: Lowering, x: View, g: View, geometry: Geometry, du: View, macs: int) -> None:
    """As many rounds of tiles as the transformed ones need memory for, added up in order."""
    channels, filters = geometry.window.channels, geometry.filters
    down, across = tiles(geometry)
    lanes = lower.target.lanes
    whole = channels % lanes == 0
    rows = divisor(channels // lanes, ROWS // lanes) * lanes if whole else divisor(channels, ROWS)
    inputs = WinogradTiles(channels, False, rows if whole else channels)
    gradients = WinogradTiles(filters, True, 2 * lanes)
    held = round_up(channels, inputs.panel), round_up(filters, gradients.panel)
    most = max(ROUND, 2 * POINTS * channels * filters) // (POINTS * sum(held))
    total = x.shape[0] * down * across
    rounds = -(-total // most)
    whole_round = -(-total // rounds)
    v, z = (_points(whole_round * size) for size in held)
    products = WinogradReduction(channels, filters, inputs.panel, rows)
    for start in range(0, total, whole_round):
        count = min(whole_round, total - start)
        words: list[Argument] = [*_words(geometry, count), start, count]
        _transform(lower, x, v, inputs, words, count)
        _transform(lower, g, z, gradients, words, count)
        blocks, share = POINTS * (channels // rows), macs * count // total
        lower.free(products, [v, z, du, count, int(start > 0)], [v, z, du], [du], blocks, macs=share)


def _points(size: int) -> View:
    """Memory for `size` elements at each of the 36 points."""
    whole = POINTS * (size + CACHE_LINE)
    return View(Buffer(whole, "f32", "temporary"), (whole,), (1,))
