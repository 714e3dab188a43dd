"""Events in logs have names of their own."""

from __future__ import annotations

from opsin.training import Event, Interrupted, Step
from opsin.training.events import LOG_NAMES, log_record


def test_every_event_but_a_step_has_a_name() -> None:
    assert LOG_NAMES.keys() == set(Event.__subclasses__()) - {Step}
    assert len(set(LOG_NAMES.values())) == len(LOG_NAMES)


def test_the_names_are_those_of_older_logs() -> None:
    assert sorted(LOG_NAMES.values()) == [
        "epoch", "finished", "interrupted", "rewound", "shortened", "stagestarted", "started", "stoppedearly",
        "subsetstarted", "warning",
    ]  # fmt: skip


def test_a_record_has_the_fields_of_the_event() -> None:
    assert log_record(Interrupted(2, 71)) == {"event": "interrupted", "epoch": 2, "step": 71}
    assert log_record(Step(1, 1, 0.5, 3, 8)) is None
