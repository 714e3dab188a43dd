"""The graph: symbolic tensors, the nodes that make them, and the operations' interface.

A `Tensor` is an edge: a shape, a dtype, and the node it comes from. A `Node` applies an `Op` to
tensors. Nothing is computed here, and nothing here knows which operations exist: an operation
brings its own shape rule, NumPy meaning, gradient and cost (`Op`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

from opsin.base.errors import GraphError, OpsinError
from opsin.ir.arguments import called, one_of, text
from opsin.ir.arguments import shape as sound_shape
from opsin.ir.operators import Operators
from opsin.ir.size import Dim, Shape, show

FLOAT = "float"
"""Real numbers. Each engine chooses the precision: float32 natively, float32 or float64 in NumPy."""
INT = "int"
"""32-bit integers: labels, counters, seeds."""


@dataclass(frozen=True)
class Type:
    """Shape and dtype of a tensor: what an operation's shape rule takes and gives."""

    shape: Shape
    dtype: str = FLOAT

    def __str__(self) -> str:
        return show(self.shape) + ("" if self.dtype == FLOAT else f" {self.dtype}")


class Tensor(Operators):
    """A symbolic tensor: output number `index` of `node`."""

    __slots__ = ("index", "node", "type")

    def __init__(self, node: Node, index: int, type: Type) -> None:
        self.node, self.index, self.type = node, index, type

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    @property
    def rank(self) -> int:
        return len(self.type.shape)

    def __repr__(self) -> str:
        return f"<{self.node.op.name} {self.type}>"


class Node:
    """One application of an operation, with the layer (`scope`) that it was written in."""

    __slots__ = ("attrs", "inputs", "op", "outputs", "scope")

    def __init__(
        self, op: Op, inputs: tuple[Tensor, ...], attrs: dict[str, Any], types: tuple[Type, ...], scope: str
    ) -> None:
        self.op, self.inputs, self.attrs, self.scope = op, inputs, attrs, scope
        if len(types) == 1:  # nearly always
            self.outputs: tuple[Tensor, ...] = (Tensor(self, 0, types[0]),)
        else:
            self.outputs = tuple([Tensor(self, index, type) for index, type in enumerate(types)])

    def on(self, inputs: tuple[Tensor, ...]) -> Node:
        """The same operation on other tensors of the same types."""
        return Node(self.op, inputs, self.attrs, tuple([t.type for t in self.outputs]), self.scope)

    @property
    def output(self) -> Tensor:
        """The only output; most operations have one."""
        (output,) = self.outputs
        return output

    def __repr__(self) -> str:
        return f"<{self.op.name} in {self.scope or 'graph'}: {', '.join(str(t.type) for t in self.outputs)}>"


class Op:
    """An operation: its shape rule, its NumPy meaning, its gradient and its cost.

    Subclasses override `infer` and `evaluate`, and `gradient` where there is one; they hold no
    state. Attributes must be hashable data (numbers, strings, tuples, `Size`), so that a graph
    can be compared, bound to a batch, and written to a file.
    """

    name: ClassVar[str]

    def infer(self, *types: Any, **attrs: Any) -> Type | tuple[Type, ...]:
        """The outputs' types. Raises `ShapeError` where the inputs do not fit."""
        raise NotImplementedError

    def evaluate(self, *arrays: Any, **attrs: Any) -> Any:
        """The NumPy meaning: arrays in, one array (or a tuple of them) out, in the inputs' precision."""
        raise NotImplementedError

    def gradient(self, node: Node, *grads: Tensor) -> Sequence[Tensor | None]:
        """For each input, the gradient of a scalar whose gradients by the outputs are `grads`."""
        raise NotImplementedError(f"{self.name} has no gradient")

    def macs(self, node: Node) -> Dim:
        """Multiply-adds, counted as papers do: only those of convolutions and matrix products."""
        return 0

    def window(self, node: Node) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """For operations that slide: (extent, stride) by rows and columns, for the receptive field."""
        return None

    def __call__(self, *inputs: Tensor, **attrs: Any) -> Node:
        return apply(self, inputs, attrs)


_scope: ContextVar[str] = ContextVar("scope", default="")


class scope:
    """Nodes made inside belong to the layer `name`, a dotted path from the network's root."""

    __slots__ = ("name", "token")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.token = _scope.set(self.name)

    def __exit__(self, *_: object) -> None:
        _scope.reset(self.token)


def current_scope() -> str:
    return _scope.get()


def apply(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any], scope: str | None = None) -> Node:
    """A node that applies `op`; a misfit is reported with the layer it happened in."""
    where = _scope.get() if scope is None else scope
    return Node(op, tuple(inputs), attrs, inferred(op, inputs, attrs, where), where)


def inferred(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any], scope: str) -> tuple[Type, ...]:
    """The types that the shape rule of `op` gives; a misfit is reported with the layer `scope`."""
    try:
        types = op.infer(*[tensor.type for tensor in inputs], **attrs)
    except OpsinError as error:
        error.in_layer(scope)
        raise
    except (AttributeError, TypeError):
        for operand in inputs:
            if not isinstance(operand, Tensor):
                raise GraphError(f"{op.name}: operands are symbolic tensors, not {called(operand)}") from None
        raise
    return types if isinstance(types, tuple) else (types,)


class Input(Op):
    """What the caller gives at every run. Attributes: `name`, `type`."""

    name = "input"

    def infer(self, *types: Type, **attrs: Any) -> Type:
        kind: Type = attrs["type"]
        return kind


class Variable(Op):
    """What stays between runs: parameters, running statistics, optimizer state.

    Attributes: `name`; `type`; `trainable`; `init`, data that `nn` reads to make the first value;
    `like`, the name of the variable this one goes with element by element (or an empty string).
    """

    name = "variable"

    def infer(self, *types: Type, **attrs: Any) -> Type:
        kind: Type = attrs["type"]
        return kind


INPUT = Input()
VARIABLE = Variable()


def input_tensor(name: str, shape: Shape, dtype: str = FLOAT) -> Tensor:
    """A symbolic input called `name`."""
    return apply(INPUT, (), {"name": text("the name of an input", name), "type": _sound(name, shape, dtype)}).output


def _sound(name: str, shape: Shape, dtype: str) -> Type:
    """The type of a tensor whose shape anybody has given."""
    return Type(sound_shape(f"the shape of '{name}'", shape), one_of(f"the dtype of '{name}'", dtype, (FLOAT, INT)))


def variable(
    name: str,
    shape: Shape,
    dtype: str = FLOAT,
    *,
    init: tuple[Any, ...] = ("zeros",),
    trainable: bool = False,
    like: str = "",
) -> Tensor:
    """A tensor whose value stays between runs; see `Variable` for the attributes."""
    attrs = {
        "name": text("the name of a variable", name),
        "type": _sound(name, shape, dtype),
        "init": init,
        "trainable": trainable,
        "like": like,
    }
    return apply(VARIABLE, (), attrs).output
