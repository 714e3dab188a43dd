"""The cases of a benchmark: networks, tasks and batches, with the same weights and images for all competitors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.apps.benchmark.layer_list import CROSS_ENTROPY, MEAN_SQUARED_ERROR, LayerList, deterministic, layer_list
from opsin.apps.benchmark.objective import objective
from opsin.apps.benchmark.onnx_file import write_onnx
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import bind, show

TRAIN, INFER = "train", "infer"
LEARNING_RATE, MOMENTUM = 0.01, 0.9
MAX_BATCH = 4096
DEFAULT_BATCH = {TRAIN: 16, INFER: 1}

STANDARD = {
    TRAIN: (
        "lenet5:64", "resnet20_cifar:128", "alexnet:64", "vgg16:8", "googlenet:16", "resnet18:16", "resnet50:8",
        "mobilenet_v2:16",
    ),
    INFER: (
        "lenet5:1,64", "resnet20_cifar:1,64", "vgg16:1", "resnet18:1,16", "googlenet:1", "resnet50:1",
        "mobilenet_v2:1", "efficientnet_lite0:1",
    ),
}  # fmt: skip
"""Well-known networks with common batches."""


@dataclass(frozen=True)
class Case:
    """A network, a task and a batch. `shape` is channels, height and width of an image."""

    network: str
    task: str
    batch: int
    shape: nn.ImageShape
    threads: int

    def __str__(self) -> str:
        task = "training" if self.task == TRAIN else "inference"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.network}, {task}, batch {self.batch}, {show(self.shape)}, {threads}"


def cases(
    networks: Sequence[str], tasks: Sequence[str], batches: Sequence[int], size: int | None, threads: int
) -> list[Case]:
    """Return a case for each task, network and batch.

    `networks` are written as NAME or NAME:BATCH,BATCH; the standard ones if there are none.
    """
    selected = []
    for task in tasks:
        for text in networks or STANDARD[task]:
            name, colon, own_batches = text.partition(":")
            entry = zoo.find(name)
            channels, height, width = entry.input_shape
            shape = (channels, height, width) if size is None else (channels, size, size)
            if colon and (networks or not batches):
                case_batches: Sequence[int] = parse_batches(own_batches, text)
            else:
                case_batches = batches or [DEFAULT_BATCH[task]]
            selected += [Case(name, task, batch, shape, threads) for batch in case_batches]
    return selected


def parse_batches(text: str, argument: str) -> list[int]:
    """Return the numbers in `1,16`. Raise `UsageError` that quotes the whole `argument` if there are none."""
    numbers = [number.strip() for number in text.split(",")]
    if not all(number.isascii() and number.isdigit() and 0 < int(number) <= MAX_BATCH for number in numbers):
        raise UsageError(f"'{argument}' must have numbers from 1 to {MAX_BATCH:,}, separated by commas, such as 1,16")
    return [int(number) for number in numbers]


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case, and its number of MACs."""

    description: LayerList
    weights: Path
    inputs: Path
    onnx: Path | None
    macs: int
    """MACs of one call: the forward pass of a batch, or a training step."""

    def request(self, case: Case, mode: str) -> dict[str, Any]:
        """Return the request to a worker that opens the case."""
        return {
            "do": "open", "task": case.task, "mode": mode, "batch": case.batch, "threads": case.threads,
            "network": self.description.to_data(), "weights": str(self.weights), "inputs": str(self.inputs),
            "onnx": str(self.onnx or ""), "rate": LEARNING_RATE, "momentum": MOMENTUM,
            "folder": str(self.weights.parent),
        }  # fmt: skip


def describe(case: Case) -> LayerList:
    """Return the layers of the network. Raise `UsageError` if it does not take the images, or has no list of layers."""
    try:
        network = deterministic(zoo.create(case.network))
        loss = CROSS_ENTROPY if zoo.find(case.network).task == "classification" else MEAN_SQUARED_ERROR
        return layer_list(case.network, network, case.shape, case.task == TRAIN, loss)
    except ShapeError as error:
        raise UsageError(f"{case.network} does not take {show(case.shape)} images: {error}") from None


def prepare(case: Case, folder: Path, seed: int = 0) -> CaseInputs:
    """Write the weights, images and targets of a case to `folder`. They depend on the case and the seed alone."""
    description, network = describe(case), deterministic(zoo.create(case.network))
    call = nn.trace(network, case.shape)
    if case.task == TRAIN:
        optimizer = nn.optimizers.SGD(momentum=MOMENTUM)
        call = nn.training_graph(network, case.shape, optimizer, objective(description.loss))
    rng = np.random.default_rng(seed)
    state = nn.initial_state(call, seed)
    names = {name for step in description.steps for name in step.parameters.values()}
    values = {name: _typical(name, array, rng, case.task) for name, array in state.items()}
    weights = {name: array for name, array in values.items() if name in names}
    images = rng.normal(size=(case.batch, *case.shape)).astype(np.float32)
    targets = _targets(description, case, rng)
    paths = [folder / name for name in ("weights.npz", "inputs.npz", "network.onnx")]
    np.savez(paths[0], **weights)  # type: ignore[arg-type]
    np.savez(paths[1], inputs=images, **targets)  # type: ignore[arg-type]
    if case.task == INFER:
        write_onnx(paths[2], call, values, case.batch)
    macs = sum(bind(node.op.macs(node), case.batch) for node in call.nodes)
    return CaseInputs(description, paths[0], paths[1], paths[2] if case.task == INFER else None, macs)


def _targets(description: LayerList, case: Case, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Return random labels or, to train with the mean squared error, random numbers in the shape of each output."""
    if description.loss == CROSS_ENTROPY:
        (classes,) = description.shapes[0]
        return {"labels": rng.integers(0, classes, case.batch).astype(np.int32)}
    if case.task == INFER:
        return {}
    shapes = description.shapes[: len(description.shapes) - description.auxiliaries]
    return {
        f"target{number}": rng.normal(size=(case.batch, *shape)).astype(np.float32)
        for number, shape in enumerate(shapes)
    }


def _typical(name: str, values: NDArray[Any], rng: np.random.Generator, task: str) -> NDArray[Any]:
    """Return running statistics as after a training for inference, and other values unchanged."""
    if task == INFER and name.endswith("running_mean"):
        return rng.normal(0, 0.1, values.shape).astype(np.float32)
    if task == INFER and name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, values.shape).astype(np.float32)
    return values
