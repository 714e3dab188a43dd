"""The tasks by name. A new task adds a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from opsin.base.concurrency import importing
from opsin.base.errors import UsageError
from opsin.tasks.task import Defaults, Task

CLASSIFICATION, MULTILABEL, IDENTITY = "classification", "multilabel", "identity"
REGRESSION, SELF_SUPERVISED = "regression", "self-supervised"
TRANSCRIPTION = "transcription"

TASKS = {
    CLASSIFICATION: "Classification",
    MULTILABEL: "MultiLabel",
    REGRESSION: "Regression",
    "segmentation": "SemanticSegmentation",
    "detection": "ObjectDetection",
    IDENTITY: "Identity",
    SELF_SUPERVISED: "SelfSupervised",
    TRANSCRIPTION: "Transcription",
}
"""The class of each task in the package of its name, with _ for -. It is imported on first use, so that starting stays
cheap."""

ON_REQUEST = {IDENTITY, SELF_SUPERVISED}
"""Tasks whose data looks like that of another one: folders of identities are also classes. Only --task selects them."""

LABEL_KEYS = {CLASSIFICATION: "labels", MULTILABEL: "independent_labels"}
"""Tasks that the model file describes by nothing but their labels, and the key of these."""


def find_task(name: str) -> type[Any]:
    """Return the class of the task called `name`. Raise `UsageError` if there is none."""
    if name not in TASKS:
        raise UsageError(f"there is no task '{name}'; the tasks are {', '.join(TASKS)}")
    with importing.lock:
        task: type[Any] = getattr(import_module(f"opsin.tasks.{name.replace('-', '_')}"), TASKS[name])
    return task


def describe_task(task: Task) -> dict[str, Any]:
    """Return the entries of a model file that describe a task.

    Classifiers have the entries that they had in Opsin 0.1.0. It finds no labels in the files of other tasks, and says
    so, rather than misreading them.
    """
    if task.name in LABEL_KEYS:
        return {LABEL_KEYS[task.name]: list(task.labels)}
    return {"task": {"name": task.name, **task.to_data()}}


def described_task(description: Mapping[str, Any]) -> Task:
    """Return the task that `describe_task` described. Raise `KeyError` or `TypeError` if an entry is missing or odd."""
    for name, key in LABEL_KEYS.items():
        if key in description:
            labeled: Task = find_task(name)(tuple(str(label) for label in description[key]))
            return labeled
    settings = dict(description["task"])
    task: Task = find_task(str(settings.pop("name")))(**{key: _tuples(value) for key, value in settings.items()})
    return task


def _tuples(value: Any) -> Any:
    """Return JSON's lists as tuples, at every depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def sample_defaults(task: type[Any] | None, count: int) -> Defaults | None:
    """Return what a plan takes for so many samples that are no images; None if that depends on their kind alone."""
    defaults: Defaults | None = getattr(task, "sample_defaults", lambda _: None)(count)
    return defaults


def is_annotated(task: Any) -> bool:
    """Return whether a task is an `AnnotatedTask`: its targets are annotations, and may be shown like answers."""
    return hasattr(task, "truth")


def annotated_tasks() -> list[type[Any]]:
    """Return the tasks whose targets are annotations that tell which task they are for."""
    return [task for task in map(find_task, TASKS) if is_annotated(task) and task.name not in ON_REQUEST]
