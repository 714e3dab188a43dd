"""Each library that is installed here builds, from a list of layers, what the reference engine computes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opsin import nn, ops
from opsin.apps.benchmark.cases import Case, prepare
from opsin.apps.benchmark.layer_list import CROSS_ENTROPY, MEAN_SQUARED_ERROR, deterministic, layer_list
from opsin.apps.benchmark.measure import max_difference
from opsin.apps.benchmark.objective import objective
from opsin.apps.benchmark.onnx_file import write_onnx
from opsin.apps.benchmark.peers import OPSIN, PEERS, WORKERS, Competitor, Worker
from opsin.apps.benchmark.precision import BF16, INT8, LIMITS
from opsin.apps.benchmark.workers.worker import QDQ_FILE
from opsin.backends.reference import Reference
from opsin.ir import Graph, Tensor, bind
from tests.apps.benchmark.networks import SHAPE, Detector, Segmenter

BATCH, RATE, MOMENTUM = 3, 0.05, 0.9


class Mixed(nn.Layer):
    """A little of everything that the usual networks have."""

    def __init__(self) -> None:
        self.stem, self.norm, self.act = nn.Conv2d(8, 3, 2, "same", bias=False), nn.BatchNorm2d(), nn.ReLU6()
        self.depthwise = nn.Conv2d(8, 3, padding=1, groups=8)
        self.pool, self.side = nn.MaxPool2d(3, 2, 1, True), nn.Conv2d(4, 1)
        self.small, self.drop = nn.AdaptiveAvgPool2d(2), nn.Dropout(0.5)
        self.extra, self.mean, self.head = nn.Linear(5), nn.GlobalAvgPool2d(), nn.Linear(5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        x = ops.relu(ops.add(x, self.depthwise(x)))
        x = ops.concat([self.pool(x), self.side(self.pool(x))])
        if self.training:
            self.auxiliary(self.extra(nn.Flatten()(self.small(x))), 0.3)
        return self.head(self.drop(nn.Flatten()(self.mean(x))))


class Plain(Mixed):
    """As `Mixed`, but every size and padding is one that all libraries know, and the features keep their places."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.norm(self.stem(x)))
        return nn.Sequential(("flatten", nn.Flatten()), ("head", self.head))(self.pool(x))


def expected(graph: Graph, state: dict[str, Any], inputs: dict[str, Any], task: str) -> list[Any]:
    """All outputs, or the losses of two steps, in float64."""
    program = Reference(graph, BATCH, np.float64)
    program.load_state(state)
    if task == "infer":
        return list(program.run(inputs=inputs["inputs"]).values())
    return [np.array([program.run(**inputs, learning_rate=RATE)["loss"] for _ in range(2)])]


def ask(
    name: str, mode: str, task: str, network: nn.Layer, folder: Path, loss: str = CROSS_ENTROPY
) -> tuple[list[Any], list[Any]]:
    """What a library computes, and what is right."""
    rng = np.random.default_rng(1)
    description = layer_list("mixed", deterministic(network), SHAPE, task == "train", loss)
    graph = nn.trace(network, SHAPE)
    shapes = [bind(tensor.shape, BATCH) for tensor in graph.outputs.values()]
    if task == "train":
        graph = nn.training_graph(network, SHAPE, nn.optimizers.SGD(momentum=MOMENTUM), objective(loss))
    state = nn.initial_state(graph, 0)
    inputs = {"inputs": rng.normal(size=(BATCH, *SHAPE)).astype(np.float32)}
    targets: dict[str, Any] = {"labels": rng.integers(0, 5, BATCH).astype(np.int32)}
    if loss == MEAN_SQUARED_ERROR:
        targets = {f"target{i}": rng.normal(size=shape).astype(np.float32) for i, shape in enumerate(shapes)}
    np.savez(folder / "weights.npz", **state)
    np.savez(folder / "inputs.npz", **inputs, **targets)
    if task == "infer":
        write_onnx(folder / "network.onnx", graph, state, BATCH)
    request = {
        "do": "open", "task": task, "mode": mode, "batch": BATCH, "threads": 1, "network": description.to_data(),
        "weights": str(folder / "weights.npz"), "inputs": str(folder / "inputs.npz"), "rate": RATE,
        "momentum": MOMENTUM, "onnx": str(folder / "network.onnx"), "folder": str(folder),
    }  # fmt: skip
    worker = Worker(Competitor(PEERS[name], mode, sys.executable), 1, folder / "log")
    try:
        answer = worker.ask(request, 300)
        timed = worker.ask({"do": "time", "seconds": 0.01}, 60)
    finally:
        worker.close()
    assert timed["calls"] >= 1 and timed["seconds"] > 0 and answer["version"]
    with np.load(answer["results"]) as arrays:
        actual = [np.array(values, np.float64) for values in arrays.values()]
        return actual, expected(graph, state, {**inputs, **(targets if task == "train" else {})}, task)


@pytest.mark.parametrize("task", ["train", "infer"])
def test_pytorch(task: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    actual, right = ask("pytorch", "eager channels_last", task, Mixed(), tmp_path)
    assert max_difference(right, actual) < 1e-4


@pytest.mark.parametrize(("task", "least"), [("train", 1e-4), ("infer", 1e-4)])
def test_pytorch_in_bfloat16(task: str, least: float, tmp_path: Path) -> None:
    """It is close to float32, and not float32."""
    pytest.importorskip("torch")
    actual, right = ask("pytorch", "eager channels_last bf16", task, Mixed(), tmp_path)
    assert least < max_difference(right, actual) < LIMITS[task, BF16]


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_libraries_that_predict(name: str, tmp_path: Path) -> None:
    pytest.importorskip(PEERS[name].package)
    actual, right = ask(name, "", "infer", Mixed(), tmp_path)
    assert max_difference(right, actual) < 1e-5


@pytest.mark.parametrize("mode", ["QDQ int8", "QOperator int8"])
def test_onnx_runtime_in_int8(mode: str, tmp_path: Path) -> None:
    """It is close to float32, and not float32; the file in one format is written for others, too."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    actual, right = ask("onnxruntime", mode, "infer", Mixed(), tmp_path)
    assert 1e-5 < max_difference(right, actual) < LIMITS["infer", INT8]
    assert (tmp_path / QDQ_FILE).exists() == (mode == "QDQ int8")


def test_opsin_in_int8(tmp_path: Path) -> None:
    """Its worker takes networks of the zoo alone."""
    inputs = prepare(Case("resnet20_cifar", "infer", 1, (3, 32, 32), 1), tmp_path)
    results = []
    for mode in ("", "int8"):
        worker = Worker(Competitor(OPSIN, mode, sys.executable), 1, tmp_path / "log")
        try:
            answer = worker.ask(inputs.request(Case("resnet20_cifar", "infer", 1, (3, 32, 32), 1), mode), 300)
        finally:
            worker.close()
        with np.load(answer["results"]) as arrays:
            results.append(list(arrays.values()))
    assert 1e-5 < max_difference(*results) < LIMITS["infer", INT8]


@pytest.mark.parametrize("task", ["train", "infer"])
@pytest.mark.parametrize("network", [Segmenter(), Detector()], ids=["segmenter", "detector"])
def test_other_tasks_in_pytorch(network: nn.Layer, task: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    actual, right = ask("pytorch", "eager channels_last", task, network, tmp_path, MEAN_SQUARED_ERROR)
    assert max_difference(right, actual) < 1e-4


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("network", [Segmenter(), Detector()], ids=["segmenter", "detector"])
def test_other_tasks_in_libraries_that_predict(name: str, network: nn.Layer, tmp_path: Path) -> None:
    pytest.importorskip(PEERS[name].package)
    actual, right = ask(name, "", "infer", network, tmp_path, MEAN_SQUARED_ERROR)
    assert max_difference(right, actual) < 1e-5


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
@pytest.mark.parametrize("task", ["train", "infer"])
@pytest.mark.parametrize("network", [Mixed(), Plain()], ids=["mixed", "plain"])
def test_keras(name: str, task: str, network: nn.Layer, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    pytest.importorskip(PEERS[name].package)
    actual, right = ask(name, "", task, network, tmp_path)
    assert max_difference(right, actual) < 1e-5


def test_a_worker_imports_nothing_else_of_opsin(tmp_path: Path) -> None:
    """Other interpreters have none of Opsin's dependencies."""
    code = (
        "import runpy, sys; sys.argv = ['start.py', 'worker']; sys.path.insert(0, 'x');"
        f"runpy.run_path({str(WORKERS / 'start.py')!r}, run_name='__main__');"
        "print(*sorted(m for m in sys.modules if m.split('.')[0] in ('opsin', 'llvmlite', 'typer')), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stderr.split() == ["opsin", "opsin.apps", "opsin.apps.benchmark", "opsin.apps.benchmark.workers"]
    assert not ended.stdout
