"""Choosing among recipes by what each learns in a short trial on the data itself.

Successive halving (Jamieson & Talwalkar 2016): every recipe trains for the same few seconds; the best one of each
network trains again for three times as long. Two points of its learning curve say how its error falls with time, as a
power law (Hestness et al. 2017), and hence what each would reach in all the time there is: a small network that is
ahead after seconds is often behind after minutes. The default recipe stays unless another one is predicted to be better
by more than chance explains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log
from time import perf_counter
from typing import Any

from opsin.base.formatting import duration
from opsin.data import Dataset
from opsin.planning import trial
from opsin.planning.budget import Budget
from opsin.planning.candidates import Candidate, candidates
from opsin.planning.networks import SMALL_GREY
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.planning.trial import Trial

Load = Callable[[NetworkChoice], Dataset]
Progress = Callable[[str], None]

SHARE, SHORT_SHARE, SHORT = 0.15, 0.25, 120.0
"""The share of the training time for all trials, and its value for budgets shorter than the last."""

SHORTEST_TRIAL = 1.0
"""Seconds under which a trial shows nothing."""

FEWEST_VALIDATION = 12
"""Validation images under which recipes cannot be told apart."""

LONGER = 3.0
"""How much longer the trials of the second round are."""

USUAL_EXPONENT, EXPONENTS = 0.35, (0.05, 0.6)
"""How fast errors usually fall with the number of different images, and the bounds of what two points are believed."""

REPEATED = 0.4
"""How much an image that was seen before counts, as a power: twice the epochs are worth 2^0.4 times the images."""

EASY_WRONG, EASY_ERROR, EASY_SHARE = 10, 0.05, 0.03
"""With fewer wrong validation images than the first, and a smaller share than the second, even half as many errors
could not be told from chance (a sign test needs five images). Trials and training then get this share of the budget."""


@dataclass(frozen=True)
class SearchResult:
    """The recipe that was chosen: `outline`, its `data` and `options`; `reasons` in sentences, `evidence` for the plan.

    `useful` is how many seconds of training are of use, if that is less than there are.
    """

    outline: NetworkChoice
    data: Dataset
    options: TrainOptions
    reasons: tuple[str, ...] = ()
    evidence: tuple[Mapping[str, Any], ...] = ()
    useful: float | None = None


def intention(default: NetworkChoice, data: Dataset, options: TrainOptions, spent: float) -> str:
    """What `search` would try, in a sentence; empty if nothing."""
    tried, seconds = _planned(default, data, options, spent)
    if len(tried) < 2:
        return ""
    names = "; ".join(each.name for each in tried)
    return f"{len(tried)} recipes are tried first, for {duration(seconds)} together: {names}"


def search(
    default: NetworkChoice, data: Dataset, options: TrainOptions, spent: float, load: Load, on_progress: Progress
) -> SearchResult:
    """Try recipes on `data`, which `default` describes, `spent` seconds after the command was given.

    `load` reads the data for another outline; `on_progress` is told what is going on.
    """
    return _Search(default, data, options, spent, load, on_progress).run()


def _seconds(options: TrainOptions, spent: float) -> float:
    """The time for all trials."""
    share = SHORT_SHARE if options.seconds < SHORT else SHARE
    return share * max(0.0, Budget.of(options, spent, timed=False).left)


def _planned(
    default: NetworkChoice, data: Dataset, options: TrainOptions, spent: float
) -> tuple[list[Candidate], float]:
    """As many candidates as there is time for, and that time; only one if trials show nothing or there is no time."""
    tried, seconds = candidates(default, options), _seconds(options, spent)
    if trial.validation_images(data) < FEWEST_VALIDATION:
        return tried[:1], 0.0
    count = min(len(tried), int(seconds / SHORTEST_TRIAL))
    return (tried[:count], seconds) if count > 1 else (tried[:1], 0.0)


class _Search:
    def __init__(
        self,
        default: NetworkChoice,
        data: Dataset,
        options: TrainOptions,
        spent: float,
        load: Load,
        on_progress: Progress,
    ) -> None:
        self.default, self.options, self.on_progress, self.load = default, options, on_progress, load
        self.loaded = {_reading(default): data}
        self.compared: dict[object, Dataset] = {}
        self.started = perf_counter()
        self.begin = self.started - spent
        self.tried, self.seconds = _planned(default, data, options, spent)
        self.validation = len(data.validation or ())
        self.trials: list[Trial] = []

    def run(self) -> SearchResult:
        if len(self.tried) < 2:
            return SearchResult(self.default, self._data(self.default), self.options)
        second = max(2, len({each.outline.network for each in self.tried}))
        rounds = len(self.tried) + (LONGER * second if self.seconds / SHORTEST_TRIAL >= len(self.tried) + 6 else 0)
        first = self._first_round(self.seconds / rounds)
        if not first:
            return SearchResult(self.default, self._data(self.default), self.options)
        finalists = _finalists(first, second)
        curves = [(early, early) for early in finalists]
        if rounds > len(self.tried) and not self.easy and self.in_time:
            longer = LONGER * self.seconds / rounds
            curves = [(early, self._try(early.candidate, longer) or early) for early in finalists]
        return self._chosen(curves)

    @property
    def easy(self) -> bool:
        """Whether the validation images, all of them, could not tell more training from chance."""
        best = min(self.trials, key=lambda each: each.error, default=None)
        if best is None or best.images < 100:
            return False
        return best.wrong * max(1.0, self.validation / best.images) < EASY_WRONG and best.error < EASY_ERROR

    @property
    def in_time(self) -> bool:
        """Whether there is time for more: compiling and reading may have taken it."""
        return perf_counter() - self.started < self.seconds

    def _first_round(self, seconds: float) -> list[Trial]:
        """A trial of each candidate for which there is time; shorter ones once the data has shown to be easy."""
        short = max(SHORTEST_TRIAL, EASY_SHARE * self.options.seconds / len(self.tried))
        trials = list[Trial]()
        # The fastest network first, then those that know something already: time may be over before the others.
        order = {SMALL_GREY: 0, **{each.outline.network: 1 for each in self.tried if each.outline.pretrained}}
        for candidate in sorted(self.tried, key=lambda each: order.get(each.outline.network, 2)):
            if trials and not self.in_time:
                break
            if result := self._try(candidate, min(seconds, short) if self.easy else seconds):
                trials.append(result)
        return trials

    def _try(self, candidate: Candidate, seconds: float) -> Trial | None:
        key = _reading(candidate.outline)
        if key not in self.compared:
            self.compared[key] = trial.comparable(self._data(candidate.outline), self.options.seed)
        self.on_progress(f"trying {candidate.name} for {duration(seconds)}")
        result = trial.run(candidate, self.compared[key], seconds)
        if result:
            self.trials.append(result)
        return result

    def _data(self, outline: NetworkChoice) -> Dataset:
        key = _reading(outline)
        if key not in self.loaded:
            self.on_progress(f"reading the images for {outline.network}")
            self.loaded[key] = self.load(outline)
        return self.loaded[key]

    def _chosen(self, curves: Sequence[tuple[Trial, Trial]]) -> SearchResult:
        useful = EASY_SHARE * self.options.seconds if self.easy else None
        left = useful or Budget.of(self.options, perf_counter() - self.begin, timed=False).left
        expected = {late.candidate: _predicted(early, late, left) for early, late in curves}
        best, at = min(curves, key=lambda curve: expected[curve[1].candidate])[1], self.tried[0]
        default = next((late for _, late in curves if late.candidate == at), None)
        if default and expected[at] - default.deviation / 2 <= expected[best.candidate]:
            best = default
        chosen = best.candidate
        evidence = tuple(
            {**each.to_data(), "predicted_error": round(expected[each.candidate], 5)}
            if any(each is late for _, late in curves)
            else each.to_data()
            for each in self.trials
        )
        reasons, options = [self._reason(best), *self._enough(useful)], chosen.options
        if best.mirrors is not None and best.mirrored_error is not None:
            options = replace(options, flip=best.mirrors)
            how = "at random" if best.mirrors else "never"
            reasons.append(
                f"images are mirrored {how}: a network that saw none mirrored has {1 - best.mirrored_error:.1%} of "
                f"mirrored validation images right, and {1 - best.error:.1%} of others"
            )
        return SearchResult(chosen.outline, self._data(chosen.outline), options, tuple(reasons), evidence, useful)

    def _enough(self, useful: float | None) -> Iterator[str]:
        """Why more time would not help, if so."""
        if useful is not None:
            best = min(self.trials, key=lambda each: each.error)
            yield (
                f"about {duration(useful)} of training, as more would not show: only {best.wrong} of {best.images:,} "
                "validation images were wrong in a trial, and even half of these could not be told from chance"
            )

    def _reason(self, best: Trial) -> str:
        others = len(self.tried) - 1
        what = "recipe was" if others == 1 else "recipes were"
        return (
            f"{best.candidate.name}: {1 - best.error:.1%} of {best.images:,} validation images right after "
            f"{duration(best.seconds)} of trial; {others} other {what} tried"
        )


def _reading(outline: NetworkChoice) -> object:
    """What outlines that read the same images have in common."""
    return outline.size, outline.preprocessing


def _finalists(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The best trial of each network, then the best of the others, `count` together."""
    ordered = sorted(trials, key=lambda each: each.error)
    networks = {each.candidate.outline.network: each for each in reversed(ordered)}
    rest = [each for each in ordered if each not in networks.values()]
    return [*networks.values(), *rest][:count]


def _predicted(early: Trial, late: Trial, seconds: float) -> float:
    """The error after `seconds`, or the recipe's usual time if that is less, by two points of a learning curve."""
    exponent = USUAL_EXPONENT
    if late is not early and late.seconds > early.seconds > 0:
        growth = _growth(late.seconds / early.seconds, late.learned / early.learned)
        fall = log(early.error / late.error) / max(log(growth), 1e-3)
        exponent = (USUAL_EXPONENT + min(max(fall, EXPONENTS[0]), EXPONENTS[1])) / 2
    longer = max(1.0, min(seconds, late.usual) / max(late.seconds, 1e-3))
    worth = _growth(longer, late.available / late.learned)
    return float(late.error * worth**-exponent)


def _growth(longer: float, images: float) -> float:
    """What a training that is `longer` by a factor is worth if there are at most `images` times as many images."""
    new = max(1.0, min(longer, images))
    return float(new * max(1.0, longer / new) ** REPEATED)
