"""Engines honour the options of a plan or refuse them, wrapped ones too."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opsin import nn
from opsin.backends import reference
from opsin.backends.base import Program
from opsin.backends.native import Native, tuning_cache
from opsin.backends.native import compile as compile_native
from opsin.backends.options import DEFAULT, CompileOptions, Engine, bound, in_precision
from opsin.backends.tuning import TuningResult, TuningSummary, problems
from opsin.base.errors import UsageError
from opsin.compiler.lower.conv_algorithms import ConvAlgorithm, candidates
from opsin.compiler.precision import Precision
from opsin.ir import Graph

EXACT = CompileOptions(winograd=False, conv_algorithms={})
PLAN = CompileOptions(conv_algorithms={})


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_cache, "cache_folder", lambda: tmp_path)


@pytest.fixture(scope="module")
def graph() -> Graph:
    network = nn.Sequential(nn.Conv2d(16, 3, padding=1), nn.Conv2d(16, 3, padding=1), nn.Flatten(), nn.Linear(2))
    return nn.training_graph(network, (4, 8, 8), nn.optimizers.SGD())


def algorithms(graph: Graph, algorithm: ConvAlgorithm) -> dict[str, str]:
    return {str(p): str(algorithm) for p in problems(graph, 4) if algorithm in candidates(p)}


def kernels(program: Program) -> set[str]:
    assert isinstance(program, Native)
    return {type(call.spec).__name__ for call in program.plan.calls if call.macs}


def tune_to(graph: Graph, algorithm: ConvAlgorithm) -> None:
    """Save tuning results as if `algorithm` had been the fastest for every problem."""
    trials = [TuningResult(p, count, candidates(p)[0], algorithm, 2.0, 1.0) for p, count in problems(graph, 4).items()]
    TuningSummary(tuple(trials), (), 0.0).save(1)


def keywords(graph: Graph, batch: int, threads: int | None, **options: Any) -> Native:
    return compile_native(graph, batch, threads, **options)


def named(graph: Graph, batch: int, threads: int | None, *, options: CompileOptions = DEFAULT) -> Native:
    return compile_native(graph, batch, threads, options=options)


class Wrapper:
    """An engine that is an object, and counts its programs."""

    def __init__(self) -> None:
        self.programs = 0

    def __call__(self, graph: Graph, batch: int, threads: int | None, options: CompileOptions = DEFAULT) -> Native:
        self.programs += 1
        return compile_native(graph, batch, threads, options=options)


def without_options(graph: Graph, batch: int, threads: int | None) -> Native:
    return compile_native(graph, batch, threads)


WRAPPED: list[Engine] = [
    compile_native,
    partial(compile_native, memory=10**9),
    partial(partial(compile_native, target=None), memory=10**9),
    keywords,
    named,
    Wrapper(),
]


@pytest.mark.parametrize("engine", WRAPPED)
def test_a_wrapped_engine_honours_every_option(engine: Engine, graph: Graph) -> None:
    usual = kernels(bound(engine, PLAN)(graph, 4, 1))
    assert any(name.startswith("Winograd") for name in usual)
    assert not any(name.startswith("Winograd") for name in kernels(bound(engine, EXACT)(graph, 4, 1)))
    direct = algorithms(graph, ConvAlgorithm.DIRECT)
    chosen = bound(engine, CompileOptions(conv_algorithms=direct))(graph, 4, 1)
    assert kernels(chosen) == {"Conv2d", "Conv2dWeight", "MatMul"}
    assert isinstance(chosen, Native) and chosen.tuned_algorithms == direct
    tune_to(graph, ConvAlgorithm.DIRECT)
    assert kernels(bound(engine, PLAN)(graph, 4, 1)) == usual


def test_a_wrapper_keeps_its_own_memory_limit(graph: Graph) -> None:
    whole = compile_native(graph, 4, 1, conv_algorithms={}).plan.bytes_with(1)
    with pytest.raises(Exception, match=r"this takes at least .* MB"):
        bound(partial(compile_native, memory=1000), PLAN)(graph, 4, 1)
    limited = CompileOptions(conv_algorithms={}, memory=whole)
    assert isinstance(bound(partial(compile_native, memory=2 * whole), limited)(graph, 4, 1), Native)
    with pytest.raises(Exception, match=r"this takes at least .* MB"):
        bound(partial(compile_native, memory=2 * whole), CompileOptions(memory=1000))(graph, 4, 1)


def test_a_wrapper_that_contradicts_the_plan_is_refused(graph: Graph) -> None:
    with pytest.raises(UsageError, match=r"^the engine excludes Winograd's algorithm, and the plan allows it: let the"):
        bound(partial(compile_native, winograd=False), PLAN)(graph, 4, 1)
    direct = algorithms(graph, ConvAlgorithm.DIRECT)
    with pytest.raises(UsageError, match=r"^the engine sets conv_algorithms, and so does the plan: leave them to the"):
        bound(partial(compile_native, conv_algorithms=direct), PLAN)(graph, 4, 1)
    same = CompileOptions(winograd=False, conv_algorithms=direct)
    wrapped = partial(compile_native, winograd=False, conv_algorithms=direct)
    assert kernels(bound(wrapped, same)(graph, 4, 1)) == {"Conv2d", "Conv2dWeight", "MatMul"}


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (EXACT, r"exclude Winograd's algorithm \(winograd\)"),
        (CompileOptions(conv_algorithms={"a": "b"}), r"choose the algorithms of convolutions \(conv_algorithms\)"),
        (CompileOptions(memory=5), r"limit the memory of a program \(memory\)"),
    ],
)
def test_an_engine_without_options_refuses_what_it_would_ignore(options: CompileOptions, what: str) -> None:
    text = f"^the plan asks the engine to {what}, and the engine has no options; give the engine the keyword `options`"
    with pytest.raises(UsageError, match=text):
        bound(without_options, options)


def test_an_engine_without_options_is_refused_if_it_uses_other_algorithms(graph: Graph) -> None:
    assert kernels(bound(without_options, PLAN)(graph, 4, 1)) == kernels(bound(compile_native, PLAN)(graph, 4, 1))
    tune_to(graph, ConvAlgorithm.DIRECT)
    text = (
        "^the engine computes '.*' by the algorithm 'direct', which was tuned on this machine and is not the plan's; "
    )
    with pytest.raises(UsageError, match=text):
        bound(without_options, PLAN)(graph, 4, 1)
    assert isinstance(bound(without_options, DEFAULT)(graph, 4, 1), Native)


def test_the_reference_accepts_what_does_not_change_the_meaning(graph: Graph) -> None:
    direct = algorithms(graph, ConvAlgorithm.DIRECT)
    for options in (DEFAULT, PLAN, EXACT, CompileOptions(conv_algorithms=direct)):
        assert isinstance(bound(reference.compile, options)(graph, 4, 1), reference.Reference)
    text = r"^the reference engine cannot limit the memory of a program \(memory=5\); leave it out$"
    with pytest.raises(UsageError, match=text):
        bound(reference.compile, CompileOptions(memory=5))(graph, 4, 1)


def test_pytorch_refuses_what_it_decides_itself(graph: Graph) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
    engine = pytest.importorskip("opsin.backends.torch", reason="the engine needs PyTorch")
    assert isinstance(bound(engine.compile, PLAN)(graph, 4, 1), engine.Torch)
    text = r"^the torch engine cannot exclude Winograd's algorithm \(winograd=False\); leave it out$"
    with pytest.raises(UsageError, match=text):
        bound(engine.compile, EXACT)(graph, 4, 1)
    with pytest.raises(UsageError, match=r"^the torch engine cannot limit the memory of a program \(memory=5\)"):
        bound(engine.compile, CompileOptions(memory=5))(graph, 4, 1)


def test_a_bound_engine_can_be_pickled() -> None:
    engine = pickle.loads(pickle.dumps(bound(partial(compile_native, memory=7), EXACT)))
    assert (engine.options, engine.takes_options, engine.engine.keywords) == (EXACT, True, {"memory": 7})


@pytest.mark.parametrize("old", [{"exact": True}, {"choices": {}}, {"exact": True, "choices": {}}])
def test_the_keywords_of_opsin_0_1_0_still_work(graph: Graph, old: Mapping[str, Any]) -> None:
    tune_to(graph, ConvAlgorithm.DIRECT)
    with pytest.warns(DeprecationWarning, match=r"^compile: exact and choices are now winograd=False and") as caught:
        program = compile_native(graph, 4, 1, **old)
    assert caught[0].filename == __file__
    options = CompileOptions(winograd=not old.get("exact"), conv_algorithms={})
    assert kernels(program) == kernels(compile_native(graph, 4, 1, options=options))


def test_options_replace_those_that_an_engine_is_bound_to() -> None:
    again = bound(bound(named, EXACT), PLAN)
    assert again.options == PLAN and again.engine is named


def test_an_engine_in_another_precision_keeps_its_options(graph: Graph) -> None:
    plan = bound(named, EXACT)
    assert in_precision(plan, Precision.FLOAT32) is plan and in_precision(named, Precision.FLOAT32) is named
    narrow = in_precision(plan, Precision.BF16)
    assert narrow.options == CompileOptions(winograd=False, conv_algorithms={}, precision=Precision.BF16)  # type: ignore[attr-defined]
    sizes = [each(graph, 4, 1).plan.arena_size for each in (plan, narrow, in_precision(named, Precision.BF16))]  # type: ignore[attr-defined]
    assert sizes[1] < sizes[0]
    with pytest.raises(UsageError, match=r"compute in another precision \(precision\), and the engine has no options"):
        in_precision(without_options, Precision.BF16)
