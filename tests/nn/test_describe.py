"""The table of layers: figures that can be computed by hand."""

from __future__ import annotations

from opsin import nn, ops
from opsin.ir import BATCH, Tensor
from tests.nn.support import Of

SMALL = nn.Sequential(
    ("conv", nn.Conv2d(4, 3)), ("norm", nn.BatchNorm2d()), ("act", nn.ReLU()), ("pool", nn.MaxPool2d(2)),
    ("drop", nn.Dropout()), ("flat", nn.Flatten()), ("fc", nn.Linear(5)),
)  # fmt: skip


def described(network: nn.Layer, shape: tuple[int, int, int] = (2, 10, 8)) -> nn.Description:
    return nn.describe(nn.trace(network, shape), nn.layer_kinds(network))


def test_paths_kinds_and_shapes() -> None:
    rows = [(row.path, row.kind, row.output) for row in described(SMALL).rows]
    assert rows == [
        ("conv", "Conv2d", (BATCH, 4, 8, 6)),
        ("norm", "BatchNorm2d", (BATCH, 4, 8, 6)),
        ("act", "ReLU", (BATCH, 4, 8, 6)),
        ("pool", "MaxPool2d", (BATCH, 4, 4, 3)),
        ("flat", "Flatten", (BATCH, 48)),
        ("fc", "Linear", (BATCH, 5)),
    ]


def test_parameters_and_macs() -> None:
    table = described(SMALL)
    assert [row.parameters for row in table.rows] == [4 * 2 * 9 + 4, 4 + 4, 0, 0, 0, 48 * 5 + 5]
    assert [row.macs for row in table.rows] == [4 * 8 * 6 * 2 * 9, 0, 0, 0, 0, 48 * 5]
    assert table.parameters == 76 + 8 + 245
    assert table.macs == 3456 + 240


def test_receptive_fields() -> None:
    assert [row.receptive_field for row in described(SMALL).rows] == [(3, 3)] * 3 + [(4, 4)] + [(10, 8)] * 2


def test_memory_of_inference() -> None:
    table, image, maps, pooled = described(SMALL), 4 * 160, 4 * 192, 4 * 48
    assert [row.inference_memory for row in table.rows] == [
        image + maps, maps + maps, maps + maps, maps + pooled, pooled, pooled + 4 * 5,
    ]  # fmt: skip
    assert table.input_memory == image
    assert table.inference_memory == 2 * maps


def test_memory_of_training() -> None:
    table, maps, pooled = described(SMALL), 4 * 192, 4 * 48
    # The norm's input for its scale, the activation's output for its slope and the pool, the pool's for the weights.
    assert [row.training_memory for row in table.rows] == [maps, 0, maps, pooled, 0, 0]
    assert table.training_memory == table.input_memory + 2 * maps + pooled


def test_a_shortcut_stays_alive_until_it_is_added() -> None:
    network = Of(lambda self, x: ops.add(self.b(self.a(x)), x), a=nn.Conv2d(6, 1), b=nn.Conv2d(2, 1))
    image, wide = 4 * 160, 4 * 480
    rows = described(network).rows
    assert [row.path for row in rows] == ["a", "b", ""]
    assert [row.inference_memory for row in rows] == [image + wide, image + wide + image, 3 * image]


def test_operations_of_the_network_itself_have_rows() -> None:
    network = Of(lambda self, x: ops.flatten(ops.relu(self.conv(ops.relu(x)))), conv=nn.Conv2d(2, 3))
    rows = [(row.path, row.kind) for row in described(network).rows]
    assert rows == [("", "relu"), ("conv", "Conv2d"), ("", "relu + reshape")]


def test_shared_parameters_are_counted_once() -> None:
    conv = nn.Conv2d(2, 3, padding=1)
    table = described(nn.Sequential(conv, nn.ReLU(), conv))
    assert [(row.path, row.parameters) for row in table.rows] == [("0", 38), ("1", 0), ("0", 0)]
    assert table.macs == 2 * 2 * 80 * 2 * 9


class Normed(nn.Layer):
    """A convolution with its weight scaled: work on variables alone, before any image is touched."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.parameter("scale", (1,), ("ones",))
        weight = self.parameter("weight", (3, 2, 3, 3), ("ones",))
        return ops.conv2d(ops.relu(x), ops.multiply(weight, scale))


def test_parameters_behind_other_operations_are_counted() -> None:
    rows = described(nn.Sequential(nn.ReLU(), Normed())).rows
    assert [(row.path, row.parameters) for row in rows] == [("0", 0), ("1", 3 * 2 * 9 + 1)]


def test_without_kinds_the_main_operation_is_named() -> None:
    kinds = [row.kind for row in nn.describe(nn.trace(SMALL, (2, 10, 8))).rows]
    assert kinds == ["conv2d", "multiply + add", "relu", "max_pool2d", "reshape", "matmul"]


def test_the_batch_does_not_matter_and_training_graphs_can_be_described() -> None:
    table = nn.describe(nn.trace(SMALL, (2, 10, 8), training=True), nn.layer_kinds(SMALL))
    assert [row.path for row in table.rows] == ["conv", "norm", "act", "pool", "drop", "flat", "fc"]
    assert table.parameters == described(SMALL).parameters
    assert table.training_memory > described(SMALL).training_memory


def test_a_network_without_parameters() -> None:
    table = described(nn.Identity())
    assert table.rows == ()
    assert (table.parameters, table.macs) == (0, 0)
    assert table.inference_memory == table.training_memory == table.input_memory == 4 * 160
    assert described(nn.ReLU()).training_memory == 4 * 160
