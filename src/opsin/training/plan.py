"""Training plans: everything that the result of a run depends on besides the data, and nothing else.

A plan is stored in the run's folder as JSON. The same plan and data give bit-identical parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

from opsin.base.deprecated import accepts_old_names
from opsin.base.errors import UsageError
from opsin.base.legacy import PLAN, STAGE, upgraded_plan
from opsin.compiler.precision import Precision
from opsin.data.augment import LEVELS
from opsin.ir.arguments import instance, sequence
from opsin.ir.checked import check_fields
from opsin.model.model_weights import ModelWeights

SCHEDULES = ("one_cycle", "cosine", "step", "constant")
"""One cycle rises to the learning rate and falls (Smith & Topin 2018). The others begin with a linear warm-up: cosine
then falls along half a cosine (Loshchilov & Hutter 2017), step divides the rate by 10 after one and after two thirds of
the remaining steps, and constant keeps it."""

OPTIMIZERS = ("gd", "sgd", "adam", "adamw", "adagrad", "rmsprop")
"""Gradient descent on all training images, stochastic gradient descent on batches of them, and the adaptive methods of
`nn.optimizers`."""

TTA = ("hflip",)
"""Test-time augmentation: the mean over an image and its horizontal mirror image."""

TUPLES = ("class_weights", "logit_adjustment", "signed", "evidence")
"""Fields of a plan that are lists in JSON."""

FULL_BATCH = "gd"
"""The optimizer that uses all training images in every step."""

MOMENTUM = ("gd", "sgd", "rmsprop")
"""The optimizers that take a momentum."""


@accepts_old_names(STAGE)
@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a run in which the same parameters are trained: "training", or "head", then "fine-tuning".

    `learning_rate` is the highest of the `schedule`, reached after the share `warmup_fraction` of all its steps.
    `frozen` are the paths of layers whose parameters and batch statistics do not change. With `features`, the outputs
    of these layers are computed once for each of `views` views of every image, which the epochs take in turn, and only
    the layers after them are run. `flip` mirrors images at random, or never; None decides by the data (see
    `data.augment.policy`). `size` trains on images of this side, in pixels, while validation keeps the plan's: smaller
    images make faster epochs, and random crops show objects larger than testing does (Touvron et al. 2019). With
    `images` an epoch has only that many of the training images, drawn at random. With `qat` (quantization-aware
    training) the network rounds as in 8-bit integers, with the statistics of batch normalization fixed; such a stage
    comes last. Raises `UsageError` for invalid values.
    """

    name: str = "training"
    epochs: int
    batch: int = 64
    learning_rate: float = 0.004
    schedule: str = "one_cycle"
    warmup_fraction: float = 0.25
    augment: str = "light"
    flip: bool | None = None
    size: int | None = None
    images: int | None = None
    frozen: tuple[str, ...] = ()
    features: bool = False
    views: int = 1
    qat: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        check_epochs(self.epochs)
        check_batch(self.batch)
        check_rate(self.learning_rate)
        _check_one_of("schedule", self.schedule, SCHEDULES)
        _check_one_of("augmentation", self.augment, LEVELS)
        _check_share("the share of the steps in which the learning rate rises", self.warmup_fraction, maximum=1.0)
        if self.features and not self.frozen:
            raise UsageError(f"the stage '{self.name}' trains on features and needs frozen layers that compute them")
        if self.size is not None and self.size < 1:
            raise UsageError(f"the side of a stage's images must be at least 1 pixel, not {self.size}")
        if self.images is not None and self.images < 1:
            raise UsageError(f"an epoch needs at least one image, not {self.images}")
        if self.features and (self.size is not None or self.images is not None):
            raise UsageError(f"the stage '{self.name}' trains on features, which need all images in the plan's size")
        if self.qat and (self.features or self.size is not None):
            raise UsageError(
                f"the stage '{self.name}' rounds as in 8-bit integers, which needs the whole network and images in the "
                "plan's size; leave out features and size, or qat"
            )
        if self.views < 1:
            raise UsageError(f"the stage '{self.name}' needs at least one view of each image, not {self.views}")


@accepts_old_names(PLAN)
@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """A run: `network`, a name of the zoo or a class of your own, trained stage after stage.

    `pretrained`: training begins with published weights; `weights`: with those of a model file. `size`: the side, in
    pixels, to which images of any size are scaled; None keeps the data's own. `momentum` is for the optimizers in
    `MOMENTUM`; `nesterov` (Nesterov's rule) and `norm_bias_lr_scale` (the factor of the learning rate of batch
    normalization's biases) are for SGD alone. `label_smoothing` is the share of each label that is spread over all
    classes. `ema` is the decay of the exponential moving average of the parameters that becomes the model; 0: the
    parameters themselves do. `class_weights` has one weight a class, `logit_adjustment` one number a class that is
    added to the logits in the loss (see `class_balance`). `loss` names one, for tasks that have several. `patience`: a
    stage ends after so many epochs without a better result on validation, and the best model is kept. `tta` is the
    test-time augmentation: "hflip" averages the logits of an image and its mirror image, which takes twice as long;
    None or "none" takes the image alone. `signed` names the quantities of a regression that change their sign in mirror
    images, such as a steering angle; `flip` in a stage then shows both. `winograd` allows Winograd's algorithm, which
    rounds differently. `conv_algorithms` names algorithms by convolution in place of the default ones (see
    `compiler.lower.conv_algorithms`), as tuned when the plan was made. `precision` "bf16" stores the feature maps of
    training steps, and their gradients, as bfloat16 (see `compiler.precision`); the model is evaluated in float32. With
    `few_shot` the last layer is computed from the features of all images (see `few_shot`), and the only stage says
    nothing else. `evidence` is what short trials of other plans showed, one mapping each; training does not depend on
    it.
    Raises `UsageError` for values that make no sense.
    """

    network: str
    stages: tuple[Stage, ...]
    pretrained: bool = False
    weights: ModelWeights | None = None
    size: int | None = None
    seed: int = 0
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    norm_bias_lr_scale: float = 1.0
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    ema: float = 0.0
    class_weights: tuple[float, ...] | None = None
    logit_adjustment: tuple[float, ...] | None = None
    loss: str | None = None
    patience: int | None = None
    tta: str | None = None
    signed: tuple[str, ...] = ()
    winograd: bool = True
    conv_algorithms: Mapping[str, str] = field(default_factory=dict, hash=False)
    precision: str = Precision.FLOAT32.value
    few_shot: bool = False
    evidence: tuple[Mapping[str, Any], ...] = field(default=(), hash=False, compare=False)

    def __post_init__(self) -> None:
        check_fields(self)
        for stage in sequence("the stages of a plan", self.stages, "stages"):
            instance("a stage of a plan", stage, Stage, "a Stage, such as Stage(epochs=2)")
        names = [stage.name for stage in self.stages]
        if not names or len(set(names)) < len(names):
            raise UsageError(f"a plan has stages with different names, at least one, not {names}")
        if any(stage.qat for stage in self.stages[:-1]):
            raise UsageError("the stage that rounds as in 8-bit integers (qat) comes last, because later ones undo it")
        if self.size is not None and self.size < 1:
            raise UsageError(f"the side of the images must be at least 1 pixel, not {self.size}")
        check_seed(self.seed)
        if self.weights is not None:
            instance("the weights of a plan", self.weights, ModelWeights, "ModelWeights.open(FILE)")
            if self.pretrained:
                raise UsageError("a plan begins with published weights or with those of a model file, not with both")
        _check_one_of("optimizer", self.optimizer, OPTIMIZERS)
        if not (isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise UsageError(f"the weight decay must be a number of at least 0, not {self.weight_decay:g}")
        if self.clip_norm is not None and not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise UsageError(f"the norm that gradients are clipped to must be above 0, not {self.clip_norm:g}")
        _check_one_of("precision", self.precision, [*Precision])
        _check_share("the momentum", self.momentum)
        if self.nesterov and (not self.momentum or self.optimizer not in ("gd", "sgd")):
            raise UsageError("Nesterov's rule needs SGD with a momentum above 0, such as 0.9")
        if not (isfinite(self.norm_bias_lr_scale) and self.norm_bias_lr_scale > 0):
            raise UsageError(f"the factor of biases' learning rate must be above 0, not {self.norm_bias_lr_scale:g}")
        _check_share("the label smoothing", self.label_smoothing)
        _check_share("the decay of the moving average (ema)", self.ema)
        for weight in self.class_weights or ():
            if not (isfinite(weight) and weight > 0):
                raise UsageError(f"a class weight must be a number above 0, not {weight:g}")
        for offset in self.logit_adjustment or ():
            if not isfinite(offset):
                raise UsageError(f"a class's logit adjustment must be a finite number, not {offset:g}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"the patience must be at least 1 epoch, not {self.patience}")
        if self.tta == "none":
            object.__setattr__(self, "tta", None)
        if self.tta is not None:
            _check_one_of("test-time augmentation (tta)", self.tta, ("none", *TTA))

    @property
    def is_transfer(self) -> bool:
        """Whether training begins with trained weights."""
        return self.pretrained or self.weights is not None

    @property
    def balances(self) -> bool:
        """Whether rare classes count as much as common ones."""
        return self.class_weights is not None or self.logit_adjustment is not None

    @property
    def last_ordinary(self) -> int:
        """The number of the last stage that trains in real numbers."""
        return max((number for number, stage in enumerate(self.stages) if not stage.qat), default=0)

    @property
    def epochs(self) -> int:
        """The number of epochs of all stages."""
        return sum(stage.epochs for stage in self.stages)

    def to_data(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        data = asdict(self)
        data["stages"] = [_stage_data(stage) for stage in data["stages"]]
        for name in TUPLES:
            data[name] = None if data[name] is None else list(data[name])
        if not self.signed:
            del data["signed"]  # Opsin 0.1.0 does not know it.
        if self.weights is None:
            del data["weights"]
        if not self.few_shot:
            del data["few_shot"]
        if self.precision == Precision.FLOAT32:
            del data["precision"]  # Earlier versions know no other one.
        return data

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TrainingPlan:
        """Return the plan that `to_data` wrote, through JSON, also in Opsin 0.1.0. `UsageError` for anything else."""
        try:
            data = upgraded_plan(data)
            stages = tuple(Stage(**_field_values(Stage, stage, ("frozen",))) for stage in data["stages"])
            weights = ModelWeights.from_data(data["weights"]) if data.get("weights") else None
            return cls(**{**_field_values(cls, data, TUPLES), "stages": stages, "weights": weights})
        except (KeyError, TypeError, AttributeError):
            raise UsageError("the plan is not described completely") from None


def _stage_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    data = {**fields, "frozen": list(fields["frozen"])}
    if not data["qat"]:
        del data["qat"]  # Earlier versions do not know it.
    return data


def check_epochs(epochs: int) -> None:
    """Raise `UsageError` unless there is at least one epoch."""
    if epochs < 1:
        raise UsageError(f"the number of epochs must be at least 1, not {epochs}")


def check_batch(batch: int) -> None:
    """Raise `UsageError` unless a batch holds at least one image."""
    if batch < 1:
        raise UsageError(f"the batch must hold at least 1 image, not {batch}")


def check_seed(seed: int) -> None:
    """Raise `UsageError` unless the seed has at most 63 bits and no sign."""
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed must be a whole number from 0 to 2^63 - 1, not {seed}")


def check_rate(rate: float) -> None:
    """Raise `UsageError` unless a learning rate is positive and finite."""
    if not (isfinite(rate) and rate > 0):
        raise UsageError(f"the learning rate must be a positive number such as 0.004, not {rate:g}")


def _check_share(name: str, value: float, maximum: float = 0.999999) -> None:
    if not 0 <= value <= maximum:
        bound = "to 1" if maximum == 1 else "to below 1"
        raise UsageError(f"{name} must be a number from 0 {bound}, not {value:g}")


def _check_one_of(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"the {name} must be one of {', '.join(choices)}, not '{value}'")


def _field_values(kind: type, data: Mapping[str, Any], tuples: Sequence[str]) -> dict[str, Any]:
    """Return the fields of `kind` in `data`, with JSON's lists as tuples for those named in `tuples`."""
    names = {field.name for field in fields(kind)}
    if unknown_fields := sorted(data.keys() - names):
        raise UsageError(
            f"the plan has '{unknown_fields[0]}', which this Opsin does not know; another version wrote it"
        )
    return {key: tuple(value) if key in tuples and value is not None else value for key, value in data.items()}
