"""Python's operators on symbolic tensors: they create nodes, or raise an error that says what to write instead.

This package knows no operations: `opsin.ops` defines what `+` is (`provide`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from opsin.base.errors import GraphError

if TYPE_CHECKING:
    from opsin.ir.core import Tensor

_functions: dict[str, Callable[..., Any]] = {}

UFUNCS = {
    "add": "add", "subtract": "subtract", "multiply": "multiply", "divide": "divide", "true_divide": "divide",
    "power": "power", "float_power": "power", "matmul": "matmul", "greater": "greater", "less": "less",
    "greater_equal": "at_least", "less_equal": "at_most", "negative": "negate", "absolute": "absolute",
}  # fmt: skip
"""NumPy's names of operators, and the names used here."""


def provide(**functions: Callable[..., Any]) -> None:
    """Define operators by name: add, subtract, multiply, divide, power, matmul, negate, absolute, greater, less,
    at_least, at_most, take (indexing) and reshape.
    """
    _functions.update(functions)


def _apply(name: str, *operands: Any) -> Tensor:
    if name not in _functions:
        raise GraphError(f"tensors have no '{name}' before opsin.ops is imported; import it first")
    result: Tensor = _functions[name](*operands)
    return result


class MissingAttribute(GraphError, AttributeError):
    """Symbolic tensors have no such attribute."""


class Operators:
    """The operators of `Tensor`."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return _apply("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _apply("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _apply("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _apply("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _apply("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _apply("divide", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _apply("power", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _apply("power", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _apply("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _apply("matmul", other, self)

    def __neg__(self) -> Tensor:
        return _apply("negate", self)

    def __pos__(self) -> Tensor:
        return self  # type: ignore[return-value]

    def __abs__(self) -> Tensor:
        return _apply("absolute", self)

    def __gt__(self, other: Any) -> Tensor:
        return _apply("greater", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _apply("less", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _apply("at_least", self, other)

    def __le__(self, other: Any) -> Tensor:
        return _apply("at_most", self, other)

    def __getitem__(self, key: Any) -> Tensor:
        return _apply("take", self, key)

    def reshape(self, *shape: Any) -> Tensor:
        """Return the same elements in another shape, given as numbers or as one sequence; one size may be -1."""
        return _apply("reshape", self, shape[0] if len(shape) == 1 and not hasattr(shape[0], "__index__") else shape)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Tensor:
        """Handle NumPy's numbers and arrays on the left of an operator, and NumPy's functions."""
        name = UFUNCS.get(ufunc.__name__)
        if name and method == "__call__" and not options:
            return _apply(name, *inputs)
        raise GraphError(
            f"NumPy's {ufunc.__name__} cannot compute with {self!r}, which holds no numbers while a network is traced; "
            "use the functions of opsin.ops"
        )

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise GraphError(
            f"{self!r} cannot become an array: it holds no numbers while a network is traced; "
            "use opsin.ops in forward, and run the graph with a backend"
        )

    def __bool__(self) -> NoReturn:
        raise GraphError(
            f"{self!r} is neither true nor false: it holds no numbers while a network is traced; "
            "use opsin.ops.where to choose by element, and comparisons of shapes in if"
        )

    def __len__(self) -> NoReturn:
        raise GraphError(f"{self!r} has no length; its sizes are in .shape, in which N is the free batch")

    def __iter__(self) -> NoReturn:
        raise GraphError(f"{self!r} cannot be iterated over; take parts of it with x[:, 0], or with opsin.ops.narrow")

    def __contains__(self, item: object) -> NoReturn:
        raise GraphError(f"{self!r} holds no numbers while a network is traced; use opsin.ops.equal")

    def _no_number(self) -> NoReturn:
        raise GraphError(f"{self!r} is no Python number: it holds no numbers while a network is traced")

    __float__ = __int__ = __index__ = __complex__ = __round__ = _no_number

    def _no_operator(self, other: Any = None) -> NoReturn:
        raise GraphError(
            f"{self!r} does not have this operator; there are + - * / ** @ abs, < > <= >=, and x[…], and opsin.ops"
        )

    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __divmod__ = __rdivmod__ = _no_operator
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __invert__ = _no_operator
    __lshift__ = __rlshift__ = __rshift__ = __rrshift__ = _no_operator

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise GraphError(f"{self!r} cannot be changed; make another tensor, with opsin.ops.where or opsin.ops.concat")

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__") or hasattr(type(self), name):  # a probe of a library, or a property that failed
            raise AttributeError(name)
        raise MissingAttribute(
            f"symbolic tensors have no '{name}'; the functions of opsin.ops take them, such as opsin.ops.relu(x)"
        )
