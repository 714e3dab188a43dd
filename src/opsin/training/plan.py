"""What a training run does, as data: every choice that its result depends on, and nothing else.

A plan goes into the run's folder as JSON and comes back from there; with the same data, the same plan leads to the
same parameters, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

from opsin.data.augment import LEVELS
from opsin.errors import UsageError
from opsin.graph.arguments import instance, sequence
from opsin.graph.checked import settle

SCHEDULES = ("one_cycle", "cosine", "constant")
"""One cycle climbs to the rate and falls (Smith & Topin 2018); cosine climbs straight for the share `rise`, then falls
along half a cosine (Loshchilov & Hutter 2017); constant stays after that climb."""

OPTIMIZERS = ("adamw", "sgd")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run in which the same parameters learn in the same way: "training", or "head", then "fine-tuning".

    `learning_rate` is the highest of its `schedule`, reached after the share `rise` of all its steps. `frozen` are the
    paths of layers whose parameters do not learn and whose batch normalisation keeps its statistics; with `features`,
    what these layers give is computed once for each of `views` views of every picture, which the epochs see in turn,
    and only what comes after them is run. Raises `UsageError` for a value that makes no sense.
    """

    name: str = "training"
    epochs: int
    batch: int = 64
    learning_rate: float = 0.004
    schedule: str = "one_cycle"
    rise: float = 0.25
    augment: str = "light"
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
        if self.views < 1:
            raise UsageError(f"the stage '{self.name}' needs at least one view of each picture, not {self.views}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run: `network` (of the zoo, or the class of one's own), trained stage after stage.

    `pretrained`: it begins with published weights. `size`: the side to which pictures of any size are brought; None
    keeps the data's own. `momentum`, `nesterov` (Nesterov's rule for it) and `shift_rate` (what the learning rate of
    batch normalisation's biases is multiplied by) are for SGD alone. `smoothing` is the share of
    each label that is spread over all classes, `ema` the decay of the exponential moving average of the parameters
    that becomes the model (0: the parameters themselves do), `class_weights` one weight a class. `patience`: training
    ends after so many epochs of a stage without a better result on validation, and the best model is kept. `mirrored`:
    the model answers with the mean over a picture and its mirror image, which takes twice as long. `exact`: no
    algorithm with Winograd's rounding; `choices`: convolutions that go another way than the model's (see
    `compiler.lower.ways`), as was timed when the plan was made. Raises `UsageError` for a value that makes no sense.
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
    patience: int | None = None
    mirrored: bool = False
    exact: bool = False
    choices: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        settle(self)
        for stage in sequence("the stages of a plan", self.stages, "stages"):
            instance("a stage of a plan", stage, Stage, "a Stage, such as Stage(epochs=2)")
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"a plan has stages with different names, at least one, not {names}")
        if self.size is not None and self.size < 1:
            raise UsageError(f"the side of the pictures must be at least 1 pixel, not {self.size}")
        check_seed(self.seed)
        _check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"the weight decay must be a number of at least 0, not {self.weight_decay:g}")
        if self.clip_norm is not None and not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise UsageError(f"the norm that gradients are clipped to must be above 0, not {self.clip_norm:g}")
        _check_share("the momentum", self.momentum)
        if self.nesterov and not self.momentum:
            raise UsageError("Nesterov's rule needs a momentum above 0, such as 0.9")
        if not (isfinite(self.shift_rate) and self.shift_rate > 0):
            raise UsageError(f"the factor of biases' learning rate must be above 0, not {self.shift_rate:g}")
        _check_share("the label smoothing", self.smoothing)
        _check_share("the decay of the moving average (ema)", self.ema)
        for weight in self.class_weights or ():
            if not (isfinite(weight) and weight > 0):
                raise UsageError(f"a class weight must be a number above 0, not {weight:g}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"the patience must be at least 1 epoch, not {self.patience}")

    @property
    def epochs(self) -> int:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def to_data(self) -> dict[str, Any]:
        """The plan as JSON has it."""
        data = asdict(self)
        data["stages"] = [{**stage, "frozen": list(stage["frozen"])} for stage in data["stages"]]
        data["class_weights"] = None if self.class_weights is None else list(self.class_weights)
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Plan:
        """What `to_data` wrote, also through JSON; `UsageError` for anything else."""
        try:
            stages = tuple(Stage(**_known(Stage, stage, ("frozen",))) for stage in data["stages"])
            return cls(**{**_known(cls, data, ("class_weights",)), "stages": stages})
        except (KeyError, TypeError, AttributeError):
            raise UsageError("the plan is not described completely") from None


def balanced_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """Weights by which every class counts alike, whatever its number of pictures: their mean over the pictures is 1.

    A class without pictures has the weight 1.
    """
    present = [count for count in counts if count]
    return tuple(sum(present) / (len(present) * count) if count else 1.0 for count in counts)


def check_epochs(epochs: int) -> None:
    if epochs < 1:
        raise UsageError(f"the number of epochs must be at least 1, not {epochs}")


def check_batch(batch: int) -> None:
    if batch < 1:
        raise UsageError(f"the batch must hold at least 1 picture, not {batch}")


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
