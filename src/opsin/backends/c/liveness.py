"""Which instructions of a kernel have an effect, and how often each value is used.

Compilers warn about variables without a use, such as the index of a prefetch, which C cannot express.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from opsin.kernels.ir import Branch, Instruction, Kernel, Loop

STORES = ("store", "scatter")


@dataclass
class Liveness:
    """`uses` counts the uses of each value and register by instructions that have an effect."""

    uses: Counter[Any] = field(default_factory=Counter)
    blocks: dict[int, list[Any]] = field(default_factory=dict)
    """The items with an effect of each block, by the identity of its list."""

    def __init__(self, kernel: Kernel) -> None:
        self.uses, self.blocks = Counter(), {}
        self._reads = Counter(i.operands[0] for i in kernel.instructions() if i.name == "get")
        self._visit(kernel.body)

    def items(self, block: list[Any]) -> list[Any]:
        """Return the items of `block` that have an effect."""
        return self.blocks[id(block)]

    def _visit(self, block: list[Any]) -> bool:
        """Visit a block from its end, where all later uses are known. Return whether it has an effect."""
        self.blocks[id(block)] = [item for item in reversed(block) if self._keep(item)][::-1]
        return bool(self.blocks[id(block)])

    def _keep(self, item: Any) -> bool:
        if isinstance(item, Loop):
            return self._visit(item.body) and self._use(item.start, item.stop, item.step)
        if isinstance(item, Branch):
            effects = [self._visit(item.otherwise), self._visit(item.body)]
            return any(effects) and self._use(item.condition)
        return self._has_effect(item) and self._use(*item.operands)

    def _has_effect(self, item: Instruction) -> bool:
        if item.name == "set":
            return self._reads[item.operands[0]] > 0
        return item.name in STORES or (item.result is not None and self.uses[item.result] > 0)

    def _use(self, *values: Any) -> bool:
        self.uses.update(values)
        return True
