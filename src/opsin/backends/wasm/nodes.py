"""Expressions of WebAssembly instructions, and the blocks that they are computed in.

Equal expressions are one node (value numbering), and a node is computed in the outermost block in which its operands
are known, so that what does not change in a loop is computed before it. Engines compile WebAssembly in a hurry and do
neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from opsin.backends.wasm import encoding


@dataclass(eq=False, slots=True)
class Node:
    """The value of one instruction; `data` holds its immediates, `depth` is the number of blocks around its own, and
    `height` that of instructions on the longest way to a value without operands."""

    name: str
    type: int
    operands: tuple[Node, ...]
    data: Any
    depth: int
    number: int
    height: int

    @property
    def is_constant(self) -> bool:
        return self.name == "const"

    @property
    def reads_memory(self) -> bool:
        return self.name in encoding.LOAD_OPCODES or self.name == "v128.load32_lane"


@dataclass(eq=False, slots=True)
class Store:
    """Stores `value` at `address` + `offset`; `lane` is the lane if only one is stored."""

    name: str
    address: Node
    offset: int
    value: Node
    lane: int | None = None


@dataclass(eq=False, slots=True)
class SetVariable:
    """Assigns to a mutable variable, which is a register of the kernel."""

    variable: Any
    value: Node


@dataclass(eq=False)
class Repeat:
    """A loop with `index` from `start` up to `stop`."""

    index: Node
    start: Node
    stop: Node
    step: Node
    body: list[Item] = field(default_factory=list)


@dataclass(eq=False)
class Choice:
    condition: Node
    body: list[Item] = field(default_factory=list)
    otherwise: list[Item] = field(default_factory=list)


Item: TypeAlias = "Node | Store | SetVariable | Repeat | Choice"

PINNED = {"i32.div_s", "i32.rem_s"}
"""Instructions that trap for some operands, so that they are not computed before a loop that may not run."""


class Blocks:
    """The open blocks of a function while it is written, the innermost last."""

    def __init__(self) -> None:
        self.body: list[Item] = []
        self._open: list[list[Item]] = [self.body]
        self._known: list[dict[tuple[Any, ...], Node]] = [{}]
        self._count = 0

    @property
    def depth(self) -> int:
        return len(self._open) - 1

    def pure(self, name: str, type: int, operands: tuple[Node, ...] = (), data: Any = None) -> Node:
        """Return the node of an instruction whose value depends on its operands alone."""
        key = name, type, tuple(each.number for each in operands), data
        for known in reversed(self._known):
            equal: Node | None = known.get(key)
            if equal is not None:
                return equal
        depth = max((each.depth for each in operands), default=0)
        if name in PINNED and not (operands[1].is_constant and operands[1].data not in (0, -1)):
            depth = self.depth
        node = self._node(name, type, operands, data, depth)
        self._known[depth][key] = node
        return node

    def ordered(self, name: str, type: int, operands: tuple[Node, ...] = (), data: Any = None) -> Node:
        """Return a new node of an instruction that must stay in its place, such as a load."""
        return self._node(name, type, operands, data, self.depth)

    def _node(self, name: str, type: int, operands: tuple[Node, ...], data: Any, depth: int) -> Node:
        self._count += 1
        height = 1 + max((each.height for each in operands), default=0)
        node = Node(name, type, operands, data, depth, self._count, height)
        if name not in ("const", "parameter"):
            self._open[depth].append(node)
        return node

    def append(self, item: Item) -> None:
        """Append an item that has an effect."""
        self._open[-1].append(item)

    def inside(self, body: list[Item]) -> Iterator[None]:
        """Open the block `body` for the time of a `for` statement."""
        self._open.append(body)
        self._known.append({})
        yield
        self._open.pop()
        self._known.pop()

    def index(self) -> Node:
        """Return the index of the loop whose body is open."""
        self._count += 1
        return Node("variable", encoding.I32, (), None, self.depth, self._count, 1)
