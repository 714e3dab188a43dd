"""Fields under the names of Opsin 0.1.0, for one release."""

from __future__ import annotations

from dataclasses import replace
from inspect import signature
from typing import Any

import pytest

from opsin.base.legacy import with_old_keys
from opsin.training import Stage, TrainingPlan
from tests.model.networks import small_model

STAGE = Stage(epochs=1)
PLAN = TrainingPlan(network="lenet5", stages=(STAGE,))


@pytest.mark.parametrize(
    ("old", "value", "new", "expected"),
    [
        ("shift_rate", 64.0, "norm_bias_lr_scale", 64.0), ("smoothing", 0.1, "label_smoothing", 0.1),
        ("mirrored", True, "tta", "hflip"), ("mirrored", False, "tta", None),
        ("exact", True, "winograd", False),
        ("choices", {"a": "packed, by phases"}, "conv_algorithms", {"a": "implicit GEMM, strided dgrad"}),
    ],
)  # fmt: skip
def test_a_plan_takes_old_names(old: str, value: Any, new: str, expected: Any) -> None:
    with pytest.warns(DeprecationWarning, match=f"TrainingPlan: '{old}' is now '{new}'"):
        plan = TrainingPlan(network="lenet5", stages=(STAGE,), **{old: value})
    assert plan == replace(PLAN, **{new: expected}) and getattr(plan, new) == expected
    with pytest.warns(DeprecationWarning, match=f"'{old}' is now '{new}'"):
        assert getattr(plan, old) == value
    with pytest.warns(DeprecationWarning):
        assert replace(PLAN, **{old: value}) == plan


def test_a_stage_takes_old_names() -> None:
    with pytest.warns(DeprecationWarning, match="Stage: 'rise' is now 'warmup_fraction'; the old name goes with the n"):
        stage = Stage(epochs=1, rise=0.5)  # type: ignore[call-arg]
    assert stage == replace(STAGE, warmup_fraction=0.5)


def test_a_model_has_its_old_name() -> None:
    model = small_model()
    model.tta = "hflip"
    with pytest.warns(DeprecationWarning, match="Model: 'mirrored' is now 'tta'"):
        assert model.mirrored is True  # type: ignore[attr-defined]


def test_other_names_are_unknown() -> None:
    with pytest.raises(AttributeError, match="'TrainingPlan' object has no attribute 'colour'"):
        PLAN.colour  # type: ignore[attr-defined]  # noqa: B018
    assert "label_smoothing" in signature(TrainingPlan).parameters


def test_json_output_gives_old_keys_too() -> None:
    data = with_old_keys(replace(PLAN, tta="hflip", label_smoothing=0.1).to_data())
    assert (data["mirrored"], data["tta"], data["exact"], data["smoothing"], data["choices"]) == (
        True, "hflip", False, 0.1, {},
    )  # fmt: skip
    assert data["stages"][0]["rise"] == data["stages"][0]["warmup_fraction"] == 0.25


def test_no_test_time_augmentation_has_a_name_too() -> None:
    assert replace(PLAN, tta="none") == PLAN
