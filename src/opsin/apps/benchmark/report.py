"""The results of a benchmark as lines for the terminal, as Markdown tables, and as data."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import opsin
from opsin.apps.benchmark.cases import INFER, TRAIN
from opsin.apps.benchmark.measure import Figures, Result
from opsin.apps.benchmark.peers import OPSIN
from opsin.apps.benchmark.precision import BF16, FLOAT32, INT8, LIMITS, PRECISIONS
from opsin.apps.benchmark.scaling import Sweep
from opsin.apps.benchmark.scaling import rows as sweep_rows
from opsin.apps.benchmark.spread import Spread
from opsin.backends.native import codegen
from opsin.backends.native.host import shown_features
from opsin.backends.native.machine_peak import cpu_model, load
from opsin.base.caches import CacheSizes, cache_sizes
from opsin.base.processors import processors

Row = tuple[str, ...]

HEADS: Row = ("", "precision", "ms per call", "images/s", "× best peer", "difference", "memory")
SUMMARY: Row = ("network", "batch", "Opsin, images/s", "best peer", "images/s", "ratio (range)", "of peak")


def machine() -> dict[str, Any]:
    """Return the properties of the machine that affect the results."""
    native = codegen.host()
    return {
        "cpu": cpu_model(), "kind": native.target.name, "features": shown_features(native.enabled),
        "tuned_for": native.cpu, "caches": asdict(cache_sizes()), "cores": processors(), "load": load(),
        "system": platform.system(), "python": platform.python_version(), "opsin": opsin.__version__,
    }  # fmt: skip


def machine_line(machine: dict[str, Any]) -> str:
    """Return a line about the machine and the versions."""
    load = "" if machine["load"] is None else f", load {machine['load']}"
    features, caches = ", ".join(machine["features"]), CacheSizes(**machine["caches"])
    return (
        f"{machine['cpu']} ({features}; code for {machine['tuned_for']}; {caches}), {machine['cores']} cores{load}; "
        f"Opsin {machine['opsin']}, Python {machine['python']}"
    )


def limits_line(result: Result) -> str:
    """Return a line about the limits of the machine, measured in the same rounds."""
    peak, bandwidth = Spread.of(result.peaks), Spread.of(result.bandwidths)
    return (
        f"peak by FMA alone {peak.median / 1e9:.0f} GFLOP/s ({peak.minimum / 1e9:.0f} to {peak.maximum / 1e9:.0f}), "
        f"memory {bandwidth.median / 1e9:.1f} GB/s ({bandwidth.minimum / 1e9:.1f} to {bandwidth.maximum / 1e9:.1f})"
    )


def rows(result: Result) -> list[Row]:
    """Return a row for each competitor in a case, under `HEADS`. Ratios are to the best peer in float32."""
    table: list[Row] = []
    for figures in result.figures:
        if figures.problem is not None:
            table.append((figures.title, figures.precision, "", "", "", "", figures.problem))
            continue
        spread = Spread.of([1e3 * s for s in figures.seconds])
        times = f"{spread.median:.3g}" if figures.dropped else f"{spread:.3g}"
        memory = f"{figures.memory / 1e6:,.0f} MB" if figures.memory else ""
        ratio = "dropped" if figures.dropped else against_best(result, figures)
        difference = "" if figures is result.opsin else _difference(figures)
        table.append((figures.title, figures.precision, times, rate(result, figures), ratio, difference, memory))
    return table


def against_best(result: Result, figures: Figures) -> str:
    """Return the speed relative to the best peer's, with its range over the rounds."""
    if result.best is None:
        return ""
    return f"{Spread.of_ratios(result.best.seconds, figures.seconds):.2f}"


def rate(result: Result, figures: Figures) -> str:
    """Return the images per second, in at least three digits."""
    images = result.case.batch / median(figures.seconds)
    return f"{images:,.0f}" if images >= 100 else f"{images:.3g}"


def summary(results: Sequence[Result], precisions: Sequence[str] = (FLOAT32,)) -> list[Row]:
    """Return a row for each case, under `SUMMARY`: Opsin and the best peer, each in the fastest of the precisions."""
    table: list[Row] = []
    for result in results:
        best, own = result.best_of(precisions), result.opsin_in(precisions)
        spread, share = result.ratios_to(best, own), result.share_of(own)
        suffix = f" ({own.precision})" if len(precisions) > 1 else ""
        table.append((
            result.case.network, str(result.case.batch), rate(result, own) + suffix,
            best.title if best else "none", rate(result, best) if best else "",
            f"{spread:.2f}" if spread else "", f"{share:.0%}" if share else "",
        ))  # fmt: skip
    return table


def markdown(results: Sequence[Result], machine: dict[str, Any]) -> str:
    """Return the tables for training and inference, with the conditions of the measurements."""
    parts = [f"{machine_line(machine)}. {versions(results)}."]
    for title, selected, precisions in tables(results):
        lines = [_line(SUMMARY), _line(("---", "---:", "---:", "---", "---:", "---:", "---:"))]
        parts += [title, "\n".join([*lines, *map(_line, summary(selected, precisions))])]
    parts.append(
        f"Each library runs in its own process with {results[0].case.threads} threads, and the processes alternate. "
        "Times are medians; ratios are taken round by round. In float32, outputs agree within "
        f"{LIMITS[INFER, FLOAT32]:.1%} of their range, losses within {LIMITS[TRAIN, FLOAT32]:.0%} of their change in a "
        f"step; in bfloat16 within {LIMITS[INFER, BF16]:.0%} and {LIMITS[TRAIN, BF16]:.0%}, in int8 within "
        f"{LIMITS[INFER, INT8]:.0%}. 'Of peak' compares two "
        f"operations for each MAC of direct convolution with the limits of the machine: {limits_line(results[-1])}."
    )
    return "\n\n".join(parts) + "\n"


def tables(results: Sequence[Result]) -> Iterator[tuple[str, list[Result], tuple[str, ...]]]:
    """Yield title, cases and precisions of each table: float32 alone, then the fastest in any precision."""
    for task, title in ((TRAIN, "Training steps"), (INFER, "Inference")):
        selected = [result for result in results if result.case.task == task]
        if selected:
            yield f"{title}, float32", selected, (FLOAT32,)
        reduced = [result for result in selected if BF16 in result.precisions]
        if reduced:
            yield f"{title}, each in its fastest precision", reduced, PRECISIONS
        whole = [result for result in selected if INT8 in result.precisions]
        if whole:
            yield f"{title}, int8", whole, (INT8,)


def scaling_markdown(sweeps: Sequence[Sweep], machine: dict[str, Any]) -> str:
    """Return a table for each sweep."""
    parts = [machine_line(machine) + "."]
    for sweep in sweeps:
        parts.append(f"{sweep.title}: {sweep.verdict}")
        heads = [_line((sweep.axis, "ms per call", "time per unit of work")), _line(("---:", "---:", "---:"))]
        parts.append("\n".join([*heads, *map(_line, sweep_rows(sweep))]))
    return "\n\n".join(parts) + "\n"


def versions(results: Sequence[Result]) -> str:
    """Return the versions of the peers."""
    peers = {
        f.library: f"{f.library} {f.version}"
        for r in results
        for f in r.figures
        if f.version and f.library != OPSIN.title
    }
    return "Compared with " + ", ".join(peers.values()) if peers else "No other library was available"


def to_data(results: Sequence[Result], machine: dict[str, Any]) -> dict[str, Any]:
    """Return all results as data for JSON."""
    return {
        "machine": machine,
        "results": [
            {
                **asdict(result.case),
                "macs": result.macs,
                "peak_flops": result.peaks,
                "bytes_a_second": result.bandwidths,
                "share_of_peak": result.share_of_peak,
                "best_peer": result.best.title if result.best else None,
                "ratio": _ratio(result.ratios) if result.ratios else None,
                "best_peer_any_precision": any_best.title if (any_best := result.best_of(PRECISIONS)) else None,
                "opsin_any_precision": (own := result.opsin_in(PRECISIONS)).title,
                "ratio_any_precision": _ratio(ratios) if (ratios := result.ratios_to(any_best, own)) else None,
                "share_of_peak_any_precision": result.share_of(own),
                "best_peer_int8": best.title if (best := result.best_of((INT8,))) else None,
                "ratio_int8": _ratio(ratios) if (ratios := _ratios_int8(result)) else None,
                "figures": [_finite(asdict(figures)) for figures in result.figures],
            }
            for result in results
        ],
    }


def _ratios_int8(result: Result) -> Spread | None:
    """Return Opsin's speed in int8 relative to the best peer's."""
    return result.ratios_to(result.best_of((INT8,)), result.opsin_in((INT8,))) if INT8 in result.precisions else None


def _ratio(ratios: Spread) -> dict[str, float]:
    """Return the ratios as data, also under the names of Opsin 0.1.0."""
    return {**asdict(ratios), "least": ratios.minimum, "most": ratios.maximum}


def _finite(data: dict[str, Any]) -> dict[str, Any]:
    """Replace an infinite difference by None, because JSON has no infinity."""
    return data | {"difference": None} if data["difference"] == float("inf") else data


def _difference(figures: Figures) -> str:
    text = f"{figures.difference:.0e}"
    return text if figures.agrees else f"{text}: differs"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
