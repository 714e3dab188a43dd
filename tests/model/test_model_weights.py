"""The weights of a model file as the beginning of another training."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ModelError, OpsinError, UsageError
from opsin.data import Preprocessing
from opsin.model import Model
from opsin.model.head import head_variables
from opsin.model.model_weights import ModelWeights
from opsin.model.pretrained import initial_state, starting_network
from opsin.tasks.classification import Classification
from opsin.tasks.detection import ObjectDetection
from opsin.tasks.identity import Identity
from tests.model.networks import reference

Shape = tuple[int, int, int]


def save(path: Path, network: str, shape: Shape, task: Any, seed: int = 1) -> ModelWeights:
    """Write a model of the zoo with random values, and return its weights."""
    layer = zoo.find(network)(task.outputs, task=task.name)
    graph = nn.trace(layer, shape)
    preprocessing = Preprocessing(*shape, (0.4,) * shape[0], (0.3,) * shape[0])
    state = nn.initial_state(graph, seed)
    goldens = np.zeros((1, *shape), np.uint8), np.zeros((1, task.outputs), np.float32)
    Model(network, graph, state, preprocessing, task, nn.layer_kinds(layer), goldens=goldens, engine=reference).save(
        path
    )
    return ModelWeights.open(str(path))


def begin(weights: ModelWeights, network: str, shape: Shape, task: Any) -> tuple[Any, dict[str, Any], set[str]]:
    """Return the graph of a network, its first values, and the names of those that are not the model's."""
    weights = weights.for_images(*shape).for_task(task)
    layer = starting_network(network, task, False, weights)
    graph = nn.trace(layer, shape)
    state, random = initial_state(layer, graph, 5), nn.initial_state(graph, 5)
    assert state.keys() == graph.variables.keys()
    return graph, state, {name for name in state if np.array_equal(state[name], random[name])}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> ModelWeights:
    path = tmp_path_factory.mktemp("models") / "small.opsin"
    return save(path, "resnet20_cifar", (3, 16, 16), Classification(("cat", "dog", "eel")))


def test_the_last_layer_is_new_for_other_labels(small: ModelWeights) -> None:
    for labels in (("a", "b"), ("a", "b", "c")):
        _, state, _ = begin(small, "resnet20_cifar", (3, 24, 20), Classification(labels))
        assert not state["fc.weight"].any() and state["fc.weight"].shape == (len(labels), 64)
        assert state["conv1.weight"].any()
    _, state, _ = begin(small, "resnet20_cifar", (3, 16, 16), Classification(("cat", "dog", "eel")))
    assert state["fc.weight"].any()


def test_every_other_value_is_that_of_the_file(small: ModelWeights) -> None:
    layer = zoo.find("resnet20_cifar")(3)
    expected = nn.initial_state(nn.trace(layer, (3, 16, 16)), 1)
    _, state, _ = begin(small, "resnet20_cifar", (3, 16, 16), Classification(("a", "b")))
    for name, value in state.items():
        if not name.startswith("fc."):
            np.testing.assert_array_equal(value, expected[name])


def test_a_network_for_grey_images_sees_colours_as_grey(tmp_path: Path) -> None:
    labels = Classification(("a", "b"))
    weights = save(tmp_path / "grey.opsin", "resnet20_cifar", (1, 12, 12), labels)
    grey_graph, grey_state, _ = begin(weights, "resnet20_cifar", (1, 12, 12), labels)
    graph, state, _ = begin(weights, "resnet20_cifar", (3, 12, 12), labels)
    colours = np.random.default_rng(0).standard_normal((2, 3, 12, 12)).astype(np.float32)
    grey = np.tensordot(colours, np.array([0.299, 0.587, 0.114], np.float32), (1, 0))[:, None]

    def logits(graph: Any, state: Any, images: Any) -> Any:
        program = Reference(graph, 2)
        program.load_state(state)
        return program.run(inputs=images)["logits"]

    np.testing.assert_allclose(logits(graph, state, colours), logits(grey_graph, grey_state, grey), atol=1e-4)
    back = save(tmp_path / "rgb.opsin", "resnet20_cifar", (3, 12, 12), labels)
    rgb_graph, rgb_state, _ = begin(back, "resnet20_cifar", (3, 12, 12), labels)
    one_graph, one_state, _ = begin(back, "resnet20_cifar", (1, 12, 12), labels)
    same = np.repeat(grey, 3, 1)
    np.testing.assert_allclose(logits(one_graph, one_state, grey), logits(rgb_graph, rgb_state, same), atol=1e-4)


def test_a_classifier_becomes_an_embedder_and_back(small: ModelWeights, tmp_path: Path) -> None:
    _, state, fresh = begin(small, "resnet20_cifar", (3, 16, 16), Identity())
    assert fresh >= {"backbone.fc.weight"} and not any(name.startswith("backbone.conv1") for name in fresh)
    assert state["backbone.fc.weight"].any()  # zeros have no direction
    faces = save(tmp_path / "faces.opsin", "resnet20_cifar", (3, 16, 16), Identity())
    _, state, _ = begin(faces, "resnet20_cifar", (3, 16, 16), Classification(("a", "b")))
    assert state["conv1.weight"].any() and not state["fc.weight"].any()
    _, _, fresh = begin(faces, "resnet20_cifar", (3, 16, 16), Identity())
    assert not {name for name in fresh if name.endswith("weight") and "bn" not in name and name != "norm.weight"}


def test_a_classifier_becomes_the_backbone_of_a_detector(tmp_path: Path) -> None:
    task = Classification(("a", "b"))
    weights = save(tmp_path / "lite.opsin", "efficientnet_lite0", (3, 32, 32), task)
    graph, state, fresh = begin(weights, "fcos_efficientnet_lite0", (3, 64, 64), ObjectDetection(("cat",)))
    expected = nn.initial_state(nn.trace(zoo.find("efficientnet_lite0")(2), (3, 32, 32)), 1)
    shared = [name for name in graph.parameters if name.startswith("backbone.")]
    assert len(shared) > 100 and all(
        np.array_equal(state[name], expected[name.removeprefix("backbone.")]) for name in shared
    )
    assert {name for name in graph.parameters if not name.startswith("backbone.") and name.endswith("conv.weight")} <= (
        fresh
    )


def test_last_layers_are_found_on_every_way_to_an_output() -> None:
    graph = nn.trace(zoo.find("resnet9_half")(10), (3, 32, 32))
    assert head_variables(graph) == {"fc.weight"}  # behind a factor
    lraspp = nn.trace(zoo.find("lraspp_mobilenet_v3_large")(4), (3, 64, 64))
    assert {name.rpartition(".")[0] for name in head_variables(lraspp)} == {
        "classifier.low_classifier", "classifier.high_classifier"
    }  # fmt: skip


def missing(weights: ModelWeights) -> None:
    Path(weights.path).unlink()


def changed(weights: ModelWeights) -> None:
    save(Path(weights.path), "lenet5", (1, 28, 28), Classification(("a", "b")), seed=7)


@pytest.mark.parametrize(
    ("change", "text"), [(missing, "is missing; bring it back"), (changed, "has changed since it was planned")]
)
def test_a_file_that_is_not_what_was_planned(tmp_path: Path, change: Callable[[ModelWeights], None], text: str) -> None:
    weights = save(tmp_path / "m.opsin", "lenet5", (1, 28, 28), Classification(("a", "b")))
    change(weights)
    with pytest.raises(ModelError, match=re.escape(text)):
        begin(replace(weights), "lenet5", (1, 28, 28), Classification(("a", "b")))


def test_a_layer_that_depends_on_the_size_is_named(tmp_path: Path) -> None:
    weights = save(tmp_path / "m.opsin", "lenet5", (1, 28, 28), Classification(("a", "b")))
    with pytest.raises(ModelError, match=r"has 'fc1\.weight' of .* depends on their size; leave --size out"):
        begin(weights, "lenet5", (1, 40, 40), Classification(("a", "b")))


def test_weights_of_another_network_are_refused(small: ModelWeights) -> None:
    with pytest.raises(UsageError, match=r"has weights of resnet20_cifar, which shares no layers with lenet5"):
        begin(small, "lenet5", (3, 32, 32), Classification(("a", "b")))
    layer = nn.Sequential(("flat", nn.Flatten()), ("last", nn.Linear(2)))
    layer.pretrained = small
    with pytest.raises(ModelError, match="has no parameters of this network"):
        initial_state(layer, nn.trace(layer, (3, 4, 4)), 0)


def test_what_is_no_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    for name, text in (
        ("nothing.opsin", "there is no such file"), ("photo.png", "is not an Opsin model file"),
        (".", "is a folder without a model (model.opsin)"),
    ):  # fmt: skip
        with pytest.raises(OpsinError, match=re.escape(text)):
            ModelWeights.open(str(tmp_path / name))


def test_weights_are_described_as_json(small: ModelWeights) -> None:
    assert ModelWeights.from_data(small.to_data()) == small
    assert str(small).endswith(f"small.opsin (classification, digest {small.digest[:12]})")
