"""How Opsin trains from scratch when nobody says otherwise: the values that the figures in the README come from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from opsin.ir.checked import check_fields
from opsin.training.plan import Stage, TrainingPlan, check_batch, check_epochs, check_rate, check_seed


@dataclass(frozen=True, kw_only=True)
class RecipeDefaults:
    """The values that suit a network. `learning_rate` goes with `batch`; `seen` images are seen in all, in between
    `fewest` and `most` epochs, and an epoch has `steps` steps or more, down to `smallest` images in each.
    """

    optimizer: str
    batch: int
    learning_rate: float
    weight_decay: float
    rise: float
    smoothing: float = 0.0
    ema: float = 0.0
    momentum: float = 0.9
    nesterov: bool = False
    shift_rate: float = 1.0
    seen: int
    fewest: int
    most: int = 200
    steps: int = 0
    smallest: int = 1

    def epochs_for(self, images: int) -> int:
        """More for small data."""
        return max(self.fewest, min(self.most, self.seen // images))

    def batch_for(self, images: int) -> int:
        """Smaller where there are few images, by halves."""
        batch = self.batch
        while batch // 2 >= self.smallest and images < self.steps * batch:
            batch //= 2
        return min(batch, images)

    def rate_for(self, batch: int) -> float:
        """Steps of SGD over fewer images are as much smaller (Goyal et al. 2017), over more ones carefully larger;
        Adam's are as large anyway.
        """
        share = batch / self.batch
        return self.learning_rate * min(share, sqrt(share)) if self.optimizer == "sgd" else self.learning_rate


ADAMW_ONE_CYCLE = RecipeDefaults(
    optimizer="adamw", batch=64, learning_rate=0.004, weight_decay=0.01, rise=0.25, seen=125_000, fewest=15
)
"""AdamW (Loshchilov & Hutter 2019) on a one-cycle schedule (Smith & Topin 2018)."""

RESNET9 = RecipeDefaults(
    optimizer="sgd", nesterov=True, batch=128, learning_rate=0.2, weight_decay=5e-4, rise=0.2, smoothing=0.1, ema=0.99,
    seen=2_000_000, fewest=15, steps=40, smallest=16,
)  # fmt: skip
"""SGD with Nesterov's momentum at a high rate, which rises and falls once: David Page, "How to train your ResNet",
2018, whose rate is 0.4 for 512 images a step; fewer images make more steps of the same minutes.
"""

AIRBENCH = replace(RESNET9, momentum=0.85, weight_decay=1.3e-3, smoothing=0.2, shift_rate=64.0)
"""Keller Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, whose rates are about these, for steps of
1,024 images shared out to more and smaller ones.
"""

DEFAULTS = {"resnet9": RESNET9, "resnet9_half": RESNET9, "airbench94": AIRBENCH, "airbench95": AIRBENCH}


def defaults_of(network: str) -> RecipeDefaults:
    """How the network called so is trained."""
    return DEFAULTS.get(network, ADAMW_ONE_CYCLE)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained from scratch. What is None follows from the network and the number of images.

    `learning_rate` is the highest of the cycle. Raises `UsageError` for a value that makes no sense.
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
        """The plan for `network` and so many images to train on."""
        defaults = defaults_of(network)
        batch = min(self.batch, images) if self.batch else defaults.batch_for(images)
        stage = Stage(
            epochs=self.epochs or defaults.epochs_for(images), batch=batch,
            learning_rate=self.learning_rate or defaults.rate_for(batch), rise=defaults.rise,
        )  # fmt: skip
        return TrainingPlan(
            network=network, stages=(stage,), seed=self.seed, optimizer=defaults.optimizer, momentum=defaults.momentum,
            nesterov=defaults.nesterov, shift_rate=defaults.shift_rate, weight_decay=defaults.weight_decay,
            smoothing=defaults.smoothing, ema=defaults.ema,
        )  # fmt: skip
