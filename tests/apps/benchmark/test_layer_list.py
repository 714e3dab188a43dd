"""Networks as lists of layers, and as ONNX files made of them, against the networks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from opsin import nn, ops, zoo
from opsin.apps.benchmark.cases import Case, prepare
from opsin.apps.benchmark.layer_list import MEAN_SQUARED_ERROR, deterministic, layer_list
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.interop.onnx.network import read
from opsin.ir import Tensor
from tests.apps.benchmark.networks import SHAPE, Detector, Segmenter
from tests.support import relative_error

SIZES = {
    "lenet5": 28, "resnet20_cifar": 32, "efficientnet_lite0": 33, "googlenet": 33,
    "googlenet_2014": 33, "resnet9_half": 17,
}  # fmt: skip
"""Networks with most kinds of layers, at odd sizes, too."""


def test_the_layers_of_lenet5() -> None:
    actual = layer_list("lenet5", zoo.lenet5(), (1, 28, 28), training=False)
    assert [step.op for step in actual.steps] == [
        "conv2d", "relu", "max_pool2d", "conv2d", "relu", "max_pool2d", "flatten", "linear", "relu", "linear", "relu",
        "linear",
    ]  # fmt: skip
    first = actual.steps[0]
    assert (first.inputs, first.output, first.shape) == ([0], 1, [6, 28, 28])
    assert first.parameters == {"weight": "conv1.weight", "bias": "conv1.bias"}
    assert first.attrs["padding"] == ((2, 2), (2, 2)) and first.attrs["kernel"] == (5, 5)
    assert actual.outputs == [(12, 1.0)]


def test_batch_normalization_is_one_layer() -> None:
    for training in (False, True):
        actual = layer_list("resnet20_cifar", zoo.resnet20_cifar(), (3, 32, 32), training)
        norms = [step for step in actual.steps if step.op == "batch_norm"]
        assert len(norms) == 19 and norms[0].attrs == {"eps": 1e-5, "momentum": 0.1}
        assert norms[0].parameters["running_var"] == "bn1.running_var"


def test_frozen_weights_are_listed() -> None:
    actual = layer_list("airbench94", zoo.airbench94(), (3, 32, 32), True)
    units = [f"blocks.{block}.{unit}" for block in range(3) for unit in ("first", "second")]
    assert sorted(actual.fixed) == sorted(["whiten.weight", *(f"{unit}.norm.weight" for unit in units)])
    assert layer_list("resnet20_cifar", zoo.resnet20_cifar(), (3, 32, 32), True).fixed == []


def test_auxiliary_classifiers_are_for_training_alone() -> None:
    assert [share for _, share in layer_list("g", deterministic(zoo.googlenet()), (3, 64, 64), True).outputs] == [
        1,
        0.3,
        0.3,
    ]
    assert len(layer_list("g", zoo.googlenet(), (3, 64, 64), False).outputs) == 1


def test_a_layer_used_twice_is_two_steps() -> None:
    class Twice(nn.Layer):
        def __init__(self) -> None:
            self.conv, self.act, self.head = nn.Conv2d(1, 3, padding=1), nn.ReLU6(), nn.Linear(4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.act(self.conv(self.act(self.conv(x))))
            return self.head(nn.Flatten()(x))

    actual = layer_list("twice", Twice(), (1, 5, 5), False)
    assert [step.op for step in actual.steps] == ["conv2d", "relu6", "conv2d", "relu6", "flatten", "linear"]


def test_unsupported_operations_are_refused_by_name() -> None:
    class Odd(nn.Layer):
        def forward(self, x: Tensor) -> Tensor:
            return nn.Flatten()(ops.log(x))

    with pytest.raises(
        UsageError, match="odd applies 'log' in a way that `opsin bench` cannot give to other libraries"
    ):
        layer_list("odd", Odd(), (1, 5, 5), False)


@pytest.mark.parametrize("name", SIZES)
def test_the_onnx_file_computes_the_same(name: str, tmp_path: Path) -> None:
    channels = zoo.find(name).input_shape[0]
    case = Case(name, "infer", 2, (channels, SIZES[name], SIZES[name]), 1)
    files = prepare(case, tmp_path)
    assert files.onnx is not None
    images = np.load(files.inputs)["inputs"]
    graph = nn.trace(zoo.create(name), case.shape)
    own = Reference(graph, 2)
    own.load_state(dict(np.load(files.weights)))
    imported = read(files.onnx, classifier=True)
    other = Reference(imported.graph, 2)
    other.load_state(imported.state)
    expected = own.run(inputs=images)["logits"]
    assert np.ptp(expected) > 0
    assert relative_error(other.run(inputs=images)["logits"], expected) < 1e-9


def test_functions_of_several_operations_are_one_layer() -> None:
    actual = layer_list("detector", Detector(), SHAPE, False, MEAN_SQUARED_ERROR)
    by_op = {step.op: step for step in actual.steps}
    assert by_op["normalize"].attrs == {"eps": 1e-12} and by_op["clamp_max"].attrs == {"limit": 0.2}
    assert by_op["channel_scale"].parameters == {"weight": "scale"}
    assert {"global_avg_pool2d", "hard_sigmoid", "exp", "permute", "reshape"} <= by_op.keys()
    assert not {"sum", "sqrt", "divide", "maximum"} & by_op.keys()
    assert actual.shapes == [[72, 3], [72, 4]] and actual.loss == MEAN_SQUARED_ERROR


def test_a_transposed_convolution_knows_its_output_padding() -> None:
    actual = layer_list("segmenter", Segmenter(), SHAPE, True, MEAN_SQUARED_ERROR)
    (up,) = (step for step in actual.steps if step.op == "conv_transpose2d")
    assert up.attrs["output_padding"] == (1, 0) and up.parameters == {"weight": "up.weight", "bias": "up.bias"}
    assert actual.auxiliaries == 1 and [weight for _, weight in actual.outputs] == [1, 0.4]


def test_a_classifier_has_one_output() -> None:
    with pytest.raises(UsageError, match="x has the outputs class_logits, box_offsets; a classifier has one"):
        layer_list("x", Detector(), SHAPE, False)
