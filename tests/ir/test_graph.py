"""A graph's order, its printed form, its rules, and the graphs made from it."""

from __future__ import annotations

import pytest

from opsin import ops
from opsin.base.errors import GraphError, ShapeError
from opsin.ir import BATCH, INT, VARIABLE, Graph, Node, Tensor, Type, apply, input_tensor, scope, topological, variable


def perceptron() -> Graph:
    """A layer, its loss, and one step of gradient descent."""
    x = input_tensor("x", (BATCH, 3))
    with scope("fc"):
        w = variable("fc.weight", (2, 3), trainable=True, init=("uniform", 0.5))
        y = ops.relu(ops.linear(x, w))
    loss = ops.mean(ops.square(y))
    (gradient,) = ops.gradients(loss, [w])
    assert gradient is not None
    return Graph((x,), {"loss": loss}, {"fc.weight": ops.subtract(w, ops.multiply(gradient, 0.1))})


PRINTED = """\
%x = input() : N × 3
%fc.weight = variable() trainable=True : 2 × 3   # fc
%2 = matmul(%x, %fc.weight) transpose_a=False transpose_b=True : N × 2   # fc
%3 = relu(%2) : N × 2   # fc
%4 = multiply(%3, %3) : N × 2
%5 = sum(%4) axes=(0, 1) : 1 × 1
%6 = reshape(%5) shape=() : scalar
%7 = constant() value=1/2·N^-1 : scalar
%8 = multiply(%6, %7) : scalar
output loss = %8"""


def test_a_graph_prints_one_node_per_line() -> None:
    graph = perceptron()
    assert str(Graph(graph.inputs, graph.outputs)) == PRINTED
    last = str(graph).splitlines()[-1]
    assert last.startswith("update %fc.weight ← %")
    assert "# fc" in next(line for line in str(graph).splitlines() if "where" in line), "gradients stay in their layer"


def test_variables_parameters_and_users() -> None:
    graph = perceptron()
    assert list(graph.variables) == list(graph.parameters) == ["fc.weight"]
    assert [node.op.name for node in graph.users[graph.inputs[0]]] == ["matmul", "matmul"]
    assert graph.users[graph.updates["fc.weight"]] == []


def test_operands_come_first_however_deep() -> None:
    x = y = input_tensor("x", (2,))
    for _ in range(5000):
        y = ops.add(y, x)
    order = topological([y])
    place = {node: i for i, node in enumerate(order)}
    assert len(order) == 5001
    assert all(place[t.node] < place[node] for node in order for t in node.inputs)


def test_unused_nodes_are_not_part_of_a_graph() -> None:
    x = input_tensor("x", (2,))
    ops.exp(x)
    assert [node.op.name for node in Graph((x,), {"y": ops.relu(x)}).nodes] == ["input", "relu"]


def test_binding_replaces_the_batch_in_shapes_and_attributes() -> None:
    x = input_tensor("x", (BATCH, 2, 3))
    graph = Graph((x,), {"y": ops.mean(ops.flatten(x))}).bind(5).verify()
    assert graph.inputs[0].shape == (5, 2, 3)
    printed = str(graph)
    assert "shape=(5, 6) : 5 × 6" in printed
    assert f"value={1 / 30}" in printed
    assert "N" not in printed
    with pytest.raises(GraphError, match="a batch holds at least one image, not 0"):
        graph.bind(0)


def test_binding_keeps_layers_and_unused_inputs() -> None:
    x, unused = input_tensor("x", (BATCH,)), input_tensor("unused", (BATCH, 7))
    with scope("layer1.0"):
        y = ops.relu(x)
    graph = Graph((x, unused), {"y": y}).bind(2)
    assert graph.outputs["y"].node.scope == "layer1.0"
    assert [t.shape for t in graph.inputs] == [(2,), (2, 7)]


def test_rewriting_replaces_or_removes_nodes() -> None:
    x = input_tensor("x", (3,))
    graph = Graph((x,), {"y": ops.exp(ops.negate(ops.relu(x))), "z": ops.negate(x)})

    def without_negation(node: Node, inputs: tuple[Tensor, ...]) -> Node | tuple[Tensor, ...]:
        if node.op.name == "negate":
            return inputs
        if node.op.name == "relu":
            return ops.tanh(inputs[0]).node
        return apply(node.op, inputs, node.attrs, node.scope)

    rewritten = graph.rewrite(without_negation).verify()
    assert [node.op.name for node in rewritten.nodes] == ["input", "tanh", "exp"]
    assert rewritten.outputs["z"] is rewritten.inputs[0]
    assert [node.op.name for node in graph.nodes] == ["input", "relu", "negate", "exp", "negate"], "the old one stays"


def test_verify_returns_a_valid_graph() -> None:
    graph = perceptron()
    assert graph.verify() is graph


def broken() -> list[tuple[Graph, str]]:
    x, w = input_tensor("x", (3,)), variable("w", (3,))
    twin = variable("w", (3,))
    liar = ops.relu(x).node
    liar.outputs = (Tensor(liar, 0, Type((4,))),)
    return [
        (Graph((x,), {"y": ops.add(w, twin)}), "two different tensors are called 'w'; give one of the layers"),
        (Graph((), {"y": ops.relu(x)}), "input 'x' is used but not declared among the graph's inputs"),
        (Graph((x,), {"y": liar.output}), "<relu in graph: 4> says 4, its shape rule 3"),
        (Graph((x,), {"y": x}, {"v": x}), "'v' is updated but never used as a variable"),
        (Graph((x,), {"y": w}, {"w": ops.sum(x)}), "'w' is 3, its new value scalar"),
    ]


@pytest.mark.parametrize(("graph", "text"), broken())
def test_verify_names_the_rule_that_is_broken(graph: Graph, text: str) -> None:
    with pytest.raises(GraphError) as caught:
        graph.verify()
    assert str(caught.value).startswith(text)


def test_shape_errors_name_the_innermost_layer_once() -> None:
    with pytest.raises(ShapeError) as caught, scope("outer"), scope("outer.inner"):
        ops.add(input_tensor("a", (2,)), input_tensor("b", (3,)))
    assert str(caught.value).startswith("layer outer.inner: add: 2 and 3 do not match")


def test_variables_have_initializers_and_names() -> None:
    slot = variable("optimizer.w.momentum", (3,), init=("zeros",), like="w")
    assert slot.node.op is VARIABLE
    assert slot.node.attrs["like"] == "w"
    assert not slot.node.attrs["trainable"]
    assert repr(variable("step", (), INT)) == "<variable scalar int>"
