"""Runs of `small_sets.py`: trains each set as a process of its own, measures, and keeps a line of JSON a run."""

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
LATE = 1.15
"""A run is in its budget up to so many times of it."""

WORSE_SHOWN = 12
Run = dict[str, Any]
_writing = Lock()


# -- one run ----------------------------------------------------------------------------------


def trained(folder: Path, one: Run, recipe: str, options: argparse.Namespace) -> Run:
    """Trains on a set, measures the model on its test part; what came of it."""
    found: Run = {"set": one["number"], "recipe": recipe, "seed": options.seed, "budget": options.budget}
    data = str((folder / one["data" if recipe == AUTOMATIC else "files"]).resolve())
    with tempfile.TemporaryDirectory() as place:
        out, run = Path(place, "model.opsin"), Path(place, "run")
        seed = ["--seed", str(options.seed)]
        if recipe == AUTOMATIC:
            words = [
                "-m",
                "opsin",
                "train",
                data,
                "--budget",
                options.budget,
                "--out",
                str(out),
                "--run",
                str(run),
                *seed,
            ]
        else:
            script, budget = str(Path(__file__).with_name("fixed_recipe.py")), str(seconds_of(options.budget))
            words = [script, recipe, data, str(out), "--budget", budget, "--began", str(time.time()), *seed]
            words += ["--images", str(sum(one["counts"]))]
        found |= _process(words, place, 6 * seconds_of(options.budget) + 120)
        if recipe == AUTOMATIC:
            found |= _planned(run)
        if found["exit"] == 0:
            found |= _measured(out, data, place)
    return found


def _process(words: list[str], place: str, limit: float) -> Run:
    """Seconds, exit status and, where it failed, the last lines of a process of this Python."""
    start = time.perf_counter()
    try:
        done = subprocess.run([sys.executable, *words], cwd=place, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"seconds": time.perf_counter() - start, "exit": -1, "error": f"not done after {limit:.0f} s"}
    ended: Run = {"seconds": time.perf_counter() - start, "exit": done.returncode}
    if done.stdout.strip():
        ended["said"] = done.stdout.strip().splitlines()[-1]
    if done.returncode:
        ended["error"] = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
    return ended


def _planned(run: Path) -> Run:
    """Network, size, stages and reasons that were chosen, as the run's folder tells."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    plan = config["plan"]
    stages = [{key: stage.get(key) for key in ("name", "epochs", "batch", "augment")} for stage in plan["stages"]]
    chosen = {key: plan.get(key) for key in ("network", "pretrained", "size", "optimizer")}
    return {**chosen, "stages": stages, "reasons": config.get("reasons")}


def _measured(model: Path, data: str, place: str) -> Run:
    """Balanced accuracy, with bounds."""
    words = [sys.executable, "-m", "opsin", "evaluate", str(model), data, "--json"]
    done = subprocess.run(words, cwd=place, capture_output=True, text=True)
    if done.returncode:
        return {"error": "not measured: " + "\n".join(done.stderr.strip().splitlines()[-12:])}
    confusion = json.loads(done.stdout)["confusion"]
    value, low, high = balanced([(row[place], sum(row)) for place, row in enumerate(confusion)])
    classes = sum(1 for row in confusion if sum(row))
    return {"balanced": value, "low": low, "high": high, "guess": 1 / classes, "tested": sum(map(sum, confusion))}


def balanced(classes: Iterable[tuple[int, int]]) -> tuple[float, float, float]:
    """The mean of the shares right, from (right, all) of each class, and its bounds of 95 %.

    The variance of each share is that of (right + 1) / (all + 2), which is not nothing where all or none are right.
    """
    tested = [(right, number) for right, number in classes if number]
    value = mean(right / number for right, number in tested)
    smooth = [((right + 1) / (number + 2), number) for right, number in tested]
    wide = 1.96 * sqrt(sum(p * (1 - p) / number for p, number in smooth)) / len(tested)
    return value, max(0.0, value - wide), min(1.0, value + wide)


def seconds_of(budget: str) -> float:
    """Of 20, 20s or 2min."""
    for ending, factor in (("min", 60.0), ("s", 1.0), ("h", 3600.0)):
        if budget.endswith(ending):
            return float(budget[: -len(ending)]) * factor
    return float(budget)


# -- many runs --------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Every set, by `opsin train` without options but the budget."""
    folder, manifest, record = _begin(options)
    runs = _all_of(folder, manifest, (AUTOMATIC,), options)
    _show_all(runs, {one["number"]: one for one in manifest}, seconds_of(options.budget))
    finish(options, {**record, "runs": runs})
    return 0


def rank(options: argparse.Namespace) -> int:
    """Some sets, by the automatic choice and by each of the fixed recipes."""
    folder, manifest, record = _begin(options)
    if not options.only:
        manifest = spread(manifest, options.sets)
    runs = _all_of(folder, manifest, (AUTOMATIC, *FIXED), options)
    ranks = _show_ranks(runs, {one["number"]: one for one in manifest}, seconds_of(options.budget))
    finish(options, {**record, "runs": runs, "ranks": ranks})
    return 0


def spread(manifest: list[Run], count: int) -> list[Run]:
    """So many sets, evenly from all: sorted by their source, then their number."""
    ordered = sorted(manifest, key=lambda one: (one["source"], one["number"]))
    places = {place * len(ordered) // count for place in range(count)}
    return sorted((ordered[place] for place in places), key=lambda one: one["number"])


def ranks_of(values: Sequence[float]) -> list[float]:
    """1 for the largest; equal ones share the mean of their places."""
    return [
        1 + sum(other > value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]


def _begin(options: argparse.Namespace) -> tuple[Path, list[Run], Run]:
    folder = Path(options.folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if options.only:
        chosen = set(_numbers(options.only))
        manifest = [one for one in manifest if one["number"] in chosen]
    return folder, manifest, begin(options)


def _numbers(words: Iterable[str]) -> Iterable[int]:
    for word in words:
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def _all_of(folder: Path, manifest: list[Run], recipes: Sequence[str], options: argparse.Namespace) -> list[Run]:
    """Each set by each recipe, in an order that differs from set to set; what is in the file already is not run."""
    path = folder / f"results-{options.budget}-{options.seed}{options.tag and '-' + options.tag}.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    done = {(found["set"], found["recipe"]): found for found in map(json.loads, lines)}
    if options.retry:
        done = {key: found for key, found in done.items() if "balanced" in found}
    wanted = [
        (one, recipe) for one in manifest for recipe in random.Random(one["number"]).sample(recipes, len(recipes))
    ]
    missing = [(one, recipe) for one, recipe in wanted if (one["number"], recipe) not in done]

    def work(job: tuple[Run, str]) -> None:
        found = trained(folder, *job, options)
        with _writing:
            done[found["set"], found["recipe"]] = found
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
            print(_line(found, job[0]), flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(work, missing))
    return [done[one["number"], recipe] for one, recipe in wanted]


def _line(found: Run, one: Run) -> str:
    if "balanced" in found:
        what = f"{found['balanced']:6.1%} ({found['low']:.0%} to {found['high']:.0%}, guess {found['guess']:.0%})"
    else:
        what = f"FAILED: {found.get('error', '').splitlines()[-1:]}"
    return f"{_name(one):16} {found['recipe']:14} {found['seconds']:5.1f} s  {what}  {found.get('network') or ''}"


def _name(one: Run) -> str:
    return f"{one['number']:03}-{one['source']}"


def _show_all(runs: list[Run], sets: dict[int, Run], budget: float) -> None:
    failed = [found for found in runs if "balanced" not in found]
    late = [found for found in runs if found["seconds"] > LATE * budget]
    measured = [found for found in runs if "balanced" in found]
    worse = [found for found in measured if found["high"] < found["guess"]]
    below = [found for found in measured if found["balanced"] < found["guess"]]
    rows = [
        ("ran, and were measured", f"{len(measured)} of {len(runs)}"),
        (f"in their budget (up to {LATE} times of it)", f"{len(runs) - len(late)} of {len(runs)}"),
        ("worse than the commonest class, beyond the bounds", f"{len(worse)}"),
        ("worse than it at all", f"{len(below)}"),
        ("longest", f"{max(found['seconds'] for found in runs):.1f} s"),
        ("mean balanced accuracy", f"{mean([found['balanced'] for found in measured] or [0.0]):.1%}"),
    ]
    print_table(("sets", "number"), rows)
    for title, found in (("failed", failed), ("late", late), ("worse", worse)):
        for each in found:
            print(f"\n{title}: {_described(each, sets)}\n{each.get('error', '')}".rstrip())
    worst = sorted(measured, key=lambda found: found["balanced"] - found["guess"])[:WORSE_SHOWN]
    print_table(
        ("least above the commonest class", "balanced", "bounds", "guess", "seconds", "network"),
        [
            (
                _described(found, sets), f"{found['balanced']:.1%}", f"{found['low']:.1%} to {found['high']:.1%}",
                f"{found['guess']:.1%}", f"{found['seconds']:.1f}", str(found.get("network")),
            )
            for found in worst
        ],
    )  # fmt: skip


def _described(found: Run, sets: dict[int, Run]) -> str:
    one = sets[found["set"]]
    return (
        f"{_name(one)}: {one['classes']} classes, {sum(one['counts'])} images, {one['ratio']}:1, {one['side']}² × "
        f"{one['channels']}, {one['container']}"
    )


def _show_ranks(runs: list[Run], sets: dict[int, Run], budget: float) -> dict[int, float]:
    """Prints the table; the automatic choice's rank on each set. What failed has nothing right."""
    found = {(each["set"], each["recipe"]): each for each in runs}
    recipes, rows, ranks = (AUTOMATIC, *FIXED), [], {recipe: list[float]() for recipe in (AUTOMATIC, *FIXED)}
    own: dict[int, float] = {}
    for number in sets:
        values = [found[number, recipe].get("balanced", 0.0) for recipe in recipes]
        for recipe, place in zip(recipes, ranks_of(values), strict=True):
            ranks[recipe].append(place)
        own[number] = ranks[AUTOMATIC][-1]
        cells = [
            f"{value:.1%}{'' if 'balanced' in found[number, r] else '!'}"
            for r, value in zip(recipes, values, strict=True)
        ]
        network = str(found[number, AUTOMATIC].get("network"))
        rows.append((_described(found[number, AUTOMATIC], sets), *cells, f"{own[number]:g}", network))
    print_table(("set", *recipes, "rank", "chosen"), rows)
    print_table(
        ("recipe", "median rank", "mean rank", "mean balanced", "failed", "late"),
        [
            (
                recipe, f"{median(ranks[recipe]):g}", f"{mean(ranks[recipe]):.2f}",
                f"{mean(found[number, recipe].get('balanced', 0.0) for number in sets):.1%}",
                str(sum("balanced" not in found[number, recipe] for number in sets)),
                str(sum(found[number, recipe]["seconds"] > LATE * budget for number in sets)),
            )
            for recipe in recipes
        ],
    )  # fmt: skip
    print(f"\nmedian rank of the automatic choice among {len(recipes)}: {median(own.values()):g}")
    return own
