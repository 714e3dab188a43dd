"""The engine that a plan is trained with."""

from __future__ import annotations

from functools import partial
from inspect import signature
from typing import Any

from opsin.base.errors import UsageError
from opsin.model import Engine
from opsin.training.plan import TrainingPlan


def engine_for(plan: TrainingPlan, engine: Engine) -> Engine:
    """Return `engine` with the plan's convolution algorithms, and none from tuning results of a later date.

    What engines accept is known from their signatures; a `functools.partial` keeps the options that it binds. Raise
    `UsageError` if the plan needs options that the engine does not accept.
    """
    options: dict[str, Any] = {"exact": not plan.winograd, "choices": plan.conv_algorithms}
    if options.keys() <= signature(engine).parameters.keys():
        bound = engine.keywords if isinstance(engine, partial) else {}
        return partial(engine, **{name: value for name, value in options.items() if name not in bound})
    if not plan.winograd or plan.conv_algorithms:
        raise UsageError(
            "the plan says how convolutions are computed, and the engine takes no such options; "
            "train with opsin.backends.native.compile, or with winograd=True and conv_algorithms={} in the plan"
        )
    return engine
