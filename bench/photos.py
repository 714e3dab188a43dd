"""Training on a folder of photos, from the command to the report: minutes and test accuracy.

    python bench/photos.py PHOTOS [--draws 3] [--per-class 20] [--json FILE]

PHOTOS is a zip with train/, validation/ and test/, such as github.com/alexeygrigorev/clothing-dataset-small.
Three settings are measured, each with `opsin train` in its own process: no options; `--budget 3min`; and, in `--draws`
random draws, no options with only `--per-class` training images of each class and the other splits unchanged. Minutes
are those of the whole command, which begins with an empty image cache and ends with the report.
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

SPLITS = ("train", "validation", "test")


def train(source: Path, name: str, *options: str) -> dict[str, Any]:
    """Train on `source` in a temporary folder, and return the results."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OPSIN_CACHE": str(Path(folder) / "cache")}
        command = [sys.executable, "-m", "opsin", "train", str(source.resolve()), "--run", "run", *options]
        start = perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=sys.stderr)
        seconds = perf_counter() - start
        run = Path(folder) / "run"
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        plan = json.loads((run / "config.json").read_text())["plan"]
        finished = next(record for record in reversed(log) if record["event"] == "finished")
        return {
            "name": name,
            "options": options,
            "minutes": seconds / 60,
            "accuracy": finished["test"]["correct"] / finished["test"]["images"],
            "network": plan["network"],
            "size": plan["size"],
            "stages": [(stage["name"], stage["epochs"], stage["views"]) for stage in plan["stages"]],
            "report": (run / "report.html").exists(),
        }


def draw(source: Path, folder: Path, per_class: int, seed: int) -> Path:
    """Write a zip with `per_class` training images of each class, and the other splits complete."""
    random, target = np.random.default_rng(seed), folder / f"draw-{seed}.zip"
    with zipfile.ZipFile(source) as whole, zipfile.ZipFile(target, "w") as archive:
        names = [name for name in whole.namelist() if not name.endswith("/") and split_of(name)]
        classes: dict[str, list[str]] = {}
        for name in names:
            if split_of(name) == "train":
                classes.setdefault(Path(name).parent.name, []).append(name)
        chosen = {str(name) for group in classes.values() for name in random.permutation(sorted(group))[:per_class]}
        for name in names:
            if split_of(name) != "train" or name in chosen:
                archive.writestr(name, whole.read(name))
    return target


def split_of(name: str) -> str:
    """Return the split that a member of the zip belongs to; an empty string for anything else."""
    return next((split for split in Path(name).parts if split in SPLITS), "")


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("photos", type=Path)
    command.add_argument("--draws", type=int, default=3, metavar="N")
    command.add_argument("--per-class", type=int, default=20, metavar="N")
    options = command.parse_args()
    options.photos = str(options.photos)
    record, source = begin(options), Path(options.photos)
    results = record["results"] = [
        train(source, "no options"),
        train(source, "--budget 3min", "--budget", "3min"),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(options.draws):
            archive = draw(source, Path(folder), options.per_class, seed)
            results.append(train(archive, f"{options.per_class} a class, draw {seed + 1}"))
    rows = [
        [r["name"], f"{r['minutes']:.1f}", f"{r['accuracy']:.1%}", f"{r['size']}", ", ".join(map(str, r["stages"]))]
        for r in results
    ]
    table = print_table(("what", "minutes", "test", "size", "stages (epochs, views)"), rows)
    if options.draws:
        print(f"\n{options.per_class} a class: {mean(r['accuracy'] for r in results[2:]):.1%} on average")
    finish(options, record | table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
