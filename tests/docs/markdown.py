"""The code blocks of a Markdown page, and running them as a reader would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block of code; `line` is the number of its first line in the page."""

    page: Path
    line: int
    code: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def run(self, names: dict[str, object] | None = None) -> None:
        """Run the code among `names`, to which it adds its own; by default, by itself."""
        # The empty lines in front give tracebacks the line numbers of the page.
        program = compile("\n" * (self.line - 1) + self.code, str(self.page), "exec")
        exec(program, {"__name__": "example"} if names is None else names)


def code_blocks(page: Path, language: str = "python") -> list[CodeBlock]:
    """Return the code blocks of `page` in `language`, in order."""
    text = page.read_text(encoding="utf-8")
    fences = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [CodeBlock(page, text.count("\n", 0, fence.start(1)) + 1, fence[1]) for fence in fences]
