"""The trainer: its events, determinism, Ctrl-C, and arguments that it refuses."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn
from opsin.backends.reference import Reference
from opsin.base.errors import DataError, ModelError, OpsinError, ShapeError, UsageError
from opsin.data import Dataset, load
from opsin.model import Model
from opsin.runs import train
from opsin.training import (
    Epoch,
    Event,
    Finished,
    Interrupted,
    Recipe,
    Stage,
    StageStarted,
    Started,
    Step,
    Trainer,
    TrainingPlan,
    Warning,
)
from tests.data.files import write_stripes
from tests.model.networks import reference, small_network


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """28 training images, 4 for validation and 8 for testing, in two classes, 12 × 12, grey."""
    return load(write_stripes(tmp_path_factory.mktemp("stripes")))


STAGE = Stage(epochs=12, batch=8, learning_rate=0.01)


def small(data: Dataset, on_event: Any = None, **options: Any) -> Model:
    settings = {"epochs": 4, "batch": 8, "learning_rate": 0.01, "engine": reference, **options}
    return train(small_network(2), data, on_event=on_event, **settings)


def test_the_events_of_a_run(stripes: Dataset) -> None:
    events: list[Event] = []
    model = small(stripes, events.append, epochs=2)
    start, stage, *middle, end = events
    assert isinstance(start, Started)
    assert (start.network, start.images, start.held_out, start.classes) == ("Sequential", 28, 4, 2)
    assert (start.epochs, start.stages, start.done) == (2, 1, 0)
    assert start.parameters == sum(model.state[name].size for name in model.graph.parameters)
    assert isinstance(stage, StageStarted)
    assert (stage.stage, stage.number, stage.epochs, stage.steps, stage.batch) == ("training", 1, 2, 4, 8)
    assert stage.parameters == start.parameters
    assert isinstance(end, Finished)
    assert end.images == 64
    middle = [event for event in middle if not isinstance(event, Warning)]
    kinds = [type(event) for event in middle]
    assert kinds == [Step] * 4 + [Epoch] + [Step] * 4 + [Epoch]
    steps = [event for event in middle if isinstance(event, Step)]
    assert [step.step for step in steps] == [1, 2, 3, 4, 5, 6, 7, 8]
    epoch = next(event for event in middle if isinstance(event, Epoch))
    assert epoch.loss == pytest.approx(np.mean([step.loss for step in steps[:4]]))
    assert epoch.accuracy == sum(step.correct for step in steps[:4]) / 32  # the last batch is filled up
    assert epoch.held_out.images == 4
    assert end.test.images == 8
    assert end.test.accuracy == model.evaluate(stripes.test).accuracy


def test_a_network_learns_and_has_a_record(stripes: Dataset) -> None:
    model = small(stripes, epochs=12)
    assert model.evaluate(stripes.test).accuracy == 1
    record = model.record
    assert record["ended"] == "finished"
    assert (record["data"], record["images"], record["held_out"]) == (stripes.name, 28, 4)
    assert TrainingPlan.from_data(record["plan"]) == TrainingPlan(network="Sequential", stages=(STAGE,))
    assert record["steps"] == 48
    assert record["test"]["accuracy"] == 1
    assert record["history"][-1]["held_out_accuracy"] == 1
    assert record["fingerprint"] == stripes.fingerprint
    assert model.layers["conv"] == "Conv2d"


def test_the_native_engine_trains_by_default(stripes: Dataset) -> None:
    network = nn.Sequential(nn.Conv2d(4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(2))
    native = train(network, stripes, epochs=5, batch=8)
    expected = train(network, stripes, epochs=5, batch=8, engine=reference)
    for name, value in expected.state.items():
        np.testing.assert_allclose(native.state[name], value, atol=1e-4, err_msg=name)


def test_the_same_seed_and_data_give_the_same_bits(stripes: Dataset) -> None:
    first, second_result, other = (small(stripes, seed=seed).state for seed in (5, 5, 6))
    assert all(np.array_equal(first[name], second_result[name]) for name in first)
    assert not all(np.array_equal(first[name], other[name]) for name in first)


def test_the_bits_do_not_depend_on_the_number_of_threads(stripes: Dataset) -> None:
    def bits(threads: int) -> dict[str, Any]:
        return train(small_network(2), stripes, epochs=2, batch=8, threads=threads).state

    first = bits(1)
    for threads in (1, 2, 3):
        state = bits(threads)
        assert all(np.array_equal(first[name], state[name]) for name in first), threads


def test_the_model_is_saved(stripes: Dataset, tmp_path: Path) -> None:
    model = small(stripes, out=tmp_path / "m.opsin")
    second_result = opsin.load(tmp_path / "m.opsin")
    assert all(np.array_equal(model.state[name], second_result.state[name]) for name in model.state)
    assert second_result.record == model.record
    small(stripes, out=tmp_path / "n.opsin")
    assert (tmp_path / "m.opsin").read_bytes() == (tmp_path / "n.opsin").read_bytes()


def test_a_batch_is_no_larger_than_the_data(stripes: Dataset) -> None:
    events: list[Event] = []
    small(stripes, events.append, epochs=1, batch=1000)
    assert events[1].batch == 28  # type: ignore[attr-defined]


def interrupt_at(step: int) -> Any:
    """Return a listener that presses Ctrl-C during a step."""

    def on_event(event: Event) -> None:
        if isinstance(event, Step) and event.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_event


def test_ctrl_c_ends_the_run_and_keeps_the_model(stripes: Dataset, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    events: list[Event] = []
    press = interrupt_at(6)
    model = small(stripes, lambda event: (press(event), events.append(event)), out=tmp_path / "m.opsin", epochs=9)
    assert events[-1] == Interrupted(epoch=2, step=6)
    assert signal.getsignal(signal.SIGINT) is before
    assert model.record["ended"] == "interrupted"
    assert model.record["steps"] == 6
    assert len(model.record["history"]) == 1
    second_result = opsin.load(tmp_path / "m.opsin")
    assert second_result.check() < 1e-4
    assert all(np.array_equal(model.state[name], second_result.state[name]) for name in model.state)


def test_a_second_ctrl_c_interrupts_at_once(stripes: Dataset) -> None:
    def press_twice(event: Event) -> None:
        if isinstance(event, Step):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        small(stripes, press_twice)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_step_makes_no_model(stripes: Dataset, tmp_path: Path) -> None:
    def press(event: Event) -> None:
        training.interruption.requested = True

    training = Trainer(
        Recipe(2, 8).plan("small", 28), stripes, network=small_network(2), out=tmp_path / "m.opsin", engine=reference
    )
    events = []
    for event in training:
        press(event)
        events.append(event)
    assert events[-1] == Interrupted(epoch=0, step=0)
    assert not (tmp_path / "m.opsin").exists()


def test_a_network_that_learns_nothing_is_a_warning(stripes: Dataset) -> None:
    events: list[Event] = []
    small(stripes, events.append, epochs=1, learning_rate=1e-9)
    (warning,) = (event for event in events if isinstance(event, Warning))
    assert warning.text.startswith("the model is no better than one that always gives the same answer; try another")


def test_invalid_arguments_are_refused(stripes: Dataset, tmp_path: Path) -> None:
    deep = nn.Sequential(("conv", nn.Conv2d(4, 13)), ("flat", nn.Flatten()), ("head", nn.Linear(2)))
    (tmp_path / "letter").write_text("a letter")
    cases: list[tuple[Any, Any, dict[str, Any], type[OpsinError], str]] = [
        ("lenet6", stripes, {}, UsageError, "there is no network called 'lenet6'; did you mean lenet5"),
        (
            small_network(3),
            stripes,
            {},
            ShapeError,
            "the network gives N × 3, but there are 2 classes; end it with Linear",
        ),
        (deep, stripes, {}, ShapeError, "layer conv: .*13 × 13"),
        ("lenet5", tmp_path / "nowhere", {}, DataError, "there is no such folder"),
        ("lenet5", stripes, {"threads": 0}, UsageError, "the number of threads must be at least 1, not 0"),
        ("lenet5", stripes, {"batch": 0}, UsageError, "the batch must hold at least 1 image"),
        ("lenet5", stripes, {"out": tmp_path / "no" / "m"}, ModelError, "no is not a folder; create it first"),
        ("lenet5", stripes, {"out": tmp_path / "letter"}, ModelError, "exists and is not an Opsin model"),
    ]
    for network, data, options, kind, text in cases:
        with pytest.raises(kind, match=text):
            train(network, data, engine=reference, **options)


def test_a_full_disk_saves_the_model_elsewhere(
    stripes: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, save = tmp_path / "m.opsin", Model.save

    def full(model: Model, path: Path) -> None:
        if path == out:
            raise ModelError(f"{path}: no space left on the disk")
        save(model, path)

    monkeypatch.setattr(Model, "save", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        small(stripes, out=out)
    first, second = str(caught.value).splitlines()
    assert first == f"{out}: no space left on the disk"
    assert second.startswith("The trained model is safe in ")
    rescued = opsin.load(second.removeprefix("The trained model is safe in ").removesuffix(": move it from there."))
    assert rescued.evaluate(stripes.test).images == 8

    monkeypatch.setattr(Model, "save", lambda model, path: full(model, out))
    with pytest.raises(ModelError) as caught:
        small(stripes, out=out)
    assert str(caught.value) == first


def test_the_reference_engine_is_a_program(stripes: Dataset) -> None:
    training = Trainer(Recipe(1).plan("small", 28), stripes, network=small_network(2), engine=reference)
    assert training.runtime is not None
    assert isinstance(training.runtime.program, Reference)


def test_counting_parameters_copies_nothing(stripes: Dataset) -> None:
    """Before the first step the program's variables are copied once, for a snapshot."""
    copies = []

    class Counted(Reference):
        def state(self) -> dict[str, NDArray[Any]]:
            copies.append(len(self.graph.variables))
            return super().state()

    training = Trainer(
        Recipe(epochs=1).plan("Sequential", len(stripes.train)), stripes, network=small_network(2),
        engine=lambda graph, batch, threads: Counted(graph, batch),
    )  # fmt: skip
    events = iter(training)
    while not isinstance(next(events), Step):
        pass
    assert len(copies) <= 2
    list(events)


def test_seconds_are_those_of_the_clock(stripes: Dataset) -> None:
    """Every reading is a second later: two per epoch for the deadline, one per snapshot, and one after evaluation."""
    readings = count()
    plan = Recipe(epochs=3, batch=8).plan("Sequential", len(stripes.train))
    trainer = Trainer(
        plan, stripes, network=small_network(2), engine=reference, clock=lambda: float(next(readings)), deadline=1e6
    )
    events = list(trainer)
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert [epoch.seconds for epoch in trainer.history] == [3.0, 4.0, 4.0]
    assert finished.seconds == 11.0
