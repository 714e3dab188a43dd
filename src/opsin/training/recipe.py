"""The default recipes for training from scratch, with which the figures in the README were measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from opsin.ir.checked import check_fields
from opsin.training.plan import Stage, TrainingPlan, check_batch, check_epochs, check_rate, check_seed


@dataclass(frozen=True, kw_only=True)
class RecipeDefaults:
    """The default values for a network.

    `learning_rate` is for batches of `batch` images. A run sees `images_seen` images in total, in `min_epochs` to
    `max_epochs` epochs. Smaller data gets smaller batches, down to `min_batch` images, to keep at least
    `min_steps` steps per epoch.
    """

    optimizer: str
    batch: int
    learning_rate: float
    weight_decay: float
    warmup_fraction: float
    label_smoothing: float = 0.0
    ema: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    norm_bias_lr_scale: float = 1.0
    images_seen: int
    min_epochs: int
    max_epochs: int = 200
    min_steps: int = 0
    min_batch: int = 1

    def epochs_for(self, images: int) -> int:
        """Return the number of epochs for `images` training images."""
        return max(self.min_epochs, min(self.max_epochs, self.images_seen // images))

    def batch_for(self, images: int) -> int:
        """Return the batch size for `images` training images: the default, halved while epochs are too short."""
        batch = self.batch
        while batch // 2 >= self.min_batch and images < self.min_steps * batch:
            batch //= 2
        return min(batch, images)

    def rate_for(self, batch: int) -> float:
        """Return the learning rate for another batch size.

        SGD scales it linearly for smaller batches (Goyal et al. 2017) and by the square root for larger ones; the
        adaptive optimizers keep it.
        """
        share = batch / self.batch
        return self.learning_rate * min(share, sqrt(share)) if self.optimizer == "sgd" else self.learning_rate


ADAMW_ONE_CYCLE = RecipeDefaults(
    optimizer="adamw",
    batch=64,
    learning_rate=0.004,
    weight_decay=0.01,
    warmup_fraction=0.25,
    images_seen=125_000,
    min_epochs=15,
)
"""AdamW (Loshchilov & Hutter 2019) on a one-cycle schedule (Smith & Topin 2018)."""

RESNET9 = RecipeDefaults(
    optimizer="sgd", nesterov=True, batch=128, learning_rate=0.2, weight_decay=5e-4, warmup_fraction=0.2,
    label_smoothing=0.1, ema=0.99, images_seen=2_000_000, min_epochs=15, min_steps=40, min_batch=16,
)  # fmt: skip
"""SGD with Nesterov momentum at a high learning rate on one cycle: David Page, "How to train your ResNet", 2018, with
a rate of 0.4 for batches of 512; smaller batches make more steps in the same time.
"""

AIRBENCH = replace(RESNET9, momentum=0.85, weight_decay=1.3e-3, label_smoothing=0.2, norm_bias_lr_scale=64.0)
"""Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, with its learning rates
for batches of 1,024 scaled to smaller ones.
"""

DEFAULTS = {"resnet9": RESNET9, "resnet9_half": RESNET9, "airbench94": AIRBENCH, "airbench95": AIRBENCH}


def defaults_of(network: str) -> RecipeDefaults:
    """Return the default values for the network of that name."""
    return DEFAULTS.get(network, ADAMW_ONE_CYCLE)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained from scratch. Values that are None follow from the network and the number of images.

    `learning_rate` is the highest of the cycle. Raises `UsageError` for values that make no sense.
    """

    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.epochs is not None:
            check_epochs(self.epochs)
        if self.batch is not None:
            check_batch(self.batch)
        check_seed(self.seed)
        if self.learning_rate is not None:
            check_rate(self.learning_rate)

    def plan(self, network: str, images: int) -> TrainingPlan:
        """Return the plan for `network` and `images` training images."""
        defaults = defaults_of(network)
        batch = min(self.batch, images) if self.batch else defaults.batch_for(images)
        stage = Stage(
            epochs=self.epochs or defaults.epochs_for(images), batch=batch,
            learning_rate=self.learning_rate or defaults.rate_for(batch), warmup_fraction=defaults.warmup_fraction,
        )  # fmt: skip
        return TrainingPlan(
            network=network, stages=(stage,), seed=self.seed, optimizer=defaults.optimizer, momentum=defaults.momentum,
            nesterov=defaults.nesterov, norm_bias_lr_scale=defaults.norm_bias_lr_scale,
            weight_decay=defaults.weight_decay, label_smoothing=defaults.label_smoothing, ema=defaults.ema,
        )  # fmt: skip
