"""What a training run does, as data: every choice that its result depends on, and nothing else.

A plan goes into the run's folder as JSON and comes back from there; with the same data, the same plan leads to the
same parameters, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

from opsin.base.errors import UsageError
from opsin.data.augment import LEVELS
from opsin.ir.arguments import instance, sequence
from opsin.ir.checked import settle

SCHEDULES = ("one_cycle", "cosine", "step", "constant")
"""One cycle climbs to the rate and falls (Smith & Topin 2018); cosine climbs straight for the share `rise`, then falls
along half a cosine (Loshchilov & Hutter 2017); step divides the rate by 10 after one and after two thirds of the steps
that follow the climb; constant stays after it."""

OPTIMIZERS = ("gd", "sgd", "adam", "adamw", "adagrad", "rmsprop")
"""Gradient descent on all training images in each step, stochastic gradient descent on batches of them, and the
adaptive methods of `nn.optimizers`."""

TUPLES = ("class_weights", "logit_adjustment", "evidence")
"""Fields of a plan that JSON has as lists."""

FULL_BATCH = "gd"
"""The optimizer whose every step sees all training images."""

MOMENTUM = ("gd", "sgd", "rmsprop")
"""The optimizers that take a momentum."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run in which the same parameters learn in the same way: "training", or "head", then "fine-tuning".

    `learning_rate` is the highest of its `schedule`, reached after the share `rise` of all its steps. `frozen` are the
    paths of layers whose parameters do not learn and whose batch normalisation keeps its statistics; with `features`,
    what these layers give is computed once for each of `views` views of every image, which the epochs see in turn,
    and only what comes after them is run. `flip` mirrors images at random, or never; None decides by the data (see
    `data.augment.preset`). `size` trains on images of this side, while validation keeps the plan's: smaller images make
    faster epochs, and random crops show objects larger than testing does (Touvron et al. 2019). With `images` an epoch
    has only so many of the training images, at random. Raises `UsageError` for a value that makes no sense.
    """

    name: str = "training"
    epochs: int
    batch: int = 64
    learning_rate: float = 0.004
    schedule: str = "one_cycle"
    rise: float = 0.25
    augment: str = "light"
    flip: bool | None = None
    size: int | None = None
    images: int | None = None
    frozen: tuple[str, ...] = ()
    features: bool = False
    views: int = 1

    def __post_init__(self) -> None:
        settle(self)
        check_epochs(self.epochs)
        check_batch(self.batch)
        check_rate(self.learning_rate)
        _check_one_of("schedule", self.schedule, SCHEDULES)
        _check_one_of("augmentation", self.augment, LEVELS)
        _check_share("the share of the steps in which the learning rate rises", self.rise, most=1.0)
        if self.features and not self.frozen:
            raise UsageError(f"the stage '{self.name}' learns from features, so it needs the layers that give them")
        if self.size is not None and self.size < 1:
            raise UsageError(f"the side of a stage's images must be at least 1 pixel, not {self.size}")
        if self.images is not None and self.images < 1:
            raise UsageError(f"an epoch needs at least one image, not {self.images}")
        if self.features and (self.size is not None or self.images is not None):
            raise UsageError(f"the stage '{self.name}' learns from features, of all images in one size")
        if self.views < 1:
            raise UsageError(f"the stage '{self.name}' needs at least one view of each image, not {self.views}")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A run: `network` (of the zoo, or the class of one's own), trained stage after stage.

    `pretrained`: it begins with published weights. `size`: the side to which images of any size are brought; None
    keeps the data's own. `momentum` is for the optimizers in `MOMENTUM`, `nesterov` (Nesterov's rule for it) and
    `shift_rate` (what the learning rate of batch normalisation's biases is multiplied by) are for SGD alone.
    `smoothing` is the share of
    each label that is spread over all classes, `ema` the decay of the exponential moving average of the parameters
    that becomes the model (0: the parameters themselves do), `class_weights` one weight a class, `logit_adjustment` one
    number a class that is added to the logits in the loss alone (see `class_balance`). `patience`: training
    ends after so many epochs of a stage without a better result on validation, and the best model is kept. `mirrored`:
    the model answers with the mean over an image and its mirror image, which takes twice as long. `exact`: no
    algorithm with Winograd's rounding; `choices`: convolutions that go another way than the model's (see
    `compiler.lower.ways`), as was timed when the plan was made. `evidence` is what short trials of other plans showed,
    a mapping each; training does not depend on it. Raises `UsageError` for a value that makes no sense.
    """

    network: str
    stages: tuple[Stage, ...]
    pretrained: bool = False
    size: int | None = None
    seed: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    shift_rate: float = 1.0
    clip_norm: float | None = None
    smoothing: float = 0.0
    ema: float = 0.0
    class_weights: tuple[float, ...] | None = None
    logit_adjustment: tuple[float, ...] | None = None
    patience: int | None = None
    mirrored: bool = False
    exact: bool = False
    choices: Mapping[str, str] = field(default_factory=dict, hash=False)
    evidence: tuple[Mapping[str, Any], ...] = field(default=(), hash=False, compare=False)

    def __post_init__(self) -> None:
        settle(self)
        for stage in sequence("the stages of a plan", self.stages, "stages"):
            instance("a stage of a plan", stage, Stage, "a Stage, such as Stage(epochs=2)")
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"a plan has stages with different names, at least one, not {names}")
        if self.size is not None and self.size < 1:
            raise UsageError(f"the side of the images must be at least 1 pixel, not {self.size}")
        check_seed(self.seed)
        _check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"the weight decay must be a number of at least 0, not {self.weight_decay:g}")
        if self.clip_norm is not None and not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise UsageError(f"the norm that gradients are clipped to must be above 0, not {self.clip_norm:g}")
        _check_share("the momentum", self.momentum)
        if self.nesterov and (not self.momentum or self.optimizer not in ("gd", "sgd")):
            raise UsageError("Nesterov's rule needs SGD with a momentum above 0, such as 0.9")
        if not (isfinite(self.shift_rate) and self.shift_rate > 0):
            raise UsageError(f"the factor of biases' learning rate must be above 0, not {self.shift_rate:g}")
        _check_share("the label smoothing", self.smoothing)
        _check_share("the decay of the moving average (ema)", self.ema)
        for weight in self.class_weights or ():
            if not (isfinite(weight) and weight > 0):
                raise UsageError(f"a class weight must be a number above 0, not {weight:g}")
        for offset in self.logit_adjustment or ():
            if not isfinite(offset):
                raise UsageError(f"a class's logit adjustment must be a finite number, not {offset:g}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"the patience must be at least 1 epoch, not {self.patience}")

    @property
    def balances(self) -> bool:
        """Whether rare classes count as much as common ones."""
        return self.class_weights is not None or self.logit_adjustment is not None

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def to_data(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        data = asdict(self)
        data["stages"] = [{**stage, "frozen": list(stage["frozen"])} for stage in data["stages"]]
        for name in TUPLES:
            data[name] = None if data[name] is None else list(data[name])
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TrainingPlan:
        """What `to_data` wrote, also through JSON; `UsageError` for anything else."""
        try:
            stages = tuple(Stage(**_known(Stage, stage, ("frozen",))) for stage in data["stages"])
            return cls(**{**_known(cls, data, TUPLES), "stages": stages})
        except (KeyError, TypeError, AttributeError):
            raise UsageError("the plan is not described completely") from None


def check_epochs(epochs: int) -> None:
    if epochs < 1:
        raise UsageError(f"the number of epochs must be at least 1, not {epochs}")


def check_batch(batch: int) -> None:
    if batch < 1:
        raise UsageError(f"the batch must hold at least 1 image, not {batch}")


def check_seed(seed: int) -> None:
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed must be a whole number from 0 to 2^63 - 1, not {seed}")


def check_rate(rate: float) -> None:
    if not (isfinite(rate) and rate > 0):
        raise UsageError(f"the learning rate must be a positive number such as 0.004, not {rate:g}")


def _check_share(what: str, value: float, most: float = 0.999999) -> None:
    if not 0 <= value <= most:
        bound = "to 1" if most == 1 else "to below 1"
        raise UsageError(f"{what} must be a number from 0 {bound}, not {value:g}")


def _check_one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UsageError(f"the {what} must be one of {', '.join(known)}, not '{value}'")


def _known(kind: type, data: Mapping[str, Any], tuples: Sequence[str]) -> dict[str, Any]:
    """The fields of `kind` in `data`, with those named in `tuples` turned from JSON's lists back into tuples."""
    names = {field.name for field in fields(kind)}
    if strange := sorted(data.keys() - names):
        raise UsageError(f"the plan has '{strange[0]}', which this Opsin does not know; it was written by another one")
    return {key: tuple(value) if key in tuples and value is not None else value for key, value in data.items()}
