"""Tests of every operator on small images against its definition in NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin.interop.onnx.rules import FOLDS, RULES
from tests.interop.onnx.support import Array, run
from tests.interop.onnx.writer import File, op_file, random

X = random(2, 4, 6, 7).astype(np.float64)

Expected = Callable[[Array], Array]
Case = tuple[str, File, Expected]

SHAPE = X.shape[1:]
PLANE = random(4, 1, 1, seed=1)
erf = np.vectorize(math.erf)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def scalar(value: float) -> Array:
    return np.array(value, np.float32)


def case(op: str, expected: Expected, *operands: Any, opset: int = 17, **attributes: Any) -> Case:
    """Return a case with one node on the images; the other operands are weights."""
    return op, op_file(op, SHAPE, *operands, opset=opset, **attributes), expected


def pointwise_cases() -> list[Case]:
    def softplus(x: Array) -> Array:
        return np.log1p(np.exp(x))

    def logistic(x: Array) -> Array:
        return np.asarray(1 / (1 + np.exp(-x)))

    return [
        case("Abs", np.abs),
        case("Add", lambda x: x + PLANE, PLANE),
        case("Celu", lambda x: np.maximum(x, 0) + np.minimum(0, 1.5 * (np.exp(x / 1.5) - 1)), alpha=1.5),
        case("Clip", lambda x: x.clip(-0.5, 1), scalar(-0.5), scalar(1)),
        case("Clip", lambda x: x.clip(None, 1), None, scalar(1)),
        case("Clip", lambda x: x.clip(0, 6), opset=10, min=0.0, max=6.0),
        case("Clip", lambda x: x.clip(0.25, None), scalar(0.25), scalar(np.finfo(np.float32).max)),
        case("Cast", lambda x: x, to=1),
        case("CastLike", lambda x: x, scalar(1), opset=19),
        case("Div", lambda x: x / PLANE, PLANE),
        case("Dropout", lambda x: x, scalar(0.5)),
        case("Dropout", lambda x: x, opset=11, ratio=0.5),
        case("Elu", lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1)), alpha=0.7),
        case("Equal", lambda x: np.zeros(x.shape), PLANE),
        case("Erf", erf),
        case("Exp", np.exp),
        case("Gelu", lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))), opset=20),
        case(
            "Gelu",
            lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
            opset=20,
            approximate="tanh",
        ),
        case("Greater", lambda x: x > PLANE, PLANE),
        case("GreaterOrEqual", lambda x: x >= PLANE, PLANE),
        case("HardSigmoid", lambda x: (0.3 * x + 0.4).clip(0, 1), alpha=0.3, beta=0.4),
        case("HardSwish", lambda x: x * (x / 6 + 0.5).clip(0, 1)),
        case("Identity", lambda x: x),
        case("LeakyRelu", lambda x: np.where(x > 0, x, 0.2 * x), alpha=0.2),
        case("Less", lambda x: x < PLANE, PLANE),
        case("LessOrEqual", lambda x: x <= PLANE, PLANE),
        case("Max", lambda x: np.maximum(np.maximum(x, PLANE), 0.1), PLANE, scalar(0.1)),
        case("Mean", lambda x: (x + PLANE + 2) / 3, PLANE, scalar(2)),
        case("Min", lambda x: np.minimum(x, PLANE), PLANE),
        case("Mish", lambda x: x * np.tanh(softplus(x)), opset=18),
        case("Mul", lambda x: x * PLANE, PLANE),
        case("Neg", lambda x: -x),
        case("PRelu", lambda x: np.where(x > 0, x, PLANE * x), PLANE),
        case("Pow", lambda x: x**2, scalar(2)),
        case("Pow", lambda x: x**3, scalar(3)),
        case("Reciprocal", lambda x: 1 / x),
        case("Relu", lambda x: np.maximum(x, 0)),
        case("Selu", lambda x: 1.05 * np.where(x > 0, x, 1.67 * (np.exp(x) - 1)), alpha=1.67, gamma=1.05),
        case("Sigmoid", logistic),
        case("Sign", np.sign),
        case("Softplus", softplus),
        case("Softsign", lambda x: x / (1 + np.abs(x))),
        case("Sub", lambda x: x - PLANE, PLANE),
        case("Sum", lambda x: x + PLANE + PLANE, PLANE, PLANE),
        case("Swish", lambda x: x * logistic(1.5 * x), opset=24, alpha=1.5),
        case("Tanh", np.tanh),
        case("ThresholdedRelu", lambda x: np.where(x > 0.5, x, 0), alpha=0.5),
    ]


def positive_cases() -> list[Case]:
    """Return cases of operators for positive numbers: |x| + 0.2 for the images x."""

    def case(op: str, expected: Expected, *operands: Any, **attributes: Any) -> Case:
        file = op_file(op, SHAPE, *operands, **attributes)
        file.inputs, file.outputs = {"x": ("batch", *SHAPE)}, {"y": None}
        file.nodes = []
        file.weights["small"] = scalar(0.2)
        file.add("Abs", "x", "a").add("Add", "a small", "p")
        names = " ".join(f"w{number}" for number in range(1, len(operands) + 1))
        return op, file.add(op, f"p {names}", "y", **attributes), lambda x: expected(np.abs(x) + 0.2)

    return [
        case("Log", np.log),
        case("Sqrt", np.sqrt),
        case("Pow", lambda x: x**-0.75, scalar(-0.75)),
        case("ReduceLogSum", lambda x: np.log(x.sum(1, keepdims=True)), axes=[1]),
    ]


def logical_cases() -> list[Case]:
    def case(op: str, operands: str, expected: Expected) -> Case:
        file = File(inputs={"x": ("n", *SHAPE)}, weights={"zero": scalar(0), "p": PLANE, "q": PLANE > 0})
        return op, file.add("Greater", "x zero", "c").add(op, operands, "y"), expected

    return [
        case("And", "c q", lambda x: (x > 0) & (PLANE > 0)),
        case("Not", "c", lambda x: x <= 0),
        case("Or", "c q", lambda x: (x > 0) | (PLANE > 0)),
        case("Where", "c x p", lambda x: np.where(x > 0, x, PLANE)),
    ]


def normalization_cases() -> list[Case]:
    gamma, beta, mean, var = random(4, seed=2), random(4, seed=3), random(4, seed=4), np.abs(random(4, seed=5)) + 0.5

    def c(values: Array) -> Array:
        return values.astype(np.float64)[:, None, None]

    def standard(x: Array, *axes: int) -> Array:
        return np.asarray((x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5))

    def softmax(x: Array, *axes: int) -> Array:
        powers = np.exp(x - x.max(axes, keepdims=True))
        return np.asarray(powers / powers.sum(axes, keepdims=True))

    def lrn(x: Array) -> Array:
        padded_squares = np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))
        total = sum(padded_squares[:, i : i + 4] for i in range(3))
        return np.asarray(x / (1.5 + 0.2 / 3 * total) ** 0.6)

    def group_standard(x: Array) -> Array:
        return standard(x.reshape(2, 2, -1), 2).reshape(x.shape)

    return [
        (
            "BatchNormalization",
            op_file("BatchNormalization", SHAPE, gamma, beta, mean, var, epsilon=1e-3),
            lambda x: (x - c(mean)) / np.sqrt(c(var) + 1e-3) * c(gamma) + c(beta),
        ),
        (
            "InstanceNormalization",
            op_file("InstanceNormalization", SHAPE, gamma, beta),
            lambda x: standard(x, 2, 3) * c(gamma) + c(beta),
        ),
        (
            "GroupNormalization",
            op_file("GroupNormalization", SHAPE, gamma, beta, opset=21, num_groups=2),
            lambda x: group_standard(x) * c(gamma) + c(beta),
        ),
        (
            "GroupNormalization",
            op_file("GroupNormalization", SHAPE, gamma[:2], beta[:2], opset=18, num_groups=2),
            lambda x: group_standard(x) * c(gamma[:2].repeat(2)) + c(beta[:2].repeat(2)),
        ),
        (
            "LayerNormalization",
            op_file("LayerNormalization", SHAPE, random(6, 7), random(7), axis=-2),
            lambda x: standard(x, 2, 3) * random(6, 7) + random(7),
        ),
        ("LRN", op_file("LRN", SHAPE, size=3, alpha=0.2, beta=0.6, bias=1.5), lrn),
        case("LpNormalization", lambda x: x / np.sqrt((x**2).sum(1, keepdims=True)), axis=1),
        case("LpNormalization", lambda x: x / np.abs(x).sum(-1, keepdims=True), p=1),
        case("Softmax", lambda x: softmax(x, 1), axis=1),
        case("Softmax", lambda x: softmax(x, 3)),
        case("Softmax", lambda x: softmax(x, 1, 2, 3), opset=11),
        case("Softmax", lambda x: softmax(x, 3), opset=11, axis=-1),
        case("LogSoftmax", lambda x: np.log(softmax(x, 1)), axis=1),
    ]


def reduction_cases() -> list[Case]:
    return [
        case("ReduceMean", lambda x: x.mean((2, 3)), axes=[2, 3], keepdims=0),
        case("ReduceMean", lambda x: x.mean((2, 3), keepdims=True), ints(-1, -2), opset=18),
        case("ReduceSum", lambda x: x.sum(1, keepdims=True), ints(1)),
        case("ReduceSum", lambda x: x.sum(keepdims=True)),
        case("ReduceSum", lambda x: x, noop_with_empty_axes=1),
        case("ReduceMax", lambda x: x.max(3, keepdims=True), axes=[3]),
        case("ReduceMin", lambda x: x.min(3, keepdims=True), axes=[3]),
        case("ReduceL1", lambda x: np.abs(x).sum(1, keepdims=True), axes=[1]),
        case("ReduceL2", lambda x: np.sqrt((x**2).sum(1, keepdims=True)), axes=[1]),
        case("ReduceSumSquare", lambda x: (x**2).sum((1, 2)), axes=[1, 2], keepdims=0),
    ]


def linear_cases() -> list[Case]:
    w, b = random(5, 168, seed=6), random(5, seed=7)
    gemm = File(inputs={"x": ("n", *SHAPE)}, weights={"w": w, "b": b})
    gemm.add("Flatten", "x", "f").add("Gemm", "f w b", "y", transB=1, alpha=0.5, beta=2.0)
    return [
        ("Gemm", gemm, lambda x: 0.5 * x.reshape(2, -1) @ w.T + 2 * b),
        ("MatMul", op_file("MatMul", SHAPE, random(7, 3)), lambda x: x @ random(7, 3)),
    ]


def layout_cases() -> list[Case]:
    def to_depth(x: Array) -> Array:
        return x[..., :6].reshape(2, 4, 3, 2, 3, 2)

    def from_depth(x: Array) -> Array:
        return x.reshape(2, 2, 2, 1, 6, 7).transpose(0, 3, 4, 1, 5, 2).reshape(2, 1, 12, 14)

    concat_file = File(inputs={"x": ("n", *SHAPE)})
    even_file = File(inputs={"x": ("n", *SHAPE)}, weights={"s": ints(0), "e": ints(6), "a": ints(3)})
    even_file.add("Slice", "x s e a", "z").add("SpaceToDepth", "z", "y", blocksize=2)
    reverse_slice = (ints(-1), ints(-1000), ints(3), ints(-2))
    pads = (ints(0, 0, 1, 2, 0, 0, 0, 3), scalar(1.5))
    edges = ((0, 0), (0, 0), (2, 1), (1, 3))
    every_side = ints(0, 0, 2, 1, 0, 0, 1, 3)
    return [
        ("Concat", concat_file.add("Concat", "x x", "y", axis=-1), lambda x: np.concatenate([x, x], 3)),
        case("DepthToSpace", from_depth, blocksize=2),
        case(
            "DepthToSpace",
            lambda x: x.reshape(2, 1, 2, 2, 6, 7).transpose(0, 1, 4, 2, 5, 3).reshape(2, 1, 12, 14),
            blocksize=2,
            mode="CRD",
        ),
        ("SpaceToDepth", even_file, lambda x: to_depth(x).transpose(0, 3, 5, 1, 2, 4).reshape(2, 16, 3, 3)),
        case("Expand", lambda x: np.broadcast_to(x, (2, 4, 6, 7)), ints(4, 1, 7)),
        case("Flatten", lambda x: x.reshape(2, -1)),
        case("Flatten", lambda x: x.reshape(8, -1), axis=2),
        case("Gather", lambda x: x[:, 2], ints(2)[0], axis=1),
        case("Gather", lambda x: x[:, [3, 0, 1, 1, 2]], ints(3, 0, 1, -3, 2), axis=1),
        case("Pad", lambda x: np.pad(x, ((0, 0), (0, 0), (1, 0), (2, 3)), constant_values=1.5), *pads),
        case("Pad", lambda x: np.pad(x, ((0, 0), (0, 0), (0, 0), (1, 2))), ints(1, 2), None, ints(3), opset=18),
        case("Pad", lambda x: np.pad(x, edges, "reflect"), every_side, mode="reflect"),
        case("Pad", lambda x: np.pad(x, edges, "edge"), every_side, mode="edge"),
        case("Pad", lambda x: np.pad(x, edges, "wrap"), every_side, opset=19, mode="wrap"),
        case("Pad", lambda x: x[:, :, 1:, :-2], ints(0, 0, -1, 0, 0, 0, 0, -2)),
        case("Pad", lambda x: np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 0))), opset=10, pads=[0, 0, 1, 0, 0, 0, 1, 0]),
        case("Reshape", lambda x: x.reshape(2, 24, 7), ints(0, -1, 7)),
        case("Reshape", lambda x: x.reshape(2, 2, 2, 42), ints(-1, 2, 2, 42)),
        case("Slice", lambda x: x[:, 1:3, ::2], ints(1, 0), ints(3, 100), ints(1, 2), ints(1, 2)),
        case("Slice", lambda x: x[..., ::-2], *reverse_slice),
        case("Slice", lambda x: x[:, 1:, :, -3:], opset=9, starts=[0, 1, 0, -3], ends=[2**31 - 1] * 4),
        ("Squeeze", _squeeze_file(), lambda x: x.mean(1)),
        case("Tile", lambda x: np.tile(x, (1, 2, 1, 1)), ints(1, 2, 1, 1)),
        case("Transpose", lambda x: x.transpose(0, 2, 3, 1), perm=[0, 2, 3, 1]),
        case("Unsqueeze", lambda x: x[:, None, ..., None], ints(1, -1)),
        case("Unsqueeze", lambda x: x[:, None], opset=11, axes=[1]),
    ]


def _squeeze_file() -> File:
    file = File(inputs={"x": ("n", *SHAPE)}, weights={"a": ints(1)})
    return file.add("ReduceMean", "x", "m", axes=[1]).add("Squeeze", "m a", "y")


def split_cases() -> list[Case]:
    def parts(opset: int, *operands: Any, **attributes: Any) -> File:
        file = op_file("Split", SHAPE, *operands, opset=opset, outputs="a b c", axis=1, **attributes)
        file.outputs = {"y": None}
        return file.add("Concat", "c a b", "y", axis=1)

    def reordered_parts(*cuts: int) -> Expected:
        def expected(x: Array) -> Array:
            a, b, c = np.split(x, cuts, 1)
            return np.concatenate([c, a, b], 1)

        return expected

    halves = op_file("Split", SHAPE, opset=18, outputs="a b", axis=-1, num_outputs=2)  # The last part is smaller.
    halves.outputs = {"y": None}
    halves.add("Concat", "b a", "y", axis=3)
    return [
        ("Split", parts(13, ints(1, 2, 1)), reordered_parts(1, 3)),
        ("Split", parts(11, split=[2, 1, 1]), reordered_parts(2, 3)),
        ("Split", halves, lambda x: np.concatenate([x[..., 4:], x[..., :4]], 3)),
    ]


def folding_cases() -> list[Case]:
    """Return cases of constant folding: the result of each operator is added to the images."""

    def case(op: str, result: Any, *operands: Any, opset: int = 17, **attributes: Any) -> Case:
        weights = {f"w{number}": item for number, item in enumerate(operands)}
        file = File(inputs={"x": ("n", *SHAPE)}, weights=weights, opset=opset)
        file.add(op, " ".join(weights), "k", **attributes).add("Cast", "k", "f", to=1).add("Add", "x f", "y")
        return op, file, lambda x: x + np.asarray(result, np.float64)

    a, b = ints(7, -7, 3, 5, 2, 9, 1), ints(2, 2, -2, 5, 3, 4, 1)
    grid = np.arange(42, dtype=np.int64).reshape(6, 7)
    halves = np.array([1.5, -1.5, 0.2, 7, 8, 9, 2.5], np.float32)
    return [
        case("Abs", np.abs(a), a),
        case("Add", a + b, a, b),
        case("And", (a > 2) & (b > 2), a > 2, b > 2),
        case("Cast", halves.astype(int), halves, to=7),
        case("Ceil", np.ceil(halves), halves),
        case("Clip", a.clip(0, 5), a, ints(0)[0], ints(5)[0]),
        case("Concat", ints(1, 2, 3, 4, 5, 6, 7), ints(1, 2, 3), ints(4, 5), ints(6, 7), axis=0),
        case("Constant", a, value=a),
        case("Constant", 2.5, value_float=2.5),
        case("Constant", [1.5] * 7, value_floats=[1.5] * 7),
        case("Constant", 3, value_int=3),
        case("Constant", a, value_ints=a.tolist()),
        case("ConstantOfShape", np.full((6, 7), 3), ints(6, 7), value=ints(3)),
        case("ConstantOfShape", np.zeros((6, 1)), ints(6, 1)),
        case("Div", [3, -3, -1, 1, 0, 2, 1], a, b),
        case("Div", halves / 2, halves, scalar(2)),
        case("Equal", a == b, a, b),
        case("Exp", np.exp(halves), halves),
        case("Expand", np.broadcast_to(grid[:1], (6, 7)), grid[:1], ints(6, 7)),
        case("Flatten", grid, grid.reshape(6, 7, 1, 1)),
        case("Floor", np.floor(halves), halves),
        case("Gather", grid[[3, 1, 1, 0, -1, 5]], grid, ints(3, 1, 1, 0, -1, 5)),
        case("Greater", a > b, a, b),
        case("GreaterOrEqual", a >= b, a, b),
        case("Identity", a, a),
        case("Less", a < b, a, b),
        case("LessOrEqual", a <= b, a, b),
        case("Log", np.log(b.clip(1)), b.clip(1).astype(np.float32)),
        case("Max", np.maximum(a, b), a, b),
        case("Min", np.minimum(a, b), a, b),
        case("Mod", a % b, a, b),
        case("Mod", np.fmod(a, b), a, b, fmod=1),
        case("Mul", a * b, a, b),
        case("Neg", -a, a),
        case("Not", ~(a > 2), a > 2),
        case("Or", (a > 2) | (b > 2), a > 2, b > 2),
        case("Pow", a**2, a, ints(2)),
        case("Range", np.arange(3, 17, 2), *(ints(v)[0] for v in (3, 17, 2))),
        case("Reciprocal", 1 / halves, halves),
        case("ReduceMax", a.max(), a, keepdims=0),
        case("ReduceMean", halves.mean(), halves, keepdims=0),
        case("ReduceMin", a.min(), a, keepdims=0),
        case("ReduceProd", 5040, ints(1, 2, 3, 4, 5, 6, 7)),
        case("ReduceSum", grid.sum(0), grid, ints(0), keepdims=0),
        case("Reshape", grid, grid.reshape(-1), ints(6, -1)),
        case("Round", np.round(halves), halves),
        case("Shape", ints(6, 7)[1], grid, start=1),
        case("Size", 42, grid),
        case("Slice", grid[:, 6:3:-1][:, :1], grid, ints(6), ints(5), ints(1), ints(-1)),
        case("Split", grid[:3, :1].repeat(2, 0), grid[:3, :1].repeat(2, 0), axis=0),
        case("Sqrt", np.sqrt(np.abs(halves)), np.abs(halves)),
        case("Squeeze", a, a.reshape(1, 7, 1), ints(0, 2)),
        case("Sub", a - b, a, b),
        case("Sum", a + b + b, a, b, b),
        case("Tile", np.tile(ints(1, 2, 3, 4, 5, 6, 7), (6, 1)), ints(1, 2, 3, 4, 5, 6, 7)[None], ints(6, 1)),
        case("Transpose", grid.reshape(7, 6).T, grid.reshape(7, 6)),
        case("Unsqueeze", a[:6, None], a[:6], ints(1)),
        case("Where", np.where(a > 2, a, b), a > 2, a, b),
        case("Dropout", halves, halves),
    ]


CASES = [
    *pointwise_cases(), *positive_cases(), *logical_cases(), *normalization_cases(), *reduction_cases(),
    *linear_cases(), *layout_cases(), *split_cases(), *folding_cases(),
]  # fmt: skip

OTHER_TESTS = {
    "AveragePool", "Conv", "ConvTranspose", "GlobalAveragePool", "GlobalLpPool", "GlobalMaxPool", "LpPool", "MaxPool",
    "DequantizeLinear", "QuantizeLinear", "Resize", "Upsample",
}  # fmt: skip
"""Operators that test_conv_pool.py, test_resize.py and test_quantization.py test."""


@pytest.mark.parametrize("index", range(len(CASES)), ids=[f"{i}-{op}" for i, (op, _, _) in enumerate(CASES)])
def test_operator(index: int, tmp_path: Path) -> None:
    _, file, expected = CASES[index]
    (result,) = run(file, tmp_path, X)
    reference = np.asarray(expected(X), np.float64)
    assert result.shape == reference.shape
    assert np.abs(result - reference).max() <= 1e-6 * max(1.0, float(np.abs(reference).max()))


def test_every_operator_is_tested() -> None:
    assert {op for op, _, _ in CASES} | OTHER_TESTS == RULES.keys() | FOLDS.keys()
