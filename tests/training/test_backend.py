"""Engines honour the convolution algorithms of a plan, or refuse them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.backends.options import CompileOptions
from opsin.backends.reference import Reference
from opsin.base.errors import UsageError
from opsin.data import Dataset, LabeledImages
from opsin.training import Stage, Trainer, TrainingPlan
from opsin.training.backend import engine_for

PLAN = TrainingPlan(network="small", stages=(Stage(epochs=1, batch=8),))
DIRECT = replace(PLAN, winograd=False)
IMAGES = LabeledImages(np.zeros((16, 1, 12, 12), np.uint8), np.arange(16, dtype=np.int32) % 2, ("a", "b"))


def trained_with(plan: TrainingPlan) -> str:
    """The execution plan of the training step."""
    network = nn.Sequential(nn.Conv2d(16, 3, padding=1), nn.Conv2d(16, 3, padding=1), nn.Flatten(), nn.Linear(2))
    runtime: Any = Trainer(
        plan, Dataset("none", IMAGES, IMAGES, predefined_split=True), network=network, threads=1
    ).runtime
    return str(runtime.program.plan)


def test_the_native_engine_is_given_the_plans_algorithms() -> None:
    assert "Winograd" in trained_with(PLAN)
    assert "Winograd" not in trained_with(DIRECT)


def test_a_wrapped_engine_is_given_them_too() -> None:
    wrapped = engine_for(DIRECT, partial(compile_native, memory=10**9))
    assert wrapped.options == CompileOptions(winograd=False, conv_algorithms={}) and wrapped.takes_options
    network = nn.Sequential(nn.Conv2d(16, 3, padding=1), nn.Conv2d(16, 3, padding=1), nn.Flatten(), nn.Linear(2))
    program: Any = wrapped(nn.trace(network, IMAGES.shape), 2, 1)
    assert "Winograd" not in str(program.plan)


def test_a_wrapped_engine_that_contradicts_the_plan_refuses_it() -> None:
    wrapped = engine_for(PLAN, partial(compile_native, winograd=False))
    with pytest.raises(UsageError, match="the engine excludes Winograd's algorithm, and the plan allows it"):
        wrapped(nn.trace(nn.Sequential(nn.Flatten(), nn.Linear(2)), IMAGES.shape), 2, 1)


@pytest.mark.parametrize("plan", [DIRECT, replace(PLAN, conv_algorithms={"forward": "direct"})])
def test_an_engine_without_options_refuses_them(plan: TrainingPlan) -> None:
    assert not engine_for(PLAN, Reference).takes_options
    with pytest.raises(UsageError, match=r"the engine has no options; give the engine the keyword `options`"):
        engine_for(plan, Reference)
