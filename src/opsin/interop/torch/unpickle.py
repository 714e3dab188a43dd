"""Unpickler that never executes anything; PyTorch's checkpoints describe their tensors in a pickle.

A pickle is a program for a small stack machine, and Python's machine lets it import and call anything. This machine
supports containers, numbers, strings, the few names below that PyTorch writes for tensors, and the names in
`allowlist.py`, for which it stores only a description. It refuses everything else, and names it in the error. It never
imports or calls anything for a pickle: tensors become descriptions (`StridedTensor`), and their elements are elsewhere
in the file. Time and memory are limited for every pickle.

Python's `pickletools` decodes the instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pickletools import genops
from typing import Any, TypeVar

from opsin.base.errors import ModelError
from opsin.interop.tensors import DAMAGED, element_bytes, quote
from opsin.interop.torch.allowlist import DTYPES, NAMES, OpaqueObject
from opsin.interop.torch.objects import STORAGES, QuantizedTensor, Storage, StridedTensor, UnsupportedTensor

MAX_STEPS = 2**20
"""Limit of the steps of a pickle; a tensor takes about 40."""

MAX_DIMENSIONS = 32
MAX_INTEGER = 2**48
"""Limit of integers; it is larger than any size or key in a checkpoint."""

ADVICE = "save the weights alone, in PyTorch: torch.save(model.state_dict(), FILE)"

T = TypeVar("T")


@dataclass(frozen=True)
class GlobalName:
    """The name of a Python object that the pickle refers to; the object itself is never loaded."""

    text: str


def unpickle(file: BytesIO) -> tuple[Any, dict[str, Storage]]:
    """Return the object that the pickle describes, and its storages by key; leave `file` at the end of the pickle.

    Raise `ModelError`, without the file's name, if the pickle contains anything but tensors and plain data.
    """
    machine = _Machine()
    try:
        return machine.run(file), machine.storages
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, Warning):  # Warning: if warnings are errors.
        raise ModelError(DAMAGED) from None


class _Machine:
    """A stack machine with a memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.outer_stacks: list[list[Any]] = []  # The stack below each mark.
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.steps = 0

    def run(self, file: BytesIO) -> Any:
        for code, argument, _ in genops(file):
            self.spend(1)
            if code.name in _PUSH_INSTRUCTIONS:
                self.push(argument)
            elif code.name in _INSTRUCTIONS:
                _INSTRUCTIONS[code.name](self, argument)
            else:
                name = str(argument).replace(" ", ".")
                raise _runs_code(f"{code.name} {quote(name)}" if code.name == "INST" else code.name)
        return self.stack.pop()

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ModelError(f"its pickle has more than {MAX_STEPS:,} steps, too many for tensors; {ADVICE}")

    def mark(self) -> None:
        self.outer_stacks.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """Remove and return the values above the last mark, and the mark."""
        items, self.stack = self.stack, self.outer_stacks.pop()
        return items

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_tuple(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not OpaqueObject:
            _expect(self.stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target: dict[Any, Any] = {} if type(self.stack[-1]) is OpaqueObject else _expect(self.stack[-1], dict)
        _fill(target, zip(items[::2], items[1::2], strict=True))

    def add_items(self, items: list[Any]) -> None:
        """Check that the target is a set; its elements are ignored."""
        _expect(self.stack[-1], OpaqueObject)

    def push_dict(self, items: list[Any]) -> None:
        self.push({})
        self.set_items(items)

    def store(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def push_global(self, module: str, name: str) -> None:
        text = f"{_expect(module, str)}.{_expect(name, str)}"
        if text not in _CALLS and text not in STORAGES and text not in NAMES:
            raise ModelError(
                f"its pickle refers to {quote(text)}, which is not a tensor; nothing in it was run; {ADVICE}"
            )
        self.push(GlobalName(text))

    def reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        self.push(self.call(name, arguments))

    def call(self, name: Any, arguments: Any) -> Any:
        """Return the description of the result of a call in the pickle."""
        text, values = _expect(name, GlobalName).text, _expect(arguments, tuple)
        return OpaqueObject(text, values) if text in NAMES and text not in _CALLS else _CALLS[text](self, *values)

    def new(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if type(name) is not GlobalName or name.text not in NAMES:
            raise _runs_code("NEWOBJ")
        self.push(self.call(name, arguments))

    def build(self) -> None:
        """Store the state of an opaque object; ignore attributes of dictionaries, such as module versions."""
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is OpaqueObject:
            target.state = state
        elif type(target) not in (StridedTensor, QuantizedTensor, UnsupportedTensor):
            _expect(state, dict)
            _expect(target, dict)

    def persistent(self) -> None:
        kind, storage, key, _, count, *view = _expect(self.stack.pop(), tuple)
        if kind != "storage" or view not in ([], [None]):
            raise ModelError(f"its pickle refers to external data other than whole storages; {ADVICE}")
        description = Storage(_expect(key, str), STORAGES[_expect(storage, GlobalName).text], _natural_number(count))
        if self.storages.setdefault(description.key, description) != description:
            raise ValueError
        self.push(description)


def _runs_code(instruction: str) -> ModelError:
    return ModelError(
        f"its pickle creates objects by running code (instruction {instruction}); nothing in it was run; {ADVICE}"
    )


def _expect(value: Any, expected: type[T]) -> T:
    """Return `value`; raise `TypeError` if its type is not exactly `expected`."""
    if type(value) is not expected:
        raise TypeError
    return value


def _natural_number(value: Any) -> int:
    number = _expect(value, int)
    if not 0 <= number < MAX_INTEGER:
        raise ValueError
    return number


def _fill(target: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
    for key, value in pairs:
        target[_key(key)] = value


def _key(key: Any) -> Any:
    """Return a plain key itself; replace any other key by an object that is not equal to any other.

    Hashing of deeply nested keys would exhaust the stack of the process, and the hashes of large integers can collide.
    """
    if key is None or type(key) in (str, bool):
        return key
    if type(key) is int and abs(key) < MAX_INTEGER:
        return key
    parts = key if type(key) is tuple else (key,)
    if any(part is not None and type(part) not in _SCALARS for part in parts):
        raise TypeError
    return OpaqueObject("key", (key,))


_SCALARS = (str, bool, int, float, bytes, GlobalName, OpaqueObject, StridedTensor)


def _dictionary(machine: _Machine, items: Any = ()) -> dict[Any, Any]:
    """Return the dictionary of OrderedDict() and Counter(), constructed from nothing, pairs or another dictionary."""
    dictionary: dict[Any, Any] = {}
    pairs = items.items() if type(items) is dict else items
    machine.spend(len(pairs))
    _fill(dictionary, ((key, value) for key, value in pairs))
    return dictionary


def _tensor(machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> StridedTensor:
    shape, strides = (tuple(map(_natural_number, _expect(sizes, tuple))) for sizes in (shape, strides))
    if (
        len(shape) != len(strides)
        or len(shape) > MAX_DIMENSIONS
        or math.prod(size or 1 for size in shape) > MAX_INTEGER
    ):
        raise ValueError
    tensor = StridedTensor(_expect(storage, Storage), _natural_number(offset), shape, strides)
    end = tensor.offset + 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count and max(end, count) > tensor.storage.count:
        raise ModelError("it has a tensor that is larger than its storage; it is damaged or malicious")
    return tensor


def _tensor_v3(
    machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, _: Any, __: Any, dtype: Any, *more: Any
) -> StridedTensor | UnsupportedTensor:
    """Return a tensor of an element type without its own storage class; its storage has bytes."""
    name = _expect(dtype, GlobalName).text
    if name not in DTYPES:
        return UnsupportedTensor(f"of the type {name}", "save tensor.float() instead")
    raw, element_type = _expect(storage, Storage), DTYPES[name]
    count = raw.count * element_bytes(raw.dtype) // element_bytes(element_type)
    return _tensor_v2(machine, Storage(raw.key, element_type, count), offset, shape, strides, None, None, *more)


def _tensor_v2(
    machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any
) -> StridedTensor | UnsupportedTensor:
    """Return a tensor like `_tensor`; views that negate or conjugate are not supported."""
    if len(rest) > 2 and type(rest[2]) is dict and any(rest[2].values()):
        return UnsupportedTensor("a negated or conjugated view", "save tensor.resolve_conj().resolve_neg() instead")
    return _tensor(machine, storage, offset, shape, strides)


def _quantized_tensor(
    machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, quantizer: Any, *_: Any
) -> QuantizedTensor | UnsupportedTensor:
    scheme, *parameters = _expect(quantizer, tuple)
    integers = _tensor(machine, storage, offset, shape, strides)
    match _expect(scheme, GlobalName).text, parameters:
        case "torch.per_tensor_affine", [int() | float() as scale, int() as zero]:
            return QuantizedTensor(integers, float(scale), zero)
        case "torch.per_channel_affine", [StridedTensor() as scales, StridedTensor() as zeros, int() as axis]:
            if 0 <= axis < len(integers.shape) and scales.shape == zeros.shape == (integers.shape[axis],):
                return QuantizedTensor(integers, scales, zeros, axis)
    return UnsupportedTensor("quantized with an unknown scheme", "save tensor.dequantize() instead")


def _parameter(_: _Machine, data: Any, *__: Any) -> Any:
    if type(data) not in (StridedTensor, QuantizedTensor, UnsupportedTensor):
        return UnsupportedTensor("a parameter without data", ADVICE)
    return data


def _device_tensor(_: _Machine, data: Any, *__: Any) -> Any:
    """Return a tensor of another device, which was saved as a NumPy array or as a plain tensor."""
    return data


def _typed_tensor(machine: _Machine, function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """Return a tensor that has attributes or belongs to a subclass."""
    return machine.call(function, arguments)


def _size(_: _Machine, shape: Any = ()) -> tuple[Any, ...]:
    return tuple(shape) if type(shape) is list else _expect(shape, tuple)


def _default_dictionary(machine: _Machine, _: Any = None, items: Any = ()) -> dict[Any, Any]:
    return _dictionary(machine, items)


def _unsupported(description: str, advice: str) -> Callable[..., UnsupportedTensor]:
    return lambda *_: UnsupportedTensor(description, advice)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "collections.defaultdict": _default_dictionary,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_qtensor": _quantized_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._utils._rebuild_device_tensor_from_numpy": _device_tensor,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _device_tensor,
    "torch._utils._rebuild_sparse_tensor": _unsupported("sparse", "save tensor.to_dense() instead"),
    "torch._utils._rebuild_nested_tensor": _unsupported("nested", "save its parts as separate tensors"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unsupported("without data (on the device 'meta')", ADVICE),
    "torch._utils._rebuild_wrapper_subclass": _unsupported("wrapped in another tensor", ADVICE),
    "torch._tensor._rebuild_from_type_v2": _typed_tensor,
    "torch.Size": _size,
}
"""The functions that a pickle may call, by name, and their replacements."""

_PUSH_INSTRUCTIONS = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8".split()
)

_INSTRUCTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.stack.pop(),
    "POP_MARK": lambda m, _: m.items(),
    "DUP": lambda m, _: m.push(m.stack[-1]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE1": lambda m, _: m.push_tuple(1),
    "TUPLE2": lambda m, _: m.push_tuple(2),
    "TUPLE3": lambda m, _: m.push_tuple(3),
    "TUPLE": lambda m, _: m.push(tuple(m.items())),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "LIST": lambda m, _: m.push(m.items()),
    "APPEND": lambda m, _: m.extend([m.stack.pop()]),
    "APPENDS": lambda m, _: m.extend(m.items()),
    "EMPTY_SET": lambda m, _: m.push(OpaqueObject("builtins.set")),
    "ADDITEMS": lambda m, _: m.add_items(m.items()),
    "FROZENSET": lambda m, _: m.push(OpaqueObject("builtins.frozenset", tuple(m.items()))),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: m.push_dict(m.items()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.items()),
    "GET": lambda m, index: m.push(m.memo[index]),
    "BINGET": lambda m, index: m.push(m.memo[index]),
    "LONG_BINGET": lambda m, index: m.push(m.memo[index]),
    "PUT": lambda m, index: m.store(index),
    "BINPUT": lambda m, index: m.store(index),
    "LONG_BINPUT": lambda m, index: m.store(index),
    "MEMOIZE": lambda m, _: m.store(len(m.memo)),
    "GLOBAL": lambda m, names: m.push_global(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.push_global(*[m.stack.pop(), m.stack.pop()][::-1]),
    "REDUCE": lambda m, _: m.reduce(),
    "NEWOBJ": lambda m, _: m.new(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.persistent(),
}
