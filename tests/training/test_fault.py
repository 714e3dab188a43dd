"""Numbers that leave the finite: the step, the layer, and the last good model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import opsin
from opsin import nn, ops
from opsin.data import Dataset, load
from opsin.engines.reference import Reference
from opsin.graph import Graph, Tensor
from opsin.model import Engine
from opsin.training import Diverged, Stage, train
from tests.data.files import write_stripes
from tests.model.networks import reference, small_network


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """32 pictures to train on: 4 steps an epoch with a batch of 8."""
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


def diverge(data: Dataset, network: nn.Layer, **options: Any) -> Diverged:
    with pytest.raises(Diverged) as caught:
        train(network, data, **{"epochs": 30, "batch": 8, "learning_rate": 0.01, "engine": reference, **options})
    assert str(caught.value).count("\n") == 2
    return caught.value


class Exponential(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return ops.exp(x)


class Poisoned(Reference):
    """Computes as it should, but loses a variable at the end of the step with a certain learning rate."""

    def __init__(self, graph: Graph, batch: int, rate: float, lost: str) -> None:
        super().__init__(graph, batch)
        self.rate, self.lost = rate, lost

    def run(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
        outputs = super().run(**inputs)
        if inputs["learning_rate"] == self.rate:
            self.load_state({self.lost: np.full_like(self.state()[self.lost], np.nan)})
        return outputs


def poison(step: int, lost: str) -> Engine:
    """Loses a variable in a step of the 120 that `diverge` takes."""
    rate = nn.schedules.one_cycle(0.01, 120, Stage(epochs=1).rise)(step - 1)

    def engine(graph: Graph, batch: int, threads: int | None) -> Reference:
        return Poisoned(graph, batch, rate, lost) if "loss" in graph.outputs else Reference(graph, batch)

    return engine


@pytest.mark.parametrize("engine", [reference, opsin.training.Training.__init__.__kwdefaults__["engine"]])
def test_the_layer_whose_values_left_the_finite_is_named(stripes: Dataset, tmp_path: Path, engine: Engine) -> None:
    network = nn.Sequential(
        ("conv", nn.Conv2d(2, 3)), ("boom", Exponential()), ("flat", nn.Flatten()), ("head", nn.Linear(2))
    )
    error = diverge(stripes, network, learning_rate=1e6, out=tmp_path / "m.opsin", engine=engine)
    assert str(error) == (
        "step 2 (epoch 1): the values of layer boom left the finite. The learning rate 1e+06 is too high; try 0.004.\n"
        "Nothing had been learnt yet, so no model was kept."
    )
    assert error.model is None
    assert not list(tmp_path.iterdir())


def test_the_last_good_model_is_kept(stripes: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "m.opsin"
    error = diverge(stripes, small_network(2), out=out, engine=poison(70, "conv.weight"))
    assert error.model is not None
    step = error.model.record["steps"]
    assert 40 <= step < 70
    assert str(error) == (
        "step 70 (epoch 18): the values of layer conv left the finite. The learning rate 0.01 is too high; try 0.001.\n"
        f"The last good model, after step {step}, is in {out}."
    )
    model = opsin.load(out, engine=reference)
    assert model.record == error.model.record
    assert model.record["ended"] == "diverged"
    assert len(model.record["history"]) == step // 4
    assert model.evaluate(stripes.test).accuracy == 1
    assert model.predict(stripes.test.pixels) == error.model.predict(stripes.test.pixels)


def test_without_a_file_the_last_good_model_is_in_the_error(stripes: Dataset) -> None:
    error = diverge(stripes, small_network(2), engine=poison(70, "head.bias"))
    assert error.model is not None
    assert str(error).endswith(f"The last good model, after step {error.model.record['steps']}, is kept.")
    assert error.model.evaluate(stripes.test).accuracy == 1


def test_what_happens_in_the_last_step_is_noticed(stripes: Dataset) -> None:
    assert "step 120 (epoch 30): the values of layer conv" in str(
        diverge(stripes, small_network(2), engine=poison(120, "conv.bias"))
    )


def test_memory_of_the_optimizer_counts_for_its_parameter(stripes: Dataset) -> None:
    graph = nn.training_graph(small_network(2), stripes.shape, nn.optimizers.AdamW())
    memory = next(name for name, t in graph.variables.items() if t.node.attrs["like"] == "head.weight")
    assert "layer head left the finite" in str(diverge(stripes, small_network(2), engine=poison(9, memory)))


def test_an_older_model_survives_a_run_that_learnt_nothing(stripes: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "m.opsin"
    train(small_network(2), stripes, epochs=1, batch=8, out=out, engine=reference)
    before = out.read_bytes()
    diverge(stripes, small_network(2), out=out, engine=poison(1, "head.bias"))
    assert out.read_bytes() == before
