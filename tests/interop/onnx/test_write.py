"""ONNX files that Opsin writes: read back, and run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ModelError, UsageError
from opsin.interop import onnx
from opsin.ir import Graph, Tensor, bind, input_tensor
from opsin.zoo import names
from tests.apps.benchmark.networks import SHAPE, Detector, Segmenter
from tests.interop.onnx.zoo import network, structure, trained_state
from tests.support import relative_error

SIBLINGS = (
    "alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn resnet34 resnet50 resnet101 resnet152 "
    "wide_resnet50_2 resnet32_cifar resnet44_cifar resnet56_cifar resnet110_cifar resnet1202_cifar resnet9_half "
    "mobilenet_v3_large efficientnet_lite1 efficientnet_lite2 efficientnet_lite3 efficientnet_lite4"
).split()
"""Networks that have the layers of another one, only more of them."""

SMALL = {
    "airbench94": 32, "densenet121": 32, "efficientnet_b0": 32, "egomotion": None, "fcos_efficientnet_lite0": 64,
    "googlenet": 32, "googlenet_2014": 32, "lenet5_1998": None, "lraspp_mobilenet_v3_large": 64,
    "mlperf_tiny_ds_cnn": None,
    "mobilenet_v3_small": 32, "pilotnet": None, "resnet20_cifar": 32, "resnext50_32x4d": 32, "shufflenet_v2_x1_0": 32,
    "squeezenet1_1": 64, "ssdlite320_mobilenet_v3_large": 160, "unet_light": 64,
}  # fmt: skip
"""Networks with every operation of the zoo, and the side of their images; None: the network's own."""


class Rare(nn.Layer):
    """Layers that no network of the zoo has."""

    def __init__(self) -> None:
        self.pool, self.act, self.head = nn.AvgPool2d(3, 2, 1, True), nn.HardSwish(), nn.Linear(4)
        self.conv = nn.Conv2d(6, 3, 2, groups=3, dilation=2, padding=((1, 2), (0, 1)))
        self.large, self.gelu, self.leaky = nn.MaxPool2d(3, 2, ceil_mode=True), nn.GELU(), nn.LeakyReLU(0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gelu(self.leaky(self.large(self.act(self.conv(self.pool(x))))))
        x = ops.resample2d(x, (5, 3), "area")
        x = ops.where(ops.greater(x, 0.1), ops.negate(x), ops.absolute(x))
        x = ops.add(x, ops.variance(x, (2, 3), keepdims=True))
        x = ops.upsample(x, size=(7, 9), mode="bilinear_corners")
        return ops.log_softmax(self.head(nn.Flatten()(ops.multiply(ops.tanh(x), ops.sigmoid(x)))))


def read(data: bytes, folder: Path) -> onnx.Network:
    path = folder / "network.onnx"
    path.write_bytes(data)
    return onnx.read(path)


def outputs(graph: Graph, state: Any, images: Any) -> dict[str, Any]:
    program = Reference(graph, len(images), np.float64)
    program.load_state(state)
    return program.run(inputs=images)


@pytest.mark.parametrize("name", sorted({*names()} - {*SIBLINGS}))
def test_a_network_of_the_zoo_is_read_back_as_the_same_graph(name: str, tmp_path: Path) -> None:
    graph = network(name)
    state = {key: np.zeros(bind(tensor.shape, 1), np.float32) for key, tensor in graph.variables.items()}
    again = read(onnx.to_bytes(graph, state, name=name), tmp_path)
    assert structure(again.graph) == structure(graph)
    assert again.graph.parameters.keys() == graph.parameters.keys() and again.name == name
    scopes = {node.scope for node in graph.nodes if node.scope}
    assert {path.rpartition("_")[0] if path not in scopes else path for path in again.layers} & scopes


@pytest.mark.parametrize("layers", [Rare(), Segmenter(), Detector()], ids=["rare", "segmenter", "detector"])
def test_other_layers_compute_the_same(layers: nn.Layer, tmp_path: Path) -> None:
    shape = (3, 20, 23) if isinstance(layers, Rare) else SHAPE
    graph, rng = nn.trace(layers, shape), np.random.default_rng(0)
    state = {key: (v + rng.uniform(0, 0.3, v.shape)).astype("f") for key, v in nn.initial_state(graph, 0).items()}
    images = rng.normal(size=(2, *shape))
    again = read(onnx.to_bytes(graph, state), tmp_path)
    expected, actual = outputs(graph, state, images), outputs(again.graph, again.state, images)
    assert list(actual) == list(expected)
    assert max(relative_error(actual[key], expected[key]) for key in expected) < 1e-6


@pytest.mark.parametrize("name", [*SMALL, "rare"])
def test_onnx_runtime_computes_the_same(name: str) -> None:
    standard = pytest.importorskip("onnx", reason="onnx is the oracle here")
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is the oracle here")
    graph = nn.trace(Rare(), (3, 20, 23)) if name == "rare" else network(name, SMALL[name])
    state = trained_state(graph)
    data = onnx.to_bytes(graph, state)
    standard.checker.check_model(data, full_check=True)
    images = np.random.default_rng(0).normal(size=bind(graph.inputs[0].shape, 2)).astype(np.float32)
    session = runtime.InferenceSession(data, providers=["CPUExecutionProvider"])
    assert {each.shape[0] for each in (*session.get_inputs(), *session.get_outputs())} == {"N"}
    expected = outputs(graph, state, images)
    for key, actual in zip(expected, session.run(list(expected), {"inputs": images}), strict=True):
        assert np.abs(actual - expected[key]).max() <= 1e-5 * np.ptp([0, *expected[key].flat]), key


def test_equal_networks_give_equal_bytes_with_one_operator_for_each_layer() -> None:
    first, second = (network("mobilenet_v3_small", 64) for _ in range(2))
    data = onnx.to_bytes(first, nn.initial_state(first, 0))
    assert data == onnx.to_bytes(second, nn.initial_state(second, 0))
    for operator in (b"BatchNormalization", b"HardSwish", b"HardSigmoid", b"GlobalAveragePool", b"Gemm"):
        assert operator in data
    assert b"Sqrt" not in data


def test_two_outputs_may_be_the_same_value(tmp_path: Path) -> None:
    x = input_tensor("inputs", network("lenet5").inputs[0].shape)
    y = ops.relu(x)
    again = read(onnx.to_bytes(Graph((x,), {"a": y, "b": y, "c": x}), {}), tmp_path)
    images = np.random.default_rng(0).normal(size=(1, 1, 28, 28))
    actual = outputs(again.graph, {}, images)
    assert np.array_equal(actual["a"], actual["b"]) and np.array_equal(actual["c"], images)


def test_what_an_onnx_file_cannot_hold_is_refused_by_layer() -> None:
    class Odd(nn.Layer):
        def __init__(self) -> None:
            self.pick = Pick()

        def forward(self, x: Tensor) -> Tensor:
            return self.pick(x)

    class Pick(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return ops.cast(ops.argmax(x, 1))

    graph = nn.trace(Odd(), (2, 4, 4))
    with pytest.raises(UsageError, match=r"layer 'pick' applies '(cast|argmax)', which cannot be written to an ONNX"):
        onnx.to_bytes(graph, {})
    with pytest.raises(ModelError, match=r"the variable '.*' has no value"):
        onnx.to_bytes(nn.trace(zoo.lenet5(), (1, 28, 28)), {})


def test_damaged_metadata_is_an_error(tmp_path: Path) -> None:
    graph = network("lenet5")
    data = onnx.to_bytes(graph, nn.initial_state(graph, 0), mirrored=True)
    for old, new in ((b'{"graph"', b'["graph"'), (b'"shape":[1', b'"shape":["'), (b'"outputs":{', b'"outputs":[')):
        assert old in data
        with pytest.raises(ModelError, match="has damaged metadata"):
            read(data.replace(old, new), tmp_path)
