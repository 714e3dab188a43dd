"""A machine with costs that a test sets, and plans that are made for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from opsin.backends.options import CompileOptions
from opsin.backends.tuning import TuningSummary
from opsin.compiler.precision import Precision
from opsin.data import Dataset, LabeledImages
from opsin.ir import Graph, bind, product
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import Cost
from opsin.planning.options import AutoPlan, TrainOptions

PHOTOS = DatasetSummary(images=2000, held_out=500, classes=2, smallest=900, side=400, grey=False, resizable=True)

MANY_LEARNING = 40
"""A step that updates the moments of more parameters than this fine-tunes all layers."""


@dataclass
class FakeMachine:
    """A machine on which an image of 224 × 224 takes `forward` seconds and `megabytes` in a forward pass.

    Both are proportional to the image's area. A training step takes three times as long, and `all_layers` times that if
    all layers learn; it takes `training_memory` times the memory. `weights` are the networks whose published weights
    are available. `measured` and `precisions` record the batches and precisions of all measurements. In bfloat16 memory
    is half as large and time is divided by `bf16_gain`.
    """

    forward: float = 0.008
    megabytes: float = 20.0
    all_layers: float = 1.0
    training_memory: float = 1.0
    weights: tuple[str, ...] = ("efficientnet_lite0",)
    bf16_gain: float = 2.0
    measured: list[int] = field(default_factory=list)
    precisions: list[Precision] = field(default_factory=list)

    def run_cost(self, graph: Graph, batch: int, threads: int | None, options: CompileOptions) -> Cost:
        self.measured.append(batch)
        self.precisions.append(options.precision)
        shape = bind(graph.inputs[0].shape, 1)
        area = int(str(product(shape))) / (3 * 224 * 224) if len(shape) == 4 else 1e-4
        is_training = "learning_rate" in {tensor.node.attrs["name"] for tensor in graph.inputs}
        passes = 3.0 if is_training else 1.0
        if learning(graph) > MANY_LEARNING:
            passes *= self.all_layers
        memory = self.megabytes * 1e6 * area * batch * (self.training_memory if is_training else 1.0)
        if options.precision is Precision.BF16:
            memory, passes = memory / 2, passes / self.bf16_gain
        return Cost(self.forward * area * passes, int(memory), 1.0, 0.5 * self.forward * area)

    def tune(
        self, graph: Graph, batch: int, threads: int | None, seconds: float, precision: Precision
    ) -> TuningSummary:
        return TuningSummary((), (), 0.0)

    def process_bytes(self) -> int:
        return 200_000_000

    def has_weights(self, network: str) -> bool:
        return network in self.weights

    def multiplies_bf16(self) -> bool:
        return self.bf16_gain > 1


def learning(graph: Graph) -> int:
    """Return how many parameters have moments of AdamW that the graph updates."""
    return sum(name.endswith("exp_avg") for name in graph.updates)


def images(count: int, shape: tuple[int, int, int], classes: int = 2) -> LabeledImages:
    """Return grey squares without memory of their own: no pixel is read here."""
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, *shape))
    return LabeledImages(
        pixels, np.arange(count, dtype=np.int32) % classes, tuple(f"class {n}" for n in range(classes))
    )


def dataset(count: int, shape: tuple[int, int, int] = (3, 224, 224)) -> Dataset:
    return Dataset(
        "photos", images(count, shape), images(count // 8, shape), predefined_split=True,
        validation=images(count // 8, shape),
    )  # fmt: skip


Choose = Callable[..., AutoPlan]


def choose(
    options: TrainOptions,
    summary: DatasetSummary = PHOTOS,
    machine: FakeMachine | None = None,
    elapsed_seconds: float = 20.0,
) -> AutoPlan:
    """Return the plan for data as in `summary` on a fake machine."""
    machine = machine or FakeMachine()
    choice = networks.choose_network(summary, options, machine)
    shape = (1 if summary.grey else 3, summary.side, summary.side)
    if choice.preprocessing:
        shape = choice.preprocessing.shape
    return autoconfig.choose(choice, dataset(summary.images, shape), options, elapsed_seconds, machine=machine)
