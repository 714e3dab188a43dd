"""Typer signatures from dataclasses of options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Parameter, signature
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from opsin.base.option_fields import Option, declared_options

Function = TypeVar("Function", bound=Callable[..., int])


def with_options(options: type[Any]) -> Callable[[Function], Function]:
    """Return a decorator that replaces the `**` parameter of a command by a parameter for each option of `options`."""

    def decorate(function: Function) -> Function:
        declared = signature(function, eval_str=True)
        parameters = [each for each in declared.parameters.values() if each.kind is not Parameter.VAR_KEYWORD]
        function.__signature__ = declared.replace(parameters=[*parameters, *_parameters(options)])  # type: ignore[attr-defined]
        return function

    return decorate


def option_name(name: str) -> str:
    """Return the option of the command line for the field `name`, such as "--learning-rate"."""
    return f"--{name.replace('_', '-')}"


def flags(name: str, hint: Any, default: Any, option: Option) -> str:
    """Return the spellings of an option: "--name", and for a boolean that can be turned off also "--no-name"."""
    positive = option_name(name)
    can_be_off = hint in (bool, bool | None) and default is not False
    return option.flags or (f"{positive}/--no-{positive.removeprefix('--')}" if can_be_off else positive)


def _parameters(options: type[Any]) -> Iterator[Parameter]:
    annotated: Any = Annotated  # as a value, for types that are known only at run time
    hints = get_type_hints(options)
    for name, default, option in declared_options(options):
        annotation = annotated[hints[name], _typer_option(flags(name, hints[name], default, option), option)]
        yield Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typer_option(spellings: str, option: Option) -> Any:
    return typer.Option(
        spellings,
        help=option.help,
        metavar=option.metavar,
        min=option.minimum,
        max=option.maximum,
        parser=option.parse,
        rich_help_panel=option.group,
        show_default=option.shown_default or True,
    )
