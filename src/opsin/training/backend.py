"""The engine that a plan is trained with."""

from __future__ import annotations

from opsin.backends.options import CompileOptions, Engine, bound
from opsin.training.plan import TrainingPlan


def engine_for(plan: TrainingPlan, engine: Engine) -> Engine:
    """Return `engine` with the plan's options: its algorithms, and not what was tuned on this machine since.

    Raise `UsageError` if the engine cannot honour them.
    """
    return bound(engine, CompileOptions(winograd=plan.winograd, conv_algorithms=plan.conv_algorithms))
