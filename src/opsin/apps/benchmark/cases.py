"""What is run: networks, tasks and batches, with the weights and images that all contenders get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opsin import nn, zoo
from opsin.apps.benchmark.layer_list import LayerList, layered, steady
from opsin.apps.benchmark.onnx_file import write_onnx
from opsin.base.errors import ShapeError, UsageError
from opsin.ir import bind, show

TRAIN, INFER = "train", "infer"
RATE, MOMENTUM = 0.01, 0.9
MOST = 4096
"""Images in a batch, rows and columns."""

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
"""The networks that everybody knows, with the batches that people use."""


@dataclass(frozen=True)
class Case:
    """A network, a task, and the batch; `shape` is that of an image."""

    network: str
    task: str
    batch: int
    shape: nn.ImageShape
    threads: int

    def __str__(self) -> str:
        doing = "training" if self.task == TRAIN else "inference"
        threads = f"{self.threads} thread{'s'[: self.threads > 1]}"
        return f"{self.network}, {doing}, batch {self.batch}, {show(self.shape)}, {threads}"


def cases(
    given: Sequence[str], tasks: Sequence[str], batches: Sequence[int], size: int | None, threads: int
) -> list[Case]:
    """A case for each task, network and batch: `given` as NAME or NAME:BATCH,BATCH, or the standard ones."""
    found = []
    for task in tasks:
        for text in given or STANDARD[task]:
            name, colon, own = text.partition(":")
            entry = zoo.find(name)
            channels, rows, columns = entry.input_shape
            shape = (channels, rows, columns) if size is None else (channels, size, size)
            usual = batches or [1 if task == INFER else 16]
            wanted = whole_numbers(own, text) if colon and (given or not batches) else usual
            found += [Case(name, task, batch, shape, threads) for batch in wanted]
    return found


def whole_numbers(text: str, where: str) -> list[int]:
    """`1,16` as numbers."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part) <= MOST for part in parts):
        raise UsageError(f"'{where}' should have numbers from 1 to {MOST:,}, with commas between them, such as 1,16")
    return [int(part) for part in parts]


@dataclass(frozen=True)
class CaseInputs:
    """The files of a case, and its arithmetic."""

    description: LayerList
    weights: Path
    inputs: Path
    onnx: Path | None
    macs: int
    """Multiply-adds of one call: the forward pass for a batch, or the training step."""

    def request(self, case: Case, mode: str) -> dict[str, Any]:
        """What a worker is sent."""
        return {
            "do": "open", "task": case.task, "mode": mode, "batch": case.batch, "threads": case.threads,
            "network": self.description.to_data(), "weights": str(self.weights), "inputs": str(self.inputs),
            "onnx": str(self.onnx or ""), "rate": RATE, "momentum": MOMENTUM, "folder": str(self.weights.parent),
        }  # fmt: skip


def describe(case: Case) -> LayerList:
    """The network, layer by layer. `UsageError` where it does not take the images, or has no list of layers."""
    try:
        return layered(case.network, steady(zoo.create(case.network)), case.shape, case.task == TRAIN)
    except ShapeError as error:
        raise UsageError(f"{case.network} does not take {show(case.shape)} images: {error}") from None


def prepare(case: Case, folder: Path, seed: int = 0) -> CaseInputs:
    """Writes a case's weights, images and labels to `folder`; they depend on `seed` and the case alone."""
    description, network = describe(case), steady(zoo.create(case.network))
    graph = whole = nn.trace(network, case.shape)
    if case.task == TRAIN:
        whole = nn.training_graph(network, case.shape, nn.optimizers.SGD(momentum=MOMENTUM))
    rng = np.random.default_rng(seed)
    state = nn.initial_state(whole, seed)
    names = {name for step in description.steps for name in step.parameters.values()}
    weights = {name: _used(name, values, rng, case.task) for name, values in state.items() if name in names}
    logits = graph.outputs["logits"].shape[-1]
    assert isinstance(logits, int)
    images = rng.normal(size=(case.batch, *case.shape)).astype(np.float32)
    labels = rng.integers(0, logits, case.batch).astype(np.int32)
    paths = [folder / name for name in ("weights.npz", "inputs.npz", "network.onnx")]
    np.savez(paths[0], **weights)  # type: ignore[arg-type]
    np.savez(paths[1], inputs=images, labels=labels)
    if case.task == INFER:
        write_onnx(paths[2], description, weights, case.batch)
    macs = sum(bind(node.op.macs(node), case.batch) for node in whole.nodes)
    return CaseInputs(description, paths[0], paths[1], paths[2] if case.task == INFER else None, macs)


def _used(name: str, values: NDArray[Any], rng: np.random.Generator, task: str) -> NDArray[Any]:
    """Running statistics as training leaves them, neither 0 nor 1, where they are used; others as they begin."""
    if task == INFER and name.endswith("running_mean"):
        return rng.normal(0, 0.1, values.shape).astype(np.float32)
    if task == INFER and name.endswith("running_var"):
        return rng.uniform(0.5, 1.5, values.shape).astype(np.float32)
    return values
