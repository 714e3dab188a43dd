"""Pooling, row by row of results, and its gradient and resampling, image by image."""

from __future__ import annotations

from typing import Any

from opsin.compiler.lower.context import Lowering
from opsin.ir import Node
from opsin.kernels.pool import AvgPool, AvgPoolGradient, MaxPool, MaxPoolGradient
from opsin.kernels.resample import Resample, nonzero_runs
from opsin.ops.resample import axis_weights


class Slide:
    """The sizes of a pooling, and what they allow its kernel to assume."""

    def __init__(self, large: tuple[int, ...], small: tuple[int, ...], attrs: dict[str, Any]) -> None:
        self.window, self.stride = attrs["window"], attrs["stride"]
        (top, bottom), (left, right) = attrs["padding"]
        _, self.channels, *size = large
        _, _, *out = small
        reach = [(n - 1) * s + k for n, s, k in zip(out, self.stride, self.window, strict=True)]
        inside = (top, bottom, left, right) == (0, 0, 0, 0) and all(r <= n for r, n in zip(reach, size, strict=True))
        self.clamp = not inside
        self.tiles = inside and self.window == self.stride and reach == list(size)
        self.words = [*size, *out, top, left]
        self.after = [bottom, right]

    @property
    def statics(self) -> tuple[int, tuple[int, int], tuple[int, int], bool]:
        return self.channels, self.window, self.stride, self.clamp


def max_pool2d(lower: Lowering, node: Node) -> None:
    x = lower.image(node.inputs[0])
    y = lower.new(node.output.shape)  # type: ignore[arg-type]
    slide = Slide(x.shape, y.shape, node.attrs)
    lower.per_image(MaxPool(*slide.statics), [x, y, *slide.words], [x], [y], blocks=y.shape[2])
    lower.bind(node.output, y)


def max_pool2d_grad(lower: Lowering, node: Node) -> None:
    x, g = (lower.image(t) for t in node.inputs)
    dx = lower.new(x.shape)
    slide = Slide(x.shape, g.shape, node.attrs)
    lower.per_image(MaxPoolGradient(*slide.statics, slide.tiles), [x, g, dx, *slide.words], [x, g], [dx])
    lower.bind(node.output, dx)


def avg_pool2d(lower: Lowering, node: Node) -> None:
    x = lower.image(node.inputs[0])
    y = lower.new(node.output.shape)  # type: ignore[arg-type]
    slide = Slide(x.shape, y.shape, node.attrs)
    spec = AvgPool(*slide.statics, node.attrs["count_include_pad"])
    lower.per_image(spec, [x, y, *slide.words, *slide.after], [x], [y], blocks=y.shape[2])
    lower.bind(node.output, y)


def avg_pool2d_grad(lower: Lowering, node: Node) -> None:
    g = lower.image(node.inputs[0])
    dx = lower.new(node.output.shape)  # type: ignore[arg-type]
    slide = Slide(dx.shape, g.shape, node.attrs)
    spec = AvgPoolGradient(*slide.statics, node.attrs["count_include_pad"], slide.tiles)
    lower.per_image(spec, [g, dx, *slide.words, *slide.after], [g], [dx])
    lower.bind(node.output, dx)


def resample2d(lower: Lowering, node: Node) -> None:
    x = lower.image(node.inputs[0])
    y = lower.new(node.output.shape)  # type: ignore[arg-type]
    attrs = node.attrs
    tables, longest = [], []
    for source, size in zip(attrs["source"], attrs["size"], strict=True):
        matrix = axis_weights(attrs["mode"], source, size)
        starts, counts, weights = nonzero_runs(matrix.T if attrs["adjoint"] else matrix)
        tables += [lower.table(starts), lower.table(counts), lower.table(weights)]
        longest.append(weights.shape[1])
    words = [*x.shape[2:], *y.shape[2:], *longest]
    lower.per_image(Resample(x.shape[1]), [x, y, *tables, *words], [x], [y], shared=tables)
    lower.bind(node.output, y)


RULES = {
    "max_pool2d": max_pool2d,
    "max_pool2d_grad": max_pool2d_grad,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_grad": avg_pool2d_grad,
    "resample2d": resample2d,
}
