"""Convolution algorithms: every candidate works, given ones change the plan, and the heuristic selects the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import Native, codegen
from opsin.backends.reference import Reference
from opsin.backends.tuning import operation, problems
from opsin.base.legacy import CONV_ALGORITHMS
from opsin.compiler.calls import KernelCall
from opsin.compiler.execution_plan import make_plan
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, ConvProblem, candidates
from opsin.compiler.memory_limit import RecomputePlanner
from opsin.compiler.recompute import stored_activations
from opsin.compiler.simplify import simplify
from opsin.ir import Graph
from opsin.kernels.ir import Target

TARGET = codegen.host().target
OPERATIONS = ("conv2d", "conv_transpose2d", "conv2d_weight")
SHAPES = {  # images, channels, height, width, filters, kernel, stride, padding, dilation, groups
    "3x3": (5, 9, 9, 13, 18, (3, 3), (1, 1), (1, 1), (1, 1), 1),
    "3x3 of one channel, no padding": (1, 1, 7, 8, 1, (3, 3), (1, 1), (0, 0), (1, 1), 1),
    "3x3 with a wide border": (2, 3, 4, 5, 5, (3, 3), (1, 1), (2, 3), (1, 1), 1),
    "3x3, stride 2": (3, 10, 13, 10, 12, (3, 3), (2, 2), (1, 1), (1, 1), 1),
    "1x1, stride 2": (2, 7, 6, 9, 37, (1, 1), (2, 2), (0, 0), (1, 1), 1),
    "5x2, strides 3 and 2": (2, 6, 17, 14, 11, (5, 2), (3, 2), (2, 1), (1, 1), 1),
    "2x2, stride 3, gaps": (2, 5, 11, 12, 9, (2, 2), (3, 3), (0, 0), (1, 1), 1),
    "5x5, stride 2, 24 to 36 channels": (3, 24, 11, 19, 36, (5, 5), (2, 2), (0, 0), (1, 1), 1),
    "3x3, dilated, stride 2": (1, 8, 12, 11, 9, (3, 3), (2, 2), (2, 2), (2, 2), 1),
    "3x3 in groups": (2, 6, 7, 8, 9, (3, 3), (1, 1), (1, 1), (1, 1), 3),
}


def problem_of(operation: str, name: str) -> ConvProblem:
    images, channels, height, width, filters, kernel, stride, padding, dilation, groups = SHAPES[name]
    moves = zip((height, width), padding, kernel, dilation, stride, strict=True)
    rows, columns = ((n + 2 * p - (k - 1) * d - 1) // s + 1 for n, p, k, d, s in moves)
    return ConvProblem(
        operation, images, channels, (height, width), filters, (rows, columns), kernel, stride, dilation, padding,
        groups,
    )  # fmt: skip


def run(
    graph: Graph, problem: ConvProblem, algorithm: ConvAlgorithm, values: dict[str, Any], threads: int
) -> np.ndarray:
    """Return the result of a program of one operation, which uses the algorithm."""
    algorithms = {str(asked): str(algorithm) for asked in problems(graph, problem.images)}
    program = Native(make_plan(graph, problem.images, TARGET, conv_algorithms=algorithms), threads, TARGET)
    program.load_state({name: values[name] for name in graph.variables})
    return program.run(**{t.node.attrs["name"]: values[t.node.attrs["name"]] for t in graph.inputs})["result"]


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("operation_name", OPERATIONS)
def test_every_algorithm_agrees_with_the_reference_on_any_number_of_threads(operation_name: str, name: str) -> None:
    problem = problem_of(operation_name, name)
    graph, rng = operation(problem), np.random.default_rng(0)
    tensors = {t.node.attrs["name"]: t for t in (*graph.inputs, *graph.variables.values())}
    values = {key: rng.standard_normal(t.shape, np.float32) for key, t in tensors.items()}  # type: ignore[arg-type]
    reference = Reference(graph, problem.images, np.float64)
    reference.load_state({key: values[key] for key in graph.variables})
    wanted = reference.run(**{t.node.attrs["name"]: values[t.node.attrs["name"]] for t in graph.inputs})["result"]
    known = candidates(problem)
    assert len(set(known)) == len(known) and ConvAlgorithm.DIRECT in known
    for algorithm in known:
        got, *others = (run(graph, problem, algorithm, values, threads) for threads in (1, 2, 3))
        assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max(), algorithm
        assert all(got.tobytes() == other.tobytes() for other in others), algorithm


def test_candidates() -> None:
    def found(operation: str, name: str, winograd: bool = True) -> set[ConvAlgorithm]:
        return set(candidates(problem_of(operation, name), winograd))

    winograd = {ConvAlgorithm.WINOGRAD_FUSED, ConvAlgorithm.WINOGRAD_NONFUSED}
    weight_gradient = {ConvAlgorithm.DIRECT, ConvAlgorithm.IMPLICIT_GEMM}
    plain = weight_gradient | {ConvAlgorithm.DIRECT_PACKED}
    by_phases = {ConvAlgorithm.STRIDED_DGRAD, ConvAlgorithm.DIRECT_STRIDED_DGRAD}
    assert found("conv2d", "3x3") == found("conv_transpose2d", "3x3") == plain | winograd
    assert found("conv2d", "3x3", winograd=False) == found("conv2d", "3x3, stride 2") == plain
    assert found("conv2d_weight", "3x3, stride 2") == weight_gradient
    assert found("conv_transpose2d", "3x3, stride 2") == plain | by_phases | winograd
    assert found("conv_transpose2d", "3x3, dilated, stride 2") == plain
    assert found("conv2d", "3x3 in groups") == {ConvAlgorithm.DIRECT}


WIDE = ConvProblem("conv2d", 64, 64, (28, 28), 64, (28, 28), (3, 3), (1, 1), (1, 1), (1, 1), 1)
STRIDED = replace(WIDE, out=(14, 14), stride=(2, 2))
SMALL = replace(WIDE, images=1, size=(7, 7), out=(7, 7), kernel=(1, 1), prepared=True, whole_rows=True)
"""A layer at the end of a network that predicts one image."""


@pytest.mark.parametrize(
    ("problem", "algorithm"),
    [
        (WIDE, ConvAlgorithm.WINOGRAD_FUSED),
        (replace(WIDE, images=1), ConvAlgorithm.WINOGRAD_NONFUSED),
        (replace(WIDE, operation="conv2d_weight"), ConvAlgorithm.WINOGRAD_NONFUSED),
        (replace(WIDE, operation="conv2d_weight", channels=16, filters=16), ConvAlgorithm.WINOGRAD_FUSED),
        (replace(WIDE, channels=3), ConvAlgorithm.DIRECT),
        (replace(WIDE, filters=6), ConvAlgorithm.DIRECT_PACKED),
        (replace(WIDE, size=(5, 5), out=(5, 5)), ConvAlgorithm.DIRECT_PACKED),
        (replace(WIDE, size=(5, 5), out=(5, 5), operation="conv2d_weight"), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(WIDE, kernel=(1, 1), operation="conv2d_weight", filters=16), ConvAlgorithm.IMPLICIT_GEMM),
        (STRIDED, ConvAlgorithm.DIRECT_PACKED),
        (replace(STRIDED, channels=512, filters=512), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(STRIDED, kernel=(1, 1)), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(STRIDED, kernel=(1, 1), filters=40), ConvAlgorithm.DIRECT_PACKED),
        (replace(STRIDED, images=1), ConvAlgorithm.DIRECT),
        (replace(STRIDED, images=1, prepared=True), ConvAlgorithm.DIRECT_PACKED),
        (replace(STRIDED, operation="conv_transpose2d"), ConvAlgorithm.DIRECT_STRIDED_DGRAD),
        (replace(STRIDED, operation="conv_transpose2d", channels=3), ConvAlgorithm.DIRECT_STRIDED_DGRAD),
        (replace(STRIDED, operation="conv_transpose2d", channels=512), ConvAlgorithm.STRIDED_DGRAD),
        (replace(STRIDED, operation="conv_transpose2d", kernel=(1, 1)), ConvAlgorithm.STRIDED_DGRAD),
        (replace(WIDE, out=(14, 14), stride=(2, 2), operation="conv2d_weight", channels=16), ConvAlgorithm.DIRECT),
        (SMALL, ConvAlgorithm.DIRECT_PACKED),
        (replace(SMALL, size=(16, 16), out=(16, 16)), ConvAlgorithm.DIRECT_PACKED),
        (replace(SMALL, size=(16, 17), out=(16, 17)), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(SMALL, images=6), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(SMALL, filters=32), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(SMALL, prepared=False), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(SMALL, whole_rows=False), ConvAlgorithm.IMPLICIT_GEMM),
        (replace(SMALL, channels=2048, filters=512, kernel=(5, 5)), ConvAlgorithm.DIRECT_PACKED),
        (replace(SMALL, channels=2048, filters=512, kernel=(5, 5), whole_rows=False), ConvAlgorithm.IMPLICIT_GEMM),
    ],
    ids=str,
)
def test_the_heuristic_comes_first(problem: ConvProblem, algorithm: ConvAlgorithm) -> None:
    assert candidates(problem)[0] is algorithm


@pytest.mark.parametrize(("side", "expected"), [(6, True), (7, False), (14, False), (15, False)])
def test_rows_fit_into_register_tiles(side: int, expected: bool, any_target: Target) -> None:
    graph = nn.trace(nn.Conv2d(64, 1), (64, side, side))
    (node,) = (each for each in simplify(graph, 1).nodes if each.op.name == "conv2d")
    fits = expected or (side <= 14 and any_target.registers == 32)
    assert ConvProblem.of(node, target=any_target).whole_rows == fits
    assert not ConvProblem.of(node).whole_rows


def convolutions(calls: list[KernelCall], layer: str) -> dict[str, tuple[str, bool]]:
    """The kernel of each direction of a layer that multiplies, and whether it was chosen by timing."""
    return {c.direction: (type(c.spec).__name__, c.tuned) for c in calls if c.scope == layer and c.macs}


def test_algorithms_change_the_plan_of_their_problem_alone(any_target: Target) -> None:
    entry = zoo.find("resnet20_cifar")
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD())
    asked = next(p for p in problems(graph, 8) if p.direction == "forward" and p.stride == (1, 1) and p.channels == 32)
    usual = make_plan(graph, 8, any_target).calls
    other = make_plan(graph, 8, any_target, conv_algorithms={str(asked): str(ConvAlgorithm.DIRECT)}).calls
    before, after = (convolutions(calls, "layer2.1.conv1") for calls in (usual, other))
    assert before["forward"] == ("WinogradProducts", False) and after["forward"] == ("Conv2d", True)
    assert before["input gradient"] == after["input gradient"]
    assert convolutions(usual, "layer1.0.conv1") == convolutions(other, "layer1.0.conv1")
    assert sum(call.tuned and call.macs > 0 for call in other) == 5


def test_algorithms_have_names_of_earlier_versions(any_target: Target) -> None:
    entry = zoo.find("resnet20_cifar")
    graph = nn.trace(entry(), entry.input_shape)
    for old, new in CONV_ALGORITHMS.items():
        assert ConvAlgorithm(old) == new
        plans = [make_plan(graph, 2, any_target, conv_algorithms={str(p): name for p in problems(graph, 2)})
                 for name in (old, new)]  # fmt: skip
        assert str(plans[0]) == str(plans[1])
    with pytest.raises(ValueError, match="by magic"):
        ConvAlgorithm("by magic")


def test_algorithms_that_do_not_apply_leave_the_heuristic_to_select(any_target: Target) -> None:
    entry = zoo.find("resnet20_cifar")
    graph = nn.trace(entry(), entry.input_shape)
    for nonsense in ("by magic", str(ConvAlgorithm.STRIDED_DGRAD)):
        plan = make_plan(graph, 2, any_target, conv_algorithms={str(p): nonsense for p in problems(graph, 2)})
        assert str(plan) == str(make_plan(graph, 2, any_target))
    winograd = {str(p): str(ConvAlgorithm.WINOGRAD_FUSED) for p in problems(graph, 2)}
    assert "Winograd" in str(make_plan(graph, 2, any_target, conv_algorithms=winograd))
    assert "Winograd" not in str(make_plan(graph, 2, any_target, False, winograd))


def test_weights_that_never_change_make_another_problem() -> None:
    entry = zoo.find("resnet20_cifar")
    network = entry()
    training = nn.training_graph(network, entry.input_shape, nn.optimizers.SGD())
    assert not any(problem.prepared for problem in problems(training, 4))
    assert all(problem.prepared for problem in problems(nn.trace(network, entry.input_shape), 4))
    frozen = nn.training_graph(network, entry.input_shape, nn.optimizers.SGD(), frozen=("layer1",))
    assert {p.prepared for p in problems(frozen, 4) if p.channels == p.filters == 16} == {True}


def test_choices_hold_where_memory_is_short(any_target: Target) -> None:
    entry = zoo.find("resnet20_cifar")
    graph = nn.training_graph(entry(), entry.input_shape, nn.optimizers.SGD())
    for algorithm, winograd in ((ConvAlgorithm.DIRECT, False), (ConvAlgorithm.WINOGRAD_NONFUSED, True)):
        planner = RecomputePlanner(
            simplify(graph, 4), 4, any_target, True, {str(p): str(algorithm) for p in problems(graph, 4)}
        )
        dropped = [item.tensor for item in stored_activations(planner.graph, 4)][:2]
        assert ("Winograd" in str(planner(dropped))) == winograd
