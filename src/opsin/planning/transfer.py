"""Plans that begin with published weights: first a new last layer on features, then the last layers with it.

What others learnt from a million photos is kept (Yosinski et al. 2014): the last layer is trained on what the one
before gives for a few views of each image, which is computed once. From there all layers are tuned gently, on smaller
images than those that are tested: random crops show objects larger than testing does, so that both see them about
alike, and epochs take half the time (Touvron et al. 2019). Batch normalisation keeps its published statistics, which
few images could only spoil. Where time is short, only the last layers are tuned.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil, floor

from opsin import nn, zoo
from opsin.base.concurrency import lazy
from opsin.base.errors import UsageError
from opsin.base.formatting import duration
from opsin.data import Dataset
from opsin.planning.budget import Budget, batch_that_fits, epoch_seconds, evaluating, reporting
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.measurement import Cost, measure
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import FittedPlan, NetworkChoice, TrainOptions
from opsin.training import features, freezing
from opsin.training.freezing import FreezePoint
from opsin.training.plan import FULL_BATCH, Stage, TrainingPlan

LOOK = 0.25
"""The share of the time that one pass through all images may take."""

TUNING, SEEN, EPOCHS, EPOCH = 0.6, 10_000, 4, 1.7
"""The share of the time in which one pass and some epochs of tuning all layers should fit: so many images, in at most
so many epochs, each of which takes so many times as long as the pass."""

VIEWS, VIEWED, VIEWING = 16, 12_000, 0.35
"""At most so many views of an image for the last layer, so many of all images together, and the share of the time
that they may take."""

HEAD_BATCH, HEAD_RATE, HEAD_STEPS = 64, 0.004, 1200
HEAD_SMALLEST, HEAD_STEPS_AN_EPOCH = 8, 8
HEAD_EPOCHS = (6, 24)
"""The last layer learns fast: so many steps, in epochs between these bounds. Few images it soon knows by heart."""

TUNED = 0.35
"""At most this share of the multiply-adds is in the layers that are tuned."""

TUNING_BATCH, LAST_RATE, WHOLE_RATE = 32, 2e-4, 5e-4
"""Images in a step of tuning, and the learning rates if the last layers are tuned, or all."""

FEWEST, WHOLE_FEWEST = 2, 3
"""Epochs of tuning, of the last layers and of all: fewer are not worth it."""

MOST, MOST_SEEN, MOST_OF_FEW = 12, 10_000, 30
"""Epochs of tuning at most, but enough to see so many images, up to so many epochs: more only learn by heart."""

SMALLER, STEP, LEAST = 0.72, 32, 96
"""The side of the images that all layers are tuned on, as a share of the side that is tested; in steps of so many
pixels, and at least so large."""

SPARE = 0.15
"""The share of the time from which on a plan says why it does not use it."""

MANY = 20_000
"""So many images teach batch normalisation other statistics, too."""

FEW = 100
"""Fewer images than these say too little of so many parameters: only the last layer learns."""

WEIGHT_DECAY, SMOOTHING, EMA = 0.1, 0.1, 0.98
PATIENCE, TELLING = 20, 1000
"""Epochs without a better result on validation after which tuning ends, and the validation images that it takes to
tell one epoch from another; with fewer the last epoch's model is taken, as choosing would follow chance."""


def looking(network: str, side: int, facts: DatasetSummary, wishes: TrainOptions) -> float:
    """Seconds that this machine takes to look at every image once, at `side` × `side`."""
    graph = nn.trace(zoo.find(network)(facts.classes), (3, side, side))
    cost = measure(graph, features.BATCH, wishes.threads)
    return cost.seconds * (facts.images + facts.held_out)


def affordable(look: float, images: int, seconds: float) -> bool:
    """Whether a pass that takes `look` seconds leaves enough of all `seconds` to tune on so many `images`."""
    epochs = min(EPOCHS, SEEN / max(1, images))
    return look <= LOOK * seconds and look * (1 + EPOCH * epochs) <= TUNING * seconds


@dataclass(frozen=True)
class StageCost:
    """A stage, and the seconds and bytes it takes."""

    stage: Stage
    seconds: float
    bytes: float


@dataclass(frozen=True)
class EpochCost(StageCost):
    """A stage of one epoch; `compiling` are the seconds before the first, which come once."""

    compiling: float


def fit(outline: NetworkChoice, data: Dataset, wishes: TrainOptions, budget: Budget) -> FittedPlan:
    """The head first, then fine-tuning if there is time. Raises `UsageError` where time or memory do not suffice."""
    fitting = _TransferPlanner(outline, data, wishes, budget)
    head = fitting.head()
    parts, reasons = [head], [f"first the last layer alone, on {_views(head.stage.views)}, computed once"]
    tuned = fitting.tuning(budget.left - head.seconds)
    if tuned:
        parts.append(tuned)
        count = tuned.stage.epochs
        some = f"the last layers; the first ones, with {1 - fitting.cut.work:.0%} of the work, stay as they are"
        side = tuned.stage.size
        tuning = some if side is None else f"all layers, on images of {side} × {side}"
        reasons.append(f"then {count} {'epoch' if count == 1 else 'epochs'} of fine-tuning {tuning}")
        spare = budget.left - head.seconds - tuned.seconds
        if wishes.epochs is None and spare > SPARE * budget.left:
            reasons.append(f"no more epochs, which would only learn the images by heart: {duration(spare)} stay unused")
    elif len(data.train) < FEW:
        reasons.append(f"no fine-tuning: {len(data.train):,} images are too few for it")
    else:
        reasons.append("no fine-tuning: there is no time for it")
    plan = TrainingPlan(
        network=outline.network, pretrained=True, size=outline.size, stages=tuple(part.stage for part in parts),
        seed=wishes.seed, weight_decay=WEIGHT_DECAY, smoothing=SMOOTHING, ema=EMA,
        patience=PATIENCE if data.validation is not None and len(data.validation) >= TELLING else None,
    )  # fmt: skip
    plan = with_optimizer(plan, wishes, len(data.train))
    return FittedPlan(plan, tuple(reasons), sum(part.seconds for part in parts), max(part.bytes for part in parts))


class _TransferPlanner:
    """Stages for a network and data, by what their steps cost here."""

    def __init__(self, outline: NetworkChoice, data: Dataset, wishes: TrainOptions, budget: Budget) -> None:
        self.outline, self.data, self.wishes, self.budget = outline, data, wishes, budget
        self.layer = zoo.find(outline.network)(len(data.classes))
        self.cuts = freezing.cuts(self.layer, data.shape)
        self.last = freezing.last(self.cuts)
        self.optimizer = nn.optimizers.AdamW(weight_decay=WEIGHT_DECAY)
        trunk, self.step = nn.features_graphs(self.layer, data.shape, self.optimizer, ema=EMA, frozen=self.last.frozen)
        self.look = measure(trunk, features.BATCH, wishes.threads, budget.ways)
        self.cut = self._cut()

    def head(self) -> StageCost:
        """The last layer on its own. Raises `UsageError` where there is no time for a look at every image."""
        images, look, left = len(self.data.train), self.look.seconds, self.budget.left
        fixed = (evaluating(self.data, look) + len(self.data.require_test()) * look) * self.wishes.looks
        fixed += reporting(self.data, look * self.wishes.looks, self.budget)
        if images * look + fixed > left:
            raise self.budget.refuse(images * look + fixed, f"one look at {images:,} images")
        views = max(1, min(self._most_views(), int(self._viewing(left - fixed) / (images * look))))
        batch = self._full_batch or self._head_batch()
        steps = ceil(images / batch)
        epochs = max(HEAD_EPOCHS[0], min(HEAD_EPOCHS[1], round(HEAD_STEPS / steps)))
        step = measure(self.step, batch, self.wishes.threads, self.budget.ways)
        room = features.bytes_of(images, self.last.features, views)
        kept = room if room <= features.IN_MEMORY else 0
        _, _, memory = batch_that_fits([batch], lambda _: _both(step, self.look), self.wishes, self.data, kept)
        stage = Stage(
            name="head", epochs=epochs, batch=batch, learning_rate=HEAD_RATE, frozen=self.last.frozen, features=True,
            views=views, augment=self.wishes.augment or "light",
        )  # fmt: skip
        return StageCost(stage, views * images * look + fixed + epochs * epoch_seconds(images, batch, step), memory)

    def _viewing(self, left: float) -> float:
        """Seconds for views of the images: what tuning leaves of `left`, if there is any; at most a share of it."""
        if len(self.data.train) < FEW or self.wishes.epochs is not None:
            return VIEWING * left
        with suppress(UsageError):
            epoch = self._whole
            return min(VIEWING * left, left - epoch.compiling - self._most_epochs * epoch.seconds)
        return VIEWING * left

    @lazy
    def _whole(self) -> EpochCost:
        """An epoch in which all layers learn. `UsageError` if there is no memory for it."""
        norms = () if len(self.data.train) >= MANY else freezing.norms(self.layer)
        return self._epoch(norms, WHOLE_RATE, self._smaller())

    @property
    def _most_epochs(self) -> int:
        """Epochs of tuning from which on there is nothing to gain."""
        return max(MOST, min(MOST_OF_FEW, MOST_SEEN // len(self.data.train)))

    def tuning(self, left: float) -> StageCost | None:
        """As many epochs as fit into `left` seconds, or that were asked for; None where that is not worth it."""
        asked, images = self.wishes.epochs, len(self.data.train)
        if asked is None and (images < FEW or left < FEWEST * images * self.look.seconds):
            return None
        with suppress(UsageError):  # where the memory does not suffice, it may for the last layers
            whole = self._tuned(left, self._whole, WHOLE_FEWEST)
            if whole:
                return whole
        frozen = self.cut.frozen + freezing.without(freezing.norms(self.layer), self.cut.frozen)
        epoch = self._epoch(frozen, LAST_RATE, None)
        part = self._tuned(left, epoch, FEWEST)
        if part is None and asked is not None:
            most = self._most_views() * images * self.look.seconds  # with more time there are more views
            needed = asked * epoch.seconds + self.budget.left - left + most
            raise self.budget.refuse(needed, f"training with {asked} epochs of fine-tuning")
        return part

    def _tuned(self, left: float, epoch: EpochCost, fewest: int) -> StageCost | None:
        """The epochs that were asked for, or `fewest` and more; None where they do not fit."""
        asked, affordable = self.wishes.epochs, floor((left - epoch.compiling) / epoch.seconds)
        if (asked is None or self.budget.asked) and affordable < (asked or fewest):
            return None
        stage = replace(epoch.stage, epochs=asked or min(self._most_epochs, affordable))
        return StageCost(stage, stage.epochs * epoch.seconds + epoch.compiling, epoch.bytes)

    def _smaller(self) -> int:
        """The side of the images to tune all layers on."""
        side = max(self.data.shape[1:])
        return min(side, max(LEAST, round(SMALLER * side / STEP) * STEP))

    def _epoch(self, frozen: tuple[str, ...], rate: float, side: int | None) -> EpochCost:
        """One with all but `frozen` learning, on images of this `side`."""
        data, wishes = self.data, self.wishes
        shape = data.shape if side is None else (data.shape[0], side, side)
        graph = nn.training_graph(self.layer, shape, self.optimizer, ema=EMA, frozen=frozen)
        batch, step, memory = batch_that_fits(
            self._batches(), lambda size: measure(graph, size, wishes.threads, self.budget.ways), wishes, data
        )
        stage = Stage(
            name="fine-tuning", epochs=1, batch=batch, learning_rate=wishes.learning_rate or rate,
            frozen=frozen, augment=wishes.augment or "light", size=side,
        )  # fmt: skip
        seconds = epoch_seconds(len(data.train), batch, step) + evaluating(data, wishes.looks * self.look.seconds)
        return EpochCost(stage, seconds, memory, step.compiling)

    def _most_views(self) -> int:
        """The views for which there is a use."""
        return 1 if self.wishes.augment == "none" else max(1, min(VIEWS, VIEWED // len(self.data.train)))

    def _cut(self) -> FreezePoint:
        """Where the layers begin that are tuned."""
        return next((cut for cut in self.cuts if cut.work <= TUNED), self.cuts[-1])

    def _head_batch(self) -> int:
        """Smaller for few images, by halves: an epoch of one or two steps would teach the last layer too little."""
        images, batch = len(self.data.train), HEAD_BATCH
        while batch > HEAD_SMALLEST and images < HEAD_STEPS_AN_EPOCH * batch:
            batch //= 2
        return min(batch, images)

    @property
    def _full_batch(self) -> int | None:
        """All images, for gradient descent."""
        return len(self.data.train) if self.wishes.optimizer == FULL_BATCH else None

    def _batches(self) -> list[int]:
        if self._full_batch:
            return [self._full_batch]
        most = min(self.wishes.batch or TUNING_BATCH, len(self.data.train))
        return [most] if self.wishes.batch else [size for size in (most, most // 2, most // 4) if size]


def _both(step: Cost, look: Cost) -> Cost:
    return replace(step, bytes=step.bytes + look.bytes)


def _views(count: int) -> str:
    return "one view of every image" if count == 1 else f"{count} views of every image"
