"""The plans for several hundred budgets, sizes and costs are those that were recorded."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.planning.decisions import RECORD, Case, cases, decision

CASES = list(cases())
RECORDED: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_the_recorded_plan_is_chosen(case: Case) -> None:
    selection, recorded = json.loads(json.dumps(decision(case))), RECORDED[case[0]]
    if "expected" in recorded:
        assert selection.pop("expected") == pytest.approx(recorded.pop("expected"))
    assert selection == recorded


def test_every_recorded_case_is_tested() -> None:
    assert {case[0] for case in CASES} == RECORDED.keys() and len(CASES) == len(RECORDED)


def test_the_cases_cover_every_kind_of_plan() -> None:
    """Otherwise a case that was meant to, say, tune the last layers might silently do something else."""
    plans = [plan for plan in RECORDED.values() if "refused" not in plan]
    tuned = [plan["stages"][1] for plan in plans if len(plan["stages"]) == 2]
    alone = [plan["stages"][0] for plan in plans if len(plan["stages"]) == 1]
    assert sum("refused" in plan for plan in RECORDED.values()) > 20
    assert sum(stage["size"] is None for stage in tuned) > 5  # the last layers
    assert sum(stage["size"] is not None for stage in tuned) > 20  # all layers
    assert sum(stage["name"] == "head" for stage in alone) > 10
    assert sum(stage["images"] is not None for stage in alone) > 3
    assert {stage["batch"] for stage in alone if stage["name"] == "training"} > {16, 32, 64, 128}
