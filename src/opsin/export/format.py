"""What a format of `opsin ship` declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from opsin.base.errors import UsageError

Files: TypeAlias = Mapping[str, bytes]
"""The content of each file by its name; names in a folder may contain "/"."""


@dataclass(frozen=True)
class Format:
    """A format that models are exported to.

    `contents` says what is written ("a page", "an ONNX file"). `suffix` is that of the file; if it is empty, the export
    is a folder. `export(model, **options)` returns the files. Its keyword-only parameters are the options of the
    format; equal models and options give equal bytes. It raises `UsageError` for models that the format cannot hold.
    `summary` returns what is to be said about an export besides its size, or nothing.
    """

    name: str
    contents: str
    suffix: str
    export: Callable[..., Files]
    summary: Callable[[Files], str] = lambda _: ""

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that `export` takes."""
        parameters = inspect.signature(self.export).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)

    def check_options(self, names: Iterable[str]) -> None:
        """Raise `UsageError` if one of the names is not an option."""
        known = f"its options are {', '.join(self.options)}" if self.options else "it has no options"
        for name in names:
            if name not in self.options:
                raise UsageError(f"the format {self.name} has no option {name!r}; {known}")

    def default_path(self, stem: str) -> str:
        """Return where a model called `stem` is written if no path is given."""
        return f"{stem}{self.suffix}" if self.suffix else f"{stem}-{self.name}"
