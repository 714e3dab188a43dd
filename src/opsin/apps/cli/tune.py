"""`opsin tune`: find the fastest algorithm for each convolution of a network on this machine. Experimental."""

from __future__ import annotations

import typer

from opsin.apps.cli.output import StatusLine, print_heading, print_table
from opsin.apps.cli.subject import find_subject
from opsin.backends.native.codegen import host
from opsin.backends.native.tuning_cache import delete
from opsin.backends.tuning import TuningResult, TuningSummary, compare_steps, problems, tune
from opsin.base.processors import processors
from opsin.compiler.lower.conv_algorithms import ConvProblem
from opsin.compiler.precision import in_words, precision_named
from opsin.ir import show

BUDGET = 60.0
"""The default time limit in seconds."""

SINGLE_SHARE = 0.7
"""The share of the time for single convolutions. The rest is for whole steps."""


def run(
    name: str,
    batch: int,
    size: str | None,
    infer: bool,
    threads: int | None,
    budget: float | None,
    clear: bool,
    precision_name: str,
) -> int:
    """Time the algorithms, print the results, and save them if the whole network becomes faster."""
    precision = precision_named(precision_name)
    subject = find_subject(name, size, None, "--size")
    count = threads or processors()
    graph = subject.graph if infer else subject.training_step()
    kind = "prediction" if infer else "training step"
    title = f"{subject.name}, {kind}, {batch} images of {show(subject.input_shape)}, {_threads(count)}"
    title += in_words(precision)
    if clear:
        deleted = delete(map(str, problems(graph, batch, precision)), host().target)
        print_heading(title, f": deleted the results for {_convolutions(deleted)}; the heuristic chooses again")
        return 0
    print_heading(title)
    with StatusLine() as line:

        def show_progress(number: int, total: int, problem: ConvProblem) -> None:
            line.show(f"timing {number} of {total}: {problem.direction}, {shape(problem)}")

        summary = tune(graph, batch, count, SINGLE_SHARE * (budget or BUDGET), show_progress, precision=precision)
    if not summary.trials and not summary.skipped:
        typer.echo("There is nothing to tune: there is only one algorithm for each convolution.")
        return 0
    is_new = any(trial.fresh for trial in summary.overrides)
    algorithms = summary.conv_algorithms
    step = compare_steps(graph, batch, count, algorithms, precision=precision) if is_new else None
    if step and step[1] >= step[0]:
        summary = summary.reverted()
    summary.save(count)
    _print(summary)
    _print_conclusion(summary, step, kind)
    return 0


def shape(problem: ConvProblem) -> str:
    """Return the shapes of a convolution for one image, as `64 × 56 × 56 → 128 × 28 × 28, 3×3 / 2`."""
    rows, columns = problem.stride
    stride = "" if problem.stride == (1, 1) else f" / {rows}" if rows == columns else f" / {rows}×{columns}"
    sizes = f"{show((problem.channels, *problem.size))} → {show((problem.filters, *problem.out))}"
    return f"{sizes}, {problem.kernel[0]}×{problem.kernel[1]}{stride}"


def _print(summary: TuningSummary) -> None:
    """Print a line for each convolution, the largest gains first. A star marks results of earlier runs."""
    trials = sorted(summary.trials, key=lambda trial: -trial.saved)
    heads = ("convolution", "direction", "heuristic", "ms", "fastest", "ms", "gain", "count")
    rows = [_cells(trial) for trial in trials]
    typer.echo()
    print_table(heads, rows, left=(0, 1, 2, 4))
    if any(not trial.fresh for trial in trials):
        typer.secho("* timed by an earlier run", dim=True)
    if summary.skipped:
        typer.echo(
            f"\nThere was no time for {_convolutions(len(summary.skipped))}. "
            "Run the command again to continue with them, or give more time with --budget."
        )


def _cells(trial: TuningResult) -> tuple[str, ...]:
    gain = f"{trial.before / trial.after - 1:.0%}" if trial.algorithm != trial.heuristic else ""
    return (
        shape(trial.problem), trial.problem.direction, str(trial.heuristic), f"{1e3 * trial.before:.3f}",
        str(trial.algorithm) if gain else "the same", f"{1e3 * trial.after:.3f}" if gain else "", gain,
        f"{trial.count}" + ("" if trial.fresh else " *"),
    )  # fmt: skip


def _print_conclusion(summary: TuningSummary, step: tuple[float, float] | None, kind: str) -> None:
    """Print what the whole network gains. `step` are its seconds before and after, if they were measured."""
    saved_ms, count = 1e3 * sum(trial.saved for trial in summary.trials), len(summary.overrides)
    replaced = f"\nAnother algorithm than the heuristic's is used for {_convolutions(count)}"
    if step is None:
        typer.echo(replaced + (f", which should save {saved_ms:.2f} ms per {kind}." if count else "."))
        return
    before, after = step
    comparison = (
        f"a whole {kind} took {1e3 * before:.2f} ms with the heuristic's algorithms and {1e3 * after:.2f} ms with these"
    )
    if after >= before:
        typer.echo(
            f"\nSingle convolutions were faster with other algorithms, but {comparison}: the heuristic's are kept."
        )
    else:
        typer.echo(
            f"{replaced}, which should save {saved_ms:.2f} ms; {comparison}: {before / after - 1:.1%} faster.\n"
            "Training and prediction on this machine use them from now on. To return to the heuristic, use --clear."
        )


def _convolutions(count: int) -> str:
    return f"{count or 'no'} convolution{'' if count == 1 else 's'}"


def _threads(count: int) -> str:
    return f"{count} thread{'' if count == 1 else 's'}"
