"""Automatic configuration: from data and this machine to a training plan, with reasons and what it will take.

It takes three steps. A `NetworkChoice` says which network is trained and how large its images are, before these are
read (`networks`). Short trials compare it with others (`search`). Then an `AutoPlan` is made from what is known of the
data and from the measured time of the compiled steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from opsin.base.formatting import listed
from opsin.compiler.precision import Precision
from opsin.data import Dataset
from opsin.planning.annotated import AnnotatedPlanner
from opsin.planning.budget import Budget, conv_tuning_of
from opsin.planning.candidate import Planner, first_that_fits
from opsin.planning.few_shot import few_shot_plan
from opsin.planning.given_weights import only_begins, prepared
from opsin.planning.int8 import Int8Planner
from opsin.planning.measurement import LOCAL_MACHINE, CostMeter, Machine
from opsin.planning.options import AUTO, AutoPlan, NetworkChoice, ResourceEstimate, TrainOptions
from opsin.planning.overrides import adjusts_logits, check_task, with_overrides
from opsin.planning.scratch import ScratchPlanner
from opsin.planning.transfer import TransferPlanner
from opsin.tasks.classification.class_balance import imbalance
from opsin.training.learning_curve import SUBSETS, TRAININGS


def choose(
    choice: NetworkChoice,
    data: Dataset,
    options: TrainOptions,
    elapsed_seconds: float = 0.0,
    tune_convs: bool = False,
    useful_seconds: float | None = None,
    machine: Machine = LOCAL_MACHINE,
) -> AutoPlan:
    """Return the plan for `data`, which was read as `choice` says, `elapsed_seconds` after the command was given.

    With `tune_convs`, convolution algorithms, and therefore the last digits of results, come from timing them on the
    machine, unless the options give a number of epochs and no time: what is learned then depends on data and options
    alone. `useful_seconds` is the training time after which more does not help, if it is known (see `search`).
    Raises `UsageError`, with the reason and what would suffice, if time or memory do not, or for options that do not
    suit the task.
    """
    check_task(options, data)
    choice = prepared(choice, data)
    is_unlimited = options.epochs is not None and options.budget is None
    budget, has_curve = Budget.of(options, elapsed_seconds), options.learning_curve and choice.summary.has_defaults
    if has_curve:
        budget = budget.shared(TRAININGS)
    if useful_seconds is not None:
        budget = replace(budget, training_seconds=min(budget.training_seconds, useful_seconds))
    conv_tuning = conv_tuning_of(options, tune_convs and not is_unlimited)
    meter = CostMeter(machine, options.threads, conv_tuning, options.planned_precision)
    if choice.few_shot:
        return few_shot_plan(choice, data, options, budget, meter)
    planner = Int8Planner(planner_for(choice, data, options, budget, meter), budget)
    candidate = first_that_fits(planner.candidates(), budget)
    counts = data.train.counts()
    if choice.summary.has_defaults and options.class_weights is None:
        options = replace(options, class_weights=False)  # only classes of whole images are balanced without being asked
    reasons = [*choice.reasons, *candidate.reasons, *_precision_reasons(options, meter)]
    if adjusts_logits(options, counts):
        reasons.append(
            "rare classes count as much as common ones (logit adjustment), as the largest class has "
            f"{imbalance(counts):.0f} times as many images as the smallest"
        )
    if options.learning_curve:
        reasons.append(_curve_reason(has_curve))
    if count := conv_tuning.changed:
        subject = "one convolution uses" if count == 1 else f"{count} convolutions use"
        reasons.append(f"{subject} another algorithm than the default: it was faster when timed on this machine")
    plan = with_overrides(planner.plan(candidate), options, counts)
    plan = replace(plan, conv_algorithms=conv_tuning.algorithms)
    estimate = ResourceEstimate(candidate.seconds, budget.report_seconds, candidate.bytes)
    deadline = None if is_unlimited else budget.training_seconds - planner.record_seconds(candidate)
    return AutoPlan(plan, tuple(reasons), estimate, deadline, choice.preprocessing)


def _precision_reasons(options: TrainOptions, meter: CostMeter) -> Iterator[str]:
    """Say what is stored as bfloat16, and whether the processor multiplies it."""
    if options.precision == AUTO:
        yield "in float32; a short training in float32 and in bfloat16 decides between them before the training begins"
    if meter.precision is Precision.FLOAT32:
        return
    yield (
        "training steps store feature maps and their gradients as bfloat16; parameters stay float32, and the "
        "model is evaluated in float32"
    )
    if not meter.machine.multiplies_bf16():
        yield (
            "this processor has no instructions that multiply bfloat16: numbers are converted and multiplied as "
            "float32, which saves memory and not necessarily time"
        )


def _curve_reason(has_curve: bool) -> str:
    """Return what the learning curve takes; for classes the report measures it on features."""
    if not has_curve:
        return "the report on classes has a learning curve in any case, which needs no further training"
    parts = listed((name for _, name in SUBSETS), conjunction="and")
    return (
        f"learning curve: after the model, the plan is trained again on {parts} of the images, in as many steps; "
        f"each of the {TRAININGS} trainings gets an equal part of the time"
    )


def planner_for(
    choice: NetworkChoice, data: Dataset, options: TrainOptions, budget: Budget, meter: CostMeter
) -> Planner:
    """Return the planner for annotated images and other kinds of input, or for classes by trained weights or none."""
    if choice.summary.has_defaults:
        return AnnotatedPlanner(choice, data, options, budget, meter)
    keeps_weights = choice.is_transfer and not only_begins(choice, len(data.train))
    planner = TransferPlanner if keeps_weights else ScratchPlanner
    return planner(choice, data, options, budget, meter)
