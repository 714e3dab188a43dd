"""Operations on 8-bit integers against their formulas, computed number by number with Python's whole numbers."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from opsin import ops
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.ir import BATCH, FLOAT, INT, INT8, Graph, Type, initial_state, input_tensor, variable
from opsin.ops import OPS
from opsin.ops.quantized.conv2d import EXACT_TERMS
from opsin.ops.quantized.fixed_point import mulh
from tests.support import Array, cases, generator

COUNT = 25


def wrapped(number: int) -> int:
    """The low 32 bits of `number`, signed."""
    return (number + 2**31) % 2**32 - 2**31


def scaled(total: int, multiplier: int, attrs: dict[str, Any]) -> int:
    high = wrapped(total) * multiplier // 2**32
    return min(max(attrs["zero"] + high, attrs["low"]), attrs["high"])


def pixel(x: Array, image: int, channel: int, row: int, column: int, outside: int) -> int:
    inside = 0 <= row < x.shape[2] and 0 <= column < x.shape[3]
    return int(x[image, channel, row, column]) if inside else outside


def expected_sum(x: Array, w: Array, bias: Array, at: tuple[int, ...], attrs: dict[str, Any]) -> int:
    image, k, row, column = at
    (top, _), (left, _) = attrs["padding"]
    first = k // (len(w) // attrs["groups"]) * w.shape[1]
    total = int(bias[k])
    for c, i, j in product(*map(range, w.shape[1:])):
        y, z = (n * s + t * d - p for n, s, t, d, p in zip(
            (row, column), attrs["stride"], (i, j), attrs["dilation"], (top, left), strict=True))  # fmt: skip
        total += int(w[k, c, i, j]) * pixel(x, image, first + c, y, z, attrs["x_zero"])
    return total


@pytest.mark.parametrize("name", ["conv2d_int32", "conv2d_int8"])
def test_convolution(name: str) -> None:
    rng = generator("conv", name)
    for case in cases(name, rng, COUNT):
        x, w, bias, *multiplier = case.inputs
        y = OPS[name].evaluate(*case.inputs, **case.attrs)
        places = [tuple(int(rng.integers(size)) for size in y.shape) for _ in range(20)]
        for at in places:
            total = expected_sum(x, w, bias, at, case.attrs)
            expected = scaled(total, int(multiplier[0][at[1]]), case.attrs) if multiplier else wrapped(total)
            assert y[at] == expected


def test_sums_of_many_products_are_exact() -> None:
    channels = EXACT_TERMS + 40
    x, w = np.full((1, channels, 1, 1), -128, np.int8), np.full((1, channels, 1, 1), -127, np.int8)
    w[0, 0], x[0, 0] = 1, 1
    move = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "x_zero": 0}
    total = OPS["conv2d_int32"].evaluate(x, w, np.array([5], np.int32), **move)
    assert total.item() == 128 * 127 * (channels - 1) + 6


def test_sums_wrap_around() -> None:
    x, w = np.ones((1, 1, 1, 1), np.int8), np.ones((1, 1, 1, 1), np.int8)
    move = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "x_zero": 0}
    total = OPS["conv2d_int32"].evaluate(x, w, np.array([2**31 - 1], np.int32), **move)
    assert total.item() == -(2**31)


@pytest.mark.parametrize("a", [-(2**31), -1, 0, 7, 2**31 - 1])
@pytest.mark.parametrize("b", [0, 1, 2**20 + 3, 2**31 - 1])
def test_high_half_of_a_product_is_rounded_down(a: int, b: int) -> None:
    assert mulh(np.array(a, np.int32), b) == a * b // 2**32


def test_addition() -> None:
    rng = generator("add_int8")
    for case in cases("add_int8", rng, COUNT):
        a, b = (array.ravel().tolist() for array in case.inputs)
        y, k = OPS["add_int8"].evaluate(*case.inputs, **case.attrs), case.attrs
        totals = [p * k["a_factor"] + q * k["b_factor"] + k["bias"] for p, q in zip(a, b, strict=True)]
        assert y.ravel().tolist() == [min(max(t // 2 ** k["shift"], k["low"]), k["high"]) for t in totals]


def test_multiplication() -> None:
    rng = generator("multiply_int8")
    for case in cases("multiply_int8", rng, COUNT):
        a, b = case.inputs
        y, k = OPS["multiply_int8"].evaluate(a, b, **case.attrs), case.attrs
        pairs = zip(a.ravel().tolist(), np.broadcast_to(b, a.shape).ravel().tolist(), strict=True)
        totals = [(p - k["a_zero"]) * (q - k["b_zero"]) + k["bias"] for p, q in pairs]
        assert y.ravel().tolist() == [scaled(total, k["multiplier"], k) for total in totals]


def test_average_pooling() -> None:
    rng = generator("avg_pool2d_int8")
    for case in cases("avg_pool2d_int8", rng, COUNT):
        (x,), k = case.inputs, case.attrs
        y = OPS["avg_pool2d_int8"].evaluate(x, **k)
        for image, channel, row, column in np.ndindex(y.shape[0], 1, *y.shape[2:]):
            total = k["bias"]
            for i, j in product(*map(range, k["window"])):
                r = row * k["stride"][0] + i - k["padding"][0][0]
                c = column * k["stride"][1] + j - k["padding"][1][0]
                total += pixel(x, image, channel, r, c, k["x_zero"])
            assert y[image, channel, row, column] == scaled(total, k["multiplier"], k)


def test_lookup() -> None:
    rng = generator("lookup_int8")
    for case in cases("lookup_int8", rng, COUNT):
        x, table = case.inputs
        y = OPS["lookup_int8"].evaluate(x, table)
        for at in np.ndindex(*x.shape):
            row = table if table.ndim == 1 else table[at[1]]
            assert y[at] == row[int(x[at]) + 128]


def test_every_integer_survives_the_way_to_a_real_number_and_back() -> None:
    q = np.arange(-128, 128).astype(np.int8)
    for scale, zero in ((0.1, 0), (0.0007, -128), (3.3, 127), (1 / 3, 5)):
        x = OPS["dequantize"].evaluate(q, scale=scale, zero=zero)
        assert x[0] == pytest.approx((-128 - zero) * scale)
        assert OPS["quantize"].evaluate(x, scale=scale, zero=zero).tolist() == q.tolist()


def test_quantization_rounds_to_the_nearest_and_clamps() -> None:
    x = np.array([-1e30, -0.75, -0.25, 0.25, 0.75, 1.25, 1e30])
    assert OPS["quantize"].evaluate(x, scale=0.5, zero=3).tolist() == [-128, 1, 3, 3, 5, 5, 127]


def test_max_pooling_of_integers_ignores_the_padding() -> None:
    x = input_tensor("x", (BATCH, 1, 2, 2), INT8)
    y = ops.max_pool2d(x, 2, 2, padding=1)
    values = np.array([[[[-128, -100], [-128, -7]]]], np.int8)
    result = Reference(Graph((x,), {"y": y}), 1).run(x=values)["y"]
    assert result.dtype == np.int8 and result.tolist() == values.tolist()


def test_padding_with_the_zero_point() -> None:
    x = input_tensor("x", (2,), INT8)
    y = OPS["pad"](x, low=(1,), high=(0,), interior=(0,), value=-128).output
    assert Reference(Graph((x,), {"y": y}), 1).run(x=np.array([1, 2], np.int8))["y"].tolist() == [-128, 1, 2]
    with pytest.raises(ShapeError, match="padded with zeros"):
        OPS["pad"].infer(Type((2,)), low=(1,), high=(0,), interior=(0,), value=-128)


def test_variables_of_integers() -> None:
    w = variable("w", (3,), INT8, init=("values", (-127, 0, 127)))
    graph = Graph((), {"w": ops.reshape(w, (3, 1))})
    state = initial_state(graph, 0)
    assert state["w"].dtype == np.int8
    program = Reference(graph, 1)
    program.load_state(state)
    assert program.run()["w"].ravel().tolist() == [-127, 0, 127]
    assert "int8" in str(graph)
    with pytest.raises(ShapeError, match="from -128 to 127, got 0 to 300"):
        program.load_state({"w": np.array([0, 300, 1])})


@pytest.mark.parametrize(
    ("name", "types", "attrs", "message"),
    [
        ("quantize", (Type((2,), INT8),), {"scale": 1.0, "zero": 0}, "expected real numbers"),
        ("quantize", (Type((2,)),), {"scale": 0.0, "zero": 0}, "the scale must be a number above 0"),
        ("quantize", (Type((2,)),), {"scale": 1.0, "zero": 128}, "zero must be from -128 to 127, not 128"),
        ("dequantize", (Type((2,)),), {"scale": 1.0, "zero": 0}, "expected 8-bit integers"),
        ("lookup_int8", (Type((2, 3), INT8), Type((2, 256), INT8)), {}, "or 256 for each channel"),
        ("max_pool2d_grad", (Type((1, 1, 2, 2), INT8), Type((1, 1, 1, 1), INT8)),
         {"window": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "ceil_mode": False},
         "expected real numbers"),
        ("add_int8", (Type((2,), INT8), Type((2,), INT8)),
         {"a_factor": 2**15, "b_factor": 1, "bias": 0, "shift": 3, "low": 0, "high": 1}, "a_factor must be from"),
        ("add_int8", (Type((2,), INT8), Type((2,), INT8)),
         {"a_factor": 1, "b_factor": 1, "bias": 0, "shift": 3, "low": 2, "high": 1}, "low 2 is above high 1"),
        ("add_int8", (Type((2,), INT8), Type((3,), INT8)),
         {"a_factor": 1, "b_factor": 1, "bias": 0, "shift": 3, "low": 0, "high": 1}, "differ in shape"),
        ("multiply_int8", (Type((1, 2, 3, 3), INT8), Type((1, 2, 3, 1), INT8)),
         {"a_zero": 0, "b_zero": 0, "bias": 0, "multiplier": 1, "zero": 0, "low": 0, "high": 1}, "or 1 × 1 pixels"),
        ("conv2d_int32", (Type((1, 2, 3, 3), INT8), Type((1, 1, 1, 1), INT8), Type((1,), INT)),
         {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "x_zero": 0},
         "2 input channels, but the weight"),
        ("conv2d_int32", (Type((1, 1, 3, 3), INT8), Type((1, 1, 1, 1), INT8), Type((1,), FLOAT)),
         {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1, "x_zero": 0},
         "the bias as 1 whole numbers of 32 bits"),
    ],
)  # fmt: skip
def test_operands_are_checked(name: str, types: tuple[Type, ...], attrs: dict[str, Any], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        OPS[name].infer(*types, **attrs)
