"""Convolutions and products large enough for the kernels that pack their operands, against the reference engine."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.ir import Graph, Tensor, input_tensor, variable

CONVOLUTIONS = {
    # name: (images, channels, height, width, filters, kernel, stride, padding, dilation)
    "3x3 stride 2": (3, 33, 15, 18, 40, (3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1)),
    "1x1 stride 2, odd": (2, 36, 13, 9, 50, (1, 1), (2, 2), ((0, 0), (0, 0)), (1, 1)),
    "5x3 strides 3 and 2, uneven padding": (2, 32, 17, 14, 34, (5, 3), (3, 2), ((2, 1), (0, 2)), (1, 1)),
    "2x2 stride 3, gaps": (2, 32, 11, 12, 32, (2, 2), (3, 3), ((0, 0), (0, 0)), (1, 1)),
    "3x3 stride 2, dilated": (1, 32, 16, 16, 32, (3, 3), (2, 2), ((2, 2), (2, 2)), (2, 2)),
    "1x1": (2, 129, 7, 9, 70, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "1x1, filters shared out": (2, 288, 5, 7, 320, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "1x1, far more pixels than a cache holds": (2, 40, 120, 119, 36, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)),
    "5x5": (2, 48, 13, 12, 96, (5, 5), (1, 1), ((2, 2), (2, 2)), (1, 1)),
    "3x3 by Winograd's algorithm": (3, 40, 14, 13, 50, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "3x3 by Winograd's algorithm, odd channels": (2, 51, 9, 10, 19, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
    "3x3 by Winograd's algorithm, parts of several blocks": (
        5,
        17,
        32,
        31,
        18,
        (3, 3),
        (1, 1),
        ((1, 1), (1, 1)),
        (1, 1),
    ),
    "3x3 by Winograd's algorithm, several rounds": (6, 40, 30, 31, 40, (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
}


def compare(graph: Graph, state: dict[str, np.ndarray], inputs: dict[str, np.ndarray], limit: float) -> None:
    expected = Reference(graph, 1, np.float64)
    expected.load_state(state)
    wanted = expected.run(**inputs)
    for threads in (1, 2):
        program = compile_native(graph, 1, threads)
        program.load_state(state)
        for name, value in program.run(**inputs).items():
            scale = np.abs(wanted[name]).max()
            assert np.abs(value - wanted[name]).max() <= limit * scale, name


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_and_gradients(name: str) -> None:
    images, channels, height, width, filters, kernel, stride, padding, dilation = CONVOLUTIONS[name]
    rng = np.random.default_rng(0)
    x = input_tensor("x", (images, channels, height, width))
    w, b = variable("w", (filters, channels, *kernel)), variable("b", (filters,))
    y = ops.relu(ops.conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation))
    g = input_tensor("g", y.shape)
    dx, dw = ops.gradients(ops.sum(ops.multiply(y, g)), [x, w])
    extra = input_tensor("extra", x.shape)
    graph = Graph((x, g, extra), {"y": y, "dx": ops.multiply(ops.add(dx, extra), extra), "dw": dw})

    def draw(tensor: Tensor) -> np.ndarray:
        return rng.standard_normal(tensor.shape, dtype=np.float32)  # type: ignore[arg-type]

    compare(graph, {"w": draw(w), "b": draw(b)}, {"x": draw(x), "g": draw(g), "extra": draw(extra)}, 3e-5)


@pytest.mark.parametrize("rows", [1, 2, 7, 65, 130])
@pytest.mark.parametrize("columns", [520, 1003])
def test_large_right_operand(rows: int, columns: int) -> None:
    rng = np.random.default_rng(1)
    x, w, b = input_tensor("x", (rows, 391)), variable("w", (columns, 391)), variable("b", (columns,))
    y = ops.relu(ops.linear(x, w, b))
    dx, dw = ops.gradients(ops.sum(ops.square(y)), [x, w])
    state = {"w": rng.standard_normal((columns, 391), np.float32), "b": rng.standard_normal(columns, np.float32)}
    compare(Graph((x,), {"y": y, "dx": dx, "dw": dw}), state, {"x": rng.standard_normal((rows, 391), np.float32)}, 1e-5)
