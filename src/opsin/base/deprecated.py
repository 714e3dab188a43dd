"""Fields of dataclasses under the names that they had in Opsin 0.1.0, with a DeprecationWarning, for one release."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from opsin.base.legacy import Rename

T = TypeVar("T")


def accepts_old_names(renames: Iterable[Rename]) -> Callable[[type[T]], type[T]]:
    """Return a class decorator: the constructor takes the old names as keywords, and old attributes can be read.

    A value under an old name takes precedence over one under the new name, so that `dataclasses.replace`, which passes
    every field, accepts old names, too.
    """
    rows = {row.old: row for row in renames}

    def decorate(kind: type[T]) -> type[T]:
        init: Callable[..., None] = kind.__init__

        @wraps(init)
        def construct(self: T, *arguments: Any, **keywords: Any) -> None:
            for old in rows.keys() & keywords.keys():
                _warn(kind, rows[old])
                keywords[rows[old].new] = rows[old].upgrade(keywords.pop(old))
            init(self, *arguments, **keywords)

        def attribute(self: T, name: str) -> Any:
            if name not in rows:
                raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}'")
            _warn(kind, rows[name])
            return rows[name].downgrade(getattr(self, rows[name].new))

        # setattr, since type checkers know that instances of T have neither.
        setattr(kind, "__init__", construct)  # noqa: B010
        setattr(kind, "__getattr__", attribute)  # noqa: B010
        return kind

    return decorate


def _warn(kind: type, row: Rename) -> None:
    text = f"{kind.__name__}: '{row.old}' is now '{row.new}'; the old name goes with the next release"
    warnings.warn(text, DeprecationWarning, stacklevel=3)
