"""Run every operation of a network on its own inputs, and compare sampled results with the engine's bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from opsin.backends.native import compile
from opsin.explain.arithmetic.evaluate import CARRIED, FUNCTIONS, MAXIMA, SUMS, evaluate
from opsin.explain.arithmetic.orders import Order, find_orders
from opsin.ir import Graph, Node, Tensor
from opsin.kernels.ir import Target

ARITHMETIC = SUMS | MAXIMA | frozenset(FUNCTIONS) | {"power"}


@dataclass
class Check:
    """One operation: the kernel that computed it, and how many of `count` sampled results differ in a bit."""

    node: Node
    kernel: str
    count: int
    differences: int | None
    """None if the order of the kernel is not described."""


def checks(
    graph: Graph, state: dict[str, Any], inputs: dict[str, Any], count: int = 64, target: Target | None = None
) -> Iterator[Check]:
    """Yield the checks of all arithmetic operations of `graph` at `count` places each, for one image."""
    nodes = [node for node in graph.nodes if node.op.name in ARITHMETIC and len(node.outputs) == 1]
    nodes = [node for node in nodes if _value(node.output) is None]
    tensors = list(dict.fromkeys(t for node in nodes for t in (*node.inputs, node.output) if _value(t) is None))
    names = {tensor: f"tensor{number}" for number, tensor in enumerate(tensors)}
    program = compile(Graph(graph.inputs, {name: t for t, name in names.items()}), 1, winograd=False, target=target)
    program.load_state({name: array for name, array in state.items() if name in program.graph.variables})
    values = program.run(**inputs)
    orders = dict(zip(tensors, find_orders(program, list(names.values())), strict=True))
    rng = np.random.default_rng(7)
    for node in nodes:
        result = values[names[node.output]]
        places = np.stack([rng.integers(0, size, count) for size in result.shape], 1) if result.ndim else np.zeros((1, 0), int)
        operands = [
            np.float32(_value(t)) if t not in names else values[names[t]] for t in node.inputs
        ]
        order: Order | None = orders[node.output]
        got = evaluate(node, operands, places, order)
        kernel = "" if order is None else order.kernel
        if got is None or (node.op.name in SUMS and (order is None or order.summation is None)):
            yield Check(node, kernel, count, None)
            continue
        want = result[tuple(places.T)]
        yield Check(node, kernel, count, int((got.view(np.int32) != want.view(np.int32)).sum()))


def _value(tensor: Tensor) -> float | None:
    from opsin.compiler.simplify import constant_value

    return constant_value(tensor)
