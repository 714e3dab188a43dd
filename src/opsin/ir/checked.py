"""Validation of the arguments of functions and dataclasses by their annotations: see `opsin.ir.arguments`."""

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
"""From how messages call an argument, and its value, to the converted value."""


def tensor(what: str, value: object) -> Tensor:
    """Return a symbolic tensor."""
    if not isinstance(value, Tensor):
        raise UsageError(
            f"{what} must be a symbolic tensor, as the forward of a layer receives them, not {called(value)}; "
            "opsin.ir.input_tensor makes one, and opsin.backends runs graphs on arrays"
        )
    return value


def tensors(what: str, value: object) -> list[Tensor]:
    """Return a sequence of symbolic tensors as a list."""
    return [tensor(what, item) for item in sequence(what, value, "symbolic tensors")]


def function(what: str, value: object) -> Any:
    """Return a callable."""
    if not callable(value):
        raise UsageError(f"{what} must be a function, not {called(value)}")
    return value


def number(what: str, value: object) -> float:
    """Return any number; the function itself checks whether it must be finite or in bounds."""
    return real(what, value, finite=False)


def same_or_more(what: str, value: object) -> Any:
    """Return a padding by its sizes, or the word "same"."""
    if isinstance(value, str) and value != "same":
        raise UsageError(f"{what} must be whole numbers or 'same', not {called(value)}")
    return value if isinstance(value, str) else one_or_more(what, value)


def two_reals(what: str, value: object) -> tuple[float, ...]:
    """Return a pair of numbers."""
    numbers = reals(what, value)
    if len(numbers) != 2:
        raise UsageError(f"{what} must be two numbers, not {called(value)}")
    return numbers


PAIR = "int | Pair"
CONVERTERS: dict[str, Convert] = {
    "int": whole, "float": number, "bool": flag, "str": text, "Tensor": tensor, "Sequence[Tensor]": tensors,
    "Dim": dim, "Sequence[Dim]": dims, "Shape": shape, "Pair": one_or_more, PAIR: one_or_more, "Scale": scale,
    f"{PAIR} | Padding": one_or_more, f"{PAIR} | Padding | Literal['same']": same_or_more,
    f"{PAIR} | Literal['same']": same_or_more,
    "Sequence[int]": wholes, "int | Sequence[int]": one_or_more, "Sequence[float]": reals, "tuple[float, ...]": reals,
    "tuple[float, float]": two_reals, "Sequence[str]": texts, "tuple[str, ...]": texts,
    "str | os.PathLike[str]": path, "Initializer": function, "Schedule": function,
}  # fmt: skip
"""Annotations that are checked. None is accepted if they allow it; other annotations are ignored."""

NONE = " | None"
F = TypeVar("F", bound=Callable[..., Any])


def converter(annotation: object) -> Convert | None:
    """Return the function that checks arguments with this annotation; None if the annotation is ignored."""
    text = str(annotation)
    if not text.endswith(NONE):
        return CONVERTERS.get(text)
    convert = CONVERTERS.get(text.removesuffix(NONE))
    return None if convert is None else lambda what, value: None if value is None else convert(what, value)


def checked(function: F) -> F:
    """Decorate `function` to convert NumPy's numbers and to raise `UsageError` for arguments of a wrong type."""
    name, parameters = function.__name__, signature(function).parameters
    converters = {key: converter(parameter.annotation) for key, parameter in parameters.items()}
    positional = [
        (f"{name}: {key}", converters[key])
        for key, parameter in parameters.items()
        if parameter.kind is Parameter.POSITIONAL_OR_KEYWORD
    ]

    if not any(converters.values()):
        return function

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        arguments = list(args)
        for place, (what, convert) in enumerate(positional[: len(args)]):
            if convert is not None and not (convert is tensor and type(args[place]) is Tensor):
                arguments[place] = convert(what, args[place])
        for key, value in kwargs.items():
            convert = converters.get(key)
            if convert is not None:
                kwargs[key] = convert(f"{name}: {key}", value)
        return function(*arguments, **kwargs)

    return cast("F", call)


def check_fields(instance: Any, *, finite: bool = False) -> None:
    """Convert the fields of a dataclass by their annotations. Raise `UsageError` if one has a wrong type.

    With `finite`, numbers must be finite.
    """
    kind = type(instance)
    for field in fields(instance):
        convert = converter(field.type)
        if convert is not None:
            value = getattr(instance, field.name)
            result = convert(f"{kind.__name__}: {field.name}", value)
            if finite and isinstance(result, float):
                real(f"{kind.__name__}: {field.name}", result)
            if result is not value:
                object.__setattr__(instance, field.name, result)
