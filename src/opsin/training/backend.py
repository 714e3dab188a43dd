"""The engines that a plan is trained and evaluated with."""

from __future__ import annotations

from opsin.backends.options import CompileOptions, Engine, bound, in_precision
from opsin.compiler.precision import Precision, precision_named
from opsin.training.plan import TrainingPlan


def engine_for(plan: TrainingPlan, engine: Engine) -> Engine:
    """Return `engine` with the plan's options: its algorithms, and not what was tuned on this machine since.

    Raise `UsageError` if the engine cannot honour them.
    """
    precision = precision_named(plan.precision)
    return bound(engine, CompileOptions(plan.winograd, plan.conv_algorithms, precision=precision))


def evaluation_engine_for(plan: TrainingPlan, engine: Engine) -> Engine:
    """Return `engine` with the plan's options, but in float32: results of plans in any precision are comparable."""
    return in_precision(engine_for(plan, engine), Precision.FLOAT32)
