"""Penultimate features times the weights of the last layer are the logits."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import GraphError
from opsin.explain.features import feature_extractor, features_of
from opsin.ir import BATCH, Graph, input_tensor
from opsin.model import Model
from opsin.nn.features import penultimate_graph
from opsin.ops import relu
from opsin.tasks.identity.task import Identity
from tests.model.networks import small_model
from tests.report.support import scenes


@pytest.mark.parametrize(("name", "shape", "width"), [("lenet5", (1, 28, 28), 84), ("resnet20_cifar", (3, 32, 32), 64)])
def test_features_times_weights_are_the_logits(name: str, shape: tuple[int, int, int], width: int) -> None:
    graph = nn.trace(zoo.find(name)(5), shape)
    full, features_only = Reference(graph, 2), Reference(penultimate_graph(graph), 2)
    state = nn.initial_state(graph, 0)
    full.load_state(state)
    features_only.load_state({key: state[key] for key in features_only.graph.variables})
    images = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    features = features_only.run(inputs=images)["features"]
    assert features.shape == (2, width)
    head = next(key for key, tensor in graph.variables.items() if tensor.shape == (5, width))
    bias = state[head.replace("weight", "bias")]
    np.testing.assert_allclose(features @ state[head].T + bias, full.run(inputs=images)["logits"], atol=1e-4)
    assert head not in features_only.graph.variables


def test_a_convolution_as_last_layer_is_removed() -> None:
    graph = penultimate_graph(nn.trace(zoo.find("squeezenet1_1")(7), (3, 64, 64)))
    assert graph.outputs["features"].shape == (BATCH, 512)


def test_a_graph_without_weights_has_no_features() -> None:
    images = input_tensor("inputs", (BATCH, 4))
    with pytest.raises(GraphError, match="no layer with weights"):
        penultimate_graph(Graph((images,), {"logits": relu(images)}))


def test_features_of_a_sample_and_of_little_time() -> None:
    extractor = feature_extractor(small_model())
    pixels, order = scenes(70, 0).pixels, np.arange(70)[::-1].copy()
    expected = extractor.compute(pixels, order, 60)
    assert expected.shape == (70, 48)
    assert not extractor.independent
    np.testing.assert_array_equal(extractor.compute(pixels, order, 0), expected[:32])
    np.testing.assert_allclose(extractor.compute(pixels, order[:3], 60), expected[:3], rtol=1e-5)


def test_features_are_the_vectors_of_a_model_that_compares_images() -> None:
    model = small_model()
    graph = Graph(model.graph.inputs, {"embeddings": model.graph.outputs["logits"]})
    comparing = Model("vectors", graph, model.state, model.preprocessing, Identity(3), engine=model.engine)
    pixels = np.asarray(scenes(5, 0).pixels)
    features = features_of(comparing).compute(pixels, np.arange(5))
    np.testing.assert_allclose(features, model.logits(pixels), rtol=1e-5)
    assert features_of(comparing).fingerprint() == features_of(comparing).fingerprint()
    assert features_of(comparing).fingerprint() != features_of(small_model(2)).fingerprint()
