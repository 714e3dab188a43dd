"""A pickle read as data: PyTorch's checkpoints describe their tensors in one.

A pickle is a program for a small stack machine, and the usual machine lets it import and call anything. This one knows
containers, numbers, strings, and the few names below that PyTorch writes for tensors. Whatever else a pickle names or
does is refused with its name. Nothing is ever imported or called for a pickle; tensors come out as descriptions
(`Strided`) whose numbers lie elsewhere in the file. Work and memory are bounded, whatever the pickle says.

The instructions are those of Python's `pickletools`, which also tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pickletools import genops
from typing import Any, TypeVar

from opsin.errors import ModelError
from opsin.model.tensors import DAMAGED, quoted

MOST_STEPS = 2**20
"""Steps of a pickle; a tensor takes about 40."""

MOST_DIMENSIONS = 32
LARGE = 2**48
"""More than any size or key that a checkpoint has."""

STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
"""PyTorch's kinds of storage, and what they hold."""

ADVICE = "save the weights alone, in PyTorch: torch.save(model.state_dict(), FILE)"

T = TypeVar("T")


@dataclass(frozen=True)
class Name:
    """Something that the pickle calls by its name; never the thing itself."""

    text: str


@dataclass(frozen=True)
class Storage:
    """`count` numbers in a row, found under `key`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Strided:
    """A tensor: elements of `storage` from `offset` on, `strides` (in elements) apart. All lie inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def unpickle(file: BytesIO) -> tuple[Any, dict[str, Storage]]:
    """What the pickle describes, and the storages that it spoke of by key; `file` then stands behind it.

    Raises `ModelError`, without the file's name, for everything that is not tensors and plain data.
    """
    machine = _Machine()
    try:
        return machine.run(file), machine.storages
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, Warning):  # a warning where it is an error
        raise ModelError(DAMAGED) from None


class _Machine:
    """A stack, and a memo of what may be used again."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}
        self.steps = 0

    def run(self, file: BytesIO) -> Any:
        for code, argument, _ in genops(file):
            self.spend(1)
            if code.name in _PUSHES:
                self.push(argument)
            elif code.name in _ACTIONS:
                _ACTIONS[code.name](self, argument)
            else:
                what = f"{code.name} {quoted(str(argument).replace(' ', '.'))}" if code.name == "INST" else code.name
                raise ModelError(
                    f"its pickle makes objects by running code (instruction {what}); nothing of it was run; {ADVICE}"
                )
        return self.stack.pop()

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MOST_STEPS:
            raise ModelError(f"its pickle has more than {MOST_STEPS:,} steps, too many for tensors; {ADVICE}")

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """What lies above the last mark; both go."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_tuple(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        _checked(self.stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        _fill(_checked(self.stack[-1], dict), zip(items[::2], items[1::2], strict=True))

    def push_dict(self, items: list[Any]) -> None:
        self.push({})
        self.set_items(items)

    def store(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def refer(self, module: str, name: str) -> None:
        text = f"{_checked(module, str)}.{_checked(name, str)}"
        if text not in _CALLS and text not in STORAGES:
            raise ModelError(f"its pickle asks for {quoted(text)}, which is no tensor; nothing of it was run; {ADVICE}")
        self.push(Name(text))

    def reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        call = _CALLS[_checked(name, Name).text]
        self.push(call(self, *_checked(arguments, tuple)))

    def build(self) -> None:
        """Attributes of a dictionary, such as the versions of PyTorch's modules, are not needed."""
        _checked(self.stack.pop(), dict)
        _checked(self.stack[-1], dict)

    def persistent(self) -> None:
        kind, storage, key, _, count, *view = _checked(self.stack.pop(), tuple)
        if kind != "storage" or view not in ([], [None]):
            raise ModelError(f"its pickle keeps something else than whole storages outside; {ADVICE}")
        found = Storage(_checked(key, str), STORAGES[_checked(storage, Name).text], _natural(count))
        if self.storages.setdefault(found.key, found) != found:
            raise ValueError
        self.push(found)


def _checked(value: Any, kind: type[T]) -> T:
    """`value`, if it is exactly of this type."""
    if type(value) is not kind:
        raise TypeError
    return value


def _natural(value: Any) -> int:
    number = _checked(value, int)
    if not 0 <= number < LARGE:
        raise ValueError
    return number


def _fill(target: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
    """Keys are plain: hashing deep ones would exhaust the stack of the process, and large numbers can all collide."""
    for key, value in pairs:
        if key is not None and type(key) not in (str, bool) and abs(_checked(key, int)) >= LARGE:
            raise ValueError
        target[key] = value


def _dictionary(machine: _Machine, items: Any = ()) -> dict[Any, Any]:
    """OrderedDict() and Counter(), of nothing, pairs, or another dictionary."""
    made: dict[Any, Any] = {}
    pairs = items.items() if type(items) is dict else items
    machine.spend(len(pairs))
    _fill(made, ((key, value) for key, value in pairs))
    return made


def _tensor(machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Strided:
    shape, strides = (tuple(map(_natural, _checked(each, tuple))) for each in (shape, strides))
    if len(shape) != len(strides) or len(shape) > MOST_DIMENSIONS or math.prod(size or 1 for size in shape) > LARGE:
        raise ValueError
    tensor = Strided(_checked(storage, Storage), _natural(offset), shape, strides)
    end = tensor.offset + 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count and max(end, count) > tensor.storage.count:
        raise ModelError(
            "it has a tensor that is larger than the storage which it lies in; it is damaged, or made to harm"
        )
    return tensor


def _parameter(_: _Machine, data: Any, *__: Any) -> Strided:
    return _checked(data, Strided)


def _size(_: _Machine, shape: Any) -> tuple[Any, ...]:
    return _checked(shape, tuple)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
}
"""What a pickle may call, and what is done instead."""

_PUSHES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8".split()
)

_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
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
    "EMPTY_DICT": lambda m, _: m.push({}),
    "DICT": lambda m, _: m.push_dict(m.items()),
    "SETITEM": lambda m, _: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.items()),
    "GET": lambda m, place: m.push(m.memo[place]),
    "BINGET": lambda m, place: m.push(m.memo[place]),
    "LONG_BINGET": lambda m, place: m.push(m.memo[place]),
    "PUT": lambda m, place: m.store(place),
    "BINPUT": lambda m, place: m.store(place),
    "LONG_BINPUT": lambda m, place: m.store(place),
    "MEMOIZE": lambda m, _: m.store(len(m.memo)),
    "GLOBAL": lambda m, names: m.refer(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.refer(*[m.stack.pop(), m.stack.pop()][::-1]),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.persistent(),
}
