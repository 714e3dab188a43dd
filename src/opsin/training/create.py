"""The trainer that suits a plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from opsin import nn
from opsin.backends.native import compile as compile_native
from opsin.data import Dataset
from opsin.model import Engine
from opsin.training.few_shot_trainer import FewShotTrainer
from opsin.training.plan import TrainingPlan
from opsin.training.recorder import Recorder
from opsin.training.trainer import Trainer

AnyTrainer: TypeAlias = Trainer | FewShotTrainer


def create_trainer(
    plan: TrainingPlan,
    data: Dataset,
    *,
    network: nn.Layer | None = None,
    run: Recorder | None = None,
    out: Path | None = None,
    deadline: float | None = None,
    threads: int | None = None,
    engine: Engine = compile_native,
    warnings: Sequence[str] = (),
) -> AnyTrainer:
    """Return the trainer of a plan; the arguments are those of `Trainer`."""
    if plan.few_shot:
        return FewShotTrainer(plan, data, run=run, out=out, threads=threads, engine=engine, warnings=warnings)
    return Trainer(
        plan, data, network=network, run=run, out=out, deadline=deadline, threads=threads, engine=engine,
        warnings=warnings,
    )  # fmt: skip
