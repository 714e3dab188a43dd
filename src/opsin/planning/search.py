"""Select a recipe by short trials on the data itself.

Successive halving (Jamieson & Talwalkar 2016): every recipe trains for the same few seconds; the best one of each
network trains again for three times as long. A power law through these two points of the learning curve (Hestness et
al. 2017) predicts the error after the whole training time: a small network that leads after seconds often trails after
minutes. The default recipe is kept unless the predicted error of another one is lower by more than chance explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from time import perf_counter
from typing import Any

from opsin.base.formatting import duration
from opsin.data import Dataset
from opsin.planning import autoconfig, trial
from opsin.planning.budget import Budget
from opsin.planning.networks import SMALL_GREY
from opsin.planning.options import AUTO, NetworkChoice, TrainOptions
from opsin.planning.overrides import check_task
from opsin.planning.precision_choice import choose_precision
from opsin.planning.trial import Trial
from opsin.planning.trial_candidates import TrialCandidate, trial_candidates

Load = Callable[[NetworkChoice], Dataset]
Progress = Callable[[str], None]
RunTrial = Callable[[TrialCandidate, Dataset, float], Trial | None]

TRIALS_SHARE = 0.15
SHORT_BUDGET_SECONDS = 120.0
SHORT_TRIALS_SHARE = 0.25
"""The share of the training time for all trials, and its value for budgets below `SHORT_BUDGET_SECONDS`."""

MIN_TRIAL_SECONDS = 1.0
"""Shorter trials show nothing."""

MIN_VALIDATION_IMAGES_TO_SEARCH = 12
"""With fewer validation images, recipes cannot be told apart."""

SECOND_ROUND_FACTOR = 3.0
"""The duration of the trials of the second round relative to the first."""

SECOND_ROUND_TRIALS = 6
"""The second round takes place if there is time for this many of the shortest trials in addition to the first round."""

DEFAULT_EXPONENT = 0.35
MIN_EXPONENT, MAX_EXPONENT = 0.05, 0.6
"""The usual exponent of the error against the number of different images, and the bounds of its estimate."""

REPEAT_HALF_LIFE = 15.4
"""The value of repeated images: the first repetitions are worth nearly as much as new images, and all repetitions
together at most this many times the images (R* of Muennighoff et al. 2023, arXiv:2305.16264)."""

MAX_EASY_ERRORS = 10
MAX_EASY_ERROR_RATE = 0.05
MIN_EASY_IMAGES = 100
EASY_SHARE = 0.03
"""Bounds for an easy dataset: with fewer errors than these on enough images, even half as many errors could not be
distinguished from chance (a sign test needs five images). Trials and training then get `EASY_SHARE` of the budget."""


@dataclass(frozen=True)
class SearchResult:
    """The recipe that was chosen: a network, its `data` and `options`, with `reasons` in sentences.

    `evidence` goes into the plan. More than `useful_seconds` of training would not help (None: unknown).
    """

    choice: NetworkChoice
    data: Dataset
    options: TrainOptions
    reasons: tuple[str, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    useful_seconds: float | None = None


def describe_search(default: NetworkChoice, data: Dataset, options: TrainOptions, elapsed_seconds: float) -> str:
    """Return what `search` would try, in a sentence; an empty string if nothing."""
    candidates, seconds = _affordable_candidates(default, data, options, elapsed_seconds)
    if len(candidates) < 2:
        return ""
    names = "; ".join(each.name for each in candidates)
    return f"{len(candidates)} recipes are tried first, for {duration(seconds)} in total: {names}"


def search(
    default: NetworkChoice,
    data: Dataset,
    options: TrainOptions,
    elapsed_seconds: float,
    load: Load,
    on_progress: Progress,
    run_trial: RunTrial = trial.run,
) -> SearchResult:
    """Try recipes on `data`, which was read for `default`, `elapsed_seconds` after the command was given.

    `load` reads the data for another choice; `on_progress` is called with what happens next; `run_trial`
    trains a candidate on data for some seconds. Raise `UsageError` for options that do not suit the task of the data.
    """
    check_task(options, data)
    searching = _Search(default, data, options, elapsed_seconds, load, on_progress, run_trial)
    result = searching.run()
    return searching.with_precision(result) if options.precision == AUTO else result


def _trials_seconds(options: TrainOptions, elapsed_seconds: float) -> float:
    """Return the time for all trials."""
    share = SHORT_TRIALS_SHARE if options.seconds < SHORT_BUDGET_SECONDS else TRIALS_SHARE
    return share * max(0.0, Budget.of(options, elapsed_seconds).training_seconds)


def _affordable_candidates(
    default: NetworkChoice, data: Dataset, options: TrainOptions, elapsed_seconds: float
) -> tuple[list[TrialCandidate], float]:
    """Return as many candidates as there is time for, and that time; only one if trials would show nothing."""
    candidates, seconds = trial_candidates(default, options), _trials_seconds(options, elapsed_seconds)
    if trial.validation_images(data) < MIN_VALIDATION_IMAGES_TO_SEARCH:
        return candidates[:1], 0.0
    count = min(len(candidates), int(seconds / MIN_TRIAL_SECONDS))
    return (candidates[:count], seconds) if count > 1 else (candidates[:1], 0.0)


class _Search:
    def __init__(
        self,
        default: NetworkChoice,
        data: Dataset,
        options: TrainOptions,
        elapsed_seconds: float,
        load: Load,
        on_progress: Progress,
        run_trial: RunTrial,
    ) -> None:
        self.default, self.options, self.on_progress, self.load = default, options, on_progress, load
        self.run_trial = run_trial
        self.datasets = {_preparation(default): data}
        self.trial_datasets: dict[object, Dataset] = {}
        self.search_begin = perf_counter()
        self.command_begin = self.search_begin - elapsed_seconds
        self.candidates, self.seconds = _affordable_candidates(default, data, options, elapsed_seconds)
        self.validation_count = len(data.validation or ())
        self.trials: list[Trial] = []

    def run(self) -> SearchResult:
        if len(self.candidates) < 2:
            return SearchResult(self.default, self._data(self.default), self.options)
        finalist_count = max(2, len({each.choice.network for each in self.candidates}))
        has_second_round = self.seconds / MIN_TRIAL_SECONDS >= len(self.candidates) + SECOND_ROUND_TRIALS
        # The time is divided into trials of the first round's length.
        units = len(self.candidates) + (SECOND_ROUND_FACTOR * finalist_count if has_second_round else 0)
        trials = self._first_round(self.seconds / units)
        if not trials:
            return SearchResult(self.default, self._data(self.default), self.options)
        finalists = _finalists(trials, finalist_count)
        curves = [(trial, trial) for trial in finalists]
        if has_second_round and not self.is_easy and self.is_in_time:
            seconds = SECOND_ROUND_FACTOR * self.seconds / units
            curves = [(trial, self._try(trial.candidate, seconds) or trial) for trial in finalists]
        return self._result(curves)

    def with_precision(self, result: SearchResult) -> SearchResult:
        """Return `result` with the better precision for its recipe."""
        self.on_progress("comparing float32 and bfloat16")
        elapsed = perf_counter() - self.command_begin
        plan = autoconfig.choose(
            result.choice, result.data, result.options, elapsed, useful_seconds=result.useful_seconds
        ).plan
        precision = choose_precision(plan, result.data, threads=self.options.threads)
        return replace(
            result,
            options=replace(result.options, precision=precision.name),
            reasons=(*result.reasons, precision.reason),
            evidence=(*result.evidence, *precision.evidence),
        )

    @property
    def is_easy(self) -> bool:
        """Whether the validation images, all of them, could not tell more training from chance."""
        best = min(self.trials, key=lambda each: each.error, default=None)
        if best is None or best.images < MIN_EASY_IMAGES:
            return False
        errors = best.errors * max(1.0, self.validation_count / best.images)
        return errors < MAX_EASY_ERRORS and best.error < MAX_EASY_ERROR_RATE

    @property
    def is_in_time(self) -> bool:
        """Whether there is time for more trials: compiling and reading may have taken it."""
        return perf_counter() - self.search_begin < self.seconds

    def _first_round(self, seconds: float) -> list[Trial]:
        """Try each candidate for which there is time; more briefly once the data has proved to be easy."""
        easy_seconds = max(MIN_TRIAL_SECONDS, EASY_SHARE * self.options.seconds / len(self.candidates))
        trials = list[Trial]()
        # The fastest network comes first, then pretrained ones: time may be over before the others.
        order = {SMALL_GREY: 0, **{each.choice.network: 1 for each in self.candidates if each.choice.pretrained}}
        for candidate in sorted(self.candidates, key=lambda each: order.get(each.choice.network, 2)):
            if trials and not self.is_in_time:
                break
            if result := self._try(candidate, min(seconds, easy_seconds) if self.is_easy else seconds):
                trials.append(result)
        return trials

    def _try(self, candidate: TrialCandidate, seconds: float) -> Trial | None:
        key = _preparation(candidate.choice)
        if key not in self.trial_datasets:
            self.trial_datasets[key] = trial.comparable(self._data(candidate.choice), self.options.seed)
        self.on_progress(f"trying {candidate.name} for {duration(seconds)}")
        result = self.run_trial(candidate, self.trial_datasets[key], seconds)
        if result:
            self.trials.append(result)
        return result

    def _data(self, choice: NetworkChoice) -> Dataset:
        key = _preparation(choice)
        if key not in self.datasets:
            self.on_progress(f"reading the images for {choice.network}")
            self.datasets[key] = self.load(choice)
        return self.datasets[key]

    def _result(self, curves: Sequence[tuple[Trial, Trial]]) -> SearchResult:
        useful_seconds = EASY_SHARE * self.options.seconds if self.is_easy else None
        elapsed = perf_counter() - self.command_begin
        seconds = useful_seconds or Budget.of(self.options, elapsed).training_seconds
        predicted_errors = {final.candidate: _predicted_error(first, final, seconds) for first, final in curves}
        best = self._select([final for _, final in curves], predicted_errors)
        finals = {id(final) for _, final in curves}
        evidence = tuple(
            {**each.to_data(), "predicted_error": round(predicted_errors[each.candidate], 5)}
            if id(each) in finals
            else each.to_data()
            for each in self.trials
        )
        reasons, options = [self._reason(best), *self._easy_reason(useful_seconds)], best.candidate.options
        if best.is_mirror_invariant is not None and best.mirrored_error is not None:
            options = replace(options, flip=best.is_mirror_invariant)
            how = "at random" if best.is_mirror_invariant else "never"
            reasons.append(
                f"images are mirrored {how}: a network trained on no mirrored ones classifies "
                f"{1 - best.mirrored_error:.1%} of mirrored validation images correctly, and {1 - best.error:.1%} of "
                "the others"
            )
        choice = best.candidate.choice
        return SearchResult(choice, self._data(choice), options, tuple(reasons), evidence, useful_seconds)

    def _select(self, trials: Sequence[Trial], predicted_errors: Mapping[TrialCandidate, float]) -> Trial:
        """Return the trial with the lowest predicted error; the default's if chance may explain the difference."""
        best = min(trials, key=lambda each: predicted_errors[each.candidate])
        default = next((each for each in trials if each.candidate == self.candidates[0]), None)
        if default is None:
            return best
        optimistic = predicted_errors[default.candidate] - default.margin
        return default if optimistic <= predicted_errors[best.candidate] else best

    def _easy_reason(self, useful_seconds: float | None) -> Iterator[str]:
        """Say why more time would not help, if so."""
        if useful_seconds is not None:
            best = min(self.trials, key=lambda each: each.error)
            yield (
                f"about {duration(useful_seconds)} of training, because a benefit of more could not be measured: a "
                f"trial had only {best.errors} of {best.images:,} validation images wrong, and even half as many would "
                "not differ significantly"
            )

    def _reason(self, best: Trial) -> str:
        other_count = len(self.candidates) - 1
        subject = "recipe was" if other_count == 1 else "recipes were"
        return (
            f"{best.candidate.name}: {1 - best.error:.1%} of {best.images:,} validation images correct after a trial "
            f"of {duration(best.seconds)}; {other_count} other {subject} tried"
        )


def _preparation(choice: NetworkChoice) -> object:
    """Return a key that choices share if they read the same images."""
    return choice.size, choice.preprocessing


def _finalists(trials: Sequence[Trial], count: int) -> list[Trial]:
    """Return the best trial of each network, then the best of the others, `count` in total."""
    sorted_trials = sorted(trials, key=lambda each: each.error)
    best_of_network = {each.candidate.choice.network: each for each in reversed(sorted_trials)}
    others = [each for each in sorted_trials if each not in best_of_network.values()]
    return [*best_of_network.values(), *others][:count]


def _predicted_error(first_trial: Trial, final_trial: Trial, seconds: float) -> float:
    """Return the error after `seconds`, or after the recipe's useful time if that is less.

    It follows from two points of a learning curve; if there is only one, from the usual exponent.
    """
    exponent = DEFAULT_EXPONENT
    if final_trial is not first_trial and final_trial.seconds > first_trial.seconds > 0:
        gain = _effective_images(final_trial) / _effective_images(first_trial)
        estimate = log(first_trial.error / final_trial.error) / max(log(max(gain, 1.0)), 1e-3)
        exponent = (DEFAULT_EXPONENT + min(max(estimate, MIN_EXPONENT), MAX_EXPONENT)) / 2
    if final_trial.error + final_trial.standard_error >= final_trial.chance_error:
        return final_trial.error  # It has learned nothing yet, and a learning curve cannot be extrapolated from there.
    full_training = replace(
        final_trial,
        seconds=max(final_trial.seconds, min(seconds, final_trial.useful_seconds)),
        training_images=final_trial.available_images,
    )
    gain = max(1.0, _effective_images(full_training) / _effective_images(final_trial))
    return float(final_trial.error * gain**-exponent)


def _effective_images(trial: Trial) -> float:
    """Return how many different images, each seen once, the training of a trial is worth."""
    views = max(1.0, trial.seconds / trial.image_seconds)
    unique_images = min(views, trial.training_images)
    repetitions = views / unique_images - 1
    return unique_images * (1 + REPEAT_HALF_LIFE * (1 - exp(-repetitions / REPEAT_HALF_LIFE)))
