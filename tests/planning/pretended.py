"""A machine that is only pretended: each pass over an image takes the seconds and bytes that a test says."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from opsin.data import Dataset, LabeledImages
from opsin.ir import Graph, bind, product
from opsin.planning import autoconfig, budget, networks, scratch, transfer
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import ConvTuning, Cost
from opsin.planning.options import AutoPlan, TrainOptions

PHOTOS = DatasetSummary(images=2000, held_out=500, classes=2, smallest=900, side=400, grey=False, resizable=True)

Machine = Callable[..., None]


def with_machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    def pretend(
        look: float = 0.008, megabytes: float = 20.0, all_layers: float = 1.0, training_memory: float = 1.0
    ) -> None:
        def cost(graph: Graph, batch: int, threads: int | None = None, ways: ConvTuning | None = None) -> Cost:
            shape = bind(graph.inputs[0].shape, 1)
            share = int(str(product(shape))) / (3 * 224 * 224) if len(shape) == 4 else 1e-4
            training = "learning_rate" in {t.node.attrs["name"] for t in graph.inputs}
            passes = 3 if training else 1
            if sum(name.endswith("exp_avg") for name in graph.updates) > 40:
                passes *= all_layers
            memory = megabytes * 1e6 * share * batch * (training_memory if training else 1.0)
            return Cost(look * share * passes, int(memory), 1.0, 0.5 * look * share)

        for module in (transfer, scratch):
            monkeypatch.setattr(module, "measure", cost)
        monkeypatch.setattr(budget, "process_bytes", lambda: 200e6)
        monkeypatch.setattr(networks, "at_hand", lambda name: name == "efficientnet_lite0")

    pretend()
    return pretend


def images(count: int, shape: tuple[int, int, int], classes: int = 2) -> LabeledImages:
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, *shape))
    return LabeledImages(
        pixels, np.arange(count, dtype=np.int32) % classes, tuple(f"class {n}" for n in range(classes))
    )


def dataset(count: int, shape: tuple[int, int, int] = (3, 224, 224)) -> Dataset:
    return Dataset(
        "photos", images(count, shape), images(count // 8, shape), own_split=True,
        validation=images(count // 8, shape),
    )  # fmt: skip


def choose(wishes: TrainOptions, facts: DatasetSummary = PHOTOS, spent: float = 20.0) -> AutoPlan:
    outline = networks.outline(facts, wishes)
    shape = outline.preprocessing.shape if outline.preprocessing else (1 if facts.grey else 3, facts.side, facts.side)
    return autoconfig.choose(outline, dataset(facts.images, shape), wishes, spent)
