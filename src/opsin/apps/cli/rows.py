"""Rows of several inputs on the command line: `image=photo.png question="what is it?"`, or the path of a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opsin.base.errors import DataError, UsageError
from opsin.data.sources.rows import table_rows

if TYPE_CHECKING:  # starting stays cheap
    from opsin.data.several import Several


def row_contents(input: Several, arguments: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any] | DataError]]:
    """Yield the name and the values of each row.

    Arguments NAME=VALUE make one row together; each of the others is the path of a table, whose paths are relative to
    its folder. Raise `UsageError` if both are given.
    """
    pairs = [argument.partition("=") for argument in arguments]
    is_value = [bool(equals) and name in input.names for name, equals, _ in pairs]
    if all(is_value):
        yield " ".join(arguments), {name: value for name, _, value in pairs}
        return
    if any(is_value):
        other = arguments[is_value.index(False)]
        raise UsageError(f"'{other}' is no value: the model has the inputs {', '.join(input.names)}; give NAME=VALUE")
    for argument in arguments:
        try:
            rows = table_rows(_table(argument, input), input.names)
        except DataError as error:
            yield argument, error
            continue
        yield from ((name, input.values(cells, Path(argument).parent)) for name, cells in rows)


def _table(argument: str, input: Several) -> Path:
    if not Path(argument).is_file():
        example = " ".join(f"{name}=…" for name in input.names)
        raise DataError(f"{argument}: there is no such table; give one, or the values of a row: {example}")
    return Path(argument)
