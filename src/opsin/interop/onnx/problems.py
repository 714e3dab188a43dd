"""Operators and attributes of an ONNX file that Opsin does not support, collected and reported together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.base.errors import ModelError
from opsin.interop.onnx.wire import shown

MAX_NAMED = 50
"""Nodes that are named for one reason; the others are counted."""


@dataclass(frozen=True)
class Problem:
    """One node that is not supported, and the reason if its operator is."""

    op: str
    node: str
    reason: str = ""


def report(problems: Sequence[Problem], batch: int | None) -> ModelError:
    """Return an error with all problems by operator; `batch` is the batch size that the file fixes, if it does."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        groups.setdefault((problem.op, problem.reason), []).append(problem.node)
    lines = [_line(op, reason, nodes) for (op, reason), nodes in sorted(groups.items())]
    hint = "docs/onnx.md lists the operators that Opsin has"
    if batch is not None and any(problem.reason for problem in problems):
        hint += f"; the file fixes the number of images at {batch}: exporting it with a free one may help"
    return ModelError("\n  ".join(["asks for what Opsin does not have:", *lines]) + f"\n{hint}")


def _line(op: str, reason: str, nodes: list[str]) -> str:
    names = ", ".join(shown(node) for node in nodes[:MAX_NAMED])
    rest = f" and {len(nodes) - MAX_NAMED:,} more" if len(nodes) > MAX_NAMED else ""
    return f"{shown(op)[1:-1]}: node {names}{rest}" + (f" – {reason}" if reason else "")
