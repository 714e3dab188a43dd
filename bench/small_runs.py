"""Runs of `small_sets.py`: train and evaluate each set in its own process, and record a line of JSON per run."""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import sqrt
from pathlib import Path
from statistics import mean, median
from threading import Lock
from typing import Any

from common import begin, finish, print_table

FIXED = ("lenet5", "resnet20_cifar", "resnet9_half", "head", "tuned")
AUTOMATIC = "automatic"
MAX_BUDGET_FACTOR = 1.15
"""A run is late if it takes longer than this many times its budget."""

MAX_LISTED_SETS = 12
Run = dict[str, Any]
_results_lock = Lock()


# -- one run ----------------------------------------------------------------------------------


def train_and_evaluate(folder: Path, entry: Run, recipe: str, options: argparse.Namespace) -> Run:
    """Train on a set, evaluate the model on its test split, and return the results."""
    result: Run = {"set": entry["number"], "recipe": recipe, "seed": options.seed, "budget": options.budget}
    data = str((folder / entry["data" if recipe == AUTOMATIC else "files"]).resolve())
    with tempfile.TemporaryDirectory() as folder_name:
        out, run = Path(folder_name, "model.opsin"), Path(folder_name, "run")
        seed = ["--seed", str(options.seed)]
        if recipe == AUTOMATIC:
            arguments = ["-m", "opsin", "train", data, "--budget", options.budget]
            arguments += ["--out", str(out), "--run", str(run), *seed]
        else:
            script, budget = str(Path(__file__).with_name("fixed_recipe.py")), str(parse_seconds(options.budget))
            arguments = [script, recipe, data, str(out), "--budget", budget, "--started-at", str(time.time()), *seed]
            arguments += ["--images", str(sum(entry["counts"]))]
        result |= _run_process(arguments, folder_name, 6 * parse_seconds(options.budget) + 120)
        if recipe == AUTOMATIC:
            result |= _plan_of(run)
        if result["exit"] == 0:
            result |= _evaluate(out, data, folder_name)
    return result


def _run_process(arguments: list[str], folder: str, limit: float) -> Run:
    """Run a process of this Python; return its seconds, exit status and, if it failed, its last lines."""
    start = time.perf_counter()
    try:
        process = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"seconds": time.perf_counter() - start, "exit": -1, "error": f"not finished after {limit:.0f} s"}
    result: Run = {"seconds": time.perf_counter() - start, "exit": process.returncode}
    if process.stdout.strip():
        result["said"] = process.stdout.strip().splitlines()[-1]
    if process.returncode:
        result["error"] = "\n".join((process.stderr or process.stdout).strip().splitlines()[-12:])
    return result


def _plan_of(run: Path) -> Run:
    """Return the network, size, stages and reasons from the run's folder."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    plan = config["plan"]
    stages = [{key: stage.get(key) for key in ("name", "epochs", "batch", "augment")} for stage in plan["stages"]]
    chosen = {key: plan.get(key) for key in ("network", "pretrained", "size", "optimizer")}
    return {**chosen, "stages": stages, "reasons": config.get("reasons")}


def _evaluate(model: Path, data: str, folder: str) -> Run:
    """Return the model's balanced accuracy with its bounds."""
    command = [sys.executable, "-m", "opsin", "evaluate", str(model), data, "--json"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if process.returncode:
        return {"error": "not evaluated: " + "\n".join(process.stderr.strip().splitlines()[-12:])}
    confusion = json.loads(process.stdout)["confusion"]
    value, low, high = balanced_accuracy([(row[label], sum(row)) for label, row in enumerate(confusion)])
    classes = sum(1 for row in confusion if sum(row))
    return {"balanced": value, "low": low, "high": high, "guess": 1 / classes, "tested": sum(map(sum, confusion))}


def balanced_accuracy(classes: Iterable[tuple[int, int]]) -> tuple[float, float, float]:
    """Return the mean of the classes' accuracies, from (correct, total) of each class, and its 95 percent interval.

    The variance of each accuracy is that of (correct + 1) / (total + 2), which is above 0 even if all are correct.
    """
    counts = [(correct, total) for correct, total in classes if total]
    value = mean(correct / total for correct, total in counts)
    smoothed = [((correct + 1) / (total + 2), total) for correct, total in counts]
    half_width = 1.96 * sqrt(sum(p * (1 - p) / total for p, total in smoothed)) / len(counts)
    return value, max(0.0, value - half_width), min(1.0, value + half_width)


def parse_seconds(budget: str) -> float:
    """Return the seconds of a time such as 20, 20s or 2min."""
    for ending, factor in (("min", 60.0), ("s", 1.0), ("h", 3600.0)):
        if budget.endswith(ending):
            return float(budget[: -len(ending)]) * factor
    return float(budget)


# -- many runs --------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Train every set with `opsin train`, with no option but the budget."""
    folder, manifest, record = _begin(options)
    runs = _run_missing(folder, manifest, (AUTOMATIC,), options)
    table = _show_all(runs, {entry["number"]: entry for entry in manifest}, parse_seconds(options.budget))
    finish(options, {**record, **table, "runs": runs})
    return 0


def rank(options: argparse.Namespace) -> int:
    """Train some sets with the automatic choice and with each of the fixed recipes."""
    folder, manifest, record = _begin(options)
    if not options.only:
        manifest = evenly_chosen(manifest, options.sets)
    runs = _run_missing(folder, manifest, (AUTOMATIC, *FIXED), options)
    sets = {entry["number"]: entry for entry in manifest}
    ranks, table = _show_ranks(runs, sets, parse_seconds(options.budget))
    finish(options, {**record, **table, "runs": runs, "ranks": ranks})
    return 0


def evenly_chosen(manifest: list[Run], count: int) -> list[Run]:
    """Return `count` sets, evenly spaced among all sets sorted by source and number."""
    ordered = sorted(manifest, key=lambda entry: (entry["source"], entry["number"]))
    positions = {position * len(ordered) // count for position in range(count)}
    return sorted((ordered[position] for position in positions), key=lambda entry: entry["number"])


def ranks_of(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the largest; equal values share their mean rank."""
    return [
        1 + sum(other > value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


def _begin(options: argparse.Namespace) -> tuple[Path, list[Run], Run]:
    folder = Path(options.folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if options.only:
        chosen = set(_numbers(options.only))
        manifest = [entry for entry in manifest if entry["number"] in chosen]
    return folder, manifest, begin(options)


def _numbers(ranges: Iterable[str]) -> Iterable[int]:
    for each in ranges:
        first, _, last = each.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _run_missing(folder: Path, manifest: list[Run], recipes: Sequence[str], options: argparse.Namespace) -> list[Run]:
    """Train each set by each recipe, in an order that differs between sets, unless the results file has it."""
    path = folder / f"results-{options.budget}-{options.seed}{options.tag and '-' + options.tag}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    results = {(result["set"], result["recipe"]): result for result in map(json.loads, lines)}
    if options.retry:
        results = {key: result for key, result in results.items() if "balanced" in result}
    jobs = [
        (entry, recipe) for entry in manifest for recipe in random.Random(entry["number"]).sample(recipes, len(recipes))
    ]
    missing = [(entry, recipe) for entry, recipe in jobs if (entry["number"], recipe) not in results]

    def work(job: tuple[Run, str]) -> None:
        result = train_and_evaluate(folder, *job, options)
        with _results_lock:
            results[result["set"], result["recipe"]] = result
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result) + "\n")
            print(_line(result, job[0]), flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, missing))
    return [results[entry["number"], recipe] for entry, recipe in jobs]


def _line(result: Run, entry: Run) -> str:
    if "balanced" in result:
        what = f"{result['balanced']:6.1%} ({result['low']:.0%} to {result['high']:.0%}, guess {result['guess']:.0%})"
    else:
        what = f"FAILED: {result.get('error', '').splitlines()[-1:]}"
    return f"{_name(entry):16} {result['recipe']:14} {result['seconds']:5.1f} s  {what}  {result.get('network') or ''}"


def _name(entry: Run) -> str:
    return f"{entry['number']:03}-{entry['source']}"


def _show_all(runs: list[Run], sets: dict[int, Run], budget: float) -> dict[str, Any]:
    """Print the tables and return the first as a record's."""
    failed = [result for result in runs if "balanced" not in result]
    late = [result for result in runs if result["seconds"] > MAX_BUDGET_FACTOR * budget]
    evaluated = [result for result in runs if "balanced" in result]
    worse = [result for result in evaluated if result["high"] < result["guess"]]
    below = [result for result in evaluated if result["balanced"] < result["guess"]]
    rows = [
        ("trained and evaluated", f"{len(evaluated)} of {len(runs)}"),
        (f"within {MAX_BUDGET_FACTOR} times their budget", f"{len(runs) - len(late)} of {len(runs)}"),
        ("significantly worse than the most common class", f"{len(worse)}"),
        ("worse than the most common class", f"{len(below)}"),
        ("longest", f"{max(result['seconds'] for result in runs):.1f} s"),
        ("mean balanced accuracy", f"{mean([result['balanced'] for result in evaluated] or [0.0]):.1%}"),
    ]
    table = print_table(("sets", "number"), rows)
    for title, results in (("failed", failed), ("late", late), ("worse", worse)):
        for each in results:
            print(f"\n{title}: {_describe(each, sets)}\n{each.get('error', '')}".rstrip())
    worst = sorted(evaluated, key=lambda result: result["balanced"] - result["guess"])[:MAX_LISTED_SETS]
    print_table(
        ("least above the most common class", "balanced", "bounds", "guess", "seconds", "network"),
        [
            (
                _describe(result, sets), f"{result['balanced']:.1%}", f"{result['low']:.1%} to {result['high']:.1%}",
                f"{result['guess']:.1%}", f"{result['seconds']:.1f}", str(result.get("network")),
            )
            for result in worst
        ],
    )  # fmt: skip
    return table


def _describe(result: Run, sets: dict[int, Run]) -> str:
    entry = sets[result["set"]]
    return (
        f"{_name(entry)}: {entry['classes']} classes, {sum(entry['counts'])} images, {entry['ratio']}:1, "
        f"{entry['side']}² × {entry['channels']}, {entry['container']}"
    )


def _show_ranks(runs: list[Run], sets: dict[int, Run], budget: float) -> tuple[dict[int, float], dict[str, Any]]:
    """Print the tables; return the automatic choice's rank on each set, and the table of recipes for a record.

    A failed run counts as accuracy 0.
    """
    results = {(each["set"], each["recipe"]): each for each in runs}
    recipes, rows, ranks = (AUTOMATIC, *FIXED), [], {recipe: list[float]() for recipe in (AUTOMATIC, *FIXED)}
    automatic_ranks: dict[int, float] = {}
    for number in sets:
        values = [results[number, recipe].get("balanced", 0.0) for recipe in recipes]
        for recipe, rank_on_set in zip(recipes, ranks_of(values), strict=True):
            ranks[recipe].append(rank_on_set)
        automatic_ranks[number] = ranks[AUTOMATIC][-1]
        cells = [
            f"{value:.1%}{'' if 'balanced' in results[number, r] else '!'}"
            for r, value in zip(recipes, values, strict=True)
        ]
        network = str(results[number, AUTOMATIC].get("network"))
        rows.append((_describe(results[number, AUTOMATIC], sets), *cells, f"{automatic_ranks[number]:g}", network))
    print_table(("set", *recipes, "rank", "chosen"), rows)
    table = print_table(
        ("recipe", "median rank", "mean rank", "mean balanced", "failed", "late"),
        [
            (
                recipe, f"{median(ranks[recipe]):g}", f"{mean(ranks[recipe]):.2f}",
                f"{mean(results[number, recipe].get('balanced', 0.0) for number in sets):.1%}",
                str(sum("balanced" not in results[number, recipe] for number in sets)),
                str(sum(results[number, recipe]["seconds"] > MAX_BUDGET_FACTOR * budget for number in sets)),
            )
            for recipe in recipes
        ],
    )  # fmt: skip
    print(f"\nmedian rank of the automatic choice among {len(recipes)}: {median(automatic_ranks.values()):g}")
    return automatic_ranks, table
