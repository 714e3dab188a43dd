"""How variables lie in memory, and which of them are updated in place."""

from __future__ import annotations

from opsin.compiler.fusion import FusionGroup
from opsin.compiler.views import FILTERS, Buffer, Places, View, channels_last, dense_strides
from opsin.ir import INPUT, INT, VARIABLE, Graph, Tensor

VIEWS = frozenset(("reshape", "transpose", "broadcast_to", "slice"))
"""Operations that often move no data."""


def place_inputs(graph: Graph) -> dict[Tensor, View]:
    """A buffer for every input and every variable, laid out as its first important reader wants it."""
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
        element = "i32" if tensor.dtype == INT else "f32"
        size = 1
        for n in shape:
            size *= n
        buffer = Buffer(size, element, "input" if node.op is INPUT else "variable", name)
        views[tensor] = View(buffer, shape, dense_strides(shape, order))
    return views


def _preferred(graph: Graph, tensor: Tensor) -> tuple[int, ...] | None:
    if graph.variables[tensor.node.attrs["name"]].node.attrs["like"]:
        return None
    for user in graph.users[tensor]:
        if user.op.name in ("conv2d", "conv_transpose2d") and user.inputs[1] is tensor:
            return FILTERS
        if user.op.name == "matmul" and user.inputs[1] is tensor and user.attrs["transpose_b"]:
            return (1, 0)
    return None


def in_place(graph: Graph, order: list[FusionGroup], views: dict[Tensor, View]) -> tuple[Places, list[FusionGroup]]:
    """New values that may be written straight over their variables, and the clusters in an order that allows it.

    A cluster may overwrite a variable once everything else that reads the old value has run.
    """
    home = {tensor: c for c in order for node in c for tensor in node.outputs}
    after: dict[FusionGroup, set[FusionGroup]] = {
        c: {home[t] for node in c for t in node.inputs if t in home} - {c} for c in order
    }
    rank = {cluster: number for number, cluster in enumerate(order)}
    places: Places = {}
    for name, value in graph.updates.items():
        variable = graph.variables[name]
        writer = home.get(value)
        if writer is None or not writer.nodes or value in places:
            continue
        seen = _seen_through(graph, variable)
        readers = {home[user.outputs[0]] for tensor in seen for user in graph.users[tensor]} - {writer}
        late = {reader for reader in readers if rank[reader] > rank[writer]}
        if not seen.isdisjoint(graph.outputs.values()) or _reaches(after, late, writer, rank):
            continue
        after[writer] |= readers
        places[value] = views[variable]
        if late:
            rank = {cluster: number for number, cluster in enumerate(_sorted(order, after))}
    return places, _sorted(order, after)


def _seen_through(graph: Graph, tensor: Tensor) -> set[Tensor]:
    """`tensor` and all that may be no more than another view of its memory."""
    found, stack = {tensor}, [tensor]
    while stack:
        for user in graph.users[stack.pop()]:
            if user.op.name in VIEWS and user.output not in found:
                found.add(user.output)
                stack.append(user.output)
    return found


def _reaches(
    after: dict[FusionGroup, set[FusionGroup]],
    starts: set[FusionGroup],
    goal: FusionGroup,
    rank: dict[FusionGroup, int],
) -> bool:
    """Whether any of `starts` must run after `goal`; `rank` grows along every chain of what must."""
    seen, stack = set(starts), list(starts)
    while stack:
        top = stack.pop()
        if top is goal:
            return True
        new = {cluster for cluster in after[top] if rank[cluster] >= rank[goal]} - seen
        seen |= new
        stack.extend(new)
    return False


def _sorted(order: list[FusionGroup], after: dict[FusionGroup, set[FusionGroup]]) -> list[FusionGroup]:
    number = {cluster: i for i, cluster in enumerate(order)}
    done: dict[FusionGroup, None] = {}
    for cluster in order:
        stack = [cluster]
        while stack:
            missing = [c for c in after[stack[-1]] if c not in done]
            if missing:
                stack.extend(sorted(missing, key=number.__getitem__))
            else:
                done.setdefault(stack.pop())
    return list(done)
