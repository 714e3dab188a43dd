"""The definition of every graph: each node computed in turn, in NumPy, in float32 or float64.

Slow, readable and correct; the other engines are tested against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from opsin.backends.base import Array, checked_inputs, checked_state, dtype_of, last_uses, zero_state
from opsin.backends.options import DEFAULT, CompileOptions, refuse
from opsin.base.concurrency import ForkLock
from opsin.ir import INPUT, VARIABLE, Graph, Node, Tensor


class Reference:
    """A `Program` that runs `graph` in NumPy with `batch` samples, in the float type `precision`."""

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
        """Yield each node with its results, operands first; leave the variables unchanged."""
        return self._compute(inputs, {})

    def state(self) -> dict[str, Array]:
        with self._lock.lock:
            return {name: value.copy() for name, value in self._state.items()}

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        arrays = checked_state(self.graph, values, self.precision)
        with self._lock.lock:
            self._state |= {name: value.copy() for name, value in arrays.items()}

    def _compute(
        self, inputs: Mapping[str, ArrayLike], values: dict[Tensor, Array]
    ) -> Iterator[tuple[Node, tuple[Array, ...]]]:
        """Fill `values` node by node, and drop each value after its last use."""
        arrays = checked_inputs(self.graph, inputs, self.precision)
        for node in self.graph.nodes:
            results = self._results(node, arrays, [values[t] for t in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
            yield node, results
            for tensor in self._last_use.get(node, ()):
                del values[tensor]

    def _results(self, node: Node, inputs: Mapping[str, Array], operands: list[Array]) -> tuple[Array, ...]:
        if node.op is INPUT:
            return (inputs[node.attrs["name"]],)
        if node.op is VARIABLE:
            return (self._state[node.attrs["name"]],)
        with np.errstate(all="ignore"):  # NaN and infinity show in the results
            values: Any = node.op.evaluate(*operands, **node.attrs)
        results = values if isinstance(values, tuple) else (values,)
        return tuple(
            np.asarray(value, dtype_of(tensor.type, self.precision))
            for value, tensor in zip(results, node.outputs, strict=True)
        )


def compile(
    graph: Graph,
    batch: int,
    threads: int | None = None,
    *,
    options: CompileOptions = DEFAULT,
    precision: DTypeLike = np.float32,
) -> Reference:
    """Return `graph` as a `Program` for `batch` samples: the reference engine in the form that training takes.

    NumPy decides about `threads`. The engine sums convolutions directly, so that it never uses Winograd's algorithm
    and has no choice of algorithms to make; raise `UsageError` if `options` limit the memory.
    """
    refuse("reference", options, "memory", "precision")
    return Reference(graph, batch, precision)
