"""Functions and dataclasses that check what they are given, by their annotations: see `opsin.ir.arguments`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from inspect import Parameter, signature
from typing import Any, TypeVar, cast

from opsin.base.errors import UsageError
from opsin.ir.arguments import (
    called,
    dim,
    dims,
    flag,
    one_or_more,
    path,
    real,
    reals,
    scale,
    sequence,
    shape,
    text,
    texts,
    whole,
    wholes,
)
from opsin.ir.core import Tensor

Convert = Callable[[str, Any], Any]
"""From what messages call a value, and the value, to the value as it is used."""


def tensor(what: str, value: object) -> Tensor:
    if not isinstance(value, Tensor):
        raise UsageError(
            f"{what} must be a symbolic tensor, as the forward of a layer is given them, not {called(value)}; "
            "opsin.ir.input_tensor makes one, and opsin.backends runs graphs on arrays"
        )
    return value


def tensors(what: str, value: object) -> list[Tensor]:
    return [tensor(what, item) for item in sequence(what, value, "symbolic tensors")]


def function(what: str, value: object) -> Any:
    if not callable(value):
        raise UsageError(f"{what} must be a function, not {called(value)}")
    return value


def number(what: str, value: object) -> float:
    """Any number; whether it has to be finite, or in bounds, its user says."""
    return real(what, value, finite=False)


def same_or_more(what: str, value: object) -> Any:
    """A padding by its sizes, or the word "same"."""
    if isinstance(value, str) and value != "same":
        raise UsageError(f"{what} must be whole numbers or 'same', not {called(value)}")
    return value if isinstance(value, str) else one_or_more(what, value)


def two_reals(what: str, value: object) -> tuple[float, ...]:
    found = reals(what, value)
    if len(found) != 2:
        raise UsageError(f"{what} must be two numbers, not {called(value)}")
    return found


PAIR = "int | Pair"
KINDS: dict[str, Convert] = {
    "int": whole, "float": number, "bool": flag, "str": text, "Tensor": tensor, "Sequence[Tensor]": tensors,
    "Dim": dim, "Sequence[Dim]": dims, "Shape": shape, "Pair": one_or_more, PAIR: one_or_more, "Scale": scale,
    f"{PAIR} | Padding": one_or_more, f"{PAIR} | Padding | Literal['same']": same_or_more,
    "Sequence[int]": wholes, "int | Sequence[int]": one_or_more, "Sequence[float]": reals, "tuple[float, ...]": reals,
    "tuple[float, float]": two_reals, "Sequence[str]": texts, "tuple[str, ...]": texts,
    "str | os.PathLike[str]": path, "Initializer": function, "Schedule": function,
}  # fmt: skip
"""Annotations that are checked; None is let through where they allow it, and others are not looked at."""

NONE = " | None"
F = TypeVar("F", bound=Callable[..., Any])


def converter(annotation: object) -> Convert | None:
    """What makes sound values of what is annotated so; None where nothing is known of it."""
    written = str(annotation)
    if not written.endswith(NONE):
        return KINDS.get(written)
    convert = KINDS.get(written.removesuffix(NONE))
    return None if convert is None else lambda what, value: None if value is None else convert(what, value)


def checked(function: F) -> F:
    """`function`, which refuses arguments of a wrong kind with a `UsageError`, and takes numbers of NumPy's, too."""
    name, parameters = function.__name__, signature(function).parameters
    found = {key: converter(parameter.annotation) for key, parameter in parameters.items()}
    places = [
        (f"{name}: {key}", convert)
        for (key, convert), kind in zip(found.items(), parameters.values(), strict=True)
        if kind.kind is Parameter.POSITIONAL_OR_KEYWORD
    ]

    if not any(found.values()):
        return function

    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        sound = list(given)
        for place, (what, convert) in enumerate(places[: len(given)]):
            if convert is not None and not (convert is tensor and type(given[place]) is Tensor):
                sound[place] = convert(what, given[place])
        for key, value in named.items():
            convert = found.get(key)
            if convert is not None:
                named[key] = convert(f"{name}: {key}", value)
        return function(*sound, **named)

    return cast("F", call)


def settle(thing: Any, *, finite: bool = False) -> None:
    """Makes the fields of a dataclass sound, by their annotations; `UsageError` where one is of a wrong kind, or with
    `finite`, no finite number.
    """
    kind = type(thing)
    for field in fields(thing):
        convert = converter(field.type)
        if convert is not None:
            value = getattr(thing, field.name)
            sound = convert(f"{kind.__name__}: {field.name}", value)
            if finite and isinstance(sound, float):
                real(f"{kind.__name__}: {field.name}", sound)
            if sound is not value:
                object.__setattr__(thing, field.name, sound)
