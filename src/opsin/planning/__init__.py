"""From a dataset and this machine to a training plan."""

from opsin.planning.step import DefaultStep, default_step, task_of

__all__ = ["DefaultStep", "default_step", "task_of"]
