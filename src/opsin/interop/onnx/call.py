"""What a rule is given: one node, with its operands and attributes, and what is known of them already.

Some values are tensors of the network, others are known while it is read: weights, and the arithmetic on shapes that
exporters write into their graphs. A known array may hold sizes that depend on the batch (`Size`); it then is an array
of objects, with which NumPy calculates as with numbers.
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
    """What one node asks for and Opsin has not; the text goes after the node's name."""


@dataclass(frozen=True, eq=False)
class ConstantValue:
    """An array known while the network is read, with its name in the file. Training may change a `weight`."""

    array: Array
    name: str
    weight: bool = False


Value: TypeAlias = "Tensor | ConstantValue"

T = TypeVar("T")


class Reader(Protocol):
    """What calls need of the file they belong to."""

    opset: int
    batch: int | None
    """The number of images that the file is made for, if it is made for one."""

    def variable(self, known: ConstantValue, trainable: bool) -> Tensor:
        """The variable that holds `known`."""

    def spend(self, elements: int) -> None:
        """Takes room for a known array. Raises `Unsupported` where there is none left."""

    def array(self, record: TensorRecord) -> Array:
        """The array of an attribute."""


@dataclass
class OnnxCall:
    """One node with its operands, `None` where an optional one is left out."""

    reader: Reader
    node: NodeRecord
    inputs: tuple[Value | None, ...]
    asked: set[str] = field(default_factory=set)

    @property
    def opset(self) -> int:
        return self.reader.opset

    # -- attributes ---------------------------------------------------------------------------

    def attribute(self, name: str) -> Attribute:
        self.asked.add(name)
        return self.node.attributes.get(name)

    def ignore(self, *names: str) -> None:
        """Attributes that change nothing here."""
        self.asked.update(names)

    def whole(self, name: str, default: int) -> int:
        return self._typed(name, int, default)

    def real(self, name: str, default: float) -> float:
        return self._typed(name, float, default)

    def text(self, name: str, default: str) -> str:
        return self._typed(name, str, default)

    def wholes(self, name: str, default: Sequence[int] | None = None) -> tuple[int, ...] | None:
        given = self._typed(name, tuple, () if default is None else tuple(default))
        return None if default is None and name not in self.node.attributes else given

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        given = self.attribute(name)
        if name not in self.node.attributes:
            return default
        if not isinstance(given, kind):
            raise Unsupported(f"its attribute '{name}' is of another kind than it should be")
        return given

    # -- operands -----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.inputs)

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Value:
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise Unsupported(f"its operand number {index + 1} is missing")
        return found

    def known(self, index: int) -> Array:
        """An operand that has to be known now: a shape, axes, a limit."""
        value = self.value(index)
        if isinstance(value, Tensor):
            raise Unsupported(f"its operand number {index + 1} depends on the images")
        return value.array

    def sizes(self, index: int) -> list[Dim]:
        """A known operand as sizes, some of which may depend on the batch."""
        return [size if isinstance(size, Size) else int(size) for size in self.known(index).reshape(-1).tolist()]

    def numbers(self, index: int) -> list[int]:
        """A known operand as whole numbers."""
        found = self.sizes(index)
        if any(isinstance(number, Size) for number in found):
            raise Unsupported(f"its operand number {index + 1} depends on the number of images")
        return [number for number in found if isinstance(number, int)]

    def scalar(self, index: int) -> float:
        """A known operand as one number."""
        array = self.known(index)
        if array.size != 1 or array.dtype == object:
            raise Unsupported(f"its operand number {index + 1} is not one number")
        return float(array.reshape(())[()])

    def axes(self, index: int, name: str = "axes") -> list[int] | None:
        """Whole numbers that older versions of an operator give as an attribute, newer ones as an operand."""
        given = self.wholes(name)
        if given is not None:
            return list(given)
        return self.numbers(index) if self.has(index) else None

    def tensor(self, index: int, trainable: bool = False) -> Tensor:
        """An operand of the network's arithmetic; a known one becomes a variable, or a constant if it is one number."""
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
        """An operand that training changes."""
        return self.tensor(index, trainable=True)

    def operand(self, index: int) -> Tensor:
        """An operand that training changes if it is one of the file's weights, and more than one number."""
        value = self.value(index)
        return self.tensor(index, isinstance(value, ConstantValue) and value.weight and value.array.size > 1)

    def batched(self, shape: Sequence[Dim], like: Tensor) -> list[Dim]:
        """`shape` with the batch of `like` in place of the one that the file is made for."""
        batch = self.reader.batch
        first = shape[0] if shape and not any(isinstance(size, Size) for size in shape) else 0
        free = like.rank > 0 and isinstance(like.shape[0], Size)
        if batch is None or not free or not isinstance(first, int) or first < 1 or first % batch:
            return list(shape)
        return [BATCH * (first // batch), *shape[1:]]
