"""Operations on 8-bit integers.

Convolutions have 32-bit sums. If the processor multiplies bytes, the signed numbers of the image become unsigned ones
by adding 128, and the bias makes up for that; otherwise both factors are widened to 16 bits: the weights once, or, in
exported programs, when they are multiplied. Sums of whole numbers do not depend on their order, so the results are the
same.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.fusion import FusionGroup
from opsin.compiler.lower import depthwise, windows
from opsin.compiler.lower.context import Lowering, ViewAndCalls
from opsin.compiler.lower.geometry import Geometry, is_depthwise
from opsin.compiler.lower.packing import pack_panels
from opsin.compiler.lower.panels import row_blocks
from opsin.compiler.lower.pointwise import LoweredEpilogue, bind_epilogue, draft_epilogue
from opsin.compiler.lower.pool import PoolGeometry
from opsin.compiler.views import (
    FILTERS,
    WORD_BYTES,
    Buffer,
    Destinations,
    View,
    channels_last,
    dense_strides,
    row_major,
)
from opsin.ir import Node, Tensor
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.ir import ELEMENT_BYTES, I8, I16, I32
from opsin.kernels.panels import whole_panel_shape
from opsin.kernels.quantized import AvgPoolWhole, Lookup, OffsetBias
from opsin.kernels.quantized_taps import DepthwiseWhole, PackTaps, patterns, tile_rows


def conv2d(
    lowering: Lowering, node: Node, group: FusionGroup, outputs: list[Tensor], destinations: Destinations
) -> list[KernelCall]:
    """Return the calls of `conv2d_int8` or `conv2d_int32`, with their epilogue."""
    x, x_copies = lowering.image(node.inputs[0])
    w, w_copies = lowering.dense(lowering.view(node.inputs[1]), FILTERS)
    w = View(w.buffer, w.shape, dense_strides(w.shape, FILTERS), w.offset)  # Also along axes of one element.
    bias, bias_calls = _bias(lowering, w, lowering.view(node.inputs[2]))
    lowering.biases[node] = bias
    epilogue = bind_epilogue(
        lowering, draft_epilogue(lowering, group), outputs, destinations, channels_last(4), channel=1
    )
    calls = [*x_copies, *w_copies, *bias_calls, *epilogue.copies]
    groups: int = node.attrs["groups"]
    scaling = windows.scaling(epilogue.epilogue) if lowering.target.shares_kernels else None
    if is_depthwise(w.shape, groups) and w.shape[0] == groups:
        if scaling is not None and len(epilogue.operands) == 2:
            return [*calls, *windows.depthwise(lowering, node, x, w, epilogue, scaling)]
        return [*calls, *_depthwise(lowering, node, x, w, epilogue)]
    out = epilogue.results[0].shape[2:]
    attrs = {key: node.attrs[key] for key in ("stride", "padding", "dilation", "groups")}
    geometry = Geometry(x.shape, w.shape[0], w.shape[2:], (out[0], out[1]), attrs)  # type: ignore[arg-type]
    macs = int(node.op.macs(node))  # type: ignore[arg-type]
    for number in range(groups):
        channel, filter = number * geometry.window.channels, number * geometry.filters
        image = View(x.buffer, x.shape, x.strides, x.offset + channel)
        filters = w.sliced((filter, 0, 0, 0), (filter + geometry.filters, *w.shape[1:]), (1, 1, 1, 1))
        part = _shifted(epilogue, filter) if groups > 1 else epilogue
        x_zero, share = node.attrs["x_zero"], macs // groups
        if scaling is not None:
            calls += windows.convolve(lowering, image, filters, geometry, part, scaling, x_zero, share)
        else:
            calls += _convolve(lowering, image, filters, geometry, part, x_zero, share)
    return calls


def _bias(lowering: Lowering, w: View, bias: View) -> ViewAndCalls:
    """Return what is added to the sums as the kernels compute them."""
    bias, copies = lowering.dense(bias, row_major(1))
    if not lowering.target.byte_dot:
        return bias, copies
    result = lowering.new(bias.shape, None, I32)
    call = lowering.call(
        OffsetBias(bias.size),
        pointers={"w": w, "bias": bias, "y": result},
        words={"terms": prod(w.shape[1:])},
        blocks=-(-bias.size // lowering.target.lanes),
        reads=[w, bias],
        writes=[result],
    )
    return result, [*copies, call]


def _shifted(epilogue: LoweredEpilogue, channel: int) -> LoweredEpilogue:
    """Return the epilogue of the results from `channel` on."""
    kinds = epilogue.epilogue.operands

    def shifted(view: View, kind: str = "same") -> View:
        return view if kind == "scalar" else View(view.buffer, view.shape, view.strides, view.offset + channel)

    operands = [shifted(view, kind) for view, kind in zip(epilogue.operands, kinds, strict=True)]
    return replace(epilogue, operands=operands, results=[shifted(view) for view in epilogue.results])


def _convolve(
    lowering: Lowering, x: View, w: View, geometry: Geometry, epilogue: LoweredEpilogue, x_zero: int, macs: int
) -> list[KernelCall]:
    """Return the calls for one group of channels, with the weights w (K C kh kw)."""
    costs, window, kh = lowering.costs, geometry.window, geometry.kernel[0]
    height, out_height, out_width = geometry.height, *geometry.out
    keeps_bytes = lowering.target.keeps_bytes
    if geometry.is_in_place:  # Rows of pixels may have any length.
        out_width = geometry.out[1] if keeps_bytes else _row_length(geometry.out, costs.gemm_pixels)
        height = out_height = geometry.out[0] * geometry.out[1] // out_width
    shape = whole_panel_shape(geometry.filters, window.run, kh * window.runs, out_width, lowering.target)
    filter_step, channel_step, row_step, column_step = w.strides
    run_shape = kh, window.runs, window.run, geometry.filters
    runs = View(w.buffer, run_shape, (row_step, column_step, channel_step, filter_step), w.offset)
    u, packing = pack_panels(lowering, runs, shape)
    panels = shape.count(geometry.filters, lowering.target)
    pieces = max(1, -(-costs.min_blocks // x.shape[0]))
    reach = (geometry.out[0] - 1) * geometry.stride[0] + (kh - 1) * geometry.dilation[0] + 1
    is_padded = geometry.is_padded or geometry.top != 0 or reach > geometry.height or shape.factor != I8
    blocks = pieces if w.size <= 4 * costs.direct_max_weights else row_blocks(geometry, pieces, panels, costs)
    rows = 1 if keeps_bytes else -(-out_height // min(blocks, out_height))  # one row needs the least scratch
    row_size = geometry.padded_width * window.pixel * (out_width // geometry.out[1] if geometry.is_in_place else 1)

    def rows_read(rows: int) -> int:
        return (rows - 1) * geometry.stride[0] + (kh - 1) * geometry.dilation[0] + 1

    while is_padded and rows > 1 and rows_read(rows) * row_size > costs.direct_max_padded_elements:
        rows = -(-rows // 2)
    blocks = -(-out_height // rows)
    shares = 1 if keeps_bytes else min(panels, -(-pieces // blocks))
    words = geometry.row_words
    if geometry.is_in_place:
        words |= {"padded_width": out_width, "copied": out_width}
    strided = geometry.groups > 1
    filters = geometry.filters * geometry.groups
    pixels = geometry.out[0] * geometry.out[1]
    scratch = -(-rows_read(rows) * row_size * ELEMENT_BYTES[shape.factor] // WORD_BYTES) + lowering.target.lanes
    call = lowering.call(
        ConvPanels(
            window, geometry.filters, out_width, shape, is_padded, strided, shares, epilogue.epilogue, prefetches=False
        ),
        pointers={"x": x, "u": u},
        words={
            "H": height,
            "W": out_width if geometry.is_in_place else geometry.width,
            "OH": out_height,
            **words,
            "rows": rows,
            "blocks": blocks,
            "out_strides": (pixels * filters, geometry.out[1] * filters, filters) if strided else (),
            "zero": (x_zero,),
        },
        epilogue=epilogue.arguments,
        partition=Partition.PER_SAMPLE,
        blocks=blocks * shares,
        reads=[x, *epilogue.per_sample],
        shared=[u, *epilogue.shared],
        writes=epilogue.results,
        scratch=scratch if is_padded else 0,
        macs=macs,
    )
    return [*packing, call]


def _row_length(size: tuple[int, int], minimum: int) -> int:
    """Return the pixels of a row, whole rows of the image together: at least `minimum`, or all."""
    height, width = size
    return width * next((n for n in range(1, height + 1) if height % n == 0 and n * width >= minimum), height)


def _depthwise(lowering: Lowering, node: Node, x: View, w: View, epilogue: LoweredEpilogue) -> list[KernelCall]:
    _, channels, height, width = x.shape
    out_height, out_width = epilogue.results[0].shape[2:]
    rows, columns = depthwise.axes(node, w.shape[2:])
    target = lowering.target
    pack = 4 if target.byte_dot else 2
    # A tile of one row needs the fewest patterns, which store each weight once.
    tile = 1 if target.keeps_bytes else tile_rows(rows, pack)
    taps = patterns(rows, out_height, tile, pack)
    size, element = columns.taps * len(taps) * channels * pack, I16 if pack == 2 and not target.keeps_bytes else I8
    u = View(Buffer(size, element, "temporary"), (size,), (1,))
    packing = lowering.call(
        PackTaps(channels, columns.taps, taps),
        pointers={"w": w, "u": u},
        blocks=columns.taps,
        reads=[w],
        writes=[u],
    )
    # Bytes of weights are widened once for a tile, which pays off with more columns.
    is_wide = target.registers >= 32 or (target.keeps_bytes and not target.shares_kernels)
    tile_columns = 4 if is_wide else 2
    block = depthwise.channel_block(lowering, channels, columns.taps * len(taps))
    call = lowering.call(
        DepthwiseWhole(channels, height, out_height, rows, columns, block, pack, tile, tile_columns, epilogue.epilogue),
        pointers={"x": x, "u": u},
        words={"W": width, "OW": out_width, "x_zero": node.attrs["x_zero"]},
        epilogue=epilogue.arguments,
        partition=Partition.PER_SAMPLE,
        blocks=-(-out_width // tile_columns),
        reads=[x, *epilogue.per_sample],
        shared=[u, *epilogue.shared],
        writes=epilogue.results,
        macs=int(node.op.macs(node)),  # type: ignore[arg-type]
    )
    return [packing, call]


def lookup(lowering: Lowering, node: Node) -> list[KernelCall]:
    x, table = (lowering.view(tensor) for tensor in node.inputs)
    table, copies = lowering.dense(table, row_major(len(table.shape)))
    channels = table.size // 256
    order = channels_last(len(x.shape)) if channels > 1 else x.order
    if channels > 1 and len(x.shape) != 4:  # The channels must be the innermost axis.
        order = (0, *range(2, len(x.shape)), 1)
    x, x_copies = lowering.dense(x, order)
    result = lowering.result(node.output, order)
    lowering.bind(node.output, result)
    block = max(1, lowering.costs.pointwise_block // channels) * channels
    call = lowering.call(
        Lookup(channels),
        pointers={"x": x, "table": table, "y": result},
        words={"count": x.size, "block": block},
        blocks=-(-x.size // block),
        reads=[x, table],
        writes=[result],
    )
    return [*copies, *x_copies, call]


def avg_pool2d(lowering: Lowering, node: Node) -> list[KernelCall]:
    x, copies = lowering.image(node.inputs[0])
    result = lowering.result(node.output)
    lowering.bind(node.output, result)
    geometry, attrs = PoolGeometry(x.shape, result.shape, node.attrs), node.attrs
    call = lowering.call(
        AvgPoolWhole(*geometry.statics, tuple(attrs[key] for key in ("multiplier", "zero", "low", "high"))),
        pointers={"x": x, "y": result},
        words={**geometry.words, "x_zero": attrs["x_zero"], "bias": attrs["bias"]},
        partition=Partition.PER_SAMPLE,
        blocks=result.shape[2],
        reads=[x],
        writes=[result],
    )
    return [*copies, call]


ANCHORED = {"conv2d_int8": conv2d, "conv2d_int32": conv2d}
RULES = {"lookup_int8": lookup, "avg_pool2d_int8": avg_pool2d}
