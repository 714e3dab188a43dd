"""Direct convolutions with packed weights, also of the phases of a strided input gradient (`packed.strided_dgrad`)."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.cost_model import CostModel
from opsin.compiler.lower import packed
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.packed import Phase
from opsin.compiler.lower.pointwise import LoweredEpilogue
from opsin.compiler.views import Buffer, View, row_major
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.panels import PackInterleaved, PanelShape, panel_shape


def convolve(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, macs: int
) -> list[KernelCall]:
    """Return the calls of a convolution with weights `w` (K C kh kw)."""
    return convolve_phase(lowering, x, w.transposed((2, 3, 1, 0)), geometry, epilogue, macs)


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
    if w is None:
        return packed.convolve_phase(lowering, x, w, geometry, epilogue, macs, phase)
    images, costs = x.shape[0], lowering.costs
    shape = panel_shape(geometry.filters, geometry.window.channels, lowering.target)
    u, packing = _panels(lowering, w, shape)
    pieces = max(1, -(-costs.min_blocks // images))
    panels = shape.count(geometry.filters, lowering.target)
    row_blocks = pieces if w.size <= costs.direct_max_weights else _row_blocks(geometry, pieces, panels, costs)
    rows, blocks, scratch = geometry.block(row_blocks, costs)
    shares = min(panels, -(-pieces // blocks))
    prefetch = geometry.is_in_place and x.size > costs.gemm_min_prefetch_elements
    strides, arrays = packed.phase_arguments(epilogue, phase)
    sizes = {"H": geometry.height, "W": geometry.width, "OH": geometry.out[0]}
    call = lowering.call(
        ConvPanels(
            geometry.window,
            geometry.filters,
            geometry.out[1],
            shape,
            geometry.is_padded,
            phase is not None,
            shares,
            prefetch,
            epilogue.epilogue,
        ),
        pointers={"x": x, "u": u},
        words={**sizes, **geometry.row_words, "rows": rows, "blocks": blocks, "out_strides": strides},
        epilogue=arrays,
        partition=Partition.PER_SAMPLE,
        blocks=blocks * shares,
        reads=[x, *epilogue.per_sample],
        shared=[u, *epilogue.shared],
        writes=epilogue.results,
        scratch=scratch,
        macs=macs,
    )
    return [*packing, call]


def _row_blocks(geometry: Geometry, pieces: int, panels: int, costs: CostModel) -> int:
    """Return in how many blocks of rows to divide an image with large weights: each reads all weights of its panels."""
    pixels = geometry.out[0] * geometry.out[1]
    return min(pieces, max(pixels // costs.gemm_pixels, -(-pieces // panels), 1))


def _panels(lowering: Lowering, w: View, shape: PanelShape) -> ViewAndCalls:
    """Return weights w (kh kw C K), of any strides, in panels of K."""
    is_transposed, copies = w.strides[2] == 1 != w.strides[3], list[KernelCall]()
    if w.strides[3] != 1 and not is_transposed:
        w, copies = lowering.copy(w, row_major(4))
    height, width, channels, filters = w.shape
    panels = shape.count(filters, lowering.target)
    size = panels * height * width * channels * shape.columns(lowering.target)
    u = View(Buffer(size, "f32", "temporary"), (size,), (1,))
    kh_stride, kw_stride, *steps = w.strides
    strides = {"kh_stride": kh_stride, "kw_stride": kw_stride, "step": steps[is_transposed]}
    pack = lowering.call(
        PackInterleaved(filters, shape, is_transposed),
        pointers={"w": w, "u": u},
        words={"kh": height, "kw": width, "depth": channels, **strides},
        blocks=panels,
        reads=[w],
        writes=[u],
    )
    return u, [*copies, pack]
