"""Compare the arithmetic described here with the engine: every operation of a network, on its own inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.backends.base import load_known
from opsin.backends.native import compile
from opsin.base import random_counter
from opsin.compiler.simplify import constant_value
from opsin.explain.arithmetic.evaluate import FUNCTIONS, MAXIMA, SUMS, evaluate
from opsin.explain.arithmetic.orders import find_orders
from opsin.ir import Graph, Node
from opsin.kernels.ir import Target

CHECKED = SUMS | MAXIMA | frozenset(FUNCTIONS) | {"power"}
"""Operations with arithmetic that is described; functions that the engine approximates are not."""
SEED = 7


@dataclass(frozen=True, eq=False)
class Check:
    """An operation, the kernel that computed its result, and how many of `count` results differ in a bit.

    `differences` is None if the order of the kernel's sum is not described.
    """

    node: Node
    kernel: str
    count: int
    differences: int | None


def check_graph(
    graph: Graph, state: Mapping[str, Any], inputs: Mapping[str, Any], count: int, target: Target | None = None
) -> Iterator[Check]:
    """Yield a check of each arithmetic operation of `graph`, on one image, at `count` random places of its result.

    The graph runs natively, for a row of the target table, with every tensor as an output.
    """
    nodes = [node for node in graph.nodes if node.op.name in CHECKED and constant_value(node.output) is None]
    used = dict.fromkeys(t for node in nodes for t in (*node.inputs, node.output) if constant_value(t) is None)
    names = {tensor: f"tensor{number}" for number, tensor in enumerate(used)}
    program = compile(Graph(graph.inputs, {name: t for t, name in names.items()}), 1, winograd=False, target=target)
    load_known(program, state)
    values = program.run(**inputs)
    orders = dict(zip(names, find_orders(program, list(names.values())), strict=True))
    for number, node in enumerate(nodes):
        result, order = values[names[node.output]], orders[node.output]
        draws = random_counter.words(count * result.ndim, SEED, number).reshape(count, result.ndim)
        places = (draws % np.array(result.shape, np.uint64)).astype(np.int64)
        operands = [values[names[t]] if t in names else np.asarray(constant_value(t), np.float32) for t in node.inputs]
        computed = evaluate(node, operands, places, order)
        is_described = node.op.name not in SUMS or (order is not None and order.summation is not None)
        differences = None
        if computed is not None and is_described:
            engine = result[tuple(places.T)]
            differences = int((np.asarray(computed).view(np.int32) != engine.view(np.int32)).sum())
        yield Check(node, "" if order is None else order.kernel, count, differences)
