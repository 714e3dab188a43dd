"""3×3 convolutions by Winograd's algorithm: their kernels, blocks and rounds."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.conv_algorithms import winograd_tiles
from opsin.compiler.lower.geometry import Geometry, block_size, divisor
from opsin.compiler.lower.pointwise import LoweredEpilogue
from opsin.compiler.views import FILTERS, Buffer, View
from opsin.kernels.panels import panel_count, round_up
from opsin.kernels.spec import CACHE_LINE
from opsin.kernels.tiling import TILING_WORDS
from opsin.kernels.transforms import POINTS, STEP
from opsin.kernels.winograd import (
    Winograd,
    WinogradFilters,
    WinogradOutputs,
    WinogradProducts,
    padded_tiles,
    register_rows,
)
from opsin.kernels.winograd_weight import Schedule, WinogradParts, WinogradReduction, WinogradTiles, WinogradWeight


def _tiling_words(geometry: Geometry, count: int) -> dict[str, int]:
    """Return the words of `kernels.winograd.Tiling`, for `count` tiles."""
    sizes = (geometry.height, geometry.width, *geometry.out, geometry.top, geometry.left)
    return dict(zip(TILING_WORDS, (*sizes, *winograd_tiles(geometry), count), strict=True))


def _tile_count(geometry: Geometry, images: int) -> int:
    down, across = winograd_tiles(geometry)
    return images * down * across


def fused(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, macs: int
) -> list[KernelCall]:
    """Return the calls of a convolution, or of an input gradient with a flipped kernel, some tiles at a time."""
    filters, channels = w.shape[:2]
    u, transforms = _transformed_filters(lowering, w)
    count = _tile_count(geometry, x.shape[0])
    tiles = padded_tiles(block_size(count, lowering.costs.winograd_tiles, lowering.costs), lowering.target)
    spec = Winograd(channels, filters, tiles, lowering.costs.winograd_max_prefetch_channels, epilogue.epilogue)
    call = lowering.call(
        spec,
        pointers={"x": x, "u": u},
        words=_tiling_words(geometry, count),
        epilogue=epilogue.arguments,
        blocks=-(-count // tiles),
        reads=[x, u, *epilogue.per_sample, *epilogue.shared],
        writes=epilogue.results,
        scratch=spec.scratch(lowering.target),
        macs=macs,
    )
    return [*transforms, call]


def nonfused(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, macs: int
) -> list[KernelCall]:
    """Return the calls that compute the same as `fused`, with all tiles at once, point by point."""
    filters, channels = w.shape[:2]
    u, transforms = _transformed_filters(lowering, w)
    panels = panel_count(filters, lowering.target)
    count = _tile_count(geometry, x.shape[0])
    words = _tiling_words(geometry, count)
    rows = padded_tiles(count, lowering.target)
    v, m = _points(rows * channels), _points(rows * panels * 2 * lowering.target.lanes)
    tile_words = {**words, "first_tile": 0, "padded_tiles": rows}
    tiles = _transform(lowering, x, v, WinogradTiles(channels, False, channels, _schedule(lowering)), tile_words, count)
    products = lowering.call(
        WinogradProducts(channels, filters, register_rows(count, lowering.target)),
        pointers={"v": v, "u": u, "m": m},
        words={"count": count, "padded_tiles": rows},
        blocks=POINTS * panels,
        reads=[v, u],
        writes=[m],
        macs=macs,
    )
    outputs = lowering.call(
        WinogradOutputs(filters, epilogue.epilogue),
        pointers={"m": m},
        words={**words, "padded_tiles": rows},
        epilogue=epilogue.arguments,
        blocks=count,
        reads=[m, *epilogue.per_sample, *epilogue.shared],
        writes=epilogue.results,
        scratch=STEP * STEP * lowering.target.lanes,
    )
    return [*transforms, tiles, products, outputs]


def _transformed_filters(lowering: Lowering, w: View) -> ViewAndCalls:
    """Return the transformed weights, in panels."""
    filters, channels = w.shape[:2]
    w, copies = lowering.dense(w, FILTERS)
    u = _points(panel_count(filters, lowering.target) * 2 * lowering.target.lanes * channels)
    call = lowering.call(
        WinogradFilters(channels, filters), pointers={"w": w, "u": u}, blocks=channels, reads=[w], writes=[u]
    )
    return u, [*copies, call]


def _schedule(lowering: Lowering) -> Schedule:
    """Return the schedule of the kernels that transform tiles and sum their products."""
    costs = lowering.costs
    return Schedule(costs.winograd_wgrad_tiles, costs.winograd_wgrad_depth, costs.winograd_max_prefetch_channels)


def _transform(
    lowering: Lowering, source: View, result: View, spec: WinogradTiles, words: dict[str, int], count: int
) -> KernelCall:
    """Return the call that transforms `count` tiles of `source`."""
    return lowering.call(
        spec,
        pointers={"source": source, "result": result},
        words=words,
        blocks=-(-count // spec.schedule.tiles),
        reads=[source],
        writes=[result],
        scratch=POINTS * spec.channels,
    )


def weight_gradient(
    lowering: Lowering, x: View, g: View, geometry: Geometry, result: View, is_fused: bool, macs: int
) -> list[KernelCall]:
    """Return the calls of a weight gradient: part by part in cache, or as matrix products over tiles in memory."""
    filters, channels = result.shape[:2]
    du = _points(channels * filters)
    calls = (_in_parts if is_fused else _in_rounds)(lowering, x, g, geometry, du, macs)
    assert result.is_dense(FILTERS)
    inverse = lowering.call(
        WinogradWeight(channels, filters),
        pointers={"du": du, "dw": result},
        blocks=channels,
        reads=[du],
        writes=[result],
    )
    return [*calls, inverse]


def _in_parts(lowering: Lowering, x: View, g: View, geometry: Geometry, du: View, macs: int) -> list[KernelCall]:
    """Return the calls in which each part transforms its tiles and sums their products in cache."""
    spec = WinogradParts(geometry.window.channels, geometry.filters, _schedule(lowering))
    count = _tile_count(geometry, x.shape[0])
    tiles_per_part = max(spec.schedule.tiles, -(-count // lowering.costs.min_blocks))
    parts = -(-count // tiles_per_part)
    partial = View(Buffer(parts * du.size, "f32", "temporary"), (parts, du.size), (du.size, 1))
    call = lowering.call(
        spec,
        pointers={"x": x, "g": g, "du": partial},
        words={**_tiling_words(geometry, count), "tiles_per_part": tiles_per_part},
        blocks=parts,
        reads=[x, g],
        writes=[partial],
        scratch=spec.scratch(lowering.target),
        macs=macs,
    )
    return [call, lowering.combine(partial, du)]


def _in_rounds(lowering: Lowering, x: View, g: View, geometry: Geometry, du: View, macs: int) -> list[KernelCall]:
    """Return the calls in rounds of as many tiles as the memory for transformed ones holds, added in order."""
    channels, filters = geometry.window.channels, geometry.filters
    lanes, costs = lowering.target.lanes, lowering.costs
    in_vectors = channels % lanes == 0
    max_rows = costs.winograd_max_rows
    rows = divisor(channels // lanes, max_rows // lanes) * lanes if in_vectors else divisor(channels, max_rows)
    schedule = _schedule(lowering)
    inputs = WinogradTiles(channels, False, rows if in_vectors else channels, schedule)
    gradients = WinogradTiles(filters, True, 2 * lanes, schedule)
    widths = round_up(channels, inputs.panel), round_up(filters, gradients.panel)
    limit = max(costs.winograd_round_elements, 2 * POINTS * channels * filters) // (POINTS * sum(widths))
    total = _tile_count(geometry, x.shape[0])
    round_tiles = -(-total // -(-total // limit))
    v, z = (_points(round_tiles * width) for width in widths)
    products = WinogradReduction(channels, filters, inputs.panel, rows, schedule)
    calls: list[KernelCall] = []
    for start in range(0, total, round_tiles):
        count = min(round_tiles, total - start)
        words = {**_tiling_words(geometry, count), "first_tile": start, "padded_tiles": count}
        calls.append(_transform(lowering, x, v, inputs, words, count))
        calls.append(_transform(lowering, g, z, gradients, words, count))
        product = lowering.call(
            products,
            pointers={"v": v, "z": z, "du": du},
            words={"count": count, "accumulate": int(start > 0)},
            blocks=POINTS * (channels // rows),
            reads=[v, z, du],
            writes=[du],
            macs=macs * count // total,
        )
        calls.append(product)
    return calls


def _points(size: int) -> View:
    """Return memory for `size` elements at each of the 36 points."""
    elements = POINTS * (size + CACHE_LINE)
    return View(Buffer(elements, "f32", "temporary"), (elements,), (1,))
