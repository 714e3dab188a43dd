"""From a dataset and this machine to a training plan."""

from opsin.planning.step import DefaultStep, default_step

__all__ = ["DefaultStep", "default_step"]
