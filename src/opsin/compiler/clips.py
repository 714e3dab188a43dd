"""Clips and sequences as images: what kernels compute.

Kernels know images N × C × H × W. A clip N × C × T × H × W is a batch of frames N·T × C × H × W, or an image of T rows
and H·W columns; a sequence N × C × T is an image of one row. In memory, where channels are last, all are the same.

- A convolution that looks at one place of a frame at a time, k × 1 × 1, is one of images of T rows.
- Any other is a convolution of frames that have the channels of all frames under the kernel. These are copied next to
  each other, which costs little next to the products: sums of separate convolutions would be read and written once for
  each, and have no use for Winograd's algorithm on all products at once. The input gradient joins frames of the
  output's gradient in the same way, so nothing is added up in memory.
- Pointwise operations and sums by channel move to images, where they fuse with the convolution before or after them.

The copies are made separately for the forward and the backward pass, so none is kept in between.
"""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias, cast

from opsin import ops
from opsin.compiler.fusion import POINTWISE
from opsin.compiler.simplify import simplify
from opsin.ir import Graph, Node, Tensor, apply, scope
from opsin.ops import OPS
from opsin.ops.pool3d import TIME_FIRST

Sizes: TypeAlias = "tuple[int, ...]"

CONVOLUTIONS = frozenset(("conv3d", "conv_transpose3d", "conv3d_weight"))
FRAMES, COLUMNS, ROW = "frames", "columns", "row"
"""The forms of images: a frame each, T rows of H·W columns, and one row."""
VIEWS = frozenset(("reshape", "transpose"))


def simplify_on_images(graph: Graph, batch: int) -> Graph:
    """Return `graph`, bound to `batch`, with images instead of clips and sequences, simplified (see `simplify`)."""
    if not has_clips(graph):
        return simplify(graph, batch)
    return separate_joins(simplify(on_images(graph.bind(batch)), batch))


def has_clips(graph: Graph) -> bool:
    """Whether a graph convolves clips, or sequences as images of one row."""
    return any(
        node.op.name in CONVOLUTIONS or (node.output.rank in (3, 5) and _source(node.output) is not None)
        for node in graph.nodes
        if len(node.outputs) == 1
    )


def on_images(graph: Graph) -> Graph:
    """Return a bound `graph` that computes with images instead of clips and sequences."""

    def change(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        with scope(node.scope):
            result = _changed(node, inputs)
        return node.on(inputs) if result is None else (result,)

    return graph.rewrite(change)


def separate_joins(graph: Graph) -> Graph:
    """Give every weight gradient a separate copy of the joined frames that it reads. The nodes of `graph` change."""
    for node in graph.nodes:
        if node.op.name == "conv2d_weight" and _is_join(node.inputs[0]):
            node.inputs = (_copied(node.inputs[0]), node.inputs[1])
    return Graph(graph.inputs, graph.outputs, graph.updates)


def _is_join(x: Tensor) -> bool:
    """Whether `x` are frames with the channels of several frames of one clip."""
    while x.node.op.name in VIEWS:
        x = x.node.inputs[0]
    if x.node.op.name != "concat":
        return False
    return (
        all(part.node.op.name == "slice" for part in x.node.inputs) and len({p.node.inputs for p in x.node.inputs}) == 1
    )


def _copied(x: Tensor) -> Tensor:
    if x.node.op.name not in (*VIEWS, "concat", "slice", "pad"):
        return x
    copies = {operand: _copied(operand) for operand in dict.fromkeys(x.node.inputs)}
    return x.node.on(tuple([copies[operand] for operand in x.node.inputs])).output


def _changed(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """Return the new result of `node`, or None if it stays."""
    name = node.op.name
    if name in CONVOLUTIONS:
        return _convolution(node, *inputs)
    if name == "reshape":
        return _reshape(inputs[0], node.attrs["shape"])
    if name == "transpose":
        return _transpose(inputs[0], node.attrs["axes"])
    if name in POINTWISE and node.output.rank in (3, 5):
        return _pointwise(node, inputs)
    if name == "sum" and node.attrs["axes"] == (0, *range(2, inputs[0].rank)):
        source = _source(inputs[0])
        total = None if source is None else ops.sum(source[0], (0, 2, 3), keepdims=True)
        return None if total is None else ops.reshape(total, node.output.shape)
    return None


# -- views ----------------------------------------------------------------------------------------


def _reshape(x: Tensor, shape: Any) -> Tensor:
    return ops.reshape(x.node.inputs[0] if x.node.op.name == "reshape" else x, shape)


def _transpose(x: Tensor, axes: Sizes) -> Tensor:
    if x.node.op.name == "transpose":
        inner = x.node.attrs["axes"]
        x, axes = x.node.inputs[0], tuple(inner[axis] for axis in axes)
    return x if axes == tuple(range(x.rank)) else ops.transpose(x, axes)


def _source(x: Tensor) -> tuple[Tensor, str] | None:
    """Return the images that `x` is a view of, and their form."""
    node = x.node
    if node.op.name == "reshape" and node.inputs[0].rank == 4:
        image = node.inputs[0]
        if x.rank == 3 and image.shape == (*x.shape[:2], 1, x.shape[2]):
            return image, ROW
        if x.rank == 5 and image.shape == _image_shape(x.shape, COLUMNS):
            return image, COLUMNS
    if node.op.name == "transpose" and x.rank == 5 and node.attrs["axes"] == TIME_FIRST:
        split = node.inputs[0].node
        if split.op.name == "reshape" and split.inputs[0].shape == _image_shape(x.shape, FRAMES):
            return split.inputs[0], FRAMES
    return None


def _image_shape(shape: Any, form: str) -> Any:
    """Return the shape of clips or sequences of `shape` as images."""
    if form == ROW:
        return (*shape[:2], 1, shape[2])
    n, c, t, h, w = shape
    return (n * t, c, h, w) if form == FRAMES else (n, c, t, h * w)


def _image(x: Tensor, form: str) -> Tensor:
    """Return clips or sequences as images."""
    shape = _image_shape(x.shape, form)
    if x.node.op.name == "broadcast_to":
        by_channel = _by_channel(x.node.inputs[0], x.rank)
        if by_channel is not None:
            return ops.broadcast_to(by_channel, shape)
    return _reshape(_transpose(x, TIME_FIRST) if form == FRAMES else x, shape)


def _clip(image: Tensor, form: str, shape: Any) -> Tensor:
    """Return images as clips, or sequences, of `shape`."""
    if form != FRAMES:
        return _reshape(image, shape)
    n, c, t, h, w = shape
    return _transpose(_reshape(image, (n, t, c, h, w)), TIME_FIRST)


# -- pointwise operations -------------------------------------------------------------------------


def _pointwise(node: Node, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """Return the result by way of images if an operand is a view of some; the others become such."""
    shape = node.output.shape
    sources = [source for t in inputs if t.shape == shape and (source := _source(t)) is not None]
    if not sources:
        return None
    form, operands = sources[0][1], list[Tensor]()
    for t in inputs:
        operand = _image(t, form) if t.shape == shape else _by_channel(t, len(shape))
        if operand is None:
            return None
        operands.append(operand)
    return _clip(apply(node.op, operands, node.attrs, node.scope).output, form, shape)


def _by_channel(x: Tensor, rank: int) -> Tensor | None:
    """Return a scalar, or numbers by channel for an array of `rank` axes, as those for images; None for others."""
    sizes = (*[1] * (rank - x.rank), *x.shape)
    if any(size != 1 for axis, size in enumerate(sizes) if axis != 1):
        return None
    return x if x.shape == () else ops.reshape(x, () if prod(sizes) == 1 else (sizes[1], 1, 1))


# -- convolutions ---------------------------------------------------------------------------------


def _convolution(node: Node, x: Tensor, w: Tensor) -> Tensor:
    """Return one of the three convolutions of clips by way of that of images."""
    attrs, name = node.attrs, node.op.name
    kernel: Any = attrs["kernel"] if name == "conv3d_weight" else w.shape[2:]
    time = {key: attrs[key][0] for key in ("stride", "padding", "dilation")}
    frame = {key: attrs[key][1:] for key in ("stride", "padding", "dilation")}
    if kernel[1:] == frame["stride"] == (1, 1) and frame["padding"] == ((0, 0), (0, 0)):
        return _over_time(node, x, w, kernel[0], time)
    op, frame = OPS[name.replace("3d", "2d")], frame | {"groups": attrs["groups"]}
    if name == "conv3d":
        joined = _joined(x, kernel[0], node.output.shape[2], attrs["groups"], **time)
        y = apply(op, (joined, _joined_weight(w)), frame).output
    elif name == "conv_transpose3d":
        joined = _joined_gradient(x, kernel[0], node.output.shape[2], attrs["groups"], **time)
        y = apply(op, (joined, _filters_by_tap(w, attrs["groups"])), frame | {"size": attrs["size"][1:]}).output
    else:
        joined = _joined(x, kernel[0], w.shape[2], attrs["groups"], **time)
        filters, depth, taps, rows, columns = node.output.shape
        y = apply(op, (joined, _image(w, FRAMES)), frame | {"kernel": kernel[1:]}).output
        return ops.transpose(ops.reshape(y, (filters, taps, depth, rows, columns)), TIME_FIRST)
    return _clip(y, FRAMES, node.output.shape)


def _over_time(node: Node, x: Tensor, w: Tensor, taps: int, time: dict[str, Any]) -> Tensor:
    """Return a convolution that looks at one place of a frame at a time: that of images of T rows."""
    attrs: dict[str, Any] = {
        "stride": (time["stride"], 1), "padding": (time["padding"], (0, 0)), "dilation": (time["dilation"], 1),
        "groups": node.attrs["groups"],
    }  # fmt: skip
    op, shape = OPS[node.op.name.replace("3d", "2d")], node.output.shape
    if node.op.name == "conv3d_weight":
        result = apply(op, (_image(x, COLUMNS), _image(w, COLUMNS)), attrs | {"kernel": (taps, 1)}).output
        return ops.reshape(result, shape)
    if node.op.name == "conv_transpose3d":
        attrs |= {"size": (shape[2], prod(shape[3:]))}
    weight = ops.reshape(w, (*w.shape[:2], taps, 1))
    return _clip(apply(op, (_image(x, COLUMNS), weight), attrs).output, COLUMNS, shape)


def _joined(
    x: Tensor, taps: int, count: Any, groups: int, stride: int, padding: tuple[int, int], dilation: int
) -> Tensor:
    """Return `count` frames for each clip with the channels of all frames under a kernel, tap by tap in each group."""
    if (taps, stride, padding) == (1, 1, (0, 0)):
        return _image(x, FRAMES)
    starts = [tap * dilation for tap in range(taps)]
    return _taken(x, starts, count, stride, groups, before=padding[0], gap=0)


def _joined_gradient(
    g: Tensor, taps: int, count: Any, groups: int, stride: int, padding: tuple[int, int], dilation: int
) -> Tensor:
    """Return frames with the channels of all frames of the output's gradient that each input frame contributed to."""
    if (taps, stride, padding) == (1, 1, (0, 0)):
        return _image(g, FRAMES)
    starts = [(taps - 1 - tap) * dilation for tap in range(taps)]
    return _taken(g, starts, count, 1, groups, before=(taps - 1) * dilation - padding[0], gap=stride - 1)


def _taken(x: Tensor, starts: list[int], count: int, stride: int, groups: int, before: int, gap: int) -> Tensor:
    """Return `count` frames, which join those from each of `starts` on, `stride` apart.

    The clips have `before` frames of zeros before them (or fewer frames, if it is negative), `gap` between neighbours,
    and as many after them as are needed.
    """
    n, channels, steps, rows, columns = cast("Sizes", x.shape)  # of a bound graph
    low, skip = max(before, 0), max(-before, 0)
    length = (steps - 1) * (gap + 1) + 1 + low
    after = max(0, max(starts) + skip + (count - 1) * stride + 1 - length)
    image = _image(x, COLUMNS)
    if low or gap or after:
        image = ops.pad(image, (0, 0, low, 0), (0, 0, after, 0), (0, 0, gap, 0))
    depth = channels // groups
    parts = [
        ops.slice(
            image,
            (0, group * depth, skip + start, 0),
            (n, (group + 1) * depth, skip + start + (count - 1) * stride + 1, rows * columns),
            (1, 1, stride, 1),
        )
        for group in range(groups)
        for start in starts
    ]
    joined = ops.concat(parts, 1) if len(parts) > 1 else parts[0]
    return _image(ops.reshape(joined, (n, channels * len(starts), count, rows, columns)), FRAMES)


def _joined_weight(w: Tensor) -> Tensor:
    """Return weights K × C/groups × kt × kh × kw for joined frames: K × kt·C/groups × kh × kw."""
    filters, depth, taps, rows, columns = w.shape
    return _reshape(_transpose(w, TIME_FIRST), (filters, taps * depth, rows, columns))


def _filters_by_tap(w: Tensor, groups: int) -> Tensor:
    """Return weights K × C/groups × kt × kh × kw for joined gradients: kt·K × C/groups × kh × kw, tap by tap."""
    filters, depth, taps, rows, columns = w.shape
    parts = ops.reshape(w, (groups, filters // groups, depth, taps, rows, columns))
    return ops.reshape(ops.transpose(parts, (0, 3, 1, 2, 4, 5)), (taps * filters, depth, rows, columns))
