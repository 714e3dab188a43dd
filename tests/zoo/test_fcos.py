"""The detector without anchors: its outputs, its backbone, and a step of training on both engines."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.backends.native import compile as compile_native
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.ir import Graph, Tensor
from tests.support import generator, relative_error


def network(classes: int = 3) -> nn.Layer:
    layer = zoo.fcos_efficientnet_lite0(classes)
    for child in nn.named_layers(layer).values():
        if isinstance(child, nn.StochasticDepth):
            child.p = 0.0
    return layer


def test_sizes() -> None:
    graph = nn.trace(zoo.fcos_efficientnet_lite0(), (3, 320, 320))
    points = 40 * 40 + 20 * 20 + 10 * 10 + 5 * 5
    assert [tensor.shape[1:] for tensor in graph.outputs.values()] == [(points, 80), (points, 4)]
    assert nn.describe(nn.trace(network(), (3, 320, 320))).parameters == 3_120_711


def test_images_of_any_size_have_a_point_for_every_stride() -> None:
    graph = nn.trace(network(), (3, 75, 130))
    assert graph.outputs["class_logits"].shape[1] == 10 * 17 + 5 * 9 + 3 * 5 + 2 * 3


def test_the_backbone_has_the_names_and_shapes_of_efficientnet_lite0() -> None:
    variables = nn.trace(network(), (3, 64, 64)).variables
    published = nn.trace(zoo.efficientnet_lite0(), (3, 64, 64)).variables
    heads = ("conv_head.", "bn2.", "classifier.")
    expected = {f"backbone.{name}": t.shape for name, t in published.items() if not name.startswith(heads)}
    assert {name: t.shape for name, t in variables.items() if name.startswith("backbone.")} == expected


def test_first_predictions() -> None:
    graph = nn.trace(network(), (3, 64, 64))
    program = Reference(graph, 1)
    program.load_state(nn.initial_state(graph, 0))
    found = program.run(inputs=generator("fcos").normal(size=(1, 3, 64, 64)))
    scores = 1 / (1 + np.exp(-found["class_logits"]))
    assert 0.005 < scores.mean() < 0.02
    assert 3 < np.median(found["box_offsets"]) < 5.5
    assert found["box_offsets"].min() > 0


def test_heads_share_convolutions_but_not_statistics() -> None:
    names = nn.trace(network(), (3, 64, 64)).variables
    tower = [name for name in names if name.startswith("class_head.tower.0.")]
    assert sum("conv_dw" in name for name in tower) == 1
    assert sum("running_mean" in name for name in tower) == 4


def test_large_distances_stay_finite() -> None:
    graph = nn.trace(network(), (3, 64, 64))
    state = nn.initial_state(graph, 0)
    state["box_head.predict.bias"] += 1000
    program = Reference(graph, 1)
    program.load_state(state)
    offsets = program.run(inputs=np.zeros((1, 3, 64, 64)))["box_offsets"]
    assert np.allclose(offsets, np.exp(7.0))


def test_one_class_is_enough() -> None:
    assert nn.trace(network(1), (3, 64, 64)).outputs["class_logits"].shape[-1] == 1
    with pytest.raises(UsageError, match="needs at least one class, not 0"):
        network(0)


def test_gradients_match_the_reference() -> None:
    graph = with_gradients(nn.trace(network(), (3, 80, 65), training=True))
    state, images = nn.initial_state(graph, 3), generator("fcos", "gradients").normal(size=(2, 3, 80, 65))
    results = []
    for program in (Reference(graph, 2, np.float64), compile_native(graph, 2, threads=1)):
        program.load_state(state)
        results.append(program.run(inputs=images))
    exact, found = results
    assert set(exact) > {"loss", "pyramid.down.2.conv_pw.weight", "backbone.conv_stem.weight"}
    errors = {name: relative_error(found[name], exact[name]) for name in exact}
    assert errors["loss"] < 1e-4
    # Where rounding decides whether a ReLU passes a number on, a gradient changes.
    assert np.median(list(errors.values())) < 1e-2


def with_gradients(graph: Graph) -> Graph:
    """`graph` with a loss of both outputs, and its gradients by the first and last layers."""
    loss: Tensor = ops.add(*(ops.mean(ops.square(output)) for output in graph.outputs.values()))
    names = ["backbone.conv_stem.weight", "pyramid.down.2.conv_pw.weight", "class_head.tower.1.conv_dw.weight",
             "box_head.predict.bias", "pyramid.lateral.1.0.weight", "box_head.tower.0.bn.3.weight"]  # fmt: skip
    gradients = ops.gradients(loss, [graph.variables[name] for name in names])
    return Graph(graph.inputs, {"loss": loss} | {n: g for n, g in zip(names, gradients, strict=True) if g is not None})
