"""What every engine gives: a `Program` that runs a graph and keeps its variables between runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from opsin.base.errors import ShapeError
from opsin.ir import FLOAT, Graph, Node, Tensor, Type, show

Array: TypeAlias = "NDArray[Any]"


class Program(Protocol):
    """A graph with its batch fixed, ready to run; its variables are zero until they are loaded.

    Several threads may call it at once: each run is as if it were alone, with the variables before or after another.
    """

    @property
    def graph(self) -> Graph:
        """What is run, with sizes known."""

    @property
    def batch(self) -> int:
        """The number of images of a run."""

    def run(self, **inputs: ArrayLike) -> dict[str, Array]:
        """One run: the outputs by name, in new arrays; the graph's updates are applied to the variables."""

    def state(self) -> dict[str, Array]:
        """A copy of every variable, by name."""

    def load_state(self, values: Mapping[str, ArrayLike]) -> None:
        """Sets the variables named in `values`; `ShapeError` where a name or a shape is not the graph's."""


def checked_inputs(graph: Graph, given: Mapping[str, ArrayLike], precision: DTypeLike) -> dict[str, Array]:
    """`given` as arrays, float ones in `precision`, whole ones as int32; `ShapeError` unless they are what is asked."""
    return _checked("input", {t.node.attrs["name"]: t for t in graph.inputs}, given, precision, complete=True)


def checked_state(graph: Graph, given: Mapping[str, ArrayLike], precision: DTypeLike) -> dict[str, Array]:
    """As `checked_inputs`, for any of the graph's variables."""
    return _checked("variable", graph.variables, given, precision, complete=False)


def zero_state(graph: Graph, precision: DTypeLike) -> dict[str, Array]:
    """Every variable as zeros, float ones in `precision`, whole ones as int32."""
    return {name: np.zeros(sizes(t.type), dtype_of(t.type, precision)) for name, t in graph.variables.items()}


def dtype_of(kind: Type, precision: DTypeLike) -> np.dtype[Any]:
    """The NumPy dtype of a tensor of the type `kind`."""
    return np.dtype(precision if kind.dtype == FLOAT else np.int32)


def sizes(kind: Type) -> tuple[int, ...]:
    """The shape of a tensor of a bound graph."""
    known = tuple(size for size in kind.shape if isinstance(size, int))
    if len(known) != len(kind.shape):
        raise ShapeError(f"{kind} is not bound to a batch yet")
    return known


def last_uses(graph: Graph) -> dict[Node, list[Tensor]]:
    """For each node, the tensors that nothing needs after it."""
    kept = set(graph.roots)
    last: dict[Node, list[Tensor]] = {}
    for tensor, users in graph.users.items():
        if tensor not in kept:
            last.setdefault(users[-1] if users else tensor.node, []).append(tensor)
    return last


def _checked(
    what: str, wanted: Mapping[str, Tensor], given: Mapping[str, ArrayLike], precision: DTypeLike, *, complete: bool
) -> dict[str, Array]:
    unknown = [name for name in given if name not in wanted]
    missing = [name for name in wanted if name not in given] if complete else []
    if unknown or missing:
        raise ShapeError(
            f"the graph's {what}s are {_names(wanted)}"
            + (f"; unknown: {_names(unknown)}" if unknown else "")
            + (f"; missing: {_names(missing)}" if missing else "")
        )
    return {name: _fitted(f"{what} '{name}'", wanted[name].type, value, precision) for name, value in given.items()}


def _names(names: Any) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def _fitted(what: str, kind: Type, value: ArrayLike, precision: DTypeLike) -> Array:
    array = np.asarray(value)
    if array.shape != sizes(kind):
        raise ShapeError(f"{what}: expected {show(kind.shape)}, got {show(array.shape)}")
    if array.dtype.kind not in ("fiub" if kind.dtype == FLOAT else "iub"):
        raise ShapeError(f"{what}: expected {'real' if kind.dtype == FLOAT else 'whole'} numbers, got {array.dtype}")
    return array.astype(dtype_of(kind, precision), copy=False)
