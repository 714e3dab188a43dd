"""The interface of every engine: a `Program` that runs a graph and keeps its variables between runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, INT8, WHOLE_DTYPES, Graph, Node, Tensor, Type, show

Array: TypeAlias = "NDArray[Any]"


class Program(Protocol):
    """A graph with a fixed batch size, ready to run; its variables are zero until they are loaded.

    Several threads may call it at once: each run is isolated, and sees the variables before or after any other run.
    """

    @property
    def graph(self) -> Graph:
        """The graph that is run, bound to the batch size."""

    @property
    def batch(self) -> int:
        """The number of samples of a run."""

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        """Run once. Return the outputs by name, in new arrays, and apply the graph's updates to the variables."""

    def state(self) -> dict[str, Array]:
        """Return a copy of every variable, by name."""

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        """Set the variables named in `values`; raise `ShapeError` if the graph has no such variable or shape."""


def load_known(program: Program, values: Mapping[str, ArrayLike]) -> None:
    """Set those variables of a program that are in `values`; others in `values` are ignored."""
    variables = program.graph.variables
    program.load_state({name: array for name, array in values.items() if name in variables})


def checked_inputs(graph: Graph, inputs: Mapping[str, ArrayLike], precision: DTypeLike) -> dict[str, Array]:
    """Return `inputs` as arrays, floats in `precision` and integers as int32 or int8.

    Raise `ShapeError` unless they have the names, shapes and kinds of the graph's inputs.
    """
    return _checked("input", {t.node.attrs["name"]: t for t in graph.inputs}, inputs, precision, complete=True)


def checked_state(graph: Graph, values: Mapping[str, ArrayLike], precision: DTypeLike) -> dict[str, Array]:
    """Check and convert values of any of the graph's variables as `checked_inputs` does inputs."""
    return _checked("variable", graph.variables, values, precision, complete=False)


def zero_state(graph: Graph, precision: DTypeLike) -> dict[str, Array]:
    """Return zeros for every variable, floats in `precision` and integers as int32 or int8."""
    return {name: np.zeros(sizes(t.type), dtype_of(t.type, precision)) for name, t in graph.variables.items()}


def dtype_of(kind: Type, precision: DTypeLike) -> np.dtype[Any]:
    """Return the NumPy dtype of a tensor of the type `kind`."""
    return np.dtype(precision if kind.dtype == FLOAT else WHOLE_DTYPES[kind.dtype])


def sizes(kind: Type) -> tuple[int, ...]:
    """Return the shape of a tensor of a bound graph; raise `ShapeError` if the graph is not bound."""
    bound_sizes = tuple(size for size in kind.shape if isinstance(size, int))
    if len(bound_sizes) != len(kind.shape):
        raise ShapeError(f"{kind} is not bound to a batch yet")
    return bound_sizes


def last_uses(graph: Graph) -> dict[Node, list[Tensor]]:
    """Return for each node the tensors that no later node reads."""
    roots = set(graph.roots)
    last: dict[Node, list[Tensor]] = {}
    for tensor, users in graph.users.items():
        if tensor not in roots:
            last.setdefault(users[-1] if users else tensor.node, []).append(tensor)
    return last


def _checked(
    role: str, tensors: Mapping[str, Tensor], values: Mapping[str, ArrayLike], precision: DTypeLike, *, complete: bool
) -> dict[str, Array]:
    unknown = [name for name in values if name not in tensors]
    missing = [name for name in tensors if name not in values] if complete else []
    if unknown or missing:
        raise ShapeError(
            f"the graph's {role}s are {_names(tensors)}"
            + (f"; unknown: {_names(unknown)}" if unknown else "")
            + (f"; missing: {_names(missing)}" if missing else "")
        )
    return {
        name: _converted(f"{role} '{name}'", tensors[name].type, value, precision) for name, value in values.items()
    }


def _names(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _converted(name: str, kind: Type, value: ArrayLike, precision: DTypeLike) -> Array:
    array = np.asarray(value)
    if array.shape != sizes(kind):
        raise ShapeError(f"{name}: expected {show(kind.shape)}, got {show(array.shape)}")
    if array.dtype.kind not in ("fiub" if kind.dtype == FLOAT else "iub"):
        raise ShapeError(f"{name}: expected {'real' if kind.dtype == FLOAT else 'whole'} numbers, got {array.dtype}")
    if kind.dtype == INT8 and array.dtype != np.int8 and array.size and not -128 <= array.min() <= array.max() <= 127:
        raise ShapeError(f"{name}: expected whole numbers from -128 to 127, got {array.min()} to {array.max()}")
    return array.astype(dtype_of(kind, precision), copy=False)
