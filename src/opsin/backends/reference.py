"""The definition of every graph: each node computed in turn, in NumPy, in float32 or float64.

Slow, readable and right; the other engines are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from opsin.backends.base import Array, checked_inputs, checked_state, dtype_of, last_uses, zero_state
from opsin.base.concurrency import ForkLock
from opsin.ir import INPUT, VARIABLE, Graph, Node, Tensor


class Reference:
    """A `Program` that runs `graph` in NumPy with `batch` images, in the float type `precision`."""

    def __init__(self, graph: Graph, batch: int, precision: DTypeLike = np.float32) -> None:
        self.graph, self.batch, self.precision = graph.bind(batch), batch, np.dtype(precision)
        self._state = zero_state(self.graph, self.precision)
        self._last_use = last_uses(self.graph)
        self._lock = ForkLock(reentrant=False)

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        values: dict[Tensor, Array] = {}
        with self._lock.lock:
            for _ in self._compute(inputs, values):
                pass
            outputs = {name: values[t].copy() for name, t in self.graph.outputs.items()}
            self._state |= {name: values[t].copy() for name, t in self.graph.updates.items()}
            return outputs

    def trace_values(self, **inputs: ArrayLike) -> Iterator[tuple[Node, tuple[Array, ...]]]:
        """Each node with what it gives, operands first; the variables stay as they are."""
        return self._compute(inputs, {})

    def state(self) -> dict[str, Array]:
        with self._lock.lock:
            return {name: value.copy() for name, value in self._state.items()}

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        fitted = checked_state(self.graph, values, self.precision)
        with self._lock.lock:
            self._state |= {name: value.copy() for name, value in fitted.items()}

    def _compute(
        self, inputs: Mapping[str, ArrayLike], values: dict[Tensor, Array]
    ) -> Iterator[tuple[Node, tuple[Array, ...]]]:
        """Fills `values` node by node, and drops each value after its last use."""
        given = checked_inputs(self.graph, inputs, self.precision)
        for node in self.graph.nodes:
            results = self._results(node, given, [values[t] for t in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
            yield node, results
            for tensor in self._last_use.get(node, ()):
                del values[tensor]

    def _results(self, node: Node, given: Mapping[str, Array], operands: list[Array]) -> tuple[Array, ...]:
        if node.op is INPUT:
            return (given[node.attrs["name"]],)
        if node.op is VARIABLE:
            return (self._state[node.attrs["name"]],)
        with np.errstate(all="ignore"):  # what is not a number shows in the results
            made: Any = node.op.evaluate(*operands, **node.attrs)
        results = made if isinstance(made, tuple) else (made,)
        return tuple(
            np.asarray(value, dtype_of(tensor.type, self.precision))
            for value, tensor in zip(results, node.outputs, strict=True)
        )
