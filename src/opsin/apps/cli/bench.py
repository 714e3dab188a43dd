"""`opsin bench`: Opsin's speed against that of the other libraries here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import typer

from opsin.apps.benchmark import report
from opsin.apps.benchmark.cases import INFER, TRAIN, Case, cases, describe, whole_numbers
from opsin.apps.benchmark.measure import Result, measure
from opsin.apps.benchmark.peers import OPSIN, PEERS, Competitor, interpreters
from opsin.apps.benchmark.plot import bars, lines
from opsin.apps.benchmark.scaling import Sweep, measure_sweep, sweeps
from opsin.apps.benchmark.scaling import rows as scaling_rows
from opsin.apps.cli.output import print_heading, print_table, write_aside
from opsin.apps.cli.terminal import is_live
from opsin.base.errors import UsageError
from opsin.base.processors import processors


@dataclass(frozen=True)
class Files:
    """Where the results go, too; none where that is not asked for."""

    json: str | None
    markdown: str | None
    plot: str | None

    def write(self, data: dict[str, Any], markdown: Callable[[], str], plot: Callable[[], str]) -> None:
        if self.json:
            write_aside(self.json, json.dumps(data, indent=2, allow_nan=False) + "\n")
        if self.markdown:
            write_aside(self.markdown, markdown())
        if self.plot:
            write_aside(self.plot, plot())


def run(
    networks: Sequence[str],
    tasks: Sequence[str],
    batch: str | None,
    size: int | None,
    threads: int | None,
    rounds: int,
    seconds: float,
    peers: Sequence[str],
    scaling: bool,
    files: tuple[str | None, str | None, str | None],
) -> int:
    """Measures case by case and prints each; 1 where a peer computed something else than Opsin."""
    count, facts, outputs = threads or processors(), report.machine(), Files(*files)
    if scaling:
        if networks or batch or size:
            raise UsageError("--scaling runs networks, batches and sizes of its own; leave out the others")
        return run_scaling(count, rounds, seconds, facts, outputs)
    wanted = cases(
        networks, tasks or (TRAIN, INFER), whole_numbers(batch, f"--batch {batch}") if batch else [], size, count
    )
    for case in {(case.network, case.task): case for case in wanted}.values():
        describe(case)  # what cannot be measured is said before anything is
    found = interpreters(peers)
    typer.echo(report.machine_line(facts))
    if missing := [peer.title for name, peer in PEERS.items() if name not in found]:
        typer.secho(f"Not here: {', '.join(missing)}; --peer NAME=PYTHON says which interpreter has it.", dim=True)
    results: list[Result] = []
    progress = Progress()
    for case in wanted:
        try:
            results.append(measure(case, contenders(case, found), rounds, seconds, progress))
        finally:
            progress("")
        print_case(results[-1])
        outputs.write(  # after every case, so that an interrupted run leaves what it has
            report.to_data(results, facts), partial(report.markdown, results, facts), partial(bars, results)
        )
    print_summary(results)
    wrong = [f for result in results for f in result.figures[1:] if f.difference is not None and not f.agrees]
    return 1 if wrong else 0


def run_scaling(threads: int, rounds: int, seconds: float, facts: dict[str, Any], outputs: Files) -> int:
    """Measures and prints how Opsin's time grows."""
    typer.echo(report.machine_line(facts))
    done: list[Sweep] = []
    progress = Progress()
    for sweep in sweeps(threads):
        try:
            measure_sweep(sweep, Competitor(OPSIN, "", sys.executable), rounds, seconds, progress)
        finally:
            progress("")
        done.append(sweep)
        typer.echo()
        print_heading(sweep.title, f": {sweep.verdict}")
        print_table((sweep.axis, "ms a call", "time a unit of work"), scaling_rows(sweep), left=())
        data = {"machine": facts, "sweeps": [each.to_data() for each in done]}
        outputs.write(data, partial(report.scaling_markdown, done, facts), partial(lines, done))
    return 0


def contenders(case: Case, found: dict[str, str]) -> list[Competitor]:
    """Opsin first, then every mode of every peer that can do the case's task."""
    peers = [PEERS[name] for name in PEERS if name in found]
    others = [Competitor(peer, mode, found[peer.name]) for peer in peers for mode in peer.modes(case.task)]
    return [Competitor(OPSIN, "", sys.executable), *others]


def print_case(result: Result) -> None:
    typer.echo()
    print_heading(str(result.case), f": {result.macs / result.case.batch / 1e6:,.1f} million multiply-adds an image")
    print_table(report.HEADS, report.rows(result), left=(0,))
    share = f"Opsin at {result.share_of_peak:.0%} of the peak; " if result.share_of_peak else ""
    typer.secho(f"{share}{report.limits_line(result)}", dim=True)


def print_summary(results: Sequence[Result]) -> None:
    for task, title in ((TRAIN, "Training steps"), (INFER, "Inference")):
        chosen = [result for result in results if result.case.task == task]
        if len(chosen) > 1:
            typer.echo()
            print_heading(title)
            print_table(report.SUMMARY, report.summary(chosen), left=(0, 3))


class Progress:
    """A line on standard error about what is going on, written over itself where that is a terminal."""

    def __init__(self) -> None:
        self.line = ""
        self.shown = is_live(sys.stderr)

    def __call__(self, text: str) -> None:
        if self.shown:
            typer.echo(f"\r{' ' * len(self.line)}\r{text}", nl=False, err=True)
            self.line = text
