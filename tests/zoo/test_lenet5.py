"""The modern LeNet-5: its figures, and its training against PyTorch, step by step."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import nn, zoo
from opsin.backends.reference import Reference
from opsin.base.errors import ShapeError
from tests.support import generator, relative_error


def test_parameters_macs_and_receptive_fields() -> None:
    network = zoo.lenet5()
    table = nn.describe(nn.trace(network), nn.layer_kinds(network))
    rows = {row.path: row for row in table.rows}
    assert table.parameters == 61_706
    assert {path: row.parameters for path, row in rows.items() if row.parameters} == {
        "conv1": 156, "conv2": 2_416, "fc1": 48_120, "fc2": 10_164, "fc3": 850,
    }  # fmt: skip
    assert {path: row.macs for path, row in rows.items() if row.macs} == {
        "conv1": 117_600, "conv2": 240_000, "fc1": 48_000, "fc2": 10_080, "fc3": 840,
    }  # fmt: skip
    fields = [rows[path].receptive_field[0] for path in ("conv1", "pool1", "conv2", "pool2", "fc1")]
    assert fields == [5, 6, 14, 16, 28]


def test_sizes_of_images() -> None:
    assert nn.trace(zoo.lenet5(7), (3, 40, 36)).outputs["logits"].shape[1:] == (7,)
    nn.trace(zoo.lenet5(), (1, 12, 12))
    with pytest.raises(
        ShapeError, match=r"layer pool2: max_pool2d: kernel 2 × 2 is larger than the padded input 1 × 1"
    ):
        nn.trace(zoo.lenet5(), (1, 10, 10))


def test_ten_steps_match_pytorch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    torch.set_num_threads(1)
    graph = nn.training_graph(zoo.lenet5(), (1, 28, 28), nn.optimizers.SGD(0.9, weight_decay=1e-3))
    program = Reference(graph, 8, np.float64)
    program.load_state(nn.initial_state(graph, 1))
    names = ("conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flatten", "fc1", "relu3", "fc2", "relu4", "fc3")
    t, module = torch.nn, torch.nn.Sequential()
    layers = (
        t.Conv2d(1, 6, 5, padding=2), t.ReLU(), t.MaxPool2d(2), t.Conv2d(6, 16, 5), t.ReLU(), t.MaxPool2d(2),
        t.Flatten(), t.Linear(400, 120), t.ReLU(), t.Linear(120, 84), t.ReLU(), t.Linear(84, 10),
    )  # fmt: skip
    for name, layer in zip(names, layers, strict=True):
        module.add_module(name, layer)
    module.double().load_state_dict({name: torch.from_numpy(program.state()[name]) for name in module.state_dict()})
    optimizer = torch.optim.SGD(module.parameters(), 0.05, momentum=0.9, weight_decay=1e-3)
    rng = generator("lenet5")
    for _ in range(10):
        x, labels = rng.random((8, 1, 28, 28)), rng.integers(0, 10, 8, np.int32)
        optimizer.zero_grad()
        logits = module(torch.from_numpy(x))
        loss = t.functional.cross_entropy(logits, torch.from_numpy(labels).long())
        loss.backward()
        optimizer.step()
        results = program.run(inputs=x, labels=labels, learning_rate=0.05)
        assert results["loss"] == pytest.approx(loss.item(), rel=1e-10)
        assert results["correct"] == (logits.argmax(1).numpy() == labels).sum()
    for name, expected in module.state_dict().items():
        assert relative_error(program.state()[name], expected.numpy()) < 1e-10, name
