"""The argument of an import rule: one node with its operands and attributes.

Some operands are tensors of the network, others are constants while it is read: weights, and the arithmetic on shapes
that exporters write into their graphs. A constant array may hold sizes that depend on the batch (`Size`); it is then an
array of objects, with which NumPy computes as with numbers.
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


class Unsupported(ModelError):
    """A node needs something that Opsin does not support; the message follows the node's name."""


@dataclass(frozen=True, eq=False)
class ConstantValue:
    """An array that is constant while the network is read, and its name in the file; training may change a `weight`."""

    array: Array
    name: str
    weight: bool = False


Value: TypeAlias = "Tensor | ConstantValue"

T = TypeVar("T")


class Reader(Protocol):
    """The interface of an importer that rules use."""

    opset: int
    batch: int | None
    """The batch size that the file fixes, or None."""

    def variable(self, known: ConstantValue, trainable: bool) -> Tensor:
        """Return the variable that holds `known`."""

    def spend(self, elements: int) -> None:
        """Count the elements of a constant array; raise `Unsupported` if the limit is exceeded."""

    def array(self, record: TensorRecord) -> Array:
        """Return the array of an attribute."""


@dataclass
class OnnxCall:
    """One node with its operands, `None` for an optional one that is omitted."""

    reader: Reader
    node: NodeRecord
    inputs: tuple[Value | None, ...]
    read_attributes: set[str] = field(default_factory=set)

    @property
    def opset(self) -> int:
        return self.reader.opset

    # -- attributes ---------------------------------------------------------------------------

    def attribute(self, name: str) -> Attribute:
        self.read_attributes.add(name)
        return self.node.attributes.get(name)

    def ignore(self, *names: str) -> None:
        """Accept attributes that have no effect here."""
        self.read_attributes.update(names)

    def whole(self, name: str, default: int) -> int:
        return self._typed(name, int, default)

    def real(self, name: str, default: float) -> float:
        return self._typed(name, float, default)

    def text(self, name: str, default: str) -> str:
        return self._typed(name, str, default)

    def wholes(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
        values = self._typed(name, tuple, () if default is None else tuple(default))
        return None if default is None and name not in self.node.attributes else values

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        value = self.attribute(name)
        if name not in self.node.attributes:
            return default
        if not isinstance(value, kind):
            raise Unsupported(f"its attribute '{name}' is of another kind than it should be")
        return value

    # -- operands -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.inputs)

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        operand = self.inputs[index] if index < len(self.inputs) else None
        if operand is None:
            raise Unsupported(f"its operand number {index + 1} is missing")
        return operand

    def known(self, index: int) -> Array:
        """Return an operand that has to be constant: a shape, axes, a limit."""
        value = self.value(index)
        if isinstance(value, Tensor):
            raise Unsupported(f"its operand number {index + 1} depends on the images")
        return value.array

    def sizes(self, index: int) -> list[Dim]:
        """Return a constant operand as sizes, some of which may depend on the batch."""
        return [size if isinstance(size, Size) else int(size) for size in self.known(index).reshape(-1).tolist()]

    def numbers(self, index: int) -> list[int]:
        """Return a constant operand as integers."""
        sizes = self.sizes(index)
        if any(isinstance(size, Size) for size in sizes):
            raise Unsupported(f"its operand number {index + 1} depends on the number of images")
        return [size for size in sizes if isinstance(size, int)]

    def scalar(self, index: int) -> float:
        """Return a constant operand as one number."""
        array = self.known(index)
        if array.size != 1 or array.dtype == object:
            raise Unsupported(f"its operand number {index + 1} is not one number")
        return float(array.reshape(())[()])

    def axes(self, index: int, name: str = "axes") -> list[int] | None:
        """Return integers that are an attribute in older versions of an operator, and an operand in newer ones."""
        values = self.wholes(name)
        if values is not None:
            return list(values)
        return self.numbers(index) if self.has(index) else None

    def tensor(self, index: int, trainable: bool = False) -> Tensor:
        """Return an operand as a tensor; a constant array becomes a variable, or a constant if it is one number."""
        value = self.value(index)
        if isinstance(value, Tensor):
            return value
        array = value.array
        if array.size == 1 and not (trainable and array.ndim):
            (number,) = array.reshape(-1).tolist()
            return ops.reshape(ops.constant(number), (1,) * array.ndim)
        if array.dtype == object:
            raise Unsupported("it calculates with the number of images")
        return self.reader.variable(value, trainable)

    def weight(self, index: int) -> Tensor:
        """Return an operand that training changes."""
        return self.tensor(index, trainable=True)

    def operand(self, index: int) -> Tensor:
        """Return an operand that training changes if it is one of the file's weights, and more than one number."""
        value = self.value(index)
        return self.tensor(index, isinstance(value, ConstantValue) and value.weight and value.array.size > 1)

    def batched(self, shape: Sequence[Dim], like: Tensor) -> list[Dim]:
        """Return `shape` with the batch of `like` instead of the one that the file fixes."""
        batch = self.reader.batch
        first = shape[0] if shape and not any(isinstance(size, Size) for size in shape) else 0
        free = like.rank > 0 and isinstance(like.shape[0], Size)
        if batch is None or not free or not isinstance(first, int) or first < 1 or first % batch:
            return list(shape)
        return [BATCH * (first // batch), *shape[1:]]
