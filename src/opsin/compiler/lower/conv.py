"""Convolutions: from the selected algorithm to calls of its kernels."""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower import depthwise, packed, panels, winograd
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.conv_algorithms import WINOGRAD, ConvAlgorithm
from opsin.compiler.lower.geometry import Geometry
from opsin.compiler.lower.pointwise import LoweredEpilogue, bind_epilogue, draft_epilogue
from opsin.compiler.views import FILTERS, Buffer, Destinations, View, channels_last, dense_strides
from opsin.ir import Node, Tensor
from opsin.kernels.conv import Conv2d
from opsin.kernels.conv_weight import Conv2dWeight
from opsin.kernels.expression import IDENTITY


def direct(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, macs: int
) -> list[KernelCall]:
    """Return the calls of a convolution, or of an input gradient with a flipped kernel, image by image."""
    w, copies = lowering.dense(w, FILTERS)
    # Numbers are broadcast one by one, so bfloat16 is widened while rows are copied.
    is_padded = geometry.is_padded or x.is_narrow
    rows, blocks, scratch = geometry.block(-(-lowering.costs.min_blocks // x.shape[0]), lowering.costs, is_padded)
    sizes = {"H": geometry.height, "W": geometry.width, "OH": geometry.out[0]}
    call = lowering.call(
        Conv2d(geometry.window, geometry.filters, geometry.out[1], is_padded, epilogue.epilogue),
        pointers={"x": x, "w": w},
        words={**sizes, **geometry.row_words, "rows": rows, "blocks": blocks},
        epilogue=epilogue.arguments,
        partition=Partition.PER_SAMPLE,
        blocks=blocks,
        reads=[x, *epilogue.per_sample],
        shared=[w, *epilogue.shared],
        writes=epilogue.results,
        scratch=scratch,
        macs=macs,
    )
    return [*copies, call]


STRIDED_DGRAD = {
    ConvAlgorithm.DIRECT_STRIDED_DGRAD: panels.convolve_phase,
    ConvAlgorithm.STRIDED_DGRAD: packed.convolve_phase,
}
FILTERS_BY_ROWS = (2, 0, 3, 1)
"""Convolution weights K C kh kw in memory: kh K kw C."""
CONVOLVE = {
    ConvAlgorithm.DIRECT: direct,
    ConvAlgorithm.DIRECT_PACKED: panels.convolve,
    ConvAlgorithm.IMPLICIT_GEMM: packed.convolve,
    ConvAlgorithm.WINOGRAD_FUSED: winograd.fused,
    ConvAlgorithm.WINOGRAD_NONFUSED: winograd.nonfused,
}


def conv2d(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    if node not in lowering.selections:
        return depthwise.convolve(lowering, node, group, outputs, destinations)
    selection = lowering.selections[node]
    problem = selection.problem
    x, copies = lowering.image(node.inputs[0])
    w = lowering.view(node.inputs[1])
    epilogue = _epilogue(lowering, group, outputs, destinations)
    calls = CONVOLVE[selection.algorithm](lowering, x, w, problem.geometry, epilogue, problem.macs)
    return [*copies, *epilogue.copies, *calls]


def conv_transpose2d(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the calls of an input gradient: phase by phase, or as a convolution of stride 1.

    The latter uses the kernel rotated by 180°, on a gradient with zeros between its pixels if there is a stride.
    """
    if node not in lowering.selections:
        return depthwise.convolve(lowering, node, group, outputs, destinations)
    selection = lowering.selections[node]
    problem = selection.problem
    y, calls = lowering.image(node.inputs[0])
    w = lowering.view(node.inputs[1])
    if selection.algorithm in STRIDED_DGRAD:
        epilogue = _epilogue(lowering, group, outputs, destinations)
        convolve = STRIDED_DGRAD[selection.algorithm]
        phases = packed.strided_dgrad(lowering, y, w, problem.size, node.attrs, epilogue, problem.macs, convolve)
        return [*calls, *epilogue.copies, *phases]
    if problem.stride != (1, 1):
        y, dilation = _dilated(lowering, y, problem.stride)
        calls = [*calls, *dilation]
    w, flips = _flipped(lowering, w, problem.groups)
    epilogue = _epilogue(lowering, group, outputs, destinations)
    convolution = CONVOLVE[selection.algorithm](lowering, y, w, problem.geometry, epilogue, problem.macs)
    return [*calls, *flips, *epilogue.copies, *convolution]


def _epilogue(
    lowering: Lowering, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> LoweredEpilogue:
    expression = draft_epilogue(lowering, group)
    return bind_epilogue(lowering, expression, outputs, destinations, channels_last(4), channel=1)


def _dilated(lowering: Lowering, y: View, stride: tuple[int, int]) -> ViewAndCalls:
    """Return `y` with zeros between its pixels."""
    n, c, h, w = y.shape
    size = ((h - 1) * stride[0] + 1, (w - 1) * stride[1] + 1)
    result = lowering.new((n, c, *size), None, y.buffer.element)
    pixels = result.sliced((0, 0, 0, 0), (n, c, *size), (1, 1, *stride))
    return result, [lowering.fill(result, 0.0), lowering.pointwise(IDENTITY, [y], [pixels])]


def _flipped(lowering: Lowering, w: View, groups: int) -> ViewAndCalls:
    """Return K × C/g × kh × kw as C × K/g × kh × kw, rotated by 180°; dense if there are several groups."""
    if groups == 1:
        return w.flipped((2, 3)).transposed((1, 0, 2, 3)), []
    filters, channels, kh, kw = w.shape
    k, c, r, s = w.strides
    per_group = filters // groups
    grouped_weights = View(w.buffer, (groups, per_group, channels, kh, kw), (k * per_group, k, c, r, s), w.offset)
    copy, calls = lowering.copy(grouped_weights.flipped((3, 4)).transposed((0, 2, 1, 3, 4)), (3, 4, 2, 0, 1))
    shape = (groups * channels, per_group, kh, kw)
    return View(copy.buffer, shape, dense_strides(shape, FILTERS)), calls


def conv2d_weight(lowering: Lowering, node: Node) -> list[KernelCall]:
    (x, x_copies), (g, g_copies) = (lowering.image(t) for t in node.inputs)
    copies = [*x_copies, *g_copies]
    selection = lowering.selections.get(node)
    is_direct = selection is not None and selection.algorithm is ConvAlgorithm.DIRECT
    is_transposed = is_direct and _fills_lanes_transposed(lowering, selection.problem.geometry)  # type: ignore[union-attr]
    result = lowering.result(node.output, FILTERS_BY_ROWS if is_transposed else FILTERS)
    lowering.bind(node.output, result)
    if selection is None:
        partial, calls = depthwise.weight_gradient(lowering, x, g, node)
        return [*copies, *calls, lowering.combine(partial, result)]
    problem, algorithm = selection.problem, selection.algorithm
    if algorithm in WINOGRAD:
        is_fused = algorithm is ConvAlgorithm.WINOGRAD_FUSED
        calls = winograd.weight_gradient(lowering, x, g, problem.geometry, result, is_fused, problem.macs)
    elif algorithm is ConvAlgorithm.IMPLICIT_GEMM:
        partial, calls = packed.weight_gradient(lowering, x, g, problem.geometry, problem.macs)
        calls = [*calls, lowering.combine(partial, result)]
    else:
        calls = _direct_weight(lowering, x, g, problem.geometry, result, problem.macs, is_transposed)
    return [*copies, *calls]


def _fills_lanes_transposed(lowering: Lowering, geometry: Geometry) -> bool:
    """Whether the numbers under a row of the window fill vectors better than the filters do.

    The optimizer's update then reads the gradient in another order than the weights, which takes longer for many.
    """
    window, lanes = geometry.window, lowering.target.lanes
    if window.groups > 1 or window.runs > 1 or window.run * geometry.filters > lowering.costs.direct_max_weights:
        return False
    by_filters, by_rows = (-(-count // lanes) * lanes / count for count in (geometry.filters, window.run))
    return by_rows * lowering.costs.direct_min_lane_gain <= by_filters


def _direct_weight(
    lowering: Lowering, x: View, g: View, geometry: Geometry, result: View, macs: int, transposed: bool
) -> list[KernelCall]:
    """Return the calls for some images at a time, each with a separate partial sum if that takes little memory."""
    count = x.shape[0]
    chunks = min(-(-count // lowering.chunk), max(4, lowering.costs.max_partial_elements // result.size))
    images = -(-count // chunks)
    chunks = -(-count // images)
    partial = View(Buffer(chunks * result.size, "f32", "temporary"), (chunks, result.size), (result.size, 1))
    destination = partial if chunks > 1 else result
    per_chunk = images == lowering.chunk and count == lowering.batch
    sizes = {"N": count, "H": geometry.height, "W": geometry.width, "OH": geometry.out[0]}
    # Whole vectors are read, up to one beyond the end.
    scratch = geometry.height * geometry.padded_width * geometry.window.pixel + lowering.target.lanes
    is_padded = geometry.is_padded or x.is_narrow
    blocking = lowering.costs.direct_gradient_block, lowering.costs.direct_min_accumulators
    call = lowering.call(
        Conv2dWeight(geometry.window, geometry.filters, geometry.out[1], is_padded, *blocking, transposed),
        pointers={"x": x, "g": g, "partial": destination},
        words={**sizes, **geometry.row_words, "images": images},
        partition=Partition.PER_CHUNK if per_chunk else Partition.ANY,
        blocks=chunks,
        reads=[x, g],
        writes=[destination],
        scratch=scratch if is_padded else 0,
        macs=macs,
    )
    return [call, lowering.combine(partial, result)] if chunks > 1 else [call]


ANCHORED = {"conv2d": conv2d, "conv_transpose2d": conv_transpose2d}
RULES = {"conv2d_weight": conv2d_weight}
