"""Convolution of images, and its two gradients, which are operations of the same family.

Let `columns(x)` be the matrix whose rows are the taps and whose columns are the positions of the window (im2col,
Chellapilla, Puri & Simard 2006). Then, for each group,

    conv2d            y  = w · columns(x)
    conv2d_weight     w' = g · columns(x)ᵀ
    conv_transpose2d  x' = columnsᵀ(wᵀ · y)

so each is bilinear, and the gradients of each are the other two. As in other deep learning libraries, the kernel is not
flipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Tensor, Type, product, same_size
from opsin.ops import sampling
from opsin.ops.arithmetic import add
from opsin.ops.registry import Array, Primitive, Sample, need_float, register, shape_error
from opsin.ops.reshape import reshape
from opsin.ops.slice_pad import pad
from opsin.ops.sliding import Padding, Pair, Sliding, image, random_sliding, times, to_padding, to_pair


class Conv2d(Primitive):
    """x N × C × H × W, w K × C/groups × kh × kw → N × K × OH × OW."""

    name = "conv2d"

    def infer(self, x: Type, w: Type, *, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Type:
        batch, channels, size = image(self.name, x)
        filters, depth, kernel = _weight(self.name, w, groups)
        _need_channels(self.name, channels, depth * groups, w, groups)
        slide = Sliding(size, kernel, stride, padding, dilation).check(self.name)
        return Type((batch, filters, *slide.out))

    def evaluate(self, x: Array, w: Array, *, groups: int, **move: Any) -> Array:
        slide = Sliding(_hw(x), _hw(w), **move)
        y = _by_group(w, groups) @ _columns(x, slide, groups)
        return y.reshape(len(w), len(x), *slide.out).swapaxes(0, 1)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        x, w = node.inputs
        by_x = _conv_transpose2d(g, w, **node.attrs, size=x.shape[2:]).output
        by_w = _conv2d_weight(x, g, **node.attrs, kernel=w.shape[2:]).output
        return by_x, by_w

    def macs(self, node: Node) -> Dim:
        return product(node.output.shape) * product(node.inputs[1].shape[1:])

    def window(self, node: Node) -> tuple[Pair, Pair]:
        (_, _, size), move = image(self.name, node.inputs[0].type), node.attrs
        kernel = _hw(node.inputs[1])
        return Sliding(size, kernel, move["stride"], move["padding"], move["dilation"]).window

    def sample(self, rng: np.random.Generator) -> Sample:
        _, x, w, attrs = _sample(rng)
        return Sample((sampling.normal(rng, x), sampling.normal(rng, w)), attrs, (0, 1))


class ConvTranspose2d(Primitive):
    """y N × K × OH × OW, w K × C/groups × kh × kw → N × C × `size`: the gradient of `conv2d` for its input."""

    name = "conv_transpose2d"

    def infer(
        self, y: Type, w: Type, *, stride: Pair, padding: Padding, dilation: Pair, groups: int, size: Pair
    ) -> Type:
        batch, channels, out = image(self.name, y)
        filters, depth, kernel = _weight(self.name, w, groups)
        _need_channels(self.name, channels, filters, w, groups)
        _need_size(self.name, Sliding(size, kernel, stride, padding, dilation), out)
        return Type((batch, depth * groups, *size))

    def evaluate(self, y: Array, w: Array, *, groups: int, size: Pair, **move: Any) -> Array:
        slide = Sliding(size, _hw(w), **move)
        columns = _by_group(w, groups).swapaxes(1, 2) @ _rows(y, groups)
        return _images(columns, len(y), slide)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        y, w = node.inputs
        move = {key: value for key, value in node.attrs.items() if key != "size"}
        return _conv2d(g, w, **move).output, _conv2d_weight(g, y, **move, kernel=w.shape[2:]).output

    def macs(self, node: Node) -> Dim:
        y, w = node.inputs
        return product(y.shape) * product(w.shape[1:])

    def sample(self, rng: np.random.Generator) -> Sample:
        slide, x, w, attrs = _sample(rng)
        y = sampling.normal(rng, (x[0], w[0], *slide.out))
        return Sample((y, sampling.normal(rng, w)), attrs | {"size": slide.size}, (0, 1))


class Conv2dWeight(Primitive):
    """x N × C × H × W, g N × K × OH × OW → K × C/groups × `kernel`: the gradient of `conv2d` for its weight."""

    name = "conv2d_weight"

    def infer(
        self, x: Type, g: Type, *, stride: Pair, padding: Padding, dilation: Pair, groups: int, kernel: Pair
    ) -> Type:
        batch, channels, size = image(self.name, x)
        count, filters, out = image(self.name, g)
        if not same_size(batch, count) or groups < 1 or channels % groups or filters % groups:
            raise ShapeError(f"{self.name}: {x} and the gradient {g} do not belong together in {groups} groups")
        _need_size(self.name, Sliding(size, kernel, stride, padding, dilation), out)
        return Type((filters, channels // groups, *kernel))

    def evaluate(self, x: Array, g: Array, *, groups: int, kernel: Pair, **move: Any) -> Array:
        slide = Sliding(_hw(x), kernel, **move)
        w = _rows(g, groups) @ _columns(x, slide, groups).swapaxes(1, 2)
        return np.asarray(w.reshape(g.shape[1], x.shape[1] // groups, *kernel))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        x, y = node.inputs
        move = {key: value for key, value in node.attrs.items() if key != "kernel"}
        return _conv_transpose2d(y, g, **move, size=x.shape[2:]).output, _conv2d(x, g, **move).output

    def macs(self, node: Node) -> Dim:
        return product(node.inputs[1].shape) * product(node.output.shape[1:])

    def sample(self, rng: np.random.Generator) -> Sample:
        slide, x, w, attrs = _sample(rng)
        g = sampling.normal(rng, (x[0], w[0], *slide.out))
        return Sample((sampling.normal(rng, x), g), attrs | {"kernel": slide.kernel}, (0, 1))


_conv2d = register(Conv2d())
_conv_transpose2d = register(ConvTranspose2d())
_conv2d_weight = register(Conv2dWeight())


def conv2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | Padding = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve x N × C × H × W with w K × C/groups × kh × kw and bias b K (LeCun et al. 1989): N × K × OH × OW."""
    name = _conv2d.name
    y = _conv2d(
        x,
        w,
        stride=to_pair(name, stride),
        padding=to_padding(name, padding),
        dilation=to_pair(name, dilation),
        groups=groups,
    ).output
    return y if b is None else add(y, reshape(b, (*b.shape, 1, 1)))


def conv_transpose2d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | Pair = 1,
    padding: int | Pair | Padding = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the transposed convolution of x N × C × H × W with w C × K/groups × kh × kw and bias b K.

    The result is N × K × H' × W' with H' = (H - 1) · stride - padding above and below + dilation · (kh - 1) +
    output_padding + 1, and likewise W'. `output_padding` is smaller than the stride or the dilation. Zeiler et al.,
    "Deconvolutional networks", 2010.
    """
    name = _conv_transpose2d.name
    steps, pads, gaps = to_pair(name, stride), to_padding(name, padding), to_pair(name, dilation)
    extra = to_pair(name, output_padding)
    if any(not 0 <= more < max(step, gap) for more, step, gap in zip(extra, steps, gaps, strict=True)):
        raise shape_error(
            f"{name}: output_padding {times(extra)} must be smaller than the stride {times(steps)}"
            + ("" if gaps == (1, 1) else f" or the dilation {times(gaps)}")
        )
    if w.rank != 4:
        raise shape_error(f"{name}: expected a weight of four axes, got {w.type}")
    (_, _, out), extent = image(name, x.type), Sliding((1, 1), _hw(w), steps, pads, gaps).extent
    size = [(out[axis] - 1) * steps[axis] - sum(pads[axis]) + extent[axis] + extra[axis] for axis in range(2)]
    # A convolution over this size has as many positions as x only up to one more step. Beyond that come the numbers
    # that the padding at the end would have cut off, and then zeros.
    excess = [max(0, more - step + 1) for more, step in zip(extra, steps, strict=True)]
    trimmed = [min(pad[1], more) for pad, more in zip(pads, excess, strict=True)]
    top, left = ((low, high - more) for (low, high), more in zip(pads, trimmed, strict=True))
    empty = [more - part for more, part in zip(excess, trimmed, strict=True)]
    rows, columns = (whole - more for whole, more in zip(size, empty, strict=True))
    y = _conv_transpose2d(
        x, w, stride=steps, padding=(top, left), dilation=gaps, groups=groups, size=(rows, columns)
    ).output
    if any(empty):
        y = pad(y, (0, 0, 0, 0), (0, 0, *empty))
    return y if b is None else add(y, reshape(b, (*b.shape, 1, 1)))


def _hw(x: Any) -> Pair:
    rows, columns = x.shape[2:]
    return rows, columns


def _weight(name: str, w: Type, groups: int) -> tuple[int, int, Pair]:
    """Return filters, channels of a group, and kernel size of the weight `w`."""
    need_float(name, w)
    sizes = [size for size in w.shape if isinstance(size, int)]
    if len(w.shape) != 4 or len(sizes) != 4:
        raise ShapeError(f"{name}: expected a weight filters × channels/groups × rows × columns, got {w}")
    filters, depth, rows, columns = sizes
    if groups < 1 or filters % groups:
        raise ShapeError(f"{name}: {filters} filters do not divide into {groups} groups")
    return filters, depth, (rows, columns)


def _need_channels(name: str, given: int, expected: int, w: Type, groups: int) -> None:
    if given != expected:
        group_text = "" if groups == 1 else f" in {groups} groups"
        raise ShapeError(
            f"{name}: {given} input channels, but the weight {w}{group_text} expects {expected}; "
            "feed as many channels as the weight has"
        )


def _need_size(name: str, slide: Sliding, out: Pair) -> None:
    """Raise `ShapeError` unless the window of `slide` has exactly `out` positions."""
    if slide.check(name).out != out:
        raise ShapeError(
            f"{name}: over {times(slide.size)} the kernel {times(slide.kernel)} has {times(slide.out)} positions, "
            f"but {times(out)} were given"
        )


def _columns(x: Array, slide: Sliding, groups: int) -> Array:
    """Return the numbers under each tap: x N × C × H × W → groups × (C/groups · taps) × (N · positions)."""
    batch, channels = x.shape[:2]
    padded = slide.pad(x.swapaxes(0, 1))
    taps = np.stack(list(slide.taps(padded)), axis=1)
    return taps.reshape(groups, channels // groups * taps.shape[1], batch * taps.shape[3] * taps.shape[4])


def _images(columns: Array, batch: int, slide: Sliding) -> Array:
    """Apply the adjoint of `_columns`: add the numbers of every tap where it read them."""
    (kh, kw), (oh, ow) = slide.kernel, slide.out
    taps = columns.reshape(-1, kh * kw, batch, oh, ow)
    padded = slide.pad(np.zeros((len(taps), batch, *slide.size), taps.dtype))
    for place, share in zip(slide.taps(padded), taps.swapaxes(0, 1), strict=True):
        place += share
    return slide.crop(padded).swapaxes(0, 1)


def _rows(y: Array, groups: int) -> Array:
    """Return y N × K × OH × OW → groups × K/groups × (N · positions)."""
    return y.swapaxes(0, 1).reshape(groups, y.shape[1] // groups, -1)


def _by_group(w: Array, groups: int) -> Array:
    """Return w K × C/groups × kh × kw → groups × K/groups × (C/groups · taps)."""
    return w.reshape(groups, len(w) // groups, -1)


def _sample(rng: np.random.Generator) -> tuple[Sliding, tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Return a window, the shapes of x and w, and the attributes that the three operations share."""
    slide = random_sliding(rng, pool=False)
    channels, filters = (sampling.pick(rng, sampling.CHANNELS) for _ in range(2))
    groups = 1
    if sampling.flip(rng, 0.4):
        groups = channels if sampling.flip(rng) else sampling.between(rng, 2, 3)
        channels = groups * max(1, channels // groups)
        filters = groups * max(1, filters // groups)
    x = (sampling.between(rng, 1, 3), channels, *slide.size)
    w = (filters, channels // groups, *slide.kernel)
    move = {"stride": slide.stride, "padding": slide.padding, "dilation": slide.dilation, "groups": groups}
    return slide, x, w, move
