"""Python's operators on symbolic tensors: like NumPy's on arrays, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.backends.native import compile
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError, OpsinError
from opsin.ir import BATCH, INT, Graph, Tensor, input_tensor

VALUES = np.random.default_rng(0).normal(size=(2, 3, 4))
MATRIX = np.random.default_rng(1).normal(size=(4, 5)).astype(np.float32)
ARRAY = np.arange(12, dtype=np.float32).reshape(3, 4) - 5

OPERATORS: dict[str, Callable[[Any], Any]] = {
    "x + 2": lambda x: x + 2, "2 + x": lambda x: 2 + x, "x - 2": lambda x: x - 2, "2 - x": lambda x: 2 - x,
    "x * 2": lambda x: x * 2, "2 * x": lambda x: 2 * x, "x / 3": lambda x: x / 3, "1 / x": lambda x: 1 / x,
    "-x": lambda x: -x, "+x": lambda x: +x, "abs": abs, "x ** 2": lambda x: x**2, "x ** 3": lambda x: x**3,
    "2 ** x": lambda x: 2**x, "x * x": lambda x: x * x, "x - x / 2": lambda x: x - x / 2,
    "float32": lambda x: x + np.float32(1), "float32 on the left": lambda x: np.float32(2) * x,
    "float64 on the left": lambda x: np.float64(2) - x, "int64": lambda x: x * np.int64(3),
    "0-d": lambda x: x * np.array(2.5), "0-d on the left": lambda x: np.array(2) / x, "True": lambda x: x + True,
    "array": lambda x: x + ARRAY, "array on the left": lambda x: ARRAY - x,
    "one array twice": lambda x: x * ARRAY + ARRAY,
    "whole array": lambda x: x * np.arange(4), "np.add": lambda x: np.add(ARRAY, x),
    "np.negative": lambda x: np.negative(x),
    "x > 0": lambda x: x > 0, "x < 0": lambda x: x < 0, "x >= x": lambda x: x >= x, "0 <= x": lambda x: x >= 0,
    "x[:, :2]": lambda x: x[:, :2], "x[..., 0]": lambda x: x[..., 0], "x[:, -1]": lambda x: x[:, -1],
    "x[:, None, 1:, ::2]": lambda x: x[:, None, 1:, ::2], "x[:, :100]": lambda x: x[:, :100], "x[:]": lambda x: x[:],
    "x[:, -2:, np.int64(1)]": lambda x: x[:, -2:, np.int64(1)], "x[..., None]": lambda x: x[..., None],
    "reshape": lambda x: x.reshape(-1, 12), "reshape of a tuple": lambda x: x.reshape((-1, np.int64(6))),
}  # fmt: skip


def outcome(function: Callable[[Any], Any], engine: str = "reference") -> np.ndarray[Any, Any]:
    x = input_tensor("x", (BATCH, 3, 4))
    graph = Graph((x,), {"y": function(x)}).verify()
    program = Reference(graph, 2, np.float64) if engine == "reference" else compile(graph, 2)
    program.load_state(nn.initial_state(graph, 0))
    return np.asarray(program.run(x=VALUES if engine == "reference" else VALUES.astype(np.float32))["y"])


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_are_those_of_numpy(name: str) -> None:
    expected = np.asarray(OPERATORS[name](VALUES), np.float64)
    np.testing.assert_allclose(outcome(OPERATORS[name]), expected, atol=1e-6)
    np.testing.assert_allclose(outcome(OPERATORS[name], "native"), expected, rtol=1e-4, atol=1e-5)


def test_matrix_products() -> None:
    x = input_tensor("x", (2, 4))
    given = np.ones((2, 4))
    for product, expected in ((x @ MATRIX, given @ MATRIX), (MATRIX.T @ ops.transpose(x), MATRIX.T @ given.T)):
        graph = Graph((x,), {"y": product}).verify()
        program = Reference(graph, 1, np.float64)
        program.load_state(nn.initial_state(graph, 0))
        np.testing.assert_allclose(program.run(x=given)["y"], expected, atol=1e-6)


def test_a_network_may_be_written_with_operators() -> None:
    class Net(nn.Layer):
        def __init__(self) -> None:
            self.conv, self.head = nn.Conv2d(4, 3, padding=1), nn.Linear(2)

        def forward(self, x: Tensor) -> Tensor:
            mean = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
            x = (x - mean) / np.float32(0.5)
            y = self.conv(x)
            return self.head(nn.Flatten()((y * (y > 0))[:, :2] ** 2))

    optimizer = nn.optimizers.SGD(momentum=np.float32(0.5))  # type: ignore[arg-type]
    graph = nn.training_graph(Net(), (3, 6, 6), optimizer)
    assert set(graph.parameters) == {"conv.weight", "conv.bias", "head.weight", "head.bias"}


def test_labels_remain_whole_numbers() -> None:
    labels = input_tensor("labels", (BATCH,), INT)
    assert (labels + 1).dtype == INT
    assert (labels + np.array([1])).dtype == INT
    with pytest.raises(
        OpsinError, match=r"^1\.5 is no whole number, unlike the tensors it is combined with; cast those"
    ):
        labels + 1.5
    with pytest.raises(OpsinError, match=r"^a whole constant must be a whole number of at most 2,147,483,647"):
        labels + 2**40


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "text": (lambda x: x + "a", "an operand that is neither a tensor nor an array must be a number, not 'a'"),
    "text on the left": (lambda x: "a" + x, "must be a number, not 'a'"),
    "None": (lambda x: x * None, "must be a number, not None"),
    "list": (lambda x: x + [1], r"must be a number, not \[1\]"),
    "complex": (lambda x: x * 1j, "must be a number, not 1j"),
    "array of text": (lambda x: x + np.array(["a"]), "^an array in a network is one of 1 to 65,536 real numbers, not"),
    "shapes": (lambda x: x + np.ones(5), "^add: N × 3 × 4 and 5 do not match"),
    "bool": (bool, "is neither true nor false: .* use opsin.ops.where to choose by element"),
    "chain": (lambda x: 0 < x < 1, "is neither true nor false"),
    "len": (len, r"has no length; its sizes are in \.shape"),
    "iteration": (list, r"cannot be iterated over; take parts of it with x\[:, 0\]"),
    "in": (lambda x: 3 in x, "use opsin.ops.equal"),
    "float": (float, "is no Python number"),
    "index": (lambda x: [1, 2][x], "is no Python number"),
    "np.array": (np.array, "cannot become an array: it holds no numbers while a network is traced"),
    "np.exp": (np.exp, "^NumPy's exp cannot compute with <input N × 3 × 4>"),
    "np.mean": (np.mean, "cannot become an array"),
    "floor division": (lambda x: x // 2, r"does not have this operator; there are \+ - \* / \*\* @ abs"),
    "method": (lambda x: x.view(3), "^symbolic tensors have no 'view'; the functions of opsin.ops take them"),
    "assignment": (lambda x: x.__setitem__(0, 1), "cannot be changed; make another tensor"),
    "far index": (lambda x: x[:, 5], "^index 5 is outside axis 1 of N × 3 × 4"),
    "fraction as index": (lambda x: x[:, 1.5], "^an index must be a whole number, not 1.5"),
    "list as index": (lambda x: x[[1]], "^an index is a number, a slice, None or …, not "),
    "mask": (lambda x: x[x > 0], "^an index is a number, a slice, None or …, not "),
    "too many": (lambda x: x[1, 1, 1, 1], "has 3 axes, too few for an index with 4"),
    "two ellipses": (lambda x: x[..., ...], "^an index has at most one …"),
    "backwards": (lambda x: x[:, ::-1], "^the step of a slice must be at least 1, not -1"),
    "end of the batch": (lambda x: x[:-1], "^a slice of the free axis 0 of N × 3 × 4 is counted from its front"),
    "power of tensors": (lambda x: x**x, "^one of base and exponent must be a number"),
    "negative base": (lambda x: (-2) ** x, "^the base of a power must be above 0, not -2"),
    "shape of text": (lambda x: x.reshape("a"), "^a shape must be a sequence of whole numbers, not 'a'"),
    "no matrices": (lambda x: x @ x, "^matmul: expected matrices"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_operands_are_errors(name: str) -> None:
    function, text = WRONG[name]
    with pytest.raises(OpsinError, match=text):
        function(input_tensor("x", (BATCH, 3, 4)))


def test_tensors_are_hashable_and_have_no_unexpected_attributes() -> None:
    x, y = input_tensor("x", (2,)), input_tensor("y", (2,))
    assert {x: 1, y: 2}[y] == 2
    assert x in [x] and x not in [y]
    assert not hasattr(x, "view") and not hasattr(x, "__array_interface__")
    with pytest.raises(GraphError):
        ops.OPS["add"](x, 3)  # type: ignore[arg-type]
