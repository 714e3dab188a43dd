"""8-bit integers natively: bit-identical to the reference on every processor, also fused and with prepared weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin import ops
from opsin.backends.native import codegen, compile
from opsin.backends.reference import Reference
from opsin.ir import BATCH, INT, INT8, Graph, Tensor, apply, input_tensor, variable
from opsin.kernels.conv_panels import ConvPanels
from opsin.kernels.ir import I8, I16, PORTABLE, Target
from opsin.kernels.quantized import OffsetBias
from opsin.kernels.quantized_taps import DepthwiseWhole
from opsin.ops.registry import OPS
from tests.support import QUANTIZED, cases, feed, forward_graph, generator

HOST = codegen.host().targets
ROWS = [*HOST, *(replace(row, byte_dot=False) for row in HOST if row.byte_dot), PORTABLE]
each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.name}-{row.byte_dot}")


@each_row
@pytest.mark.parametrize("name", QUANTIZED)
def test_every_operation_has_the_bits_of_the_reference(name: str, row: Target) -> None:
    for number, sample in enumerate(cases(name, generator("rows", name), 5)):
        arrays = [a.astype(np.float32).astype(np.float64) if a.dtype.kind == "f" else a for a in sample.inputs]
        graph = forward_graph(name, replace(sample, inputs=tuple(arrays)))
        expected = Reference(graph, 1, np.float64).run(**feed(arrays))
        actual = compile(graph, 1, threads=1 + number % 2, target=row).run(**feed(arrays))
        for key, values in expected.items():
            np.testing.assert_array_equal(actual[key], values, str(sample.attrs))


def block(kernel: int, groups: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """Two convolutions of odd sizes around an addition, moved bytes, a pool and a table; and random weights."""
    rng, state = np.random.default_rng(kernel), {}

    def number(name: str, values: np.ndarray) -> Tensor:
        state[name] = values
        return variable(name, values.shape, INT8 if values.dtype == np.int8 else INT)

    def conv(name: str, x: Tensor, filters: int, groups: int, stride: int) -> Tensor:
        assert isinstance(x.shape[1], int)
        w = rng.integers(-127, 127, (filters, x.shape[1] // groups, kernel, kernel), np.int8, endpoint=True)
        bias = rng.integers(-999, 999, filters).astype(np.int32)
        multiplier = (2**32 / (120 * w[0].size ** 0.5) * rng.uniform(0.5, 1, filters)).astype(np.int32)
        margin = (kernel // 2, kernel // 2)
        return ops.conv2d_int8(
            x, number(f"{name}.w", w), number(f"{name}.bias", bias), number(f"{name}.multiplier", multiplier),
            stride=(stride, stride), padding=(margin, margin), dilation=(1, 1), groups=groups, x_zero=-20, zero=5,
            low=-100, high=127,
        )  # fmt: skip

    x = input_tensor("x", (BATCH, 12, 9, 7))
    q = ops.quantize(x, 0.02, -20)
    a = conv("a", q, 12, groups, 1)
    b = ops.add_int8(a, q, 9000, 11000, 77, 14)
    c = conv("b", ops.concat([b, ops.narrow(q, 1, 3, 5)], 1), 21, 1, 2)
    table = number("table", rng.integers(-128, 127, 256, np.int8, endpoint=True))
    pooled = ops.max_pool2d(ops.lookup_int8(c, table), (2, 2), (1, 1))
    return Graph((x,), {"y": ops.dequantize(pooled, 0.1, 3), "sums": b}), state


@each_row
@pytest.mark.parametrize(("kernel", "groups"), [(1, 1), (3, 1), (3, 3), (3, 12)])
def test_fused_networks_have_the_bits_of_the_reference(kernel: int, groups: int, row: Target) -> None:
    graph, state = block(kernel, groups)
    x = np.random.default_rng(1).standard_normal((3, 12, 9, 7)).astype(np.float32)
    reference, program = Reference(graph, 3, np.float32), compile(graph, 3, threads=2, target=row)
    reference.load_state(state)
    program.load_state(state)
    expected, actual = reference.run(x=x), program.run(x=x)
    for key, values in expected.items():
        np.testing.assert_array_equal(actual[key], values, key)
    calls = program.plan.calls
    products = [call.spec for call in calls if isinstance(call.spec, ConvPanels | DepthwiseWhole)]
    assert {spec.element("u") for spec in products} == {I8 if row.byte_dot or row.keeps_bytes else I16}
    assert any(isinstance(call.spec, OffsetBias) for call in calls) == row.byte_dot
    assert any("add_int8" in call.fused for call in calls), "the addition is computed with a convolution"
    prepared = [call for group in program.plan.groups[: program.plan.setup] for call in group.calls]
    assert {type(call.spec).__name__ for call in prepared} <= {"PackPanels", "PackTaps", "OffsetBias"}
    assert prepared, "weights are packed once"


def test_arrays_of_bytes_are_moved_as_they_are() -> None:
    rng = np.random.default_rng(2)
    x = input_tensor("x", (2, 6, 5, 4), INT8)
    low, high = (0, 1, 0, 1), (0, 0, 2, 1)
    y = apply(
        OPS["pad"], [ops.transpose(x, (0, 1, 3, 2))], {"low": low, "high": high, "interior": (0,) * 4, "value": -7}
    )
    y = y.output
    graph = Graph((x,), {"y": ops.reshape(y, (2, 7 * 6 * 7))})
    values = rng.integers(-128, 127, (2, 6, 5, 4), np.int8, endpoint=True)
    expected = Reference(graph, 2, np.float32).run(x=values)["y"]
    actual = compile(graph, 2, 1).run(x=values)["y"]
    assert actual.dtype == np.int8
    np.testing.assert_array_equal(actual, expected)
