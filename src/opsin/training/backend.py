"""The engine that a plan is trained with."""

from __future__ import annotations

from functools import partial

from opsin.backends.native import compile as compile_native
from opsin.model import Engine
from opsin.training.plan import TrainingPlan


def engine_of(plan: TrainingPlan, engine: Engine) -> Engine:
    """`engine`; the native one takes the plan's ways of convolutions, and not what was timed on this machine since."""
    if engine is compile_native:
        return partial(compile_native, exact=plan.exact, choices=plan.choices)
    return engine
