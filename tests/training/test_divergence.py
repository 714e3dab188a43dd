"""Values that become NaN or infinite: the step, the layer, and the last verified model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import opsin
from opsin import nn, ops
from opsin.backends.reference import Reference
from opsin.data import Dataset, load
from opsin.ir import Graph, Tensor
from opsin.model import Engine, Model
from opsin.runs import train
from opsin.training import Diverged, Event, Rewound, Stage, Step
from opsin.training.trainer import LR_FACTOR
from tests.data.files import write_stripes
from tests.model.networks import reference, small_network


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """28 training images: 4 steps per epoch with a batch of 8."""
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


def diverge(data: Dataset, network: nn.Layer, **options: Any) -> Diverged:
    with pytest.raises(Diverged) as caught:
        run(data, network, **options)
    assert str(caught.value).count("\n") == 2
    return caught.value


def run(data: Dataset, network: nn.Layer, **options: Any) -> Model:
    settings = {"epochs": 30, "batch": 8, "learning_rate": 0.01, "engine": reference, **options}
    return train(network, data, **settings)


class Exponential(nn.Layer):
    def forward(self, x: Tensor) -> Tensor:
        return ops.exp(x)


class Poisoned(Reference):
    """Computes correctly, but sets a variable to NaN at the end of steps with certain learning rates."""

    def __init__(self, graph: Graph, batch: int, rates: set[float], lost: str) -> None:
        super().__init__(graph, batch)
        self.rates, self.lost = rates, lost

    def run(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
        outputs = super().run(**inputs)
        if inputs["learning_rate"] in self.rates:
            self.load_state({self.lost: np.full_like(self.state()[self.lost], np.nan)})
        return outputs


def poison(step: int, lost: str, second_step: int | None = None) -> Engine:
    """Return an engine that sets a variable to NaN in a step of the 120 of `run`, and with the lowered rate in
    `second_step`, by default the same one.
    """
    rate = nn.schedules.one_cycle(0.01, 120, Stage(epochs=1).warmup_fraction)
    rates = {rate(step - 1), rate((second_step or step) - 1) * LR_FACTOR}

    def engine(graph: Graph, batch: int, threads: int | None) -> Reference:
        return Poisoned(graph, batch, rates, lost) if "loss" in graph.outputs else Reference(graph, batch)

    return engine


@pytest.mark.parametrize("engine", [reference, opsin.training.Trainer.__init__.__kwdefaults__["engine"]])
def test_the_layer_that_produced_nan_or_infinity_is_named(stripes: Dataset, tmp_path: Path, engine: Engine) -> None:
    network = nn.Sequential(
        ("conv", nn.Conv2d(2, 3)), ("boom", Exponential()), ("flat", nn.Flatten()), ("head", nn.Linear(2))
    )
    error = diverge(stripes, network, learning_rate=1e6, out=tmp_path / "m.opsin", engine=engine)
    assert str(error) == (
        "step 2 (epoch 1): layer 'boom' produced NaN or infinity, even after the learning rate was lowered from "
        "1e+06 to 100000; try 0.004.\n"
        "The images of that step: lying/5.png, standing/19.png, standing/10.png, lying/9.png, lying/0.png, "
        "standing/7.png, standing/16.png, lying/16.png.\n"
        "Nothing had been learned yet, so no model was kept."
    )
    assert error.model is None
    assert not list(tmp_path.iterdir())


def test_the_last_verified_model_is_saved(stripes: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "m.opsin"
    error = diverge(stripes, small_network(2), out=out, engine=poison(70, "conv.weight"))
    assert error.model is not None
    step = error.model.record["steps"]
    assert 40 <= step < 70
    first, second, third = str(error).splitlines()
    assert first == (
        "step 70 (epoch 18): layer 'conv' produced NaN or infinity, even after the learning rate was lowered from "
        "0.01 to 0.001; try 0.0001."
    )
    assert second.startswith("The images of that step: ")
    assert third == f"The last good model, after step {step}, is in {out}."
    model = opsin.load(out, engine=reference)
    assert model.record == error.model.record
    assert model.record["ended"] == "diverged"
    assert len(model.record["history"]) == step // 4
    assert model.evaluate(stripes.test).accuracy == 1
    assert model.predict(stripes.test.pixels) == error.model.predict(stripes.test.pixels)


def test_without_a_file_the_error_holds_the_last_verified_model(stripes: Dataset) -> None:
    error = diverge(stripes, small_network(2), engine=poison(70, "head.bias"))
    assert error.model is not None
    assert str(error).endswith(f"The last good model, after step {error.model.record['steps']}, is kept.")
    assert error.model.evaluate(stripes.test).accuracy == 1


def test_a_problem_in_the_last_step_is_noticed(stripes: Dataset) -> None:
    assert "step 120 (epoch 30): layer 'conv' produced" in str(
        diverge(stripes, small_network(2), engine=poison(120, "conv.bias"))
    )


def test_the_state_of_the_optimizer_belongs_to_its_parameter(stripes: Dataset) -> None:
    graph = nn.training_graph(small_network(2), stripes.shape, nn.optimizers.AdamW())
    memory = next(name for name, t in graph.variables.items() if t.node.attrs["like"] == "head.weight")
    assert "layer 'head' produced NaN or infinity" in str(diverge(stripes, small_network(2), engine=poison(9, memory)))


def test_an_older_model_file_is_kept_if_nothing_was_learned(stripes: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "m.opsin"
    run(stripes, small_network(2), epochs=1, out=out)
    before = out.read_bytes()
    diverge(stripes, small_network(2), out=out, engine=poison(1, "head.bias"))
    assert out.read_bytes() == before


def test_the_first_problem_rolls_back_with_a_lower_learning_rate(stripes: Dataset) -> None:
    events: list[Event] = []
    first = nn.schedules.one_cycle(0.01, 120, Stage(epochs=1).warmup_fraction)(69)

    def engine(graph: Graph, batch: int, threads: int | None) -> Reference:
        return Poisoned(graph, batch, {first}, "conv.weight") if "loss" in graph.outputs else Reference(graph, batch)

    model = run(stripes, small_network(2), engine=engine, on_event=events.append)
    (rewound,) = (event for event in events if isinstance(event, Rewound))
    # The values become NaN in step 70; the loss shows it in step 71, unless an epoch ends with a check before.
    assert rewound == Rewound("training", 18, 71, 68, "values became NaN or infinite", LR_FACTOR)
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == [*range(1, 71), *range(69, 121)]
    assert model.record["ended"] == "finished"
    assert model.record["steps"] == 120
    assert model.evaluate(stripes.test).accuracy == 1


def test_a_second_problem_ends_the_run_wherever_it_is(stripes: Dataset) -> None:
    error = diverge(stripes, small_network(2), engine=poison(30, "conv.weight", second_step=90))
    assert str(error).startswith("step 90 (epoch 23): layer 'conv' produced NaN or infinity, even after")


def test_a_loss_far_above_chance_is_divergence(stripes: Dataset) -> None:
    class Rising(Reference):
        """Reports an enormous loss, as of parameters that are large but finite."""

        def run(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
            outputs = super().run(**inputs)
            return {**outputs, "loss": outputs["loss"] * 0 + 50.0} if "loss" in outputs else outputs

    with pytest.raises(Diverged) as caught:
        run(stripes, small_network(2), engine=lambda graph, batch, threads: Rising(graph, batch))
    assert str(caught.value) == (
        "step 4 (epoch 1): the loss rose to 50, far above the 0.693 of random guessing, even after the learning "
        "rate was lowered from 0.01 to 0.001; try 0.0001.\nNothing had been learned yet, so no model was kept."
    )


def test_single_enormous_losses_are_not_divergence(stripes: Dataset) -> None:
    class Spiky(Reference):
        """Reports an enormous loss in every fourth step, as of a wrong answer to an image of a rare class."""

        steps = 0

        def run(self, **inputs: ArrayLike) -> dict[str, NDArray[Any]]:
            outputs = super().run(**inputs)
            if "loss" not in outputs:
                return outputs
            self.steps += 1
            return {**outputs, "loss": outputs["loss"] + (500.0 if self.steps % 4 == 0 else 0.0)}

    assert run(stripes, small_network(2), engine=lambda graph, batch, threads: Spiky(graph, batch)).state


def test_images_without_names_are_numbered(stripes: Dataset) -> None:
    unnamed = replace(stripes, train=replace(stripes.train, names=None))
    error = diverge(unnamed, small_network(2), engine=poison(3, "head.bias"))
    names = str(error).splitlines()[1].removeprefix("The images of that step: ").removesuffix(".").split(", ")
    assert len(set(names)) == 8
    assert {name.split()[0] for name in names} == {"image"}
