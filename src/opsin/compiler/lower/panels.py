"""Direct convolutions with packed weights, also of the phases of a strided input gradient (`packed.strided_dgrad`)."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.cost_model import CostModel
from opsin.compiler.lower import packed
from opsin.compiler.lower.context import Lowering
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.packed import Phase
from opsin.compiler.lower.packing import pack_panels
from opsin.compiler.lower.pointwise import LoweredEpilogue
from opsin.compiler.views import View
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.ir import BF16, F32
from opsin.kernels.panels import panel_shape


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
    pack = 2 if lowering.multiplies_pairs(x) and geometry.window.channels % 2 == 0 else 1
    shape = panel_shape(geometry.filters, geometry.window.channels, lowering.target, BF16 if pack == 2 else F32)
    u, packing = pack_panels(lowering, w, shape)
    pieces = max(1, -(-costs.min_blocks // images))
    panels = shape.count(geometry.filters, lowering.target)
    blocks_of_rows = pieces if w.size <= costs.direct_max_weights else row_blocks(geometry, pieces, panels, costs)
    is_padded = geometry.is_padded or (x.is_narrow and pack == 1)
    rows, blocks, scratch = geometry.block(blocks_of_rows, costs, is_padded)
    shares = min(panels, -(-pieces // blocks))
    prefetch = geometry.is_in_place and not is_padded and x.size > costs.gemm_min_prefetch_elements
    strides, arrays = packed.phase_arguments(epilogue, phase)
    sizes = {"H": geometry.height, "W": geometry.width, "OH": geometry.out[0]}
    call = lowering.call(
        ConvPanels(
            geometry.window,
            geometry.filters,
            geometry.out[1],
            shape,
            is_padded,
            phase is not None,
            shares,
            epilogue.epilogue,
            prefetch,
        ),
        pointers={"x": x, "u": u},
        words={**sizes, **geometry.row_words, "rows": rows, "blocks": blocks, "out_strides": strides, "zero": ()},
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


def row_blocks(geometry: Geometry, pieces: int, panels: int, costs: CostModel) -> int:
    """Return in how many blocks of rows to divide an image with large weights: each reads all weights of its panels."""
    pixels = geometry.out[0] * geometry.out[1]
    return min(pieces, max(pixels // costs.gemm_pixels, -(-pieces // panels), 1))
