"""Symbolic tensors, the nodes that produce them, and the interface of operations.

A `Tensor` is an edge of the graph: a shape, a dtype, and the node it comes from. A `Node` applies an `Op` to tensors.
Nothing is computed here, and nothing here knows which operations exist: an operation defines its own shape rule, NumPy
reference, gradient and cost (`Op`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

from opsin.base.errors import GraphError, OpsinError
from opsin.ir.arguments import called, one_of, text
from opsin.ir.arguments import shape as checked_shape
from opsin.ir.operators import Operators
from opsin.ir.size import Dim, Shape, show

FLOAT = "float"
"""Real numbers. Each backend chooses the precision: float32 natively, float32 or float64 in NumPy."""
INT = "int"
"""32-bit integers: labels, counters, seeds, and the sums of products of 8-bit integers."""
INT8 = "int8"
"""8-bit integers, -128 to 127: quantized activations and weights."""
WHOLE_DTYPES = {INT: "int32", INT8: "int8"}
"""The dtypes of whole numbers, with their names in NumPy."""
DTYPES = (FLOAT, *WHOLE_DTYPES)


@dataclass(frozen=True)
class Type:
    """Shape and dtype of a tensor: the arguments and results of shape rules."""

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
    """One application of an operation, with the layer (`scope`) in which it was written."""

    __slots__ = ("attrs", "inputs", "op", "outputs", "scope")

    def __init__(
        self, op: Op, inputs: tuple[Tensor, ...], attrs: dict[str, Any], types: tuple[Type, ...], scope: str
    ) -> None:
        self.op, self.inputs, self.attrs, self.scope = op, inputs, attrs, scope
        if len(types) == 1:  # the usual case
            self.outputs: tuple[Tensor, ...] = (Tensor(self, 0, types[0]),)
        else:
            self.outputs = tuple([Tensor(self, index, type) for index, type in enumerate(types)])

    def on(self, inputs: tuple[Tensor, ...]) -> Node:
        """Return a node with the same operation, for other inputs of the same types."""
        return Node(self.op, inputs, self.attrs, tuple([t.type for t in self.outputs]), self.scope)

    @property
    def output(self) -> Tensor:
        """The only output; most operations have one. Raise `ValueError` if there are several."""
        (output,) = self.outputs
        return output

    def __repr__(self) -> str:
        return f"<{self.op.name} in {self.scope or 'graph'}: {', '.join(str(t.type) for t in self.outputs)}>"


class Op:
    """An operation: its shape rule, NumPy reference, gradient and cost.

    Subclasses override `infer` and `evaluate`, and `gradient` if there is one; they have no state. Attributes must be
    hashable data (numbers, strings, tuples, `Size`), so that a graph can be compared, bound to a batch, and written to
    a file.
    """

    name: ClassVar[str]

    def infer(self, *types: Any, **attrs: Any) -> Type | tuple[Type, ...]:
        """Return the types of the outputs. Raise `ShapeError` if the inputs do not match."""
        raise NotImplementedError

    def evaluate(self, *arrays: Any, **attrs: Any) -> Any:
        """Compute the outputs with NumPy: arrays in, one array (or a tuple) out, in the precision of the inputs."""
        raise NotImplementedError

    def gradient(self, node: Node, *grads: Tensor) -> Sequence[Tensor | None]:
        """Return the gradient of a scalar for each input, given its gradients `grads` for the outputs."""
        raise NotImplementedError(f"{self.name} has no gradient")

    def macs(self, node: Node) -> Dim:
        """Return the MACs, counted as papers do: only those of convolutions and matrix products."""
        return 0

    def window(self, node: Node) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """Return (extent, stride) by rows and columns if a window slides over the input; for receptive fields."""
        return None

    def __call__(self, *inputs: Tensor, **attrs: Any) -> Node:
        return apply(self, inputs, attrs)


_scope: ContextVar[str] = ContextVar("scope", default="")


class scope:
    """A context in which new nodes belong to the layer `name`, a dotted path from the root of the network."""

    __slots__ = ("name", "token")

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.token = _scope.set(self.name)

    def __exit__(self, *_: object) -> None:
        _scope.reset(self.token)


def current_scope() -> str:
    """Return the path of the layer that is being traced; empty outside of layers."""
    return _scope.get()


def apply(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any], scope: str | None = None) -> Node:
    """Return a node that applies `op`. Errors of its shape rule name the layer `scope`, by default the current one."""
    layer = _scope.get() if scope is None else scope
    return Node(op, tuple(inputs), attrs, infer_types(op, inputs, attrs, layer), layer)


def infer_types(op: Op, inputs: Sequence[Tensor], attrs: dict[str, Any], scope: str) -> tuple[Type, ...]:
    """Return the types of the outputs of `op` by its shape rule. Its errors name the layer `scope`."""
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
    """A value that the caller provides for each run. Attributes: `name`, `type`."""

    name = "input"

    def infer(self, *types: Type, **attrs: Any) -> Type:
        kind: Type = attrs["type"]
        return kind


class Variable(Op):
    """A value that persists between runs: parameters, running statistics, optimizer state.

    Attributes: `name`; `type`; `trainable`; `init`, the initializer as data, see `opsin.ir.initial_state`; `like`, the
    name of the variable that this one corresponds to element by element (or an empty string).
    """

    name = "variable"

    def infer(self, *types: Type, **attrs: Any) -> Type:
        kind: Type = attrs["type"]
        return kind


INPUT = Input()
VARIABLE = Variable()


def input_tensor(name: str, shape: Shape, dtype: str = FLOAT) -> Tensor:
    """Return a symbolic input called `name`."""
    return apply(
        INPUT, (), {"name": text("the name of an input", name), "type": _checked_type(name, shape, dtype)}
    ).output


def _checked_type(name: str, shape: Shape, dtype: str) -> Type:
    """Return a tensor type, with shape and dtype validated."""
    return Type(checked_shape(f"the shape of '{name}'", shape), one_of(f"the dtype of '{name}'", dtype, DTYPES))


def variable(
    name: str,
    shape: Shape,
    dtype: str = FLOAT,
    *,
    init: tuple[Any, ...] = ("zeros",),
    trainable: bool = False,
    like: str = "",
) -> Tensor:
    """Return a tensor with a value that persists between runs; see `Variable` for the attributes."""
    attrs = {
        "name": text("the name of a variable", name),
        "type": _checked_type(name, shape, dtype),
        "init": init,
        "trainable": trainable,
        "like": like,
    }
    return apply(VARIABLE, (), attrs).output
