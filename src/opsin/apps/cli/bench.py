"""`opsin bench`: compare Opsin's speed with that of other libraries."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

import typer

from opsin.apps.benchmark import report
from opsin.apps.benchmark.cases import INFER, TRAIN, Case, cases, describe, parse_batches
from opsin.apps.benchmark.measure import Result, measure
from opsin.apps.benchmark.peers import OPSIN, PEERS, Competitor, interpreters
from opsin.apps.benchmark.plot import bars, lines
from opsin.apps.benchmark.precision import FLOAT32, INT8, PRECISIONS, multiplied_here
from opsin.apps.benchmark.scaling import Sweep, measure_sweep, sweeps
from opsin.apps.benchmark.scaling import rows as scaling_rows
from opsin.apps.cli.output import StatusLine, print_heading, print_table, write_file
from opsin.base.errors import UsageError
from opsin.base.processors import processors


@dataclass(frozen=True)
class OutputFiles:
    """The files that the results are written to, if any."""

    json: str | None
    markdown: str | None
    plot: str | None

    def write(self, data: dict[str, Any], markdown: Callable[[], str], plot: Callable[[], str]) -> None:
        """Write the requested files."""
        if self.json:
            origin = {"date": date.today().isoformat(), "command": shlex.join(["opsin", *sys.argv[1:]])}
            write_file(self.json, json.dumps(origin | data, indent=2, allow_nan=False) + "\n")
        if self.markdown:
            write_file(self.markdown, markdown())
        if self.plot:
            write_file(self.plot, plot())


def run(
    networks: Sequence[str],
    tasks: Sequence[str],
    batch: str | None,
    size: int | None,
    threads: int | None,
    rounds: int,
    seconds: float,
    peers: Sequence[str],
    precision: str | None,
    scaling: bool,
    files: tuple[str | None, str | None, str | None],
) -> int:
    """Measure and print case by case. Return 1 if the results of a peer differ from Opsin's."""
    precisions = precisions_of(precision)
    count, machine, outputs = threads or processors(), report.machine(), OutputFiles(*files)
    if scaling:
        if networks or batch or size:
            raise UsageError("--scaling has fixed networks, batches and sizes; leave out yours")
        return run_scaling(count, rounds, seconds, machine, outputs)
    selected = cases(
        networks, tasks or (TRAIN, INFER), parse_batches(batch, f"--batch {batch}") if batch else [], size, count
    )
    for case in {(case.network, case.task): case for case in selected}.values():
        describe(case)  # refuses a network before anything is measured
    pythons = interpreters(peers)
    typer.echo(report.machine_line(machine))
    if missing_peers := [peer.title for name, peer in PEERS.items() if name not in pythons]:
        typer.secho(
            f"Not installed: {', '.join(missing_peers)}; --peer NAME=PYTHON names an interpreter that has it.", dim=True
        )
    results: list[Result] = []
    for case in selected:
        with StatusLine() as line:
            results.append(measure(case, competitors(case, pythons, precisions), rounds, seconds, line.show))
        print_case(results[-1])
        outputs.write(  # after every case, so that an interrupted run leaves its results
            report.to_data(results, machine), partial(report.markdown, results, machine), partial(bars, results)
        )
    print_summary(results)
    compared = [peer for result in results for peer in result.figures[1:] if peer.difference is not None]
    return 0 if all(peer.agrees for peer in compared) else 1


def run_scaling(threads: int, rounds: int, seconds: float, machine: dict[str, Any], outputs: OutputFiles) -> int:
    """Measure and print how Opsin's time grows."""
    typer.echo(report.machine_line(machine))
    results: list[Sweep] = []
    for sweep in sweeps(threads):
        with StatusLine() as line:
            measure_sweep(sweep, Competitor(OPSIN, "", sys.executable), rounds, seconds, line.show)
        results.append(sweep)
        typer.echo()
        print_heading(sweep.title, f": {sweep.verdict}")
        print_table((sweep.axis, "ms per call", "time per unit of work"), scaling_rows(sweep), left=())
        data = {"machine": machine, "sweeps": [each.to_data() for each in results]}
        outputs.write(data, partial(report.scaling_markdown, results, machine), partial(lines, results))
    return 0


def precisions_of(text: str | None) -> Sequence[str]:
    """Return the precisions to measure: by default those that this processor multiplies."""
    if text is None:
        return multiplied_here()
    if text == INT8:
        return (*multiplied_here(), INT8)
    if text not in PRECISIONS:
        raise UsageError(f"the precision must be {', '.join(PRECISIONS)} or {INT8}, not '{text}'")
    return PRECISIONS[: PRECISIONS.index(text) + 1]


def competitors(case: Case, pythons: dict[str, str], precisions: Sequence[str] = (FLOAT32,)) -> list[Competitor]:
    """Return Opsin in each of the precisions, then every mode of every peer that supports the task, in the same ones.

    `pythons` are the peers' interpreters.
    """
    peers = [OPSIN, *(PEERS[name] for name in PEERS if name in pythons)]
    programs = {OPSIN.name: sys.executable} | pythons
    return [Competitor(peer, mode, programs[peer.name]) for peer in peers for mode in peer.modes(case.task, precisions)]


def print_case(result: Result) -> None:
    """Print the results of a case."""
    typer.echo()
    print_heading(str(result.case), f": {result.macs / result.case.batch / 1e6:,.1f} million MACs per image")
    print_table(report.HEADS, report.rows(result), left=(0, 1))
    share = f"Opsin reaches {result.share_of_peak:.0%} of the peak; " if result.share_of_peak else ""
    typer.secho(f"{share}{report.limits_line(result)}", dim=True)


def print_summary(results: Sequence[Result]) -> None:
    """Print the tables that have more than one case."""
    for title, selected, precisions in report.tables(results):
        if len(selected) > 1:
            typer.echo()
            print_heading(title)
            print_table(report.SUMMARY, report.summary(selected, precisions), left=(0, 3))
