"""The argument of an import rule: one node with its operands and attributes.

An operand is either a tensor of the network or a constant: a weight, or a result of the shape arithmetic that exporters
write into their graphs. Constant arrays may contain sizes that depend on the batch (`Size`); they are then arrays of
objects, and NumPy computes with them as with integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from numpy.typing import NDArray

from opsin import ops
from opsin.base.errors import ModelError
from opsin.interop.onnx.messages import Attribute, NodeRecord, TensorRecord
from opsin.ir import BATCH, Dim, Size, Tensor

Array: TypeAlias = "NDArray[Any]"


class UnsupportedError(ModelError):
    """A node needs a feature that Opsin does not support. The message is written to follow the node's name."""


@dataclass(frozen=True, eq=False)
class ConstantValue:
    """An array that does not depend on the images, and its name in the file. A `weight` may be trainable."""

    array: Array
    name: str
    weight: bool = False


Value: TypeAlias = "Tensor | ConstantValue"

T = TypeVar("T")


class ImportContext(Protocol):
    """The interface of the importer for import rules."""

    opset: int
    batch: int | None
    """The batch size that the file fixes, or None."""

    def is_variable(self, constant: ConstantValue) -> bool:
        """Return whether a constant is known to be a variable of the network, because Opsin wrote the file."""

    def variable(self, constant: ConstantValue, trainable: bool) -> Tensor:
        """Return the variable with the value of `constant`; one constant gives one variable."""

    def spend(self, elements: int) -> None:
        """Count the elements of an array before it is computed; raise `UnsupportedError` if there are too many."""

    def array(self, record: TensorRecord) -> Array:
        """Return the array of a tensor in an attribute."""


@dataclass
class OnnxCall:
    """A node with its operands; an omitted optional operand is `None`."""

    context: ImportContext
    node: NodeRecord
    inputs: tuple[Value | None, ...]
    read_attributes: set[str] = field(default_factory=set)

    @property
    def opset(self) -> int:
        return self.context.opset

    # -- attributes ---------------------------------------------------------------------------

    def attribute(self, name: str) -> Attribute:
        """Return the value of an attribute, or None. Attributes that no rule reads are reported as unsupported."""
        self.read_attributes.add(name)
        return self.node.attributes.get(name)

    def ignore(self, *names: str) -> None:
        """Accept attributes that have no effect on the result."""
        self.read_attributes.update(names)

    def attr_int(self, name: str, default: int) -> int:
        return self._attribute_of_type(name, int, default)

    def attr_float(self, name: str, default: float) -> float:
        return self._attribute_of_type(name, float, default)

    def attr_string(self, name: str, default: str) -> str:
        return self._attribute_of_type(name, str, default)

    def attr_ints(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
        values = self._attribute_of_type(name, tuple, () if default is None else tuple(default))
        return None if default is None and name not in self.node.attributes else values

    def _attribute_of_type(self, name: str, expected: type[T], default: T) -> T:
        value = self.attribute(name)
        if name not in self.node.attributes:
            return default
        if not isinstance(value, expected):
            raise UnsupportedError(f"its attribute '{name}' has the wrong type")
        return value

    # -- operands -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.inputs)

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        operand = self.inputs[index] if index < len(self.inputs) else None
        if operand is None:
            raise UnsupportedError(f"its operand number {index + 1} is missing")
        return operand

    def constant(self, index: int) -> Array:
        """Return the array of a constant operand; raise `UnsupportedError` if it depends on the images."""
        value = self.value(index)
        if isinstance(value, Tensor):
            raise UnsupportedError(f"its operand number {index + 1} depends on the images")
        return value.array

    def sizes(self, index: int) -> list[Dim]:
        """Return the elements of a constant operand; some of them may depend on the batch."""
        return [size if isinstance(size, Size) else int(size) for size in self.constant(index).reshape(-1).tolist()]

    def ints(self, index: int) -> list[int]:
        """Return the elements of a constant operand; raise `UnsupportedError` if one depends on the batch."""
        sizes = self.sizes(index)
        if any(isinstance(size, Size) for size in sizes):
            raise UnsupportedError(f"its operand number {index + 1} depends on the batch size")
        return [size for size in sizes if isinstance(size, int)]

    def scalar(self, index: int) -> float:
        """Return the only element of a constant operand; raise `UnsupportedError` if it has several."""
        array = self.constant(index)
        if array.size != 1 or array.dtype == object:
            raise UnsupportedError(f"its operand number {index + 1} is not a scalar")
        return float(array.reshape(())[()])

    def axes(self, index: int, name: str = "axes") -> list[int] | None:
        """Return integers from an attribute (older opsets) or from an operand (newer ones); None if omitted."""
        values = self.attr_ints(name)
        if values is not None:
            return list(values)
        return self.ints(index) if self.has(index) else None

    def tensor(self, index: int, trainable: bool = False) -> Tensor:
        """Return an operand as a tensor.

        A constant array becomes a variable. An array with one element becomes a constant, unless it is `trainable` and
        has axes.
        """
        value = self.value(index)
        if isinstance(value, Tensor):
            return value
        array = value.array
        if array.size == 1 and not (trainable and array.ndim) and not self.context.is_variable(value):
            (number,) = array.reshape(-1).tolist()
            return ops.reshape(ops.constant(number), (1,) * array.ndim)
        if array.dtype == object:
            raise UnsupportedError("it computes with the batch size")
        return self.context.variable(value, trainable)

    def weight(self, index: int) -> Tensor:
        """Return an operand as a tensor; a constant array becomes a trainable variable."""
        return self.tensor(index, trainable=True)

    def operand(self, index: int) -> Tensor:
        """Return an operand as a tensor; only weights of the file with several elements become trainable variables."""
        value = self.value(index)
        return self.tensor(index, isinstance(value, ConstantValue) and value.weight and value.array.size > 1)

    def free_batch(self, shape: Sequence[Dim], like: Tensor) -> list[Dim]:
        """Return `shape` with a free batch size instead of the file's fixed one, if the batch of `like` is free."""
        batch = self.context.batch
        first = shape[0] if shape and not any(isinstance(size, Size) for size in shape) else 0
        has_batch = like.rank > 0 and isinstance(like.shape[0], Size)
        if batch is None or not has_batch or not isinstance(first, int) or first < 1 or first % batch:
            return list(shape)
        return [BATCH * (first // batch), *shape[1:]]
