"""What a format of `opsin ship` declares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Files: TypeAlias = Mapping[str, bytes]
"""The content of each file by its name; names in a folder may contain "/"."""


@dataclass(frozen=True)
class Format:
    """A format that models are exported to.

    `contents` says what is written ("a page", "an ONNX file"). `suffix` is that of the file; if it is empty, the export
    is a folder. `export(model, **options)` returns the files. Its keyword-only parameters are the options of the
    format; equal models and options give equal bytes. It raises `UsageError` for models that the format cannot hold.
    `warning(model, **options)` returns what is to be said before a model is exported, or nothing, and `summary` what is
    to be said about an export besides its size. `main_file` is in every folder of the format, and tells an earlier
    export from another folder.
    """

    name: str
    contents: str
    suffix: str
    export: Callable[..., Files]
    summary: Callable[[Files], str] = lambda _: ""
    warning: Callable[..., str] = lambda *_, **__: ""
    main_file: str = ""

    @property
    def options(self) -> tuple[str, ...]:
        """The names of the options that `export` takes."""
        parameters = inspect.signature(self.export).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)

    def default_path(self, stem: str) -> str:
        """Return where a model called `stem` is written if no path is given."""
        return f"{stem}{self.suffix}" if self.suffix else f"{stem}-{self.name}"
