"""Implicit GEMM: wide convolutions as matrix products over packed pixels, and weight gradients tap by tap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from opsin.compiler.calls import KernelCall
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.geometry import Geometry, block_size, divisor
from opsin.compiler.lower.packing import pack_panels
from opsin.compiler.lower.pointwise import LoweredEpilogue
from opsin.compiler.views import View, row_major
from opsin.kernels.conv_packed import ConvPacked
from opsin.kernels.conv_weight_taps import ConvWeightTaps
from opsin.kernels.ir import BF16, F32
from opsin.kernels.panels import PanelShape, panel_count
from opsin.kernels.tiles import fills_tiles


class Phase(NamedTuple):
    """The results that a convolution computes: their starts and steps in the epilogue's arrays."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]

    def of(self, view: View) -> View:
        """Return the elements of `view` that belong to this phase."""
        return view.sliced(self.starts, view.shape, self.steps)


ConvolvePhase = Callable[[Lowering, View, View | None, Geometry, LoweredEpilogue, int, Phase | None], list[KernelCall]]
"""A function like `convolve_phase`."""


def convolve(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, macs: int
) -> list[KernelCall]:
    """Return the calls of a convolution with weights `w` (K C kh kw)."""
    return convolve_phase(lowering, x, w.transposed((2, 3, 1, 0)), geometry, epilogue, macs)


def strided_dgrad(
    lowering: Lowering,
    y: View,
    w: View,
    size: tuple[int, int],
    attrs: dict[str, Any],
    epilogue: LoweredEpilogue,
    macs: int,
    convolve: ConvolvePhase,
) -> list[KernelCall]:
    """Return the calls of the input gradient of a convolution of dilation 1: w (K C kh kw), result N C × `size`.

    Each phase is computed by `convolve`.
    """
    calls: list[KernelCall] = []
    for geometry, taps, phase_macs, phase in _phases(y, w, size, attrs, macs):
        calls += convolve(lowering, y, taps, geometry, epilogue, phase_macs, phase)
    return calls


def _phases(
    y: View, w: View, size: tuple[int, int], attrs: dict[str, Any], macs: int
) -> Iterator[tuple[Geometry, View | None, int, Phase]]:
    """Yield (geometry, weights kh kw C K or None without taps, MACs, results) of each phase of an input gradient.

    Inputs at the same position between two strides read the same taps of the kernel. Each of these phases is a
    separate convolution of stride 1.
    """
    (top, _), (left, _) = attrs["padding"]
    down, across = attrs["stride"]
    taps = w.shape[2] * w.shape[3]
    for row in range(min(down, size[0])):
        for column in range(min(across, size[1])):
            first = (row + top) % down, (column + left) % across
            phase_taps = w.sliced((0, 0, *first), w.shape, (1, 1, down, across))
            kernel = phase_taps.shape[2], phase_taps.shape[3]
            out = -(-(size[0] - row) // down), -(-(size[1] - column) // across)
            shift = (row + top) // down, (column + left) // across
            margin = (kernel[0] - 1 - shift[0], 0), (kernel[1] - 1 - shift[1], 0)
            phase_attrs = {"stride": (1, 1), "dilation": (1, 1), "groups": 1, "padding": margin}
            geometry = Geometry(y.shape, w.shape[1], kernel, out, phase_attrs)
            rotated_taps = phase_taps.flipped((2, 3)).transposed((2, 3, 0, 1)) if prod(kernel) else None
            phase = Phase((0, 0, row, column), (1, 1, down, across))
            yield geometry, rotated_taps, macs * prod(kernel) // taps, phase


def convolve_phase(
    lowering: Lowering,
    x: View,
    w: View | None,
    geometry: Geometry,
    epilogue: LoweredEpilogue,
    macs: int,
    phase: Phase | None = None,
) -> list[KernelCall]:
    """Return the calls for weights w (kh kw C K), None for a kernel without taps, of all results or of one phase."""
    kernel, window, out, costs = geometry.kernel, geometry.window, geometry.out, lowering.costs
    depth = kernel[0] * kernel[1] * window.channels
    pack = 2 if lowering.multiplies_pairs(x) and window.channels % 2 == 0 else 1
    u, packing = (x, []) if w is None else pack_panels(lowering, w, PanelShape(2, pack, BF16 if pack == 2 else F32))
    count = x.shape[0] * out[0] * out[1]
    reads_in_place = geometry.is_in_place or not depth
    # Numbers are broadcast one by one, so bfloat16 is widened while windows are copied.
    reads_in_place = reads_in_place and (pack == 2 or not x.is_narrow or not depth)
    pixels = -(-count // -(-count // block_size(count, costs.gemm_pixels, costs)))
    if pack == 2 and fills_tiles(depth, lowering.target):
        pixels = costs.gemm_pixels_tiles
    blocks = -(-count // pixels)
    shares = min(panel_count(geometry.filters, lowering.target), -(-costs.min_blocks // blocks))
    prefetch = reads_in_place and count * depth > costs.gemm_min_prefetch_elements
    spec = ConvPacked(
        window,
        kernel[0],
        geometry.filters,
        pixels,
        not reads_in_place,
        phase is not None,
        shares,
        prefetch,
        epilogue.epilogue,
    )
    strides, arrays = phase_arguments(epilogue, phase)
    call = lowering.call(
        spec,
        pointers={"x": x, "u": u},
        words={**_sizes(geometry), "count": count, "out_strides": strides},
        epilogue=arrays,
        blocks=blocks * shares,
        reads=[x, u, *epilogue.per_sample, *epilogue.shared],
        writes=epilogue.results,
        scratch=spec.narrowed(("u",) if pack == 2 else ()).scratch(lowering.target),
        macs=macs,
    )
    return [*packing, call]


def phase_arguments(epilogue: LoweredEpilogue, phase: Phase | None) -> tuple[tuple[int, ...], list[View]]:
    """Return (strides of the results' images, rows and columns; arrays of the epilogue); no strides of a whole."""
    if phase is None:
        return (), epilogue.arguments
    n, _, row, column = phase.of(epilogue.results[0]).strides
    kinds = [*epilogue.epilogue.operands, *("same" for _ in epilogue.results)]
    pairs = zip(epilogue.arguments, kinds, strict=True)
    return (n, row, column), [phase.of(view) if kind == "same" else view for view, kind in pairs]


def _sizes(geometry: Geometry) -> dict[str, int]:
    """Return the words about sizes and rows that both kernels of this file take."""
    return {
        "H": geometry.height,
        "W": geometry.width,
        "OH": geometry.out[0],
        "OW": geometry.out[1],
        "sh": geometry.stride[0],
        "dh": geometry.dilation[0],
        "top": geometry.top,
        "left": geometry.left,
    }


def weight_gradient(lowering: Lowering, x: View, g: View, geometry: Geometry, macs: int) -> ViewAndCalls:
    """Return partial gradients, parts × elements: several parts only if one would make too few blocks."""
    kernel, channels, count, costs = geometry.kernel, geometry.window.channels, x.shape[0], lowering.costs
    rows = divisor(channels, costs.wgrad_max_rows)
    columns = _block_columns(geometry.filters, costs.wgrad_max_sums // rows, 2 * lowering.target.lanes)
    blocks = kernel[0] * kernel[1] * (channels // rows) * (geometry.filters // columns)
    images = -(-count // min(count, -(-costs.min_long_blocks // blocks)))
    parts = -(-count // images)
    partial = lowering.new((parts, kernel[0] * kernel[1] * channels * geometry.filters), row_major(2))
    panel = divisor(rows, costs.wgrad_max_panel)
    pairs = lowering.multiplies_pairs(x, g)
    spec = ConvWeightTaps(geometry.window, geometry.filters, rows, panel, columns, costs.wgrad_depth, pairs)
    call = lowering.call(
        spec,
        pointers={"x": x, "g": g, "result": partial},
        words={"N": count, "kh": kernel[0], **_sizes(geometry), "images": images},
        blocks=parts * blocks,
        reads=[x, g],
        writes=[partial],
        scratch=spec.scratch(lowering.target),
        macs=macs,
    )
    return partial, [call]


def _block_columns(filters: int, limit: int, panel: int) -> int:
    """Return the filters of a block: at most `limit` in whole panels if these divide them, and otherwise all."""
    return panel * divisor(filters // panel, max(1, limit // panel)) if filters % panel == 0 else filters
