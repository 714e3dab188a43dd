"""The options that a plan is made for, and what is chosen, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from opsin import nn
from opsin._aliases import renamed_names
from opsin.base.errors import UsageError
from opsin.base.option_fields import INPUT_OPTIONS_HELP, LEARNING_CURVE_HELP, MODEL, PLANNING, OptionFields, option
from opsin.compiler.precision import Precision
from opsin.data import Preprocessing
from opsin.inputs import InputKind
from opsin.ir.arguments import one_of
from opsin.model.model_weights import ModelWeights
from opsin.model.pretrained import starting_network
from opsin.planning.dataset_summary import DatasetSummary
from opsin.tasks.task import Task
from opsin.training.plan import FULL_BATCH, MOMENTUM, OPTIMIZERS, Stage, TrainingPlan

DEFAULT_BUDGET_SECONDS = 600.0
"""The default time limit in seconds, from the start of the command to the end of the report."""


AUTO = "auto"
"""The precision that a short training in float32 and in bfloat16 decides (see `precision_choice`)."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions(OptionFields):
    """The options of a training run. Raise `UsageError` for values that no plan can have.

    With a `learning_curve`, annotated images leave time to train on parts of them, too.
    """

    learning_curve: bool = option(False, LEARNING_CURVE_HELP, PLANNING)
    input_options: Mapping[str, Any] | None = option(None, INPUT_OPTIONS_HELP, MODEL, "NAME=VALUE,…")

    def __post_init__(self) -> None:
        """Raise `UsageError` for values that no plan can have, before any image is read."""
        stage = self._explicit("epochs", "batch", "learning_rate", "augment", "schedule")
        plan = self._explicit("size", "seed", "ema", "patience", "optimizer", "weight_decay", "momentum")
        self._check_optimizer()
        self._check_weights()
        one_of("the precision", self.precision, [*Precision, AUTO])
        TrainingPlan(
            network=self.network or "", stages=(Stage(**{"epochs": 1, **stage}),),
            label_smoothing=self.label_smoothing or 0.0, precision=self.planned_precision, **plan,
        )  # fmt: skip

    def _check_optimizer(self) -> None:
        """Raise `UsageError` if options contradict each other."""
        if self.optimizer in OPTIMIZERS and self.optimizer not in MOMENTUM and self.momentum is not None:
            raise UsageError(
                f"{self.optimizer} takes no momentum; leave it out, or take one of {', '.join(MOMENTUM)} as the "
                "optimizer"
            )
        if self.optimizer == FULL_BATCH and self.batch is not None:
            raise UsageError(
                "gradient descent (gd) sees all training images in every step; leave the batch out, or take sgd, "
                "which sees a batch"
            )

    def _check_weights(self) -> None:
        """Raise `UsageError` if training should begin with two kinds of weights."""
        if self.weights is not None and self.pretrained is not None:
            other = "--pretrained" if self.pretrained else "--from-scratch"
            raise UsageError(f"--weights begins with those of {self.weights}, which {other} contradicts; leave one out")

    def _explicit(self, *names: str) -> dict[str, Any]:
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def forward_passes(self) -> int:
        """The forward passes of a prediction: two if it averages an image and its mirror image."""
        return 2 if self.tta else 1

    @property
    def planned_precision(self) -> str:
        """The precision of measurements, trials and plans: float32 as long as `AUTO` is not decided."""
        return Precision.FLOAT32.value if self.precision == AUTO else self.precision

    @property
    def seconds(self) -> float:
        """The time for the whole command."""
        return self.budget or DEFAULT_BUDGET_SECONDS


@dataclass(frozen=True)
class NetworkChoice:
    """A network, and the size and preprocessing of its images.

    `size` is the side of the squares that files become (None: as they are), and `preprocessing` what published weights
    need (None without them). `reasons` explain the choice in sentences; `summary` is the data it was made for.
    `weights` are those of a model file with which training begins. With `few_shot`, only the last layer is made.
    """

    network: str
    pretrained: bool
    size: int | None
    preprocessing: Preprocessing | None
    reasons: tuple[str, ...]
    summary: DatasetSummary
    weights: ModelWeights | None = None
    few_shot: bool = False
    input_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """How samples of other kinds than images are read (see `InputKind.fitted`)."""

    @property
    def is_transfer(self) -> bool:
        """Whether training begins with trained weights."""
        return self.pretrained or self.weights is not None

    def network_for(self, task: Task, input: InputKind | None = None) -> nn.Layer:
        """Return the network, marked with the trained weights that it begins with; see `starting_network`."""
        return starting_network(self.network, task, self.pretrained, self.weights, input)


@dataclass(frozen=True)
class ResourceEstimate:
    """The measured time and memory that a plan takes on this machine.

    `seconds` is the time from now to the end of training, `report` that of the report after it, and `bytes` the peak
    memory.
    """

    seconds: float
    report: float
    bytes: float


@dataclass(frozen=True)
class AutoPlan:
    """A plan, the `reasons` for it in sentences, and what it is expected to take.

    `deadline` is the number of seconds from now after which training ends; None: training has no limit.
    """

    plan: TrainingPlan
    reasons: tuple[str, ...]
    expected: ResourceEstimate
    deadline: float | None
    preprocessing: Preprocessing | None

    def with_evidence(self, reasons: Sequence[str], evidence: Sequence[Mapping[str, Any]]) -> AutoPlan:
        """Return this with what trials showed: their reasons first, and the evidence in the plan."""
        return replace(self, reasons=(*reasons, *self.reasons), plan=replace(self.plan, evidence=tuple(evidence)))


__getattr__ = renamed_names(__name__)
