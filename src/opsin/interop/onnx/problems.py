"""Report of all operators and attributes of an ONNX file that Opsin does not support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from opsin.base.errors import ModelError
from opsin.interop.onnx.wire import quote_name

MAX_NODE_NAMES = 50
"""Limit of the nodes that a message names for one reason; it counts the others."""


@dataclass(frozen=True)
class Problem:
    """An unsupported node; `reason` is empty if its operator is not supported at all."""

    op: str
    node: str
    reason: str = ""


def report(problems: Sequence[Problem], batch: int | None) -> ModelError:
    """Return an error that lists all problems by operator. `batch` is the batch size that the file fixes, or None."""
    groups: dict[tuple[str, str], list[str]] = {}
    for problem in problems:
        groups.setdefault((problem.op, problem.reason), []).append(problem.node)
    lines = [_line(op, reason, nodes) for (op, reason), nodes in sorted(groups.items())]
    hint = "docs/onnx.md lists the supported operators"
    if batch is not None and any(problem.reason for problem in problems):
        hint += f"; the file fixes the batch size at {batch}: exporting it with a free batch size may help"
    return ModelError("\n  ".join(["uses operators or attributes that Opsin does not support:", *lines]) + f"\n{hint}")


def _line(op: str, reason: str, nodes: list[str]) -> str:
    listing = ", ".join(quote_name(node) for node in nodes[:MAX_NODE_NAMES])
    rest = f" and {len(nodes) - MAX_NODE_NAMES:,} more" if len(nodes) > MAX_NODE_NAMES else ""
    return f"{quote_name(op)[1:-1]}: node {listing}{rest}" + (f" – {reason}" if reason else "")
