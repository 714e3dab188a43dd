"""Which recipe is chosen by short trials: pretended ones, and real ones on data made for the purpose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from opsin import data
from opsin.data import Dataset, LabeledImages
from opsin.planning import networks, search, trial
from opsin.planning.candidates import Candidate, candidates
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.trial import Trial
from opsin.training.plan import Stage, TrainingPlan

GREY = DatasetSummary(images=5000, held_out=1000, classes=10, smallest=400, side=28, grey=True, resizable=False)
COLOUR = replace(GREY, side=32, grey=False)
Curve = dict[str, tuple[float, float]]
"""For each network: its error after a second of training, and the power with which it falls."""


def outlined(facts: DatasetSummary, options: TrainOptions) -> NetworkChoice:
    return networks.outline(facts, options)


def images(count: int = 60, classes: int = 10, validation: int = 1000) -> Dataset:
    names = tuple(f"class {n}" for n in range(classes))

    def part(size: int) -> LabeledImages:
        pixels = np.broadcast_to(np.zeros((1, 1, 1, 1), np.uint8), (size, 1, 28, 28))
        return LabeledImages(pixels, np.arange(size, dtype=np.int32) % classes, names)

    return Dataset("images", part(count), part(20), predefined_split=True, validation=part(validation))


@pytest.fixture
def learning(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Trials follow the learning curves that `CURVES` says; the list has what was tried, and for how long."""
    tried: list[tuple[str, float]] = []

    def run(candidate: Candidate, data: Dataset, seconds: float) -> Trial:
        tried.append((candidate.name, seconds))
        first, power = CURVES[candidate.outline.network]
        error = first * seconds**-power * (0.9 if candidate.options.augment == "strong" else 1.0)
        count = len(data.test)
        return Trial(candidate, seconds, count, round(error * count), error, None if candidate.options.flip else error)

    monkeypatch.setattr(trial, "run", run)
    return tried


CURVES: Curve = {"lenet5": (0.10, 0.1), "resnet9_half": (0.4, 0.6)}


def found(
    options: TrainOptions, facts: DatasetSummary = GREY, size: int = 1000, count: int = 60
) -> search.SearchResult:
    data = images(count, validation=size)
    return search.search(outlined(facts, options), data, options, 1.0, lambda outline: images(), lambda text: None)


def test_a_network_that_starts_slowly_wins_if_there_is_time(learning: list[tuple[str, float]]) -> None:
    long, short = found(TrainOptions(budget=600.0)), found(TrainOptions(budget=60.0))
    assert long.outline.network == "resnet9_half" and short.outline.network == "lenet5"
    assert long.options.augment == "strong"  # which made every error a tenth smaller
    assert long.options.flip is True  # as mirrored images were found as well as others
    assert "2 other recipes were tried" in long.reasons[0] and "mirrored at random" in long.reasons[1]
    assert sum(seconds for _, seconds in learning) <= search.SHARE * 600 + search.SHORT_SHARE * 60


def test_the_evidence_goes_into_the_plan(learning: list[tuple[str, float]]) -> None:
    evidence = found(TrainOptions()).evidence
    assert len(evidence) == len(learning) and all("error" in each for each in evidence)
    assert sum("predicted_error" in each for each in evidence) == 2
    plan = TrainingPlan(network="lenet5", stages=(Stage(epochs=1),), evidence=evidence)
    assert TrainingPlan.from_data(plan.to_data()).evidence == evidence
    assert plan == replace(plan, evidence=())  # training does not depend on it


def test_the_second_round_is_for_the_best_of_each_network(learning: list[tuple[str, float]]) -> None:
    found(TrainOptions(budget=600.0))
    shortest = min(seconds for _, seconds in learning)
    later = [name for name, seconds in learning if seconds > 2 * shortest]
    assert sorted(later) == ["lenet5", "resnet9_half, strong augmentation"]


def test_easy_data_ends_the_search_and_the_training_early(
    learning: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CURVES, "lenet5", (0.01, 0.1))
    easy = found(TrainOptions(budget=600.0), size=500)
    assert easy.useful == search.EASY_SHARE * 600
    assert "could not be told from chance" in easy.reasons[1]
    assert sum(seconds for _, seconds in learning[1:]) <= search.EASY_SHARE * 600
    assert found(TrainOptions(budget=600.0), size=1000 * 1000).useful is None  # so many images show more


@pytest.mark.parametrize(
    "options",
    [TrainOptions(network="lenet5"), TrainOptions(epochs=3), TrainOptions(search=False), TrainOptions(budget=8.0)],
    ids=["network", "epochs", "no search", "no time"],
)
def test_where_nothing_is_to_be_found_out_nothing_is_tried(
    learning: list[tuple[str, float]], options: TrainOptions
) -> None:
    chosen = found(options)
    assert not learning and not chosen.evidence and chosen.options == options
    assert search.intention(outlined(GREY, options), images(), options, 1.0) == ""


def test_few_validation_images_tell_no_recipes_apart(learning: list[tuple[str, float]]) -> None:
    assert not found(TrainOptions(), size=3, count=30).evidence and not learning
    assert search.intention(outlined(GREY, TrainOptions()), images(30, validation=3), TrainOptions(), 1.0) == ""
    assert found(TrainOptions(), size=3, count=36).evidence


@pytest.mark.parametrize(("own", "count", "expected"), [(3, 57, 20), (3, 197, 40), (39, 961, 200), (50, 950, 50)])
def test_trials_are_compared_by_more_than_a_small_validation_part(own: int, count: int, expected: int) -> None:
    data = images(count, validation=own)
    part = trial.comparable(data, seed=0)
    assert trial.validation_images(data) == expected and abs(len(part.test) - expected) <= 5
    assert len(part.train) + len(part.test) == (count + own if own < 40 else count + 50)


def test_new_images_are_worth_more_than_more_epochs() -> None:
    half = Trial(
        Candidate(outlined(GREY, TrainOptions()), TrainOptions()), 1.0, 100, 30, 0.3, learned=100, available=1000
    )
    whole = replace(half, learned=1000)
    assert search._predicted(half, half, 10.0) == pytest.approx(0.3 * 10**-0.35)
    assert search._predicted(whole, whole, 10.0) == pytest.approx(0.3 * 10 ** (-0.35 * 0.4))
    assert search._predicted(half, half, 0.5) == 0.3


def test_candidates_keep_to_what_is_asked_for() -> None:
    names = [each.name for each in candidates(outlined(COLOUR, TrainOptions()), TrainOptions())]
    assert names == ["resnet9_half", "lenet5", "resnet9_half, strong augmentation"]
    for options in (TrainOptions(augment="light"), TrainOptions(augment="none"), TrainOptions(flip=True)):
        tried = candidates(outlined(GREY, options), options)
        assert all((each.options.augment, each.options.seed) == (options.augment, 0) or options.flip for each in tried)
        assert options.flip is None or all(each.options.flip for each in tried)
    many = replace(COLOUR, images=50_000)
    assert "airbench94" in [each.outline.network for each in candidates(outlined(many, TrainOptions()), TrainOptions())]


def test_the_plan_says_what_would_be_tried() -> None:
    text = search.intention(outlined(GREY, TrainOptions()), images(), TrainOptions(), 1.0)
    assert text.startswith("3 recipes are tried first, for 75 s together: lenet5; resnet9_half; ")


@pytest.mark.parametrize("even", [False, True], ids=["classes are mirror images", "mirror images are the same"])
def test_mirroring_is_found_out_and_not_inferred_from_greyness(even: bool) -> None:
    """Triangles with the right angle at the left or at the right; or at the top or at the bottom, on either side."""
    random = np.random.default_rng(0)
    triangle = np.tril(np.ones((9, 9), np.int64))

    def part(count: int) -> LabeledImages:
        labels = random.integers(0, 2, count)
        sides = random.integers(0, 2, count)
        pixels = random.integers(0, 60, (count, 1, 28, 28))
        for number, (label, row, column) in enumerate(zip(labels, *random.integers(2, 17, (2, count)), strict=True)):
            shape = (
                triangle[:: -1 if label else 1, :: -1 if sides[number] else 1]
                if even
                else triangle[:, :: 1 - 2 * label]
            )
            pixels[number, 0, row : row + 9, column : column + 9] += 150 * shape
        return LabeledImages(pixels.astype(np.uint8), labels.astype(np.int32), ("one", "other"))

    triangles = Dataset("triangles", part(400), part(100), predefined_split=True, validation=part(200))
    outline = networks.outline(replace(GREY, images=400, classes=2), TrainOptions(network="resnet9_half"))
    result = trial.run(Candidate(outline, TrainOptions(threads=1)), trial.comparable(triangles, 0), 6.0)
    assert result and result.error < 0.1 and result.mirrors is even


def test_a_trial_of_data_without_validation_takes_some_of_the_training_images() -> None:
    digits = data.load("digits")
    bare = replace(digits, validation=None)
    compared = trial.comparable(bare, 0)
    assert len(compared.test) == len(bare.train) // 5 and len(compared.train) + len(compared.test) == len(bare.train)
    assert trial.comparable(digits, 0).test.pixels.shape[0] == 500


def test_photos_in_small_files_may_be_enlarged_for_a_published_network(tmp_path: Path) -> None:
    small = replace(COLOUR, resizable=True, images=300)
    tried = candidates(networks.outline(small, TrainOptions()), TrainOptions())
    if networks.at_hand(networks.TRANSFER):
        assert ("efficientnet_lite0", 128) in {(each.outline.network, each.outline.size) for each in tried}
    assert not any(
        each.outline.pretrained
        for each in candidates(networks.outline(small, TrainOptions(pretrained=False)), TrainOptions(pretrained=False))
    )
