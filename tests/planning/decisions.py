"""Plans for many budgets, image counts, sizes and options on a machine with given costs: the cases, and what is chosen.

`decisions.json` has what was chosen for each case when it was recorded. Record it again with
`python -m tests.planning.decisions` after a change that is meant to choose otherwise, and review the difference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opsin.base.errors import UsageError
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import AutoPlan, TrainOptions
from tests.planning.fake_machine import PHOTOS, FakeMachine, choose

RECORD = Path(__file__).with_name("decisions.json")

SMALL = {"side": 32, "resizable": False}
GREY = {"side": 28, "grey": True, "resizable": False}

Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]
"""A name, what differs from `PHOTOS`, the options, and the costs of the machine."""


def cases() -> Iterator[Case]:
    """Give every case."""
    for forward in (0.001, 0.008, 0.05):
        for count in (40, 300, 2000, 30_000):
            for budget in (30, 60, 180, 600, 7200):
                yield _case("photos", {"images": count}, {"budget": budget}, {"forward": forward})
    for forward in (1e-5, 0.008, 0.3):
        for count in (60, 2000, 40_000):
            for budget in (26, 60, 600, 3600):
                for kind, change in (("colour", SMALL), ("grey", GREY)):
                    yield _case(kind, {**change, "images": count}, {"budget": budget}, {"forward": forward})
    for memory in (0.25e9, 0.4e9, 0.6e9, 0.9e9, 2e9):
        for count in (60, 2000, 30_000):
            yield _case("photos", {"images": count}, {"memory": memory, "budget": 1200}, {})
        yield _case("photos", {}, {"memory": memory, "epochs": 2}, {})
        yield _case("colour", {**SMALL, "images": 8000}, {"memory": memory}, {"megabytes": 90})
        yield _case("colour", {**SMALL, "images": 8000}, {"memory": memory, "epochs": 2}, {"megabytes": 90})
    for budget in (100, 200, 300, 450, 600, 1200):
        for factor in (4.0, 30.0):
            yield _case("photos", {}, {"budget": budget}, {"all_layers": factor})
        yield _case("photos", {}, {"budget": budget, "epochs": 3}, {"all_layers": 8.0})
    for memory in (0.7e9, 0.8e9, 1e9, 1.2e9, 1.5e9, 2e9, 3e9, 4e9):
        for change in ({}, {"images": 60}):
            yield _case("photos", change, {"memory": memory}, {"training_memory": 8.0, "all_layers": 2.0})
        yield _case("photos", {}, {"memory": memory, "epochs": 2}, {"training_memory": 8.0})
    for epochs in (1, 7, 60):
        for budget in (None, 120, 1800):
            for kind, change in (("photos", {}), ("photos", {"images": 50}), ("colour", SMALL)):
                yield _case(kind, change, {"epochs": epochs, "budget": budget}, {})
                yield _case(kind, change, {"epochs": epochs, "budget": budget, "tta": True}, {"forward": 0.05})
    for options in (
        {"optimizer": "gd"}, {"optimizer": "sgd", "momentum": 0.5}, {"batch": 8}, {"batch": 8, "memory": 3e8},
        {"learning_rate": 0.01}, {"augment": "none"}, {"size": 96}, {"size": 300}, {"momentum": 0.9}, {"ema": 0.5},
        {"optimizer": "gd", "budget": 60}, {"optimizer": "gd", "memory": 3e8}, {"network": "lenet5", "size": 28},
    ):  # fmt: skip
        for kind, change in (("photos", {}), ("colour", SMALL)):
            yield _case(kind, change, options, {})


def _case(kind: str, change: dict[str, Any], options: dict[str, Any], costs: dict[str, float]) -> Case:
    named = {**change, **options, **costs}
    words = [f"{name} {value}" for name, value in named.items() if name not in ("grey", "resizable")]
    return ", ".join([kind, *words]), change, options, costs


def decision(case: Case) -> Any:
    """Return what is chosen for the case: the plan's numbers and its estimates, or the numbers of a refusal."""
    _, change, options, costs = case
    try:
        summary = DatasetSummary(**{**vars(PHOTOS), **change})
        return _described(choose(TrainOptions(**options), summary, FakeMachine(**costs)))
    except UsageError as error:
        return {"refused": numbers(str(error))}


def numbers(text: str) -> list[str]:
    return re.findall(r"\d[\d.,]*\d|\d", text)


def _described(auto: AutoPlan) -> dict[str, Any]:
    plan = auto.plan
    stages = [
        {
            "name": stage.name, "epochs": stage.epochs, "batch": stage.batch, "learning_rate": stage.learning_rate,
            "augment": stage.augment, "size": stage.size, "images": stage.images, "views": stage.views,
            "frozen": [len(stage.frozen), *stage.frozen[-1:]],
        }
        for stage in plan.stages
    ]  # fmt: skip
    return {
        "network": plan.network, "pretrained": plan.pretrained, "size": plan.size, "optimizer": plan.optimizer,
        "momentum": plan.momentum, "weight_decay": plan.weight_decay, "ema": plan.ema, "patience": plan.patience,
        "stages": stages,
        "expected": [auto.expected.seconds, auto.expected.report, auto.expected.bytes],
        "deadline": auto.deadline,
        "numbers": [numbers(reason) for reason in auto.reasons],
    }  # fmt: skip


def main() -> None:
    """Record what is chosen now."""
    lines = [f" {json.dumps(case[0])}: {json.dumps(decision(case))}" for case in cases()]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
