"""Wide convolutions as matrix products over packed pixels, and their weight gradients tap by tap."""

from __future__ import annotations

from math import prod
from typing import Any

from opsin.compiler.calls import Argument
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import PARALLEL, Geometry, divisor
from opsin.compiler.lower.pointwise import BoundTail
from opsin.compiler.views import Buffer, View, row_major
from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.panels import PackPanels, PackTransposed, panel_count

FILTERS = 32
"""Filters from which on copying the pixels under a window costs little beside multiplying them."""
CHANNELS, FEWEST = 24, 16
"""Input channels from which on packing is faster than going image by image, and from which on it is where the other
way multiplies by zeros mostly, or the pixels have to be packed once only."""
TAPS = 48
"""Input channels from which on a weight gradient of several taps, which all pack the same pixels, goes tap by tap."""
PIXELS = 48
"""Output pixels of a block: each packed weight read is used for so many."""
FAR = 2**20
"""Elements of an array of which most come from beyond the caches of one core, when it is read again."""
ROWS, PANEL = 256, 48
"""Most channels that a block of a weight gradient owns, and that it packs together."""
SUMS = 32 * 1024
"""Elements that such a block sums up: a quarter of a second-level cache, which holds what is multiplied, too."""


def suits(geometry: Geometry) -> bool:
    """Whether a convolution is wide enough, on both sides."""
    return geometry.groups == 1 and geometry.filters >= FILTERS and geometry.window.channels >= CHANNELS


def suits_spread(geometry: Geometry) -> bool:
    """The same for the input gradient of a strided convolution, whose other way multiplies by zeros mostly."""
    return geometry.groups == 1 and min(geometry.filters, geometry.window.channels) >= FEWEST


def suits_taps(geometry: Geometry) -> bool:
    """The same for a weight gradient."""
    least = FEWEST if geometry.kernel == (1, 1) else TAPS
    return geometry.groups == 1 and geometry.filters >= FILTERS and geometry.window.channels >= least


def convolve(lower: Lowering, x: View, w: View, geometry: Geometry, tail: BoundTail, macs: int) -> None:
    """Forward, w (K C kh kw)."""
    _convolve(lower, x, w.transposed((2, 3, 1, 0)), geometry, tail, macs)


def spread(
    lower: Lowering, y: View, w: View, size: tuple[int, int], attrs: dict[str, Any], tail: BoundTail, macs: int
) -> None:
    """The input gradient of a convolution of any stride, dilation 1: w (K C kh kw), result N C × `size`.

    Inputs that lie at the same place between the strides see the same taps of the kernel: each of these phases is a
    convolution of stride 1 of its own.
    """
    (top, _), (left, _) = attrs["padding"]
    down, across = attrs["stride"]
    taps = w.shape[2] * w.shape[3]
    for row in range(min(down, size[0])):
        for column in range(min(across, size[1])):
            first = (row + top) % down, (column + left) % across
            own = w.sliced((0, 0, *first), w.shape, (1, 1, down, across))
            kernel = own.shape[2], own.shape[3]
            out = -(-(size[0] - row) // down), -(-(size[1] - column) // across)
            shift = (row + top) // down, (column + left) // across
            margin = (kernel[0] - 1 - shift[0], 0), (kernel[1] - 1 - shift[1], 0)
            inverse = {"stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": margin}
            geometry = Geometry(y.shape, w.shape[1], kernel, out, inverse)
            turned = own.flipped((2, 3)).transposed((2, 3, 0, 1)) if prod(kernel) else None
            place = (0, 0, row, column), (1, 1, down, across)
            share = macs * prod(kernel) // taps
            _convolve(lower, y, turned, geometry, tail, share, place)


def _convolve(
    lower: Lowering,
    x: View,
    w: View | None,
    geometry: Geometry,
    tail: BoundTail,
    macs: int,
    place: tuple[tuple[int, ...], tuple[int, ...]] | None = None,
) -> None:
    """w (kh kw C K); none is a kernel without taps. `place`: starts and steps of the outputs in the tail's arrays."""
    kernel, window, out = geometry.kernel, geometry.window, geometry.out
    depth = kernel[0] * kernel[1] * window.channels
    u = x if w is None else _panels(lower, w)
    count = x.shape[0] * out[0] * out[1]
    in_place = kernel == (1, 1) and geometry.stride == (1, 1) and not geometry.padded and geometry.top == 0
    in_place = (in_place and out == (geometry.height, geometry.width)) or not depth
    pixels = -(-count // -(-count // PIXELS))
    blocks = -(-count // pixels)
    shares = min(panel_count(geometry.filters, lower.target), -(-PARALLEL // blocks))
    ahead = in_place and count * depth > FAR
    spec = ConvPacked(
        window, kernel[0], geometry.filters, pixels, not in_place, place is not None, shares, ahead, tail.epilogue
    )
    words = [geometry.height, geometry.width, *out, geometry.stride[0], geometry.dilation[0]]
    arguments: list[Argument] = [x, u, *words, geometry.top, geometry.left, count]
    if place is None:
        arguments += tail.arguments
    else:
        starts, steps = place
        strides = tail.results[0].sliced(starts, tail.results[0].shape, steps).strides
        arguments += [strides[0], strides[2], strides[3]]
        for view, kind in zip(tail.arguments, [*tail.epilogue.operands, *("same" for _ in tail.results)], strict=True):
            arguments.append(view.sliced(starts, view.shape, steps) if kind == "same" else view)
    reads = [x, u, *tail.own, *tail.shared]
    lower.free(spec, arguments, reads, tail.results, blocks * shares, spec.scratch(lower.target), macs)


def _panels(lower: Lowering, w: View) -> View:
    """Weights w (kh kw C K), lying in memory as they may, in panels of K."""
    height, width, channels, filters = w.shape
    blocks, depth = panel_count(filters, lower.target), height * width * channels
    size = blocks * depth * 2 * lower.target.lanes
    u = View(Buffer(size, "f32", "temporary"), (size,), (1,))
    down, across, inner, step = w.strides
    if inner == 1 and step != 1:
        lower.free(PackTransposed(filters), [w, u, height, width, channels, step, down, across], [w], [u], blocks)
    else:
        dense = w if w.is_dense((0, 1, 2, 3)) else lower.copy(w, row_major(4))
        lower.free(PackPanels(filters), [dense, u, depth], [dense], [u], blocks)
    return u


def weight_gradient(lower: Lowering, x: View, g: View, geometry: Geometry, macs: int) -> View:
    """Partial gradients, parts × elements: one part, or several where one would make too few blocks."""
    kernel, channels, count = geometry.kernel, geometry.window.channels, x.shape[0]
    rows = divisor(channels, ROWS)
    columns = _share(geometry.filters, SUMS // rows, 2 * lower.target.lanes)
    blocks = kernel[0] * kernel[1] * (channels // rows) * (geometry.filters // columns)
    images = -(-count // min(count, max(1, PARALLEL // blocks)))
    parts = -(-count // images)
    size = kernel[0] * kernel[1] * channels * geometry.filters
    shape = (parts, size)
    partial = lower.new(shape, row_major(2))
    words = [count, geometry.height, geometry.width, *geometry.out, kernel[0], geometry.stride[0]]
    words += [geometry.dilation[0], geometry.top, geometry.left, images]
    spec = ConvWeightTaps(geometry.window, geometry.filters, rows, divisor(rows, PANEL), columns)
    lower.free(spec, [x, g, partial, *words], [x, g], [partial], parts * blocks, spec.scratch(lower.target), macs)
    return partial


def _share(filters: int, most: int, panel: int) -> int:
    """The filters of a block: whole panels, if they come out even."""
    return panel * divisor(filters // panel, max(1, most // panel)) if filters % panel == 0 else filters
