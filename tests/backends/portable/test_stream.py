"""Programs that take their image row by row give the bits of the engine, in less memory."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.portable import COMPACT, compile, portable_program, streamed_program
from opsin.compiler.streaming.stages import Rhythm, Window
from opsin.compiler.views import Buffer
from opsin.ir import BATCH, INT, INT8, Graph, Tensor, input_tensor, variable
from opsin.kernels.ir import F32, PORTABLE, PORTABLE_SMALL
from tests.backends.portable.test_program import interpret

State = dict[str, np.ndarray]


def whole_numbers(height: int, kernel: int, dilation: int, pool: bool) -> tuple[Graph, State]:
    """A residual block with strides, depthwise convolutions, tables and pools, of 8-bit integers."""
    rng, state = np.random.default_rng(height), {}

    def conv(x: Tensor, filters: int, stride: int = 1, kernel: int = kernel, depthwise: bool = False) -> Tensor:
        name, channels = f"conv{len(state)}", x.shape[1]
        assert isinstance(channels, int)
        groups, size = channels if depthwise else 1, rng.uniform(0.5, 1, filters)
        arrays = {
            "w": rng.integers(-127, 127, (filters, channels // groups, kernel, kernel), np.int8, endpoint=True),
            "bias": rng.integers(-999, 999, filters).astype(np.int32),
            "multiplier": (2**32 / (90 * kernel * (channels // groups) ** 0.5) * size).astype(np.int32),
        }  # fmt: skip
        tensors = []
        for key, values in arrays.items():
            state[f"{name}.{key}"] = values
            tensors.append(variable(f"{name}.{key}", values.shape, INT8 if key == "w" else INT))
        before = dilation * (kernel // 2)
        margin = (before, dilation * (kernel - 1) - before)
        return ops.conv2d_int8(
            x, *tensors, stride=(stride, stride), padding=(margin, margin), dilation=(dilation, dilation),
            groups=groups, x_zero=-7, zero=5, low=-100, high=127,
        )  # fmt: skip

    def add(a: Tensor, b: Tensor) -> Tensor:
        return ops.add_int8(a, b, 9000, 11000, 77, 14)

    x = input_tensor("inputs", (BATCH, 3, height, 3), INT8)
    a = conv(x, 3)
    b = add(conv(conv(a, 3), 3), a)
    c = add(conv(b, 5, 2, kernel=1), conv(conv(b, 5, 2), 5))
    d = conv(conv(c, 5, depthwise=True), 6, kernel=1)
    d = ops.max_pool2d(d, (3, 2), (1, 1), ((1, 1), (0, 0)))
    if pool:
        _, _, rows, columns = d.shape
        assert isinstance(rows, int)
        assert isinstance(columns, int)
        d = ops.avg_pool2d_int8(
            d, window=(rows, columns), stride=(1, 1), padding=((0, 0), (0, 0)), x_zero=0, bias=9,
            multiplier=2**32 // (2 * rows * columns), zero=-2, low=-128, high=127,
        )  # fmt: skip
    return Graph((x,), {"y": ops.dequantize(d, 0.1, 3)}), state


@pytest.mark.parametrize(("height", "kernel", "dilation", "pool"), [(21, 3, 1, True), (18, 2, 2, False)])
def test_8_bit_integers_row_by_row(height: int, kernel: int, dilation: int, pool: bool) -> None:
    graph, state = whole_numbers(height, kernel, dilation, pool)
    engine = compile(graph, 1, 1, target=PORTABLE_SMALL)
    engine.load_state(state)
    images = np.random.default_rng(2).integers(-128, 127, (1, 3, height, 3), np.int8, endpoint=True)
    expected = engine.run(inputs=images)["y"]
    streamed = streamed_program(graph, state, target=PORTABLE_SMALL)
    assert streamed is not None
    assert interpret(streamed, images).tobytes() == expected.tobytes()
    assert np.unique(expected).size > 2
    assert streamed.stream is not None
    assert streamed.stream.layers >= 6
    assert streamed.arena_bytes < portable_program(graph, state, COMPACT, PORTABLE_SMALL).arena_bytes


def test_float32_row_by_row() -> None:
    network = nn.Sequential(
        nn.Conv2d(6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1),
        nn.Conv2d(6, 3, padding=1, groups=6), nn.SiLU(), nn.Conv2d(5, 3, stride=2), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(3),
    )  # fmt: skip
    graph = nn.trace(network, (2, 21, 9))
    state, engine = nn.initial_state(graph, 3), compile(graph, 1, 1)
    engine.load_state(state)
    images = np.random.default_rng(1).normal(size=(1, 2, 21, 9)).astype(np.float32)
    (expected,) = engine.run(inputs=images).values()
    streamed = streamed_program(graph, state)
    assert streamed is not None
    assert streamed.stream is not None
    assert streamed.stream.layers >= 3
    assert interpret(streamed, images).tobytes() == expected.tobytes()
    assert streamed.arena_bytes < portable_program(graph, state, COMPACT, PORTABLE).arena_bytes


def test_networks_that_need_the_whole_image_first_have_no_such_program() -> None:
    graph = nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(3)), (2, 5, 4))
    assert streamed_program(graph, nn.initial_state(graph, 3)) is None


def test_a_window_is_complete_when_its_last_row_is_there() -> None:
    window = Window(Buffer(1, F32, "input"), span=3, stride=2, top=1)
    image = Rhythm(4, 2, 9)
    assert window.rhythm(image, 5) == Rhythm(6, 4, 5)
    assert window.rhythm(image, 5).last == 22
    assert window.reaches_outside(image, window.rhythm(image, 5))
    assert not Window(window.source, 3, 2).reaches_outside(image, Rhythm(8, 4, 4))
