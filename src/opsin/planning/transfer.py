"""Plans that begin with trained weights: first a new last layer is trained on features, then more layers with it.

This keeps what the network learned from a million photos (Yosinski et al. 2014). The last layer is trained on the
features that the layer before it computes for a few views of each image; these are computed once. Then all layers are
fine-tuned at a low learning rate, on smaller images than in testing: random crops enlarge objects, so smaller images
make their apparent sizes agree and halve the time of an epoch (Touvron et al. 2019). Batch normalization keeps its
published statistics, because those of few images are less accurate. If time is short, only the last layers are
fine-tuned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

from opsin import nn, zoo
from opsin.base.concurrency import lazy
from opsin.base.formatting import duration
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.planning.budget import (
    Budget,
    bytes_besides_step,
    epoch_seconds,
    evaluation_seconds,
    first_batch_within,
    report_overrun_seconds,
)
from opsin.planning.candidate import Candidate
from opsin.planning.measurement import CostMeter
from opsin.planning.optimization import with_optimizer
from opsin.planning.options import NetworkChoice, TrainOptions
from opsin.training import features, freezing
from opsin.training.freezing import FreezePoint
from opsin.training.plan import FULL_BATCH, Stage, TrainingPlan

MAX_HEAD_VIEWS = 16
MAX_HEAD_FEATURES = 12_000
MAX_HEAD_SHARE = 0.35
"""The last layer trains on at most this many views of an image and, of all images together, about this many; computing
their features takes at most this share of the training time."""

HEAD_BATCH, MIN_HEAD_BATCH = 64, 8
MIN_HEAD_STEPS_PER_EPOCH = 8
HEAD_LEARNING_RATE = 0.004
HEAD_STEPS = 1200
MIN_HEAD_EPOCHS, MAX_HEAD_EPOCHS = 6, 24
"""The last layer learns fast, in about `HEAD_STEPS` steps. It overfits few images in more epochs than the bound."""

MAX_TUNED_WORK = 0.35
"""The share of the MACs in the last layers, if only these are fine-tuned, at most."""

TUNING_BATCH = 32
ALL_LAYERS_LEARNING_RATE = 5e-4
LAST_LAYERS_LEARNING_RATE = 2e-4
MIN_EPOCHS_FROM_START = 2
MIN_EPOCHS_OF_ALL_LAYERS = 3
MIN_EPOCHS_OF_LAST_LAYERS = 2
"""Fewer epochs of fine-tuning are not worth it."""

USEFUL_EPOCHS = 12
MAX_EPOCHS_OF_FEW_IMAGES = 30
USEFUL_IMAGES = 10_000
"""More than 12 epochs only overfit; but there are enough to see 10,000 images, in up to 30 epochs."""

TUNING_SIDE_RATIO = 0.72
SIDE_STEP = 32
MIN_SIDE = 96
"""The side of the images that all layers are fine-tuned on, relative to the side that is tested; a multiple of
`SIDE_STEP` pixels, and not below `MIN_SIDE`."""

UNUSED_SHARE = 0.15
"""The share of unused time above which the plan states the reason."""

MIN_IMAGES_TO_TRAIN_NORMS = 20_000
"""With this many images, batch normalization learns new statistics and parameters, too."""

MIN_IMAGES_TO_TUNE = 100
"""Fewer images say too little about so many parameters: only the last layer is trained."""

WEIGHT_DECAY, SMOOTHING, EMA = 0.1, 0.1, 0.98

PATIENCE = 20
MIN_VALIDATION_FOR_PATIENCE = 1000
"""Training stops after this many epochs without a better validation result, if there are enough validation images to
tell one epoch from another. With fewer, the choice would follow chance, and the last epoch's model is taken."""


@dataclass(frozen=True)
class StageCost:
    """A stage, and the seconds and bytes it takes; `compile_seconds` come once, before the first epoch."""

    stage: Stage
    seconds: float
    bytes: float
    compile_seconds: float = 0.0


class TransferPlanner:
    """Plans for a network with trained weights: the last layer alone, then all layers or the last ones.

    If time is short, all layers are fine-tuned from the start.
    """

    def __init__(
        self, choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
    ) -> None:
        self.choice, self.data, self.options, self.budget, self.meter = choice, data, options, budget, meter
        self.layer = zoo.find(choice.network)(len(data.classes))
        self.freeze_points = freezing.freeze_points(self.layer, data.shape)
        self.head_point = freezing.last_point(self.freeze_points)
        self.optimizer = nn.optimizers.AdamW(weight_decay=WEIGHT_DECAY)
        extractor, self.head_step = nn.features_graphs(
            self.layer, data.shape, self.optimizer, ema=EMA, frozen=self.head_point.frozen
        )
        self.extractor = meter.measure(extractor, features.BATCH)
        self.pass_seconds = len(data.train) * self.extractor.image_seconds
        """One forward pass over all training images."""
        self.evaluation_image_seconds = self.extractor.image_seconds
        """The time of a forward pass of one image in evaluation, which is in float32."""
        if meter.precision is not Precision.FLOAT32:
            self.evaluation_image_seconds = meter.evaluation_seconds(extractor, features.BATCH)
        self.forward_seconds = options.forward_passes * self.evaluation_image_seconds
        self.fixed_seconds = self._fixed_seconds()

    def candidates(self) -> Iterator[Candidate]:
        """Give fine-tuning of all layers, of the last ones, and none, each with the last layer trained first."""
        if self.pass_seconds + self.fixed_seconds > self.budget.training_seconds:
            yield self._single_pass()
            return
        yield from self._direct()
        head = self.head
        if not self.budget.allows(head.bytes):
            yield self._head_alone(head)
            return
        has_fixed_epochs = self.options.epochs is not None
        if has_fixed_epochs or (len(self.data.train) >= MIN_IMAGES_TO_TUNE and self._has_time_to_tune(head)):
            yield from self._tuned(head, self.all_layers, MIN_EPOCHS_OF_ALL_LAYERS)
            yield from self._tuned(head, self.last_layers, MIN_EPOCHS_OF_LAST_LAYERS)
            if not self.budget.allows(self.last_layers.bytes):
                return  # The refusal says how much memory would suffice.
        if not has_fixed_epochs:
            yield self._head_alone(head)

    def plan(self, candidate: Candidate) -> TrainingPlan:
        validation = len(self.data.validation or ())
        plan = replace(
            transfer_plan(self.choice.network, candidate.stages),
            pretrained=self.choice.pretrained,
            weights=self.choice.weights,
            size=self.choice.size,
            seed=self.options.seed,
            patience=PATIENCE if validation >= MIN_VALIDATION_FOR_PATIENCE else None,
        )
        return with_optimizer(plan, self.options, len(self.data.train))

    # -- candidates -------------------------------------------------------------------------------

    def _single_pass(self) -> Candidate:
        """Return the least that any plan takes, for the refusal: a forward pass over all images."""
        seconds = self.pass_seconds + self.fixed_seconds
        name = f"one forward pass over {len(self.data.train):,} images"
        return Candidate((), seconds, 0.0, (), name, required_seconds=seconds, recommended_seconds=seconds)

    def _direct(self) -> Iterator[Candidate]:
        """Give fine-tuning of all layers from the start, if training the last layer before leaves too few epochs.

        A last layer that already fits the published features leaves a few epochs of fine-tuning little to improve.
        """
        if self.options.epochs is not None or len(self.data.train) < MIN_IMAGES_TO_TUNE:
            return
        epoch = self.all_layers
        forward = self.evaluation_image_seconds * self.options.forward_passes
        end_seconds = len(self.data.test or ()) * forward + report_overrun_seconds(self.data, forward, self.budget)
        fixed_seconds = epoch.compile_seconds + end_seconds
        seconds_after_head = self.budget.training_seconds - self.pass_seconds - fixed_seconds
        if not self.budget.allows(epoch.bytes) or seconds_after_head >= self._useful_epochs * epoch.seconds:
            return
        for epochs in range(self._useful_epochs, MIN_EPOCHS_FROM_START - 1, -1):
            seconds = epochs * epoch.seconds + fixed_seconds
            yield Candidate(
                stages=(replace(epoch.stage, epochs=epochs),),
                seconds=seconds,
                bytes=epoch.bytes,
                reasons=(_direct_reason(epoch.stage, epochs), "the last layer is not trained first: no time for it"),
                name=f"{_epochs(epochs)} of fine-tuning all layers",
                required_seconds=seconds,
                recommended_seconds=seconds,
            )

    def _head_alone(self, head: StageCost) -> Candidate:
        count = len(self.data.train)
        is_small_dataset = count < MIN_IMAGES_TO_TUNE
        reason = f"{count:,} images are too few for it" if is_small_dataset else "there is no time for it"
        required = self.pass_seconds + self.fixed_seconds
        return Candidate(
            (head.stage,), head.seconds, head.bytes, (_head_reason(head), f"no fine-tuning: {reason}"),
            "training the last layer", required_seconds=required, recommended_seconds=required,
        )  # fmt: skip

    def _has_time_to_tune(self, head: StageCost) -> bool:
        """Return whether fine-tuning is worth measuring: an epoch takes at least as long as a forward pass."""
        seconds = self.budget.training_seconds - head.seconds
        return seconds >= MIN_EPOCHS_OF_LAST_LAYERS * len(self.data.train) * self.extractor.image_seconds

    def _tuned(self, head: StageCost, epoch: StageCost, min_epochs: int) -> Iterator[Candidate]:
        """Give the useful epochs, then fewer, down to `min_epochs`; or only the number that the options ask for."""
        requested = self.options.epochs
        is_unlimited = requested is not None and not self.budget.is_explicit
        for epochs in range(self._useful_epochs, min_epochs - 1, -1) if requested is None else [requested]:
            tuning_seconds = epochs * epoch.seconds
            seconds = head.seconds + (tuning_seconds + epoch.compile_seconds)
            # With more time, features of more views are computed, too.
            recommended = head.seconds + tuning_seconds + self._max_views * self.pass_seconds
            yield Candidate(
                stages=(head.stage, replace(epoch.stage, epochs=epochs)),
                seconds=seconds,
                bytes=max(head.bytes, epoch.bytes),
                reasons=(_head_reason(head), *self._tuning_reasons(epoch.stage, epochs, seconds)),
                name=f"training with {_epochs(epochs)} of fine-tuning",
                required_seconds=0.0 if is_unlimited else seconds,
                recommended_seconds=recommended,
            )

    def _tuning_reasons(self, stage: Stage, epochs: int, seconds: float) -> Iterator[str]:
        """Say what is fine-tuned, and why there are no more epochs if time stays unused."""
        layers = f"all layers, on images of {stage.size} × {stage.size}"
        if stage.size is None:
            fixed = 1 - self.tuning_point.mac_share
            layers = f"the last layers; the first ones, with {fixed:.0%} of the MACs, stay frozen"
        yield f"then {_epochs(epochs)} of fine-tuning {layers}"
        unused_seconds = self.budget.training_seconds - seconds
        if self.options.epochs is None and unused_seconds > UNUSED_SHARE * self.budget.training_seconds:
            yield f"no more epochs, as they would overfit: {duration(unused_seconds)} stay unused"

    # -- stages -----------------------------------------------------------------------------------

    @lazy
    def head(self) -> StageCost:
        """The last layer, trained on features of as many views as there is time for."""
        images, forward = len(self.data.train), self.extractor.image_seconds
        seconds_for_views = self._seconds_for_views(self.budget.training_seconds - self.fixed_seconds)
        views = max(1, min(self._max_views, int(seconds_for_views / (images * forward))))
        batch = self._full_batch or self._head_batch()
        epochs = max(MIN_HEAD_EPOCHS, min(MAX_HEAD_EPOCHS, round(HEAD_STEPS / ceil(images / batch))))
        step = self.meter.measure(self.head_step, batch)
        feature_bytes = features.feature_bytes(images, self.head_point.features, views)
        in_memory = feature_bytes if feature_bytes <= features.MAX_BYTES_IN_MEMORY else 0
        stage = Stage(
            name="head", epochs=epochs, batch=batch, learning_rate=HEAD_LEARNING_RATE, frozen=self.head_point.frozen,
            features=True, views=views, augment=self.options.augment or "light",
        )  # fmt: skip
        seconds = views * images * forward + self.fixed_seconds + epochs * epoch_seconds(images, batch, step)
        return StageCost(stage, seconds, self._fixed_bytes() + step.bytes + self.extractor.bytes + in_memory)

    @lazy
    def all_layers(self) -> StageCost:
        """An epoch of fine-tuning all layers; batch normalization is frozen unless there are many images."""
        frozen = () if len(self.data.train) >= MIN_IMAGES_TO_TRAIN_NORMS else freezing.batch_norms(self.layer)
        return self._tuning_epoch(frozen, ALL_LAYERS_LEARNING_RATE, tuning_side(max(self.data.shape[1:])))

    @lazy
    def last_layers(self) -> StageCost:
        """An epoch of fine-tuning the last layers only."""
        first = self.tuning_point.frozen
        norms = freezing.without(freezing.batch_norms(self.layer), first)
        return self._tuning_epoch(first + norms, LAST_LAYERS_LEARNING_RATE, None)

    def _tuning_epoch(self, frozen: tuple[str, ...], learning_rate: float, side: int | None) -> StageCost:
        """Return an epoch in which all layers but `frozen` learn, on images of this `side` (None: the data's)."""
        data, options = self.data, self.options
        shape = data.shape if side is None else (data.shape[0], side, side)
        graph = nn.training_graph(self.layer, shape, self.optimizer, ema=EMA, frozen=frozen)
        batch_cost = first_batch_within(
            self.budget, self._tuning_batches(), lambda batch: self.meter.measure(graph, batch), self._fixed_bytes()
        )
        step = batch_cost.step
        stage = Stage(
            name="fine-tuning", epochs=1, batch=batch_cost.batch, learning_rate=options.learning_rate or learning_rate,
            frozen=frozen, augment=options.augment or "light", size=side,
        )  # fmt: skip
        seconds = epoch_seconds(len(data.train), batch_cost.batch, step)
        seconds += evaluation_seconds(data, options.forward_passes * self.evaluation_image_seconds)
        return StageCost(stage, seconds, batch_cost.peak_bytes, step.compile_seconds)

    # -- limits -----------------------------------------------------------------------------------

    def _fixed_seconds(self) -> float:
        """Return the time for evaluation after the last layer's training and at the end, and for the report."""
        data, forward, passes = self.data, self.evaluation_image_seconds, self.options.forward_passes
        seconds = (evaluation_seconds(data, forward) + len(data.test or ()) * forward) * passes
        return seconds + report_overrun_seconds(data, forward * passes, self.budget)

    def _fixed_bytes(self) -> float:
        """Return the memory that the process needs in addition to a training step."""
        return bytes_besides_step(self.meter.machine.process_bytes(), self.data)

    def _seconds_for_views(self, available: float) -> float:
        """Return the time for features: what fine-tuning of all layers leaves of it, but at most a share."""
        share = MAX_HEAD_SHARE * available
        if len(self.data.train) < MIN_IMAGES_TO_TUNE or self.options.epochs is not None:
            return share
        epoch = self.all_layers
        if not self.budget.allows(epoch.bytes):
            return share
        return min(share, available - epoch.compile_seconds - self._useful_epochs * epoch.seconds)

    @property
    def _useful_epochs(self) -> int:
        """The epochs of fine-tuning after which more would overfit."""
        return max(USEFUL_EPOCHS, min(MAX_EPOCHS_OF_FEW_IMAGES, USEFUL_IMAGES // len(self.data.train)))

    @property
    def _max_views(self) -> int:
        """The useful views of an image: one if all would be the same."""
        if self.options.augment == "none":
            return 1
        return max(1, min(MAX_HEAD_VIEWS, MAX_HEAD_FEATURES // len(self.data.train)))

    @property
    def tuning_point(self) -> FreezePoint:
        """The point after which layers are fine-tuned if only the last ones are."""
        fitting = (point for point in self.freeze_points if point.mac_share <= MAX_TUNED_WORK)
        return next(fitting, self.freeze_points[-1])

    def _head_batch(self) -> int:
        """Return the batch for the last layer: smaller for few images, so that an epoch has enough steps."""
        images, batch = len(self.data.train), HEAD_BATCH
        while batch > MIN_HEAD_BATCH and images < MIN_HEAD_STEPS_PER_EPOCH * batch:
            batch //= 2
        return min(batch, images)

    @property
    def _full_batch(self) -> int | None:
        """The number of all images if the optimizer is gradient descent."""
        return len(self.data.train) if self.options.optimizer == FULL_BATCH else None

    def _tuning_batches(self) -> list[int]:
        """Return the batch sizes to try for fine-tuning; only one if the options fix it."""
        if self._full_batch:
            return [self._full_batch]
        max_batch = min(self.options.batch or TUNING_BATCH, len(self.data.train))
        return (
            [max_batch]
            if self.options.batch
            else [size for size in (max_batch, max_batch // 2, max_batch // 4) if size]
        )


def transfer_plan(network: str, stages: tuple[Stage, ...]) -> TrainingPlan:
    """Return a plan that begins with published weights, with the hyperparameters of fine-tuning."""
    return TrainingPlan(
        network=network, pretrained=True, stages=stages, weight_decay=WEIGHT_DECAY, label_smoothing=SMOOTHING, ema=EMA
    )


def tuning_side(side: int) -> int:
    """Return the side of the images on which all layers are fine-tuned, for a model that sees `side` pixels."""
    return min(side, max(MIN_SIDE, round(TUNING_SIDE_RATIO * side / SIDE_STEP) * SIDE_STEP))


def _epochs(count: int) -> str:
    return "one epoch" if count == 1 else f"{count} epochs"


def _direct_reason(stage: Stage, epochs: int) -> str:
    return f"{_epochs(epochs)} of fine-tuning all layers from the start, on images of {stage.size} × {stage.size}"


def _head_reason(head: StageCost) -> str:
    views = head.stage.views
    count = "one view of every image" if views == 1 else f"{views} views of every image"
    return f"first the last layer alone, on features of {count}, which are computed once"
