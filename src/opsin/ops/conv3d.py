"""Convolution of clips, N × C × T × H × W, and its two gradients.

A convolution of clips is the sum, over the taps of the kernel in time, of convolutions of frames. Each of the three
operations is defined by this sum and the operation of the same name in `conv2d`, and the gradients of each are the
other two. T stands for any third axis: time, or the depth of a volume.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from opsin.base.errors import ShapeError
from opsin.ir import Dim, Node, Tensor, Type, product
from opsin.ir.arguments import called, one_or_more
from opsin.ops import sampling
from opsin.ops.arithmetic import add
from opsin.ops.conv2d import Conv2d, Conv2dWeight, ConvTranspose2d
from opsin.ops.registry import Array, Primitive, Sample, need_float, register, shape_error
from opsin.ops.reshape import reshape
from opsin.ops.sliding import Pair, Sliding

Triple: TypeAlias = "tuple[int, int, int]"
"""Steps in time, rows and columns."""
Margins: TypeAlias = "tuple[Pair, Pair, Pair]"
"""(before, after) in time, by rows and by columns."""

_frames, _frames_transposed, _frames_weight = Conv2d(), ConvTranspose2d(), Conv2dWeight()


@dataclass(frozen=True)
class Moves:
    """How a kernel moves over clips of `size`: one window in time, and one over each frame."""

    size: Triple
    kernel: Triple
    stride: Triple
    padding: Margins
    dilation: Triple

    @property
    def time(self) -> Sliding:
        """The window in time, as that over an image of one row."""
        return Sliding(
            (1, self.size[0]),
            (1, self.kernel[0]),
            (1, self.stride[0]),
            ((0, 0), self.padding[0]),
            (1, self.dilation[0]),
        )

    @property
    def frame(self) -> Sliding:
        """The window over a frame."""
        return Sliding(self.size[1:], self.kernel[1:], self.stride[1:], self.padding[1:], self.dilation[1:])

    @property
    def out(self) -> Triple:
        """The number of positions of the window, by axis."""
        return self.time.out[1], *self.frame.out

    def check(self, name: str) -> Moves:
        """Return the moves themselves. Raise `ShapeError` as `Sliding.check` does."""
        self.time.check(f"{name}, in time")
        self.frame.check(name)
        return self

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of the convolution of frames."""
        return {"stride": self.stride[1:], "padding": self.padding[1:], "dilation": self.dilation[1:]}

    def taps(self, padded: Array) -> Iterator[Array]:
        """Yield, for each tap in time, the frames of `padded` clips under it: N × C × T' × H × W."""
        count, step = self.time.out[1], self.stride[0]
        for tap in range(self.kernel[0]):
            first = tap * self.dilation[0]
            yield padded[:, :, first : first + (count - 1) * step + 1 : step]

    def pad(self, x: Array) -> Array:
        """Return clips with frames of zeros before and after, as far as the window reaches."""
        before, steps = self.padding[0][0], max(self.time.need[1], self.padding[0][0] + self.size[0])
        y = np.zeros((*x.shape[:2], steps, *x.shape[3:]), x.dtype)
        y[:, :, before : before + self.size[0]] = x
        return y


class Conv3d(Primitive):
    """x N × C × T × H × W, w K × C/groups × kt × kh × kw → N × K × T' × H' × W'."""

    name = "conv3d"

    def infer(self, x: Type, w: Type, *, stride: Triple, padding: Margins, dilation: Triple, groups: int) -> Type:
        batch, channels, size = clip(self.name, x)
        filters, depth, kernel = _weight(self.name, w, groups)
        _need_channels(self.name, channels, depth * groups, w)
        return Type((batch, filters, *Moves(size, kernel, stride, padding, dilation).check(self.name).out))

    def evaluate(self, x: Array, w: Array, *, groups: int, **move: Any) -> Array:
        moves = Moves(x.shape[2:], w.shape[2:], **move)
        taps = zip(moves.taps(moves.pad(x)), w.swapaxes(0, 2), strict=True)
        parts = [_frames.evaluate(frames(part), tap.swapaxes(0, 1), groups=groups, **moves.attrs) for part, tap in taps]
        return clips(np.sum(parts, 0), len(x))

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        x, w = node.inputs
        by_x = _conv_transpose3d(g, w, **node.attrs, size=x.shape[2:]).output
        return by_x, _conv3d_weight(x, g, **node.attrs, kernel=w.shape[2:]).output

    def macs(self, node: Node) -> Dim:
        return product(node.output.shape) * product(node.inputs[1].shape[1:])

    def sample(self, rng: np.random.Generator) -> Sample:
        _, x, w, attrs = _sample(rng)
        return Sample((sampling.normal(rng, x), sampling.normal(rng, w)), attrs, (0, 1))


class ConvTranspose3d(Primitive):
    """y N × K × T' × H' × W', w K × C/groups × kt × kh × kw → N × C × `size`: `conv3d`'s gradient for x."""

    name = "conv_transpose3d"

    def infer(
        self, y: Type, w: Type, *, stride: Triple, padding: Margins, dilation: Triple, groups: int, size: Triple
    ) -> Type:
        batch, channels, out = clip(self.name, y)
        filters, depth, kernel = _weight(self.name, w, groups)
        _need_channels(self.name, channels, filters, w)
        _need_size(self.name, Moves(size, kernel, stride, padding, dilation), out)
        return Type((batch, depth * groups, *size))

    def evaluate(self, y: Array, w: Array, *, groups: int, size: Triple, **move: Any) -> Array:
        moves = Moves(size, w.shape[2:], **move)
        padded = moves.pad(np.zeros((len(y), w.shape[1] * groups, *size), y.dtype))
        for place, tap in zip(moves.taps(padded), w.swapaxes(0, 2), strict=True):
            share = _frames_transposed.evaluate(
                frames(y), tap.swapaxes(0, 1), groups=groups, size=size[1:], **moves.attrs
            )
            place += clips(share, len(y))
        before = moves.padding[0][0]
        return padded[:, :, before : before + size[0]]

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        y, w = node.inputs
        move = {key: value for key, value in node.attrs.items() if key != "size"}
        return _conv3d(g, w, **move).output, _conv3d_weight(g, y, **move, kernel=w.shape[2:]).output

    def macs(self, node: Node) -> Dim:
        y, w = node.inputs
        return product(y.shape) * product(w.shape[1:])

    def sample(self, rng: np.random.Generator) -> Sample:
        moves, x, w, attrs = _sample(rng)
        y = sampling.normal(rng, (x[0], w[0], *moves.out))
        return Sample((y, sampling.normal(rng, w)), attrs | {"size": moves.size}, (0, 1))


class Conv3dWeight(Primitive):
    """x N × C × T × H × W, g N × K × T' × H' × W' → K × C/groups × `kernel`: the gradient for w."""

    name = "conv3d_weight"

    def infer(
        self, x: Type, g: Type, *, stride: Triple, padding: Margins, dilation: Triple, groups: int, kernel: Triple
    ) -> Type:
        _, channels, size = clip(self.name, x)
        _, filters, out = clip(self.name, g)
        if x.shape[0] != g.shape[0] or groups < 1 or channels % groups or filters % groups:
            raise ShapeError(f"{self.name}: {x} and the gradient {g} do not belong together in {groups} groups")
        _need_size(self.name, Moves(size, kernel, stride, padding, dilation), out)
        return Type((filters, channels // groups, *kernel))

    def evaluate(self, x: Array, g: Array, *, groups: int, kernel: Triple, **move: Any) -> Array:
        moves = Moves(x.shape[2:], kernel, **move)
        taps = [
            _frames_weight.evaluate(frames(part), frames(g), groups=groups, kernel=kernel[1:], **moves.attrs)
            for part in moves.taps(moves.pad(x))
        ]
        return np.stack(taps, 2)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        x, y = node.inputs
        move = {key: value for key, value in node.attrs.items() if key != "kernel"}
        return _conv_transpose3d(y, g, **move, size=x.shape[2:]).output, _conv3d(x, g, **move).output

    def macs(self, node: Node) -> Dim:
        return product(node.inputs[1].shape) * product(node.output.shape[1:])

    def sample(self, rng: np.random.Generator) -> Sample:
        moves, x, w, attrs = _sample(rng)
        g = sampling.normal(rng, (x[0], w[0], *moves.out))
        return Sample((sampling.normal(rng, x), g), attrs | {"kernel": moves.kernel}, (0, 1))


_conv3d = register(Conv3d())
_conv_transpose3d = register(ConvTranspose3d())
_conv3d_weight = register(Conv3dWeight())


def conv3d(
    x: Tensor,
    w: Tensor,
    b: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve x N × C × T × H × W with w K × C/groups × kt × kh × kw and bias b K: N × K × T' × H' × W'.

    Sizes are one number for all axes, or (time, rows, columns). Ji, Xu, Yang & Yu, "3D convolutional neural networks
    for human action recognition", 2013.
    """
    name = _conv3d.name
    gaps: tuple[int, ...] = to_triple(f"{name}: dilation", dilation)
    if len(w.shape) == 5:
        gaps = tuple(1 if taps == 1 else gap for taps, gap in zip(w.shape[2:], gaps, strict=True))
    margins = tuple((n, n) for n in to_triple(f"{name}: padding", padding))
    y = _conv3d(
        x, w, stride=to_triple(f"{name}: stride", stride), padding=margins, dilation=gaps, groups=groups
    ).output  # fmt: skip
    return y if b is None else add(y, reshape(b, (*b.shape, 1, 1, 1)))


def clip(name: str, x: Type) -> tuple[Dim, int, Triple]:
    """Return batch, channels and size of x N × C × T × H × W. Raise `ShapeError` if it is of another form."""
    need_float(name, x)
    sizes = [size for size in x.shape[1:] if isinstance(size, int)]
    if len(x.shape) != 5 or len(sizes) != 4:
        raise ShapeError(f"{name}: expected clips N × channels × time × rows × columns, got {x}")
    channels, time, rows, columns = sizes
    return x.shape[0], channels, (time, rows, columns)


def frames(x: Array) -> Array:
    """Return clips N × C × T × H × W as images N·T × C × H × W."""
    return x.swapaxes(1, 2).reshape(-1, x.shape[1], *x.shape[3:])


def clips(images: Array, count: int) -> Array:
    """Return images N·T × C × H × W as `count` clips N × C × T × H × W."""
    return images.reshape(count, -1, *images.shape[1:]).swapaxes(1, 2)


def to_triple(what: str, value: int | Sequence[int]) -> Triple:
    """Return three sizes from one number for all axes, or one for each."""
    sizes = one_or_more(what, value)
    if isinstance(sizes, int):
        return sizes, sizes, sizes
    if len(sizes) != 3 or not all(isinstance(size, int) for size in sizes):
        raise shape_error(f"{what}: expected a number or (time, rows, columns), got {called(value)}")
    return sizes[0], sizes[1], sizes[2]


def _weight(name: str, w: Type, groups: int) -> tuple[int, int, Triple]:
    """Return filters, channels of a group, and kernel size of the weight `w`."""
    need_float(name, w)
    sizes = [size for size in w.shape if isinstance(size, int)]
    if len(w.shape) != 5 or len(sizes) != 5:
        raise ShapeError(f"{name}: expected a weight filters × channels/groups × time × rows × columns, got {w}")
    filters, depth, *kernel = sizes
    if groups < 1 or filters % groups:
        raise ShapeError(f"{name}: {filters} filters do not divide into {groups} groups")
    return filters, depth, (kernel[0], kernel[1], kernel[2])


def _need_channels(name: str, given: int, expected: int, w: Type) -> None:
    if given != expected:
        raise ShapeError(
            f"{name}: {given} input channels, but the weight {w} expects {expected}; "
            "feed as many channels as the weight has"
        )


def _need_size(name: str, moves: Moves, out: Triple) -> None:
    """Raise `ShapeError` unless the window of `moves` has exactly `out` positions."""
    if moves.check(name).out != out:
        raise ShapeError(f"{name}: the kernel {moves.kernel} has {moves.out} positions, but {out} were given")


def _sample(rng: np.random.Generator) -> tuple[Moves, tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Return a window, the shapes of x and w, and the attributes that the three operations share."""
    kernel, stride, dilation = (
        tuple(sampling.between(rng, 1, high) for _ in range(3)) for high in (3, 2, 2)
    )  # fmt: skip
    if sampling.flip(rng, 0.3):
        kernel = (kernel[0], 1, 1) if sampling.flip(rng) else (1, *kernel[1:])
    padding = tuple((sampling.between(rng, 0, 2), sampling.between(rng, 0, 2)) for _ in range(3))
    extents = [(taps - 1) * gap + 1 for taps, gap in zip(kernel, dilation, strict=True)]
    size = tuple(
        max(1, extent - sum(margin)) + sampling.between(rng, 0, 4)
        for extent, margin in zip(extents, padding, strict=True)
    )
    groups = sampling.between(rng, 2, 3) if sampling.flip(rng, 0.2) else 1
    channels, filters = (groups * sampling.pick(rng, (1, 2, 3, 5, 8, 12)) for _ in range(2))
    attrs: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    moves = Moves(size, kernel, **attrs)  # type: ignore[arg-type]
    x = (sampling.between(rng, 1, 2), channels, *size)
    return moves, x, (filters, channels // groups, *kernel), attrs | {"groups": groups}
