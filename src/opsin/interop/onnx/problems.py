"""What an ONNX file asks for and Opsin does not have: collected, and told all at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.base.errors import ModelError
from opsin.interop.onnx.wire import shown

MOST_NAMES = 50
"""So many nodes are named for one and the same reason; of the others there is a count."""


@dataclass(frozen=True)
class Problem:
    """One node that cannot be had, and why, if its operator can."""

    op: str
    node: str
    reason: str = ""


def report(problems: Sequence[Problem], batch: int | None) -> ModelError:
    """All problems by operator; the text goes after the file's name. `batch` is that of the file, if it has one."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        groups.setdefault((problem.op, problem.reason), []).append(problem.node)
    lines = [_line(op, reason, nodes) for (op, reason), nodes in sorted(groups.items())]
    hint = "docs/onnx.md lists the operators that Opsin has"
    if batch is not None and any(problem.reason for problem in problems):
        hint += f"; the file fixes the number of images at {batch}: exporting it with a free one may help"
    return ModelError("\n  ".join(["asks for what Opsin does not have:", *lines]) + f"\n{hint}")


def _line(op: str, reason: str, nodes: list[str]) -> str:
    names = ", ".join(shown(node) for node in nodes[:MOST_NAMES])
    rest = f" and {len(nodes) - MOST_NAMES:,} more" if len(nodes) > MOST_NAMES else ""
    return f"{shown(op)[1:-1]}: node {names}{rest}" + (f" – {reason}" if reason else "")
