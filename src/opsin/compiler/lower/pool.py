"""Pooling, by rows of results; its gradient and resampling, image by image."""

from __future__ import annotations

from typing import Any

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.lower.context import Lowering
from opsin.ir import Node
from opsin.kernels.pool import AvgPool, AvgPoolGradient, MaxPool, MaxPoolGradient
from opsin.kernels.resample import Resample, nonzero_runs
from opsin.ops.resample import axis_weights


class PoolGeometry:
    """The sizes of a pooling, and what its kernel may assume about them."""

    def __init__(self, image_shape: tuple[int, ...], result_shape: tuple[int, ...], attrs: dict[str, Any]) -> None:
        self.window, self.stride = attrs["window"], attrs["stride"]
        (top, bottom), (left, right) = attrs["padding"]
        _, self.channels, height, width = image_shape
        _, _, out_height, out_width = result_shape
        reach = [(n - 1) * s + k for n, s, k in zip((out_height, out_width), self.stride, self.window, strict=True)]
        is_inside = (top, bottom, left, right) == (0, 0, 0, 0) and reach[0] <= height and reach[1] <= width
        self.clamp = not is_inside
        self.tiles = is_inside and self.window == self.stride and reach == [height, width]
        self.words = {"H": height, "W": width, "OH": out_height, "OW": out_width, "top": top, "left": left}
        self.words_with_ends = self.words | {"bottom": bottom, "right": right}

    @property
    def statics(self) -> tuple[int, tuple[int, int], tuple[int, int], bool]:
        """The fields that all pooling kernels are specialised on."""
        return self.channels, self.window, self.stride, self.clamp


def max_pool2d(lowering: Lowering, node: Node) -> list[KernelCall]:
    x, copies = lowering.image(node.inputs[0])
    y = lowering.result(node.output)
    lowering.bind(node.output, y)
    geometry = PoolGeometry(x.shape, y.shape, node.attrs)
    call = lowering.call(
        MaxPool(*geometry.statics),
        pointers={"x": x, "y": y},
        words=geometry.words,
        partition=Partition.PER_SAMPLE,
        blocks=y.shape[2],
        reads=[x],
        writes=[y],
    )
    return [*copies, call]


def max_pool2d_grad(lowering: Lowering, node: Node) -> list[KernelCall]:
    (x, x_copies), (g, g_copies) = (lowering.image(t) for t in node.inputs)
    dx = lowering.result(node.output)
    lowering.bind(node.output, dx)
    geometry = PoolGeometry(x.shape, g.shape, node.attrs)
    call = lowering.call(
        MaxPoolGradient(*geometry.statics, geometry.tiles),
        pointers={"x": x, "g": g, "dx": dx},
        words=geometry.words,
        partition=Partition.PER_SAMPLE,
        reads=[x, g],
        writes=[dx],
    )
    return [*x_copies, *g_copies, call]


def avg_pool2d(lowering: Lowering, node: Node) -> list[KernelCall]:
    x, copies = lowering.image(node.inputs[0])
    y = lowering.result(node.output)
    lowering.bind(node.output, y)
    geometry = PoolGeometry(x.shape, y.shape, node.attrs)
    call = lowering.call(
        AvgPool(*geometry.statics, node.attrs["count_include_pad"]),
        pointers={"x": x, "y": y},
        words=geometry.words_with_ends,
        partition=Partition.PER_SAMPLE,
        blocks=y.shape[2],
        reads=[x],
        writes=[y],
    )
    return [*copies, call]


def avg_pool2d_grad(lowering: Lowering, node: Node) -> list[KernelCall]:
    g, copies = lowering.image(node.inputs[0])
    dx = lowering.result(node.output)
    lowering.bind(node.output, dx)
    geometry = PoolGeometry(dx.shape, g.shape, node.attrs)
    call = lowering.call(
        AvgPoolGradient(*geometry.statics, node.attrs["count_include_pad"], geometry.tiles),
        pointers={"g": g, "dx": dx},
        words=geometry.words_with_ends,
        partition=Partition.PER_SAMPLE,
        reads=[g],
        writes=[dx],
    )
    return [*copies, call]


def resample2d(lowering: Lowering, node: Node) -> list[KernelCall]:
    x, copies = lowering.image(node.inputs[0])
    y = lowering.result(node.output)
    lowering.bind(node.output, y)
    attrs = node.attrs
    words = dict(zip(("H", "W", "OH", "OW"), (*x.shape[2:], *y.shape[2:]), strict=True))
    tables = {}
    for axis, source, size in zip(("row", "column"), attrs["source"], attrs["size"], strict=True):
        matrix = axis_weights(attrs["mode"], source, size)
        starts, counts, weights = nonzero_runs(matrix.T if attrs["adjoint"] else matrix)
        tables[f"{axis}_starts"] = lowering.table(starts)
        tables[f"{axis}_counts"] = lowering.table(counts)
        tables[f"{axis}_weights"] = lowering.table(weights)
        words[f"{axis}_taps"] = weights.shape[1]
    call = lowering.call(
        Resample(x.shape[1]),
        pointers={"x": x, "y": y, **tables},
        words=words,
        partition=Partition.PER_SAMPLE,
        reads=[x],
        writes=[y],
        shared=list(tables.values()),
    )
    return [*copies, call]


RULES = {
    "max_pool2d": max_pool2d,
    "max_pool2d_grad": max_pool2d_grad,
    "avg_pool2d": avg_pool2d,
    "avg_pool2d_grad": avg_pool2d_grad,
    "resample2d": resample2d,
}
