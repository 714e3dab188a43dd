"""The registry of tasks: names, descriptions in model files, and import on first use."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from opsin.base.errors import UsageError
from opsin.tasks.registry import (
    ON_REQUEST,
    TASKS,
    annotated_tasks,
    describe_task,
    described_task,
    find_task,
    is_annotated,
)

ONLY = """
import sys
from opsin.tasks.registry import find_task
find_task(sys.argv[1])
print(*sorted({name.split(".")[2] for name in sys.modules if name.startswith("opsin.tasks.")}))
"""


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_found_by_its_name(name: str) -> None:
    task = find_task(name)
    assert task.name == name and task.__name__ == TASKS[name]
    assert is_annotated(task) == (name != "classification")
    assert (task in annotated_tasks()) == (is_annotated(task) and name not in ON_REQUEST)


@pytest.mark.parametrize("name", TASKS)
def test_the_description_gives_the_same_task(name: str) -> None:
    task = find_task(name).with_outputs(3)
    assert described_task(json.loads(json.dumps(describe_task(task)))) == task
    outputs, labels = 2 if name == "self-supervised" else 3, () if name in ON_REQUEST else ("1", "2", "3")
    labels = labels[:2] if name == "transcription" else labels  # the third output is the blank
    assert (task.outputs, task.labels) == (outputs, labels)


def test_other_names_are_refused() -> None:
    with pytest.raises(UsageError, match="there is no task 'captions'; the tasks are classification, multilabel"):
        find_task("captions")
    with pytest.raises(UsageError, match="there is no task 'captions'"):
        described_task({"task": {"name": "captions"}})


def test_only_what_is_needed_is_imported() -> None:
    run = subprocess.run([sys.executable, "-c", ONLY, "classification"], capture_output=True, text=True, check=True)
    assert not {"detection", "multilabel", "regression", "segmentation"} & set(run.stdout.split())
