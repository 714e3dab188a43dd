"""What was measured, as lines for the terminal, as a Markdown table, and as data."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import opsin
from opsin.apps.benchmark.cases import INFER, TRAIN
from opsin.apps.benchmark.measure import LIMITS, Figures, Result
from opsin.apps.benchmark.scaling import Sweep
from opsin.apps.benchmark.scaling import rows as rows_of
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import codegen
from opsin.backends.native.machine_peak import cpu_model, load
from opsin.base.processors import processors

Row = tuple[str, ...]

HEADS: Row = ("", "ms a call", "images/s", "× best peer", "difference", "memory")
SUMMARY: Row = ("network", "batch", "Opsin, images/s", "best peer", "images/s", "ratio (least to most)", "of peak")


def machine() -> dict[str, Any]:
    """What a figure depends on besides the programs."""
    this = codegen.host()
    return {
        "cpu": cpu_model(), "kind": f"{this.cpu}, {this.target.name}", "cores": processors(), "load": load(),
        "system": platform.system(), "python": platform.python_version(), "opsin": opsin.__version__,
    }  # fmt: skip


def machine_line(facts: dict[str, Any]) -> str:
    busy = "" if facts["load"] is None else f", load {facts['load']}"
    return (
        f"{facts['cpu']} ({facts['kind']}), {facts['cores']} cores{busy}; "
        f"Opsin {facts['opsin']}, Python {facts['python']}"
    )


def limits_line(result: Result) -> str:
    """The machine's own limits in the same rounds."""
    peak, bandwidth = Spread.of(result.peaks), Spread.of(result.bandwidths)
    return (
        f"multiply-adds alone {peak.median / 1e9:.0f} GF/s ({peak.least / 1e9:.0f} to {peak.most / 1e9:.0f}), "
        f"memory {bandwidth.median / 1e9:.1f} GB/s ({bandwidth.least / 1e9:.1f} to {bandwidth.most / 1e9:.1f})"
    )


def rows(result: Result) -> list[Row]:
    """Everybody's figures in a case, under `HEADS`."""
    made: list[Row] = []
    for figures in result.figures:
        if figures.problem is not None:
            made.append((figures.title, "", "", "", "", figures.problem))
            continue
        spread = Spread.of([1e3 * s for s in figures.seconds])
        times = f"{spread.median:.3g}" if figures.dropped else f"{spread:.3g}"
        memory = f"{figures.memory / 1e6:,.0f} MB" if figures.memory else ""
        ratio = "dropped" if figures.dropped else against_best(result, figures)
        first = "" if figures is result.opsin else _difference(figures)
        made.append((figures.title, times, rate(result, figures), ratio, first, memory))
    return made


def against_best(result: Result, figures: Figures) -> str:
    """The median ratio of speeds round by round, and its spread."""
    if result.best is None:
        return ""
    return f"{Spread.of_ratios(result.best.seconds, figures.seconds):.2f}"


def rate(result: Result, figures: Figures) -> str:
    """Images a second, in three digits or more."""
    number = result.case.batch / median(figures.seconds)
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def summary(results: Sequence[Result]) -> list[Row]:
    """A line a case, under `SUMMARY`."""
    made: list[Row] = []
    for result in results:
        best, spread, share = result.best, result.ratios, result.share_of_peak
        made.append((
            result.case.network, str(result.case.batch), rate(result, result.opsin),
            best.title if best else "none", rate(result, best) if best else "",
            f"{spread:.2f}" if spread else "", f"{share:.0%}" if share else "",
        ))  # fmt: skip
    return made


def markdown(results: Sequence[Result], facts: dict[str, Any]) -> str:
    """The tables of training and of inference, and what they were measured on."""
    parts = [f"{machine_line(facts)}. {versions(results)}."]
    for training in (True, False):
        chosen = [result for result in results if (result.case.task == TRAIN) == training]
        if chosen:
            parts.append("Training steps" if training else "Inference")
            lines = [_line(SUMMARY), _line(("---", "---:", "---:", "---", "---:", "---:", "---:"))]
            parts.append("\n".join([*lines, *map(_line, summary(chosen))]))
    parts.append(
        f"{results[0].case.threads} threads each, in turns; medians, and ratios round by round. Logits agree within "
        f"{LIMITS[INFER]:.1%} of their range, losses within {LIMITS[TRAIN]:.0%} of what a step changes. 'Of peak' "
        f"compares twice the multiply-adds of direct convolution with {limits_line(results[-1])}."
    )
    return "\n\n".join(parts) + "\n"


def scaling_markdown(sweeps: Sequence[Sweep], facts: dict[str, Any]) -> str:
    """A table a sweep."""
    parts = [machine_line(facts) + "."]
    for sweep in sweeps:
        parts.append(f"{sweep.title}: {sweep.verdict}")
        heads = [_line((sweep.axis, "ms a call", "time a unit of work")), _line(("---:", "---:", "---:"))]
        parts.append("\n".join([*heads, *map(_line, rows_of(sweep))]))
    return "\n\n".join(parts) + "\n"


def versions(results: Sequence[Result]) -> str:
    """Each peer's version."""
    found = {f.library: f"{f.library} {f.version}" for r in results for f in r.figures[1:] if f.version}
    return "Against " + ", ".join(found.values()) if found else "No other library was there to compare with"


def to_data(results: Sequence[Result], facts: dict[str, Any]) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "machine": facts,
        "results": [
            {
                **asdict(result.case),
                "macs": result.macs,
                "peak_flops": result.peaks,
                "bytes_a_second": result.bandwidths,
                "share_of_peak": result.share_of_peak,
                "best_peer": result.best.title if result.best else None,
                "ratio": asdict(result.ratios) if result.ratios else None,
                "figures": [_finite(asdict(figures)) for figures in result.figures],
            }
            for result in results
        ],
    }


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: a difference that has no measure is none."""
    return data | {"difference": None} if data["difference"] == float("inf") else data


def _difference(figures: Figures) -> str:
    text = f"{figures.difference:.0e}"
    return text if figures.agrees else f"{text}: differs"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
