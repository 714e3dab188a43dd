"""The requests of a caller to an engine besides the graph: options that every engine honours or refuses.

An engine is any function of a graph, a batch size and a number of threads that returns a `Program`. One that also takes
the keyword `options` is given `CompileOptions`. `bound` gives an engine the options of a training plan: it passes them
on, or checks that an engine without that keyword does not act against them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from opsin.backends.base import Program
from opsin.base.errors import UsageError
from opsin.base.legacy import CONV_ALGORITHMS
from opsin.compiler.precision import Precision
from opsin.ir import Graph

Engine: TypeAlias = Callable[[Graph, int, int | None], Program]
"""Compiles a graph for a batch size and a number of threads (None: one for each processor)."""


@dataclass(frozen=True)
class CompileOptions:
    """How a graph is to be compiled; the default asks for nothing.

    `winograd`: whether algorithms with Winograd's rounding are allowed. `conv_algorithms` names algorithms by
    convolution problem (see `compiler.lower.conv_algorithms`); the heuristic chooses all others, and None allows those
    that were tuned on this machine. `memory` is the most bytes that the program may take, None for no limit.
    `precision` decides what is stored as bfloat16 (see `compiler.precision`).
    """

    winograd: bool = True
    conv_algorithms: Mapping[str, str] | None = None
    memory: int | None = None
    precision: Precision = Precision.FLOAT32

    def merged(
        self,
        winograd: bool,
        conv_algorithms: Mapping[str, str] | None,
        memory: int | None,
        precision: Precision = Precision.FLOAT32,
    ) -> CompileOptions:
        """Return these options with keywords of the same meaning added, which wrappers such as `partial` set.

        Raise `UsageError` if a keyword contradicts these options.
        """
        if self == DEFAULT:
            return CompileOptions(winograd, conv_algorithms, memory, precision)
        if not winograd and self.winograd:
            raise UsageError(
                "the engine excludes Winograd's algorithm, and the plan allows it: let the plan exclude it"
            )
        if conv_algorithms is not None and self.conv_algorithms not in (None, conv_algorithms):
            raise UsageError("the engine sets conv_algorithms, and so does the plan: leave them to the plan")
        if precision is not Precision.FLOAT32 and precision is not self.precision:
            raise UsageError(
                f"the engine computes in {precision}, and the plan in {self.precision}: let the plan choose"
            )
        limits = [limit for limit in (self.memory, memory) if limit is not None]
        algorithms = conv_algorithms if self.conv_algorithms is None else self.conv_algorithms
        return replace(self, conv_algorithms=algorithms, memory=min(limits, default=None))


DEFAULT = CompileOptions()
REQUESTS: dict[str, tuple[Callable[[CompileOptions], bool], str]] = {
    "winograd": (lambda options: not options.winograd, "exclude Winograd's algorithm"),
    "conv_algorithms": (lambda options: bool(options.conv_algorithms), "choose the algorithms of convolutions"),
    "memory": (lambda options: options.memory is not None, "limit the memory of a program"),
    "precision": (lambda options: options.precision is not Precision.FLOAT32, "compute in another precision"),
}
"""For each option: whether it asks for anything, and what that is in words."""


def refuse(engine: str, options: CompileOptions, *names: str) -> None:
    """Raise `UsageError` if `options` ask for one of `names`, which the engine called `engine` cannot honour."""
    for name in names:
        is_asked, words = REQUESTS[name]
        if is_asked(options):
            raise UsageError(f"the {engine} engine cannot {words} ({name}={getattr(options, name)!r}); leave it out")


class Tuned(Protocol):
    """A program that says by which algorithms, other than the heuristic's, its convolutions are computed."""

    tuned_algorithms: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class BoundEngine:
    """`engine` with the `options` of a plan; `takes_options` says whether it has the keyword."""

    engine: Callable[..., Program]
    options: CompileOptions
    takes_options: bool

    def __call__(self, graph: Graph, batch: int, threads: int | None) -> Program:
        if self.takes_options:
            return self.engine(graph, batch, threads, options=self.options)
        program = self.engine(graph, batch, threads)
        choices = {key: CONV_ALGORITHMS.get(name, name) for key, name in (self.options.conv_algorithms or {}).items()}
        algorithms: Mapping[str, str] = getattr(program, "tuned_algorithms", {})
        mismatches = [problem for problem, algorithm in algorithms.items() if choices.get(problem) != algorithm]
        if mismatches and self.options.conv_algorithms is not None:
            raise UsageError(
                f"the engine computes '{mismatches[0]}' by the algorithm '{algorithms[mismatches[0]]}', which was "
                f"tuned on this machine and is not the plan's; {ADVICE}"
            )
        return program


ADVICE = "give the engine the keyword `options`, and pass it on to opsin.backends.native.compile"


def bound(engine: Engine, options: CompileOptions) -> BoundEngine:
    """Return `engine` compiling with `options`.

    Raise `UsageError` if it has no keyword `options`, so that it could only ignore what they ask for.
    """
    takes_options = _takes_options(engine)
    if not takes_options:
        for name, (is_asked, words) in REQUESTS.items():
            if is_asked(options):
                raise UsageError(
                    f"the plan asks the engine to {words} ({name}), and the engine has no options; {ADVICE}"
                )
    return BoundEngine(engine, options, takes_options)


def _takes_options(engine: Callable[..., Any]) -> bool:
    """Whether a function, `partial` or object can be called with the keyword `options`."""
    try:
        parameters = inspect.signature(engine).parameters.values()
    except (TypeError, ValueError):  # a function of C does not say what it takes
        return False
    return any(p.kind is p.VAR_KEYWORD or (p.name == "options" and p.kind is not p.POSITIONAL_ONLY) for p in parameters)
