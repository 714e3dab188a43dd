"""The layout of variables in memory, and which of them are updated in place."""

from __future__ import annotations

from opsin.compiler.fusion import FusionGroup
from opsin.compiler.views import ELEMENTS, FILTERS, Buffer, Destinations, View, channels_last, dense_strides
from opsin.ir import INPUT, VARIABLE, Graph, Shape, Tensor

VIEWS = frozenset(("reshape", "transpose", "broadcast_to", "slice"))
"""Operations with results that may share the memory of their operands."""


def place_inputs(graph: Graph) -> dict[Tensor, View]:
    """Return a buffer for every input and variable, in the layout that suits its most important reader."""
    views: dict[Tensor, View] = {}
    orders: dict[str, tuple[int, ...]] = {}
    for tensor in (*graph.inputs, *graph.variables.values()):
        node = tensor.node
        name = node.attrs["name"]
        shape: tuple[int, ...] = tensor.shape  # type: ignore[assignment]
        order = channels_last(len(shape))
        if node.op is VARIABLE:
            order = _preferred(graph, tensor) or orders.get(node.attrs["like"], order)
            orders[name] = order
        size = 1
        for n in shape:
            size *= n
        buffer = Buffer(size, ELEMENTS[tensor.dtype], "input" if node.op is INPUT else "variable", name)
        views[tensor] = View(buffer, shape, dense_strides(shape, order))
    return views


def _preferred(graph: Graph, tensor: Tensor) -> tuple[int, ...] | None:
    if graph.variables[tensor.node.attrs["name"]].node.attrs["like"]:
        return None
    if tensor.rank == 5:  # those of a convolution of clips, with all taps in time under each of a frame
        return (3, 4, 2, 1, 0)
    for user in graph.users[tensor]:
        if user.op.name == "reshape" and user.output.rank == 4 and tensor.shape == _without_rows(user.output):
            return tuple(axis - (axis > 2) for axis in FILTERS if axis != 2)
        if user.op.name in ("conv2d", "conv_transpose2d", "conv2d_int8", "conv2d_int32") and user.inputs[1] is tensor:
            return FILTERS
        if user.op.name == "matmul" and user.inputs[1] is tensor and user.attrs["transpose_b"]:
            return (1, 0)
    return None


def _without_rows(weight: Tensor) -> Shape:
    """Return the shape of convolution weights whose kernel has one row, without that row; () for others."""
    return (*weight.shape[:2], weight.shape[3]) if weight.shape[2] == 1 else ()


def update_in_place(
    graph: Graph, order: list[FusionGroup], views: dict[Tensor, View]
) -> tuple[Destinations, list[FusionGroup]]:
    """Return the new values that may overwrite their variables, and the groups in an order that allows it.

    A group may overwrite a variable once everything else that reads the old value has run.
    """
    home = {tensor: c for c in order for node in c for tensor in node.outputs}
    after: dict[FusionGroup, set[FusionGroup]] = {
        c: {home[t] for node in c for t in node.inputs if t in home} - {c} for c in order
    }
    rank = {group: number for number, group in enumerate(order)}
    destinations: Destinations = {}
    for name, value in graph.updates.items():
        variable = graph.variables[name]
        writer = home.get(value)
        if writer is None or not writer.nodes or value in destinations:
            continue
        aliases = _aliases(graph, variable)
        readers = {home[user.outputs[0]] for tensor in aliases for user in graph.users[tensor]} - {writer}
        late_readers = {reader for reader in readers if rank[reader] > rank[writer]}
        if not aliases.isdisjoint(graph.outputs.values()) or _reaches(after, late_readers, writer, rank):
            continue
        after[writer] |= readers
        destinations[value] = views[variable]
        if late_readers:
            rank = {group: number for number, group in enumerate(_sorted(order, after))}
    return destinations, _sorted(order, after)


def _aliases(graph: Graph, tensor: Tensor) -> set[Tensor]:
    """Return `tensor` and all tensors that may be views of its memory."""
    aliases, stack = {tensor}, [tensor]
    while stack:
        for user in graph.users[stack.pop()]:
            if user.op.name in VIEWS and user.output not in aliases:
                aliases.add(user.output)
                stack.append(user.output)
    return aliases


def _reaches(
    after: dict[FusionGroup, set[FusionGroup]],
    starts: set[FusionGroup],
    target: FusionGroup,
    rank: dict[FusionGroup, int],
) -> bool:
    """Whether any of `starts` must run after `target`; `rank` grows along every chain of dependencies."""
    visited_groups, stack = set(starts), list(starts)
    while stack:
        top = stack.pop()
        if top is target:
            return True
        successors = {group for group in after[top] if rank[group] >= rank[target]} - visited_groups
        visited_groups |= successors
        stack.extend(successors)
    return False


def _sorted(order: list[FusionGroup], after: dict[FusionGroup, set[FusionGroup]]) -> list[FusionGroup]:
    number = {group: i for i, group in enumerate(order)}
    result: dict[FusionGroup, None] = {}
    for group in order:
        stack = [group]
        while stack:
            predecessors = [c for c in after[stack[-1]] if c not in result]
            if predecessors:
                stack.extend(sorted(predecessors, key=number.__getitem__))
            else:
                result.setdefault(stack.pop())
    return list(result)
