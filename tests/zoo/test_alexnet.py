"""AlexNet: its parameters, the paper's network against PyTorch, and the image sizes it takes."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.native import compile
from opsin.base.errors import ShapeError
from tests.support import generator, relative_error


def test_the_2012_network_has_the_published_size() -> None:
    network = zoo.alexnet_2012()
    table = nn.describe(nn.trace(network, (3, 224, 224)), nn.layer_kinds(network))
    rows = {row.path: row for row in table.rows}
    # "60 million parameters"; Caffe's model of it has as many as this.
    assert table.parameters == 60_965_224
    counts = {path: row.parameters for path, row in rows.items() if row.parameters}
    assert counts == {
        "conv1": 34_944, "conv2": 307_456, "conv3": 885_120, "conv4": 663_936, "conv5": 442_624,
        "fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000,
    }  # fmt: skip
    # Section 3.5: "253,440–186,624–64,896–64,896–43,264–4096–4096–1000" neurons after the first layer, which has
    # 55 · 55 · 96, though the paper says 253,440.
    sizes = {path: int(np.prod(rows[path].output[1:])) for path in counts}
    assert list(sizes.values()) == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]


def test_the_single_tower_has_the_size_of_torchvision() -> None:
    table = nn.describe(nn.trace(zoo.alexnet(), (3, 224, 224)))
    assert (table.parameters, round(table.macs / 1e6)) == (61_100_840, 714)


def test_initial_values_match_the_paper() -> None:
    first = {name: t.node.attrs["init"] for name, t in nn.trace(zoo.alexnet_2012(), (3, 224, 224)).variables.items()}
    assert {name for name, init in first.items() if init == ("constant", 1)} == {
        "conv2.bias", "conv4.bias", "conv5.bias", "fc6.bias", "fc7.bias",
    }  # fmt: skip
    assert {init for name, init in first.items() if name.endswith("weight")} == {("normal", 0.01)}
    assert {first[f"{name}.bias"] for name in ("conv1", "conv3", "fc8")} == {("constant", 0)}


def test_the_2012_network_computes_the_formulas_of_the_paper() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    graph, rng = nn.trace(zoo.alexnet_2012(10), (3, 63, 70)), generator("alexnet_2012")
    # The paper's 0.01 is for images of 0…255.
    state = {name: value * (5 if value.ndim > 1 else 1) for name, value in nn.initial_state(graph, 1).items()}
    x = rng.normal(size=(2, 3, 63, 70)).astype(np.float32)
    program = compile(graph, 2, threads=1)
    program.load_state(state)

    f, w = torch.nn.functional, {name: torch.from_numpy(value).double() for name, value in state.items()}

    def conv(a, name, **settings):  # type: ignore[no-untyped-def]
        return torch.relu(f.conv2d(a, w[f"{name}.weight"], w[f"{name}.bias"], **settings))

    def norm(a):  # type: ignore[no-untyped-def]
        """b = a / (2 + 0.0001 · Σ a²)^0.75 over the maps from i - 2 to i + 2: section 3.3."""
        square = f.pad(a**2, (0, 0, 0, 0, 2, 2))
        return a / (2 + 1e-4 * sum(square[:, i : i + a.shape[1]] for i in range(5))) ** 0.75

    def pool(a):  # type: ignore[no-untyped-def]
        return f.max_pool2d(a, 3, 2)

    a = pool(norm(conv(torch.from_numpy(x).double(), "conv1", stride=4, padding=2)))
    halves = []  # "The kernels of the second … layers are connected only to those … which reside on the same GPU"
    for half, maps in enumerate(a.chunk(2, 1)):
        weight, bias = (w[f"conv2.{kind}"].chunk(2)[half] for kind in ("weight", "bias"))
        halves.append(torch.relu(f.conv2d(maps, weight, bias, padding=2)))
    a = conv(pool(norm(torch.cat(halves, 1))), "conv3", padding=1)
    a = pool(conv(conv(a, "conv4", padding=1, groups=2), "conv5", padding=1, groups=2)).flatten(1)
    a = torch.relu(f.linear(a, w["fc6.weight"], w["fc6.bias"]))
    a = torch.relu(f.linear(a, w["fc7.weight"], w["fc7.bias"]))
    expected = f.linear(a, w["fc8.weight"], w["fc8.bias"])
    assert relative_error(program.run(inputs=x)["logits"], expected.numpy()) < 1e-4


@pytest.mark.parametrize(("name", "layer"), [("alexnet", "features.5"), ("alexnet_2012", "pool2")])
def test_images_that_are_too_small_are_errors(name: str, layer: str) -> None:
    nn.trace(zoo.create(name), (3, 63, 63))
    with pytest.raises(ShapeError) as caught:
        nn.trace(zoo.create(name), (3, 28, 28))
    assert str(caught.value) == (
        f"layer {layer}: max_pool2d: kernel 3 × 3 is larger than the padded input 2 × 2; "
        "add padding or feed larger images: this network takes 63 × 63 and larger ones, and was given 28 × 28"
    )


def test_a_training_step_changes_every_parameter() -> None:
    graph = nn.training_graph(zoo.alexnet_2012(10), (3, 63, 63), nn.optimizers.SGD())
    state, rng = nn.initial_state(graph, 1), generator("alexnet_2012 step")
    program = compile(graph, 2, threads=1)
    program.load_state(state)
    images = 50 * rng.normal(size=(2, 3, 63, 63)).astype(np.float32)
    first, second = (program.run(inputs=images, labels=[1, 7], learning_rate=0.01)["loss"] for _ in range(2))
    assert 0 < second < first
    assert all(
        not np.array_equal(value, state[name]) for name, value in program.state().items() if name in graph.updates
    )
