"""A folder of photos, from the command to the report: minutes, and the share of the test part that is right.

    python bench/photos.py PHOTOS [--draws 3] [--each 20] [--json FILE]

PHOTOS is a zip with train/, validation/ and test/, such as github.com/alexeygrigorev/clothing-dataset-small.
Three things are measured, each with `opsin train` as a process of its own: no options at all; `--budget 3min`; and, in
`--draws` draws, no options with only `--each` images of each class to train on, the other parts as they are. Minutes
are those of the whole command, with the intake from an empty cache of images, and the report.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

PARTS = ("train", "validation", "test")


def trained(source: Path, name: str, *options: str) -> dict[str, Any]:
    """Trains on `source` in a folder of its own; what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OPSIN_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-m", "opsin", "train", str(source.resolve()), "--run", "run", *options]
        start = perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
        seconds = perf_counter() - start
        run = Path(folder) / "run"
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        plan = json.loads((run / "config.json").read_text())["plan"]
        end = next(record for record in reversed(log) if record["event"] == "finished")
        return {
            "name": name,
            "options": options,
            "minutes": seconds / 60,
            "accuracy": end["test"]["correct"] / end["test"]["images"],
            "network": plan["network"],
            "size": plan["size"],
            "stages": [(stage["name"], stage["epochs"], stage["views"]) for stage in plan["stages"]],
            "report": (run / "report.html").exists(),
        }


def drawn(source: Path, folder: Path, each: int, seed: int) -> Path:
    """A zip with `each` images of each class in its training part, and the other parts whole."""
    random, goal = np.random.default_rng(seed), folder / f"draw-{seed}.zip"
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(goal, "w") as part:
        names = [name for name in whole.namelist() if not name.endswith("/") and part_of(name)]
        classes: dict[str, list[str]] = {}
        for name in names:
            if part_of(name) == "train":
                classes.setdefault(Path(name).parent.name, []).append(name)
        chosen = {str(name) for group in classes.values() for name in random.permutation(sorted(group))[:each]}
        for name in names:
            if part_of(name) != "train" or name in chosen:
                part.writestr(name, whole.read(name))
    return goal


def part_of(name: str) -> str:
    """Which part a member of the zip belongs to; empty for anything else."""
    return next((part for part in Path(name).parts if part in PARTS), "")


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("photos", type=Path)
    command.add_argument("--draws", type=int, default=3, metavar="N")
    command.add_argument("--each", type=int, default=20, metavar="N")
    options = command.parse_args()
    options.photos = str(options.photos)
    record, source = begin(options), Path(options.photos)
    results = record["results"] = [
        trained(source, "no options"),
        trained(source, "--budget 3min", "--budget", "3min"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.draws):
            goal = drawn(source, Path(folder), options.each, seed)
            results.append(trained(goal, f"{options.each} a class, draw {seed + 1}"))
    rows = [
        [r["name"], f"{r['minutes']:.1f}", f"{r['accuracy']:.1%}", f"{r['size']}", ", ".join(map(str, r["stages"]))]
        for r in results
    ]
    print_table(("what", "minutes", "test", "size", "stages (epochs, views)"), rows)
    if options.draws:
        print(f"\n{options.each} a class: {mean(r['accuracy'] for r in results[2:]):.1%} on average")
    finish(options, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
