"""The errors that Opsin raises deliberately. Their messages are for the person who caused them.

A message says what was given, what was expected and what to do. It names files by their path, layers by their path in
the network, and shapes by their numbers. The command line prints the message alone and exits with `exit_code`. Any
exception that is not an `OpsinError` is a bug in Opsin.
"""

from __future__ import annotations

from typing import Self


class OpsinError(Exception):
    """The base class of all errors that Opsin raises deliberately."""

    exit_code = 1

    layer: str = ""
    """The path of the layer in which it happened, if there is one. `str` puts it before the message."""

    @property
    def reason(self) -> str:
        """The message without the layer."""
        return super().__str__()

    def in_layer(self, path: str) -> Self:
        """Set the layer, unless it is already known; the innermost one counts. Return the error itself."""
        self.layer = self.layer or path
        return self

    def __str__(self) -> str:
        return f"layer {self.layer}: {self.reason}" if self.layer else self.reason


class UsageError(OpsinError):
    """The request makes no sense: an unknown network, option or value."""

    exit_code = 2


class ShapeError(OpsinError):
    """The shapes of a layer's or an operation's inputs do not match."""


class GraphError(OpsinError):
    """A graph is malformed: a name is used twice, an operand is missing."""


class DataError(OpsinError):
    """Training or prediction data cannot be used: missing, empty, damaged, of a single class."""


class ModelError(OpsinError):
    """A model file is missing, damaged, modified, or not written by Opsin."""


class TrainingError(OpsinError):
    """Training cannot continue, for example because the loss is NaN."""


class CompileError(OpsinError):
    """A graph cannot be compiled for this machine."""
