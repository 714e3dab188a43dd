"""A pickle read as data: PyTorch's checkpoints describe their tensors in one.

A pickle is a program for a small stack machine, and Python's machine lets it import and call anything. This one
supports containers, numbers, strings, the few names below that PyTorch writes for tensors, and those in `allowed.py`,
of which only a description is stored. Anything else that a pickle names or does is refused by name. Nothing is ever
imported or called for a pickle; tensors become descriptions (`Strided`) whose numbers are elsewhere in the file. Work
and memory are bounded for every pickle.

The instructions are those of Python's `pickletools`, which also decodes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pickletools import genops
from typing import Any, TypeVar

from opsin.base.errors import ModelError
from opsin.interop.tensors import DAMAGED, quoted, size_of
from opsin.interop.torch.allowed import DTYPES, NAMES, Opaque
from opsin.interop.torch.objects import STORAGES, Quantised, Storage, Strided, Unread

MAX_STEPS = 2**20
"""Steps of a pickle; a tensor takes about 40."""

MAX_DIMENSIONS = 32
MAX_NUMBER = 2**48
"""A bound above any size or key in a checkpoint."""

ADVICE = "save the weights alone, in PyTorch: torch.save(model.state_dict(), FILE)"

T = TypeVar("T")


@dataclass(frozen=True)
class Name:
    """The name of an object that the pickle refers to; the object itself is never loaded."""

    text: str


def unpickle(file: BytesIO) -> tuple[Any, dict[str, Storage]]:
    """Return what the pickle describes, and its storages by key; leave `file` at the end of the pickle.

    Raise `ModelError`, without the file's name, for anything that is not tensors and plain data.
    """
    machine = _Machine()
    try:
        return machine.run(file), machine.storages
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, Warning):  # A warning, if warnings are errors.
        raise ModelError(DAMAGED) from None


class _Machine:
    """A stack machine, with a memo of values that may be used again."""

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
                name = str(argument).replace(" ", ".")
                raise _runs_code(f"{code.name} {quoted(name)}" if code.name == "INST" else code.name)
        return self.stack.pop()

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ModelError(f"its pickle has more than {MAX_STEPS:,} steps, too many for tensors; {ADVICE}")

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def items(self) -> list[Any]:
        """Remove and return the values above the last mark, and the mark."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def push_tuple(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.push(tuple(reversed(items)))

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not Opaque:
            _checked(self.stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        target: dict[Any, Any] = {} if type(self.stack[-1]) is Opaque else _checked(self.stack[-1], dict)
        _fill(target, zip(items[::2], items[1::2], strict=True))

    def add_items(self, items: list[Any]) -> None:
        """Ignore the elements of a set."""
        _checked(self.stack[-1], Opaque)

    def push_dict(self, items: list[Any]) -> None:
        self.push({})
        self.set_items(items)

    def store(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def refer(self, module: str, name: str) -> None:
        text = f"{_checked(module, str)}.{_checked(name, str)}"
        if text not in _CALLS and text not in STORAGES and text not in NAMES:
            raise ModelError(f"its pickle asks for {quoted(text)}, which is no tensor; nothing of it was run; {ADVICE}")
        self.push(Name(text))

    def reduce(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        self.push(self.call(name, arguments))

    def call(self, name: Any, arguments: Any) -> Any:
        """Return what stands for the result of a call in the pickle."""
        text, values = _checked(name, Name).text, _checked(arguments, tuple)
        return Opaque(text, values) if text in NAMES and text not in _CALLS else _CALLS[text](self, *values)

    def new(self) -> None:
        arguments, name = self.stack.pop(), self.stack.pop()
        if type(name) is not Name or name.text not in NAMES:
            raise _runs_code("NEWOBJ")
        self.push(self.call(name, arguments))

    def build(self) -> None:
        """Ignore attributes, such as the versions of PyTorch's modules that a dictionary has."""
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is Opaque:
            target.state = state
        elif type(target) not in (Strided, Quantised, Unread):
            _checked(state, dict)
            _checked(target, dict)

    def persistent(self) -> None:
        kind, storage, key, _, count, *view = _checked(self.stack.pop(), tuple)
        if kind != "storage" or view not in ([], [None]):
            raise ModelError(f"its pickle keeps something else than whole storages outside; {ADVICE}")
        described = Storage(_checked(key, str), STORAGES[_checked(storage, Name).text], _natural(count))
        if self.storages.setdefault(described.key, described) != described:
            raise ValueError
        self.push(described)


def _runs_code(instruction: str) -> ModelError:
    return ModelError(
        f"its pickle makes objects by running code (instruction {instruction}); nothing of it was run; {ADVICE}"
    )


def _checked(value: Any, kind: type[T]) -> T:
    """Return `value` if it is exactly of this type, or raise TypeError."""
    if type(value) is not kind:
        raise TypeError
    return value


def _natural(value: Any) -> int:
    number = _checked(value, int)
    if not 0 <= number < MAX_NUMBER:
        raise ValueError
    return number


def _fill(target: dict[Any, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
    for key, value in pairs:
        target[_key(key)] = value


def _key(key: Any) -> Any:
    """Return the key itself if it is plain, and otherwise an object that equals no other.

    Hashing deep keys would exhaust the stack of the process, and large numbers can all collide.
    """
    if key is None or type(key) in (str, bool):
        return key
    if type(key) is int and abs(key) < MAX_NUMBER:
        return key
    parts = key if type(key) is tuple else (key,)
    if any(part is not None and type(part) not in _SCALARS for part in parts):
        raise TypeError
    return Opaque("key", (key,))


_SCALARS = (str, bool, int, float, bytes, Name, Opaque, Strided)


def _dictionary(machine: _Machine, items: Any = ()) -> dict[Any, Any]:
    """Return the dictionary of OrderedDict() and Counter(), of nothing, pairs, or another dictionary."""
    dictionary: dict[Any, Any] = {}
    pairs = items.items() if type(items) is dict else items
    machine.spend(len(pairs))
    _fill(dictionary, ((key, value) for key, value in pairs))
    return dictionary


def _tensor(machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Strided:
    shape, strides = (tuple(map(_natural, _checked(each, tuple))) for each in (shape, strides))
    if len(shape) != len(strides) or len(shape) > MAX_DIMENSIONS or math.prod(size or 1 for size in shape) > MAX_NUMBER:
        raise ValueError
    tensor = Strided(_checked(storage, Storage), _natural(offset), shape, strides)
    end = tensor.offset + 1 + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    count = math.prod(shape)
    if count and max(end, count) > tensor.storage.count:
        raise ModelError(
            "it has a tensor that is larger than the storage which it lies in; it is damaged, or made to harm"
        )
    return tensor


def _retyped(
    machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, _: Any, __: Any, dtype: Any, *more: Any
) -> Strided | Unread:
    """Return a tensor of a newer element type, whose storage is bytes."""
    name = _checked(dtype, Name).text
    if name not in DTYPES:
        return Unread(f"of the type {name}", "save tensor.float() instead")
    raw, kind = _checked(storage, Storage), DTYPES[name]
    typed = Storage(raw.key, kind, raw.count * size_of(raw.dtype) // size_of(kind))
    return _plain(machine, typed, offset, shape, strides, None, None, *more)


def _plain(machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> Strided | Unread:
    """Return what `_tensor` does; views that negate or conjugate are not read."""
    if len(rest) > 2 and type(rest[2]) is dict and any(rest[2].values()):
        return Unread("a view with another sign", "save tensor.resolve_conj().resolve_neg() instead")
    return _tensor(machine, storage, offset, shape, strides)


def _quantised(
    machine: _Machine, storage: Any, offset: Any, shape: Any, strides: Any, quantiser: Any, *_: Any
) -> Quantised | Unread:
    scheme, *facts = _checked(quantiser, tuple)
    whole = _tensor(machine, storage, offset, shape, strides)
    match _checked(scheme, Name).text, facts:
        case "torch.per_tensor_affine", [int() | float() as scale, int() as zero]:
            return Quantised(whole, float(scale), zero)
        case "torch.per_channel_affine", [Strided() as scales, Strided() as zeros, int() as axis]:
            if 0 <= axis < len(whole.shape) and scales.shape == zeros.shape == (whole.shape[axis],):
                return Quantised(whole, scales, zeros, axis)
    return Unread("quantised in a way that Opsin does not read", "save tensor.dequantize() instead")


def _parameter(_: _Machine, data: Any, *__: Any) -> Any:
    if type(data) not in (Strided, Quantised, Unread):
        return Unread("a parameter without numbers", ADVICE)
    return data


def _moved(_: _Machine, data: Any, *__: Any) -> Any:
    """Return a tensor of another device, saved as a NumPy array or as a plain tensor."""
    return data


def _of_type(machine: _Machine, function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """Return a tensor with attributes, or of a subclass."""
    return machine.call(function, arguments)


def _size(_: _Machine, shape: Any = ()) -> tuple[Any, ...]:
    return tuple(shape) if type(shape) is list else _checked(shape, tuple)


def _default_dictionary(machine: _Machine, _: Any = None, items: Any = ()) -> dict[Any, Any]:
    return _dictionary(machine, items)


def _unread(what: str, advice: str) -> Callable[..., Unread]:
    return lambda *_: Unread(what, advice)


_CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _dictionary,
    "collections.Counter": _dictionary,
    "collections.defaultdict": _default_dictionary,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _plain,
    "torch._utils._rebuild_tensor_v3": _retyped,
    "torch._utils._rebuild_qtensor": _quantised,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch._utils._rebuild_device_tensor_from_numpy": _moved,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _moved,
    "torch._utils._rebuild_sparse_tensor": _unread("sparse", "save tensor.to_dense() instead"),
    "torch._utils._rebuild_nested_tensor": _unread("nested", "save its parts as tensors of their own"),
    "torch._utils._rebuild_meta_tensor_no_storage": _unread("without numbers (on the device 'meta')", ADVICE),
    "torch._utils._rebuild_wrapper_subclass": _unread("wrapped in another one", ADVICE),
    "torch._tensor._rebuild_from_type_v2": _of_type,
    "torch.Size": _size,
}
"""What a pickle may call, and the function that is called instead."""

_PUSHES = frozenset(
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING UNICODE "
    "SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8".split()
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
    "EMPTY_SET": lambda m, _: m.push(Opaque("builtins.set")),
    "ADDITEMS": lambda m, _: m.add_items(m.items()),
    "FROZENSET": lambda m, _: m.push(Opaque("builtins.frozenset", tuple(m.items()))),
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
    "NEWOBJ": lambda m, _: m.new(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.persistent(),
}
