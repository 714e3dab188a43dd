"""Which recipe is chosen by short trials: simulated ones, and real ones on synthetic data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from opsin import data
from opsin.data import Dataset, LabeledImages
from opsin.planning import search, trial
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.networks import choose_network
from opsin.planning.options import TrainOptions
from opsin.planning.trial import Trial
from opsin.planning.trial_candidates import TrialCandidate, trial_candidates
from opsin.training.plan import Stage, TrainingPlan
from tests.planning.fake_machine import FakeMachine

GREY = DatasetSummary(images=5000, held_out=1000, classes=10, smallest=400, side=28, grey=True, resizable=False)
COLOUR = replace(GREY, side=32, grey=False)
Curve = dict[str, tuple[float, float]]
"""For each network: its error after a second of training, and the exponent with which it falls."""


def dataset(count: int = 60, classes: int = 10, validation: int = 1000) -> Dataset:
    names = tuple(f"class {n}" for n in range(classes))

    def split(size: int) -> LabeledImages:
        pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (size, 1, 28, 28))
        return LabeledImages(pixels, np.arange(size, dtype=np.int32) % classes, names)

    return Dataset("images", split(count), split(20), predefined_split=True, validation=split(validation))


CURVES: Curve = {"lenet5": (0.10, 0.1), "resnet9_half": (0.4, 0.6)}


class SimulatedTrials:
    """Trials that follow learning curves; `tried` has the name and the seconds of each."""

    def __init__(self, curves: Curve = CURVES) -> None:
        self.curves = curves
        self.tried: list[tuple[str, float]] = []

    def run(self, candidate: TrialCandidate, data: Dataset, seconds: float) -> Trial:
        self.tried.append((candidate.name, seconds))
        first, power = self.curves[candidate.choice.network]
        error = first * seconds**-power * (0.9 if candidate.options.augment == "strong" else 1.0)
        count = len(data.test)
        return Trial(
            candidate, seconds, count, round(error * count), error, None if candidate.options.flip else error,
            training_images=int(1000 * seconds), available_images=10**9, image_seconds=1e-3,
        )  # fmt: skip

    def search(self, options: TrainOptions, size: int = 1000, count: int = 60) -> search.SearchResult:
        """Search on `count` images of which `size` more are for validation."""
        choice, data = choose_network(GREY, options), dataset(count, validation=size)
        return search.search(choice, data, options, 1.0, lambda choice: dataset(), lambda text: None, self.run)


def test_a_network_that_starts_slowly_wins_if_there_is_time() -> None:
    trials = SimulatedTrials()
    long, short = trials.search(TrainOptions(budget=600.0)), trials.search(TrainOptions(budget=60.0))
    assert long.choice.network == "resnet9_half" and short.choice.network == "lenet5"
    assert long.options.augment == "strong"  # It makes every error a tenth smaller.
    assert long.options.flip is True  # Mirrored images are classified as well as the others.
    assert "2 other recipes were tried" in long.reasons[0] and "mirrored at random" in long.reasons[1]
    assert sum(seconds for _, seconds in trials.tried) <= search.TRIALS_SHARE * 600 + search.SHORT_TRIALS_SHARE * 60


def test_the_evidence_goes_into_the_plan() -> None:
    trials = SimulatedTrials()
    evidence = trials.search(TrainOptions()).evidence
    assert len(evidence) == len(trials.tried) and all("error" in each for each in evidence)
    assert sum("predicted_error" in each for each in evidence) == 2
    plan = TrainingPlan(network="lenet5", stages=(Stage(epochs=1),), evidence=evidence)
    assert TrainingPlan.from_data(plan.to_data()).evidence == evidence
    assert plan == replace(plan, evidence=())  # Training does not depend on it.


def test_the_best_trial_of_each_network_enters_the_second_round() -> None:
    trials = SimulatedTrials()
    trials.search(TrainOptions(budget=600.0))
    shortest = min(seconds for _, seconds in trials.tried)
    later = [name for name, seconds in trials.tried if seconds > 2 * shortest]
    assert sorted(later) == ["lenet5", "resnet9_half, strong augmentation"]


def test_easy_data_ends_the_search_and_the_training_early() -> None:
    trials = SimulatedTrials(CURVES | {"lenet5": (0.01, 0.1)})
    easy = trials.search(TrainOptions(budget=600.0), size=500)
    assert easy.useful_seconds == search.EASY_SHARE * 600
    assert "even half as many would not differ significantly" in easy.reasons[1]
    assert sum(seconds for _, seconds in trials.tried[1:]) <= search.EASY_SHARE * 600
    many = trials.search(TrainOptions(budget=600.0), size=1000 * 1000)
    assert many.useful_seconds is None  # So many images show more.


@pytest.mark.parametrize(
    "options",
    [TrainOptions(network="lenet5"), TrainOptions(epochs=3), TrainOptions(search=False), TrainOptions(budget=8.0)],
    ids=["network", "epochs", "no search", "no time"],
)
def test_nothing_is_tried_if_there_is_no_choice_or_no_time(options: TrainOptions) -> None:
    trials = SimulatedTrials()
    result = trials.search(options)
    assert not trials.tried and not result.evidence and result.options == options
    assert search.describe_search(choose_network(GREY, options), dataset(), options, 1.0) == ""


def test_nothing_is_tried_with_too_few_validation_images() -> None:
    trials = SimulatedTrials()
    assert not trials.search(TrainOptions(), size=3, count=30).evidence and not trials.tried
    assert (
        search.describe_search(choose_network(GREY, TrainOptions()), dataset(30, validation=3), TrainOptions(), 1.0)
        == ""
    )
    assert trials.search(TrainOptions(), size=3, count=36).evidence


@pytest.mark.parametrize(
    ("validation", "count", "expected"), [(3, 57, 20), (3, 197, 40), (39, 961, 200), (50, 950, 50)]
)
def test_a_small_validation_split_is_enlarged_for_trials(validation: int, count: int, expected: int) -> None:
    data = dataset(count, validation=validation)
    comparable = trial.comparable(data, seed=0)
    assert trial.validation_images(data) == expected and abs(len(comparable.test) - expected) <= 5
    assert len(comparable.train) + len(comparable.test) == (count + validation if validation < 40 else count + 50)


def test_repetitions_are_worth_less_and_less() -> None:
    candidate = TrialCandidate(choose_network(GREY, TrainOptions()), TrainOptions())
    half = Trial(candidate, 1.0, 100, 30, 0.3, training_images=100, available_images=1000, image_seconds=0.01)
    assert search._predicted_error(half, half, 10.0) == pytest.approx(0.3 * 10**-0.35)  # ten times as many images
    assert search._predicted_error(half, half, 0.5) == 0.3
    whole = replace(half, available_images=100)
    few, more, many = (search._predicted_error(whole, whole, seconds) for seconds in (2.0, 20.0, 2000.0))
    assert few == pytest.approx(0.3 * 2**-0.35, rel=0.02)  # the second pass is worth nearly as much as the first
    assert more > 0.3 * 20**-0.35 and many == pytest.approx(0.3 * 16.4**-0.35)


def test_what_has_learned_nothing_is_not_extrapolated() -> None:
    candidate = TrialCandidate(choose_network(GREY, TrainOptions()), TrainOptions())
    trial = Trial(candidate, 1.0, 100, 89, 0.89, training_images=100, available_images=1000, chance_error=0.9)
    assert search._predicted_error(trial, trial, 100.0) == 0.89


def test_trial_candidates_respect_the_options() -> None:
    names = [each.name for each in trial_candidates(choose_network(COLOUR, TrainOptions()), TrainOptions())]
    assert names == ["resnet9_half", "lenet5", "resnet9_half, strong augmentation"]
    for options in (TrainOptions(augment="light"), TrainOptions(augment="none"), TrainOptions(flip=True)):
        tried = trial_candidates(choose_network(GREY, options), options)
        assert all((each.options.augment, each.options.seed) == (options.augment, 0) or options.flip for each in tried)
        assert options.flip is None or all(each.options.flip for each in tried)
    many = replace(COLOUR, images=50_000)
    assert "airbench94" in [
        each.choice.network for each in trial_candidates(choose_network(many, TrainOptions()), TrainOptions())
    ]


def test_the_search_is_described_before_it_runs() -> None:
    text = search.describe_search(choose_network(GREY, TrainOptions()), dataset(), TrainOptions(), 1.0)
    assert text.startswith("3 recipes are tried first, for 75 s in total: lenet5; resnet9_half; ")


@pytest.mark.parametrize("symmetric", [False, True], ids=["classes are mirror images", "mirror images are the same"])
def test_mirror_invariance_is_measured(symmetric: bool) -> None:
    """Classify triangles by whether the right angle is at the left or right, or at the top or bottom of either side."""
    random = np.random.default_rng(0)
    triangle = np.tril(np.ones((9, 9), np.int64))

    def split(count: int) -> LabeledImages:
        labels = random.integers(0, 2, count)
        sides = random.integers(0, 2, count)
        pixels = random.integers(0, 60, (count, 1, 28, 28))
        for number, (label, row, column) in enumerate(zip(labels, *random.integers(2, 17, (2, count)), strict=True)):
            shape = (
                triangle[:: -1 if label else 1, :: -1 if sides[number] else 1]
                if symmetric
                else triangle[:, :: 1 - 2 * label]
            )
            pixels[number, 0, row : row + 9, column : column + 9] += 150 * shape
        return LabeledImages(pixels.astype(np.uint8), labels.astype(np.int32), ("one", "other"))

    triangles = Dataset("triangles", split(400), split(100), predefined_split=True, validation=split(200))
    choice = choose_network(replace(GREY, images=400, classes=2), TrainOptions(network="resnet9_half"))
    result = trial.run(TrialCandidate(choice, TrainOptions(threads=1)), trial.comparable(triangles, 0), 6.0)
    assert result and result.error < 0.1 and result.is_mirror_invariant is symmetric


def test_without_validation_trials_hold_out_training_images() -> None:
    digits = data.load("digits")
    bare = replace(digits, validation=None)
    compared = trial.comparable(bare, 0)
    assert len(compared.test) == len(bare.train) // 5 and len(compared.train) + len(compared.test) == len(bare.train)
    assert trial.comparable(digits, 0).test.pixels.shape[0] == 500


def test_small_photos_may_be_enlarged_for_published_weights() -> None:
    small, machine = replace(COLOUR, resizable=True, images=300), FakeMachine()
    tried = trial_candidates(choose_network(small, TrainOptions(), machine), TrainOptions(), machine)
    assert ("efficientnet_lite0", 128) in {(each.choice.network, each.choice.size) for each in tried}
    scratch = TrainOptions(pretrained=False)
    tried = trial_candidates(choose_network(small, scratch, machine), scratch, machine)
    assert not any(each.choice.pretrained for each in tried)
