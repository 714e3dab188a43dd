"""Every error Opsin raises on purpose. Its text is for the person who caused it.

A message says what was given, what was expected and what to do; files by their path, layers by
their name, shapes by their numbers. The command line prints the message alone and ends with
`exit_code`; anything that is not an `OpsinError` is a bug of Opsin's.
"""

from __future__ import annotations


class OpsinError(Exception):
    """The root of all errors that Opsin raises on purpose."""

    exit_code = 1


class UsageError(OpsinError):
    """The request itself makes no sense: an unknown network, option or value."""

    exit_code = 2


class ShapeError(OpsinError):
    """A layer or an operation was given tensors whose shapes do not fit."""


class GraphError(OpsinError):
    """A graph breaks a rule of its own: a name used twice, an operand from nowhere."""


class DataError(OpsinError):
    """Training or prediction data cannot be used: missing, empty, damaged, of one class only."""


class ModelError(OpsinError):
    """A model file is missing, damaged, edited, or not one of Opsin's."""


class TrainingError(OpsinError):
    """Training cannot go on, for example because the loss is no longer a number."""


class CompileError(OpsinError):
    """A graph cannot be compiled for this machine."""
