"""`opsin tune`: which way each convolution of a network is computed fastest on this machine."""

from __future__ import annotations

import typer

from opsin.apps.cli.output import PassingLine, print_heading, print_table
from opsin.apps.cli.subject import find_subject
from opsin.apps.cli.units import parse_seconds
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import delete
from opsin.backends.tuning import TuningResult, TuningSummary, compare_steps, problems, tune
from opsin.base.processors import processors
from opsin.compiler.lower.conv_algorithms import ConvProblem
from opsin.ir import show

SINGLE = 0.7
"""The share of the time for single convolutions; the rest is for whole steps."""


def run(
    what: str, batch: int, size: str | None, infer: bool, threads: int | None, budget: str, forgetting: bool
) -> int:
    """Times, prints what came of it, and keeps it where the whole network gets faster by it."""
    subject = find_subject(what, size, None, "--size")
    count, seconds = threads or processors(), parse_seconds(budget)
    graph = subject.graph if infer else subject.step()
    kind = "prediction" if infer else "training step"
    title = f"{subject.name}, {kind}, {batch} images of {show(subject.input_shape)}, {_threads(count)}"
    if forgetting:
        gone = delete(map(str, problems(graph, batch)), host().target)
        print_heading(title, f": forgot what was timed of {_convolutions(gone)}; the model decides again")
        return 0
    print_heading(title)
    with PassingLine() as line:

        def tell(number: int, total: int, problem: ConvProblem) -> None:
            line.show(f"timing {number} of {total}: {problem.direction}, {shape(problem)}")

        found = tune(graph, batch, count, SINGLE * seconds, tell)
    if not found.trials and not found.skipped:
        typer.echo("There is nothing to choose: no convolution of it can be computed in more than one way.")
        return 0
    step = compare_steps(graph, batch, count, found.conv_algorithms) if any(trial.fresh for trial in found.overrides) else None
    if step and step[1] >= step[0]:
        found = found.reverted()
    found.save(count)
    _print(found)
    _conclude(found, step, kind)
    return 0


def shape(problem: ConvProblem) -> str:
    """`64 × 56 × 56 → 128 × 28 × 28, 3×3 / 2` of one image."""
    rows, columns = problem.stride
    stride = "" if problem.stride == (1, 1) else f" / {rows}" if rows == columns else f" / {rows}×{columns}"
    sizes = f"{show((problem.channels, *problem.size))} → {show((problem.filters, *problem.out))}"
    return f"{sizes}, {problem.kernel[0]}×{problem.kernel[1]}{stride}"


def _print(found: TuningSummary) -> None:
    """A line for each problem, those that gain most first; what was timed before is marked."""
    trials = sorted(found.trials, key=lambda trial: -trial.saved)
    heads = ("convolution", "direction", "by the model", "ms", "taken", "ms", "gain", "times")
    rows = [_cells(trial) for trial in trials]
    typer.echo()
    print_table(heads, rows, left=(0, 1, 2, 4))
    if any(not trial.fresh for trial in trials):
        typer.secho("* timed before", dim=True)
    if found.skipped:
        typer.echo(
            f"\nThere was no time for {_convolutions(len(found.skipped))}; "
            "the same command goes on with them, --budget gives more time."
        )


def _cells(trial: TuningResult) -> tuple[str, ...]:
    gain = f"{trial.before / trial.after - 1:.0%}" if trial.algorithm != trial.heuristic else ""
    return (
        shape(trial.problem), trial.problem.direction, str(trial.heuristic), f"{1e3 * trial.before:.3f}",
        str(trial.algorithm) if gain else "the same", f"{1e3 * trial.after:.3f}" if gain else "", gain,
        f"{trial.count}" + ("" if trial.fresh else " *"),
    )  # fmt: skip


def _conclude(found: TuningSummary, step: tuple[float, float] | None, kind: str) -> None:
    """What the whole network gains."""
    saved, other = sum(trial.saved for trial in found.trials), len(found.overrides)
    if step is None:
        more = f", which should save {1e3 * saved:.2f} ms a {kind}" if other else ""
        typer.echo(f"\nAnother way than the model's is taken for {_convolutions(other)}{more}.")
        return
    before, after = step
    measured = f"a whole {kind} took {1e3 * before:.2f} ms with the model's ways, {1e3 * after:.2f} ms with these"
    if after >= before:
        typer.echo(f"\nSingle convolutions were faster in other ways, but {measured}: the model's are kept.")
    else:
        typer.echo(
            f"\nAnother way than the model's is taken for {_convolutions(other)}, which should save {1e3 * saved:.2f} "
            f"ms; {measured}: {before / after - 1:.1%} faster.\nTraining and prediction on this machine use them from "
            "now on; --forget leaves all to the model again."
        )


def _convolutions(count: int) -> str:
    return f"{count or 'no'} convolution{'' if count == 1 else 's'}"


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"
