"""GoogLeNet: its parameters, the paper's network against PyTorch, and its auxiliary classifiers."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from opsin.ir import Graph
from tests.support import Array, generator, relative_error
from tests.zoo.agreement import steady


def count(graph: Graph) -> int:
    return sum(int(np.prod(tensor.shape)) for tensor in graph.parameters.values())


@pytest.mark.parametrize(
    ("name", "parameters", "training"),
    [  # torchvision's, and those of Caffe's bvlc_googlenet, which is the paper's table 1
        ("googlenet", 6_624_904, 13_004_888),
        ("googlenet_2014", 6_998_552, 13_378_280),
    ],
)
def test_auxiliary_classifiers_exist_only_during_training(name: str, parameters: int, training: int) -> None:
    shape = zoo.find(name).input_shape
    inference, both = nn.trace(zoo.create(name), shape), nn.trace(zoo.create(name), shape, training=True)
    assert (count(inference), count(both)) == (parameters, training)
    assert set(inference.outputs) == {"logits"}
    assert {key: t.shape[1:] for key, t in both.outputs.items()} == dict.fromkeys(
        ("logits", "auxiliary1", "auxiliary2"), (1000,)
    )
    assert {key.split(".")[0] for key in set(both.variables) - set(inference.variables)} == {"aux1", "aux2", "random"}


def test_macs_match_torchvision() -> None:
    assert round(nn.describe(nn.trace(zoo.googlenet(), (3, 224, 224))).macs / 1e6) == 1_498


@pytest.mark.parametrize("name", ["googlenet", "googlenet_2014"])
def test_modules_match_the_paper(name: str) -> None:
    rows = {row.path: row for row in nn.describe(nn.trace(zoo.create(name), (3, 224, 224), training=True)).rows}
    table = {
        "maxpool1": (64, 56), "maxpool2": (192, 28), "inception3a": (256, 28), "inception3b": (480, 28),
        "inception4a": (512, 14), "inception4b": (512, 14), "inception4c": (512, 14), "inception4d": (528, 14),
        "inception4e": (832, 14), "inception5a": (832, 7), "inception5b": (1024, 7),
    }  # fmt: skip
    assert {path: rows[path].output[1:] for path in table} == {path: (c, n, n) for path, (c, n) in table.items()}
    assert rows["aux1.pool"].output[1:] == (512, 4, 4)
    assert rows["aux2.pool"].output[1:] == (528, 4, 4)


def test_logits_of_the_2014_network_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    rng = generator("googlenet_2014")
    graph = nn.trace(steady("googlenet_2014"), (3, 90, 97), training=True)
    state = {name: drawn(rng, value) for name, value in nn.initial_state(graph, 1).items()}
    x = rng.normal(size=(1, 3, 90, 97))
    program = Reference(graph, 1, np.float64)
    program.load_state(state)
    results = program.run(inputs=x)
    expected = by_pytorch(torch, {name: torch.from_numpy(value) for name, value in state.items()}, torch.from_numpy(x))
    assert results.keys() == expected.keys()
    for name, logits in expected.items():
        assert relative_error(results[name], logits.numpy()) < 1e-12, name


def by_pytorch(torch, w, a):  # type: ignore[no-untyped-def]
    """The paper's logits of the images `a` by the weights `w`, and those of the auxiliary classifiers."""
    f = torch.nn.functional

    def conv(a, path, stride=1):  # type: ignore[no-untyped-def]
        weight = w[f"{path}.weight"]
        return torch.relu(f.conv2d(a, weight, w[f"{path}.bias"], stride, weight.shape[2] // 2))

    def pool(a):  # type: ignore[no-untyped-def]
        return f.max_pool2d(a, 3, 2, ceil_mode=True)

    def norm(a):  # type: ignore[no-untyped-def]
        return f.local_response_norm(a, 5)

    def linear(a, path):  # type: ignore[no-untyped-def]
        return f.linear(a, w[f"{path}.weight"], w[f"{path}.bias"])

    def module(a, path):  # type: ignore[no-untyped-def]
        five = conv(conv(a, f"{path}.branch3.0"), f"{path}.branch3.1")
        three = conv(conv(a, f"{path}.branch2.0"), f"{path}.branch2.1")
        pooled = conv(f.max_pool2d(a, 3, 1, 1), f"{path}.branch4.1")
        return torch.cat([conv(a, f"{path}.branch1"), three, five, pooled], 1)

    def auxiliary(a, path):  # type: ignore[no-untyped-def]
        a = conv(f.avg_pool2d(a, 5, 3), f"{path}.conv").flatten(1)
        return linear(torch.relu(linear(a, f"{path}.fc1")), f"{path}.fc2")

    a = pool(norm(conv(conv(norm(pool(conv(a, "conv1", 2))), "conv2"), "conv3")))
    actual = {}
    for path in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        a = module(a, f"inception{path}")
        if path in ("3b", "4e"):
            a = pool(a)
        if path in ("4a", "4d"):
            actual[f"auxiliary{len(actual) + 1}"] = auxiliary(a, f"aux{len(actual) + 1}")
    return actual | {"logits": linear(a.mean((2, 3)), "fc")}


def drawn(rng: np.random.Generator, value: Array) -> Array:
    """The first value of a weight, and something for a bias."""
    return value.astype(np.float64) if value.ndim != 1 else rng.uniform(-0.1, 0.1, value.shape)


@pytest.mark.parametrize(
    ("name", "training", "least", "layer"),
    [
        ("googlenet", True, 15, "maxpool3"),
        ("googlenet_2014", False, 31, "maxpool4"),
        ("googlenet_2014", True, 79, r"aux1\.pool"),
    ],
)
def test_images_that_are_too_small_are_errors(name: str, training: bool, least: int, layer: str) -> None:
    nn.trace(zoo.create(name), (3, least, least), training)
    text = f"layer {layer}: .* takes {least} × {least} and larger ones, and was given {least - 1} × 200"
    with pytest.raises(ShapeError, match=text):
        nn.trace(zoo.create(name), (3, least - 1, 200), training)
