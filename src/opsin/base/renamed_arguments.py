"""Accept arguments under the names that they had in Opsin 0.1.0, for one release."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from opsin.base.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])


def renamed_arguments(**new_names: str) -> Callable[[F], F]:
    """Decorate a function or a class to accept `old=` for `new=`, given as `old="new"`, with a DeprecationWarning.

    Calls raise `UsageError` if they give the argument under both names.
    """

    def decorate(function: F) -> F:
        call = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]

        @wraps(call)
        def accept_old_names(*args: Any, **kwargs: Any) -> Any:
            if new_names.keys() & kwargs.keys():
                kwargs = _translate(function.__name__, new_names, kwargs)
            return call(*args, **kwargs)

        if isinstance(function, type):
            function.__init__ = accept_old_names  # type: ignore[misc]
            return cast("F", function)
        return cast("F", accept_old_names)

    return decorate


def _translate(name: str, new_names: dict[str, str], kwargs: dict[str, Any]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for key, value in kwargs.items():
        new_name = new_names.get(key, key)
        if new_name in arguments or (new_name != key and new_name in kwargs):
            raise UsageError(f"{name}: {key} is the old name of {new_name}; give {new_name} alone")
        if new_name != key:
            text = f"{name}: the argument {key} is now {new_name}; the old name will be removed in the next release"
            warnings.warn(text, DeprecationWarning, stacklevel=3)
        arguments[new_name] = value
    return arguments
