"""Fusion leaves an order in which everything can be computed."""

from __future__ import annotations

import numpy as np

from opsin import ops
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.compiler.fusion import FusionGroup, FusionGroups, _dependencies, _find_cycle, fusion_groups
from opsin.compiler.simplify import simplify
from opsin.ir import Graph, input_tensor


def knotted() -> Graph:
    """a₁ → b₁ and b₂ → a₂, each through a sum: {a₁, a₂} and {b₁, b₂} would wait for each other."""
    x, y = input_tensor("x", (1, 8)), input_tensor("y", (1, 8))
    a1, b2 = ops.exp(x), ops.exp(y)
    b1 = ops.add(b2, ops.sum(a1, 1, keepdims=True))
    a2 = ops.add(a1, ops.sum(b2, 1, keepdims=True))
    return simplify(Graph((x, y), {"a": a2, "b": b1}), 1)


def test_clusters_that_would_wait_for_each_other_are_parted() -> None:
    graph = knotted()
    state = FusionGroups(graph)
    exps = [node for node in graph.nodes if node.op.name == "exp"]
    adds = [node for node in graph.nodes if node.op.name == "add"]
    for add in adds:
        (exp,) = [t.node for t in add.inputs if t.node in exps]
        both = FusionGroup([exp, add])
        state.group_of[exp] = state.group_of[add] = both
    assert len(_find_cycle(_dependencies(graph, state))) == 2


def test_the_order_is_complete_and_right() -> None:
    graph = knotted()
    done = {t.node for t in graph.inputs}
    for cluster in fusion_groups(graph):
        members = set(cluster)
        assert all(t.node in done | members for node in members for t in node.inputs if t.node.op.name != "constant")
        done |= members
    inputs = {name: np.random.default_rng(0).standard_normal((1, 8), np.float32) for name in "xy"}
    expected = Reference(graph, 1, np.float64).run(**inputs)
    for name, value in compile_native(graph, 1, 1).run(**inputs).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)
