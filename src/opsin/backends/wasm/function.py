"""Blocks of expressions as the code of one function.

A value that is used once is computed where it is used, on WebAssembly's stack, unless a store or an assignment between
would change it; other values are kept in local variables.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from opsin.backends.wasm import encoding
from opsin.backends.wasm.encoding import F32, I32, LOCAL_GET, LOCAL_SET, LOCAL_TEE, signed, unsigned
from opsin.backends.wasm.lower import Lowering
from opsin.backends.wasm.nodes import Choice, Item, Node, Repeat, SetVariable, Store
from opsin.kernels.ir import Kernel

MAX_HEIGHT = 64
"""Instructions on top of each other before a value goes to a local variable, because Python's stack is limited."""


def render(kernel: Kernel, simd: bool) -> bytes:
    """Return the code of a function with the parameters of `kernel`, then begin, end and scratch, all i32."""
    return _Function(kernel, simd).code()


class _Function:
    def __init__(self, kernel: Kernel, simd: bool) -> None:
        self.lowering = Lowering(kernel, simd)
        self.first_local = len(kernel.parameters) + 3
        self.types: list[int] = []
        self.places: dict[Any, int] = {}
        self.uses: Counter[Node] = Counter()
        self.pending: dict[Node, None] = {}

    def code(self) -> bytes:
        self._count(self.lowering.body)
        content = self._block(self.lowering.body)
        runs = [(len(list(group)), type) for type, group in itertools.groupby(self.types)]
        locals = encoding.vector([unsigned(count) + bytes([type]) for count, type in runs])
        return encoding.sized(locals + content + encoding.END)

    # -- uses ---------------------------------------------------------------------------------

    def _count(self, items: Sequence[Item]) -> None:
        """Count how often each value is used by what has an effect."""
        for item in items:
            if isinstance(item, Store):
                self._use(item.address, item.value)
            elif isinstance(item, SetVariable):
                self._use(item.value)
            elif isinstance(item, Choice):
                self._use(item.condition)
                self._count(item.body)
                self._count(item.otherwise)
            elif isinstance(item, Repeat):
                # The stop is read before the loop and in it, where a value that is used once could not be computed.
                self._use(item.start, item.stop, item.stop, item.step)
                self._count(item.body)

    def _use(self, *nodes: Node) -> None:
        stack = list(nodes)
        while stack:
            node = stack.pop()
            self.uses[node] += 1
            if self.uses[node] == 1:
                stack.extend(node.operands)

    # -- blocks -------------------------------------------------------------------------------

    def _block(self, items: Sequence[Item]) -> bytes:
        out = bytearray()
        for item in items:
            if isinstance(item, Node):
                if self.uses[item]:
                    self.pending[item] = None
                    if item.height % MAX_HEIGHT == 0:
                        out += self._push(item, keep=True)
            elif isinstance(item, Store):
                self._flush(out, (item.address, item.value), lambda node: node.reads_memory)
                out += self._push(item.address) + self._push(item.value) + _store(item)
            elif isinstance(item, SetVariable):
                variable = item.variable
                self._flush(out, (item.value,), lambda node, v=variable: node.name == "variable" and node.data is v)
                out += self._push(item.value) + LOCAL_SET + unsigned(self._place(variable, variable.type))
            elif isinstance(item, Choice):
                self._flush(out, (item.condition,), lambda node: True)
                out += self._push(item.condition) + encoding.IF + self._block(item.body)
                out += (encoding.ELSE + self._block(item.otherwise) if item.otherwise else b"") + encoding.END
            else:
                out += self._loop(item)
        self.pending.clear()
        return bytes(out)

    def _loop(self, loop: Repeat) -> bytes:
        out = bytearray()
        self._flush(out, (), lambda node: True)
        index = unsigned(self._place(loop.index, I32))
        stop = self._push(loop.stop)
        less = encoding.opcode("i32.lt_s")
        runs = loop.start.is_constant and loop.stop.is_constant and loop.start.data < loop.stop.data
        out += self._push(loop.start)
        out += LOCAL_SET + index if runs else LOCAL_TEE + index + stop + less + encoding.IF
        step = self._push(loop.step)
        out += encoding.LOOP + self._block(loop.body) + LOCAL_GET + index + step + encoding.opcode("i32.add")
        out += LOCAL_TEE + index + stop + less + encoding.BRANCH_IF + b"\x00" + encoding.END
        return bytes(out if runs else out + encoding.END)

    def _flush(self, out: bytearray, kept: Iterable[Node], affected: Any) -> None:
        """Compute the pending values that are `affected`, except those that `kept` ones are computed from."""
        closure: set[Node] = set()
        stack = list(kept)
        while stack:
            node = stack.pop()
            if node in self.pending and node not in closure:
                closure.add(node)
                stack.extend(node.operands)
        for node in [each for each in self.pending if each not in closure and affected(each)]:
            if node in self.pending:
                out += self._push(node, keep=True)

    # -- values -------------------------------------------------------------------------------

    def _place(self, key: Any, type: int) -> int:
        if key not in self.places:
            self.places[key] = self.first_local + len(self.types)
            self.types.append(type)
        return self.places[key]

    def _push(self, node: Node, keep: bool = False) -> bytes:
        """Return code that pushes a value, or that computes it into its local variable."""
        if node.is_constant:
            return _constant(node)
        if node.name == "parameter":
            return LOCAL_GET + unsigned(node.data)
        if node not in self.pending:
            return LOCAL_GET + unsigned(self.places[node])
        del self.pending[node]
        code = self._expression(node)
        if keep:
            return code + LOCAL_SET + unsigned(self._place(node, node.type))
        return code if self.uses[node] == 1 else code + LOCAL_TEE + unsigned(self._place(node, node.type))

    def _expression(self, node: Node) -> bytes:
        name = node.name
        if name == "variable":
            return LOCAL_GET + unsigned(self._place(node.data, node.type))
        if name in ("f32x4.splat", "i32x4.splat") and (code := self._splat_of_load(node.operands[0])):
            return code
        operands = b"".join([self._push(each) for each in node.operands])
        if name in encoding.LOAD_OPCODES:
            return operands + encoding.access(name, node.data[0])
        if name == "v128.load32_lane":
            offset, lane = node.data
            return operands + encoding.simd(encoding.LANE_LOAD) + b"\x00" + unsigned(offset) + bytes([lane])
        if name in encoding.LANE_OPCODES:
            return operands + encoding.simd(encoding.LANE_OPCODES[name]) + bytes([node.data])
        if name == "i8x16.shuffle bytes":
            return operands + encoding.simd(0x0D) + bytes(node.data)
        if name == "i8x16.shuffle":
            return operands + encoding.simd(0x0D) + bytes(4 * lane + octet for lane in node.data for octet in range(4))
        return operands + encoding.opcode(name)

    def _splat_of_load(self, load: Node) -> bytes | None:
        """Return the load of a number into every lane if it has no other use."""
        if load.name not in ("f32.load", "i32.load") or load not in self.pending or self.uses[load] > 1:
            return None
        del self.pending[load]
        return self._push(load.operands[0]) + encoding.access("v128.load32_splat", load.data[0])


def _constant(node: Node) -> bytes:
    if node.type == I32:
        return b"\x41" + signed(node.data)
    return (b"\x43" if node.type == F32 else encoding.simd(0x0C)) + bytes(node.data)


def _store(item: Store) -> bytes:
    if item.lane is None:
        return encoding.access(item.name, item.offset)
    return encoding.simd(encoding.LANE_STORES[item.name]) + b"\x00" + unsigned(item.offset) + bytes([item.lane])
