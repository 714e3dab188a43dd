"""How long `opsin explore` takes, how its groups agree with classes, and how many planted copies it finds.

    python bench/explore.py ../shared/data/clothing-small.zip [--odd ZIP …] [--model MODEL] [--each 50] [--json FILE]

The images of a zip with class folders, also inside `train`, `validation` and `test`, are written to one folder under
names that tell nothing. Copies of random images are added: `--each` saved again as JPEG with quality 30 to 90, as many
scaled by 0.4 to 0.9 and saved, and as many mirrored and saved. Of each zip in `--odd`, five images are added, which
should be outliers. `opsin explore` then runs in a process of its own with an empty cache. The table has the CPU time of
all its threads, which other work on the machine hardly changes; the record also has the time by the clock. The groups
are compared with the classes by adjusted mutual information (Vinh, Epps & Bailey 2010), computed by scikit-learn, for
the number of groups that it chooses and for that of the classes. Sets of copies with different images, according to
what was planted, are listed in the record: look at them, since the photos may hold copies of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path, PurePosixPath
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image, ImageOps

try:
    from sklearn.metrics import adjusted_mutual_info_score
except ImportError:
    raise SystemExit("this compares groups with scikit-learn; install it with: make oracle") from None

KINDS = ("saved again", "resized", "mirrored")
ENDINGS = (".jpg", ".jpeg", ".png")
ODD = 5
"""Images of each other kind."""


def unpack(source: Path, folder: Path) -> dict[str, str]:
    """Write the images of a zip to a folder; return their classes by name."""
    classes = {}
    with zipfile.ZipFile(source) as members:
        names = sorted(name for name in members.namelist() if name.lower().endswith(ENDINGS))
        order = np.random.default_rng(0).permutation(len(names))
        for number, place in enumerate(order):
            path = PurePosixPath(names[place])
            name = f"{number:05}{path.suffix}"
            (folder / name).write_bytes(members.read(names[place]))
            classes[name] = path.parent.name
    return classes


def plant(folder: Path, each: int) -> dict[str, tuple[str, str]]:
    """Add copies of random images; return the kind and the original of each by name."""
    random, originals = np.random.default_rng(1), sorted(path.name for path in folder.iterdir())
    copies = {}
    for number, place in enumerate(random.choice(len(originals), each * len(KINDS), replace=False)):
        kind, original = KINDS[number % len(KINDS)], originals[place]
        image = Image.open(folder / original).convert("RGB")
        if kind == "resized":
            factor = float(random.uniform(0.4, 0.9))
            image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC)
        elif kind == "mirrored":
            image = ImageOps.mirror(image)
        file = BytesIO()
        image.save(file, "JPEG", quality=int(random.integers(30, 91)))
        name = f"copy-{number:05}.jpg"
        (folder / name).write_bytes(file.getvalue())
        copies[name] = kind, original
    return copies


def add_odd(folder: Path, sources: list[Path]) -> set[str]:
    """Add images of other kinds; return their names."""
    odd = set()
    for source in sources:
        with zipfile.ZipFile(source) as members:
            names = sorted(name for name in members.namelist() if name.lower().endswith(ENDINGS))
            for number, place in enumerate(np.linspace(0, len(names) - 1, ODD).astype(int)):
                name = f"odd-{source.stem}-{number}{PurePosixPath(names[place]).suffix}"
                (folder / name).write_bytes(members.read(names[place]))
                odd.add(name)
    return odd


def explore(folder: Path, work: Path, *options: str) -> tuple[str, float, float]:
    """Run the command; return what it prints, the seconds by the clock, and those of the CPU."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    command = [sys.executable, "-c", "from opsin.apps.cli.main import main; main()", "explore", str(folder), *options]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        cwd=work,
        env={**os.environ, "OPSIN_CACHE": f"{work}/cache"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return done.stdout, perf_counter() - start, cpu


def agreement(data: dict[str, Any], classes: dict[str, str]) -> float:
    """Return the adjusted mutual information of groups and classes, of the images that were not planted."""
    pairs = [(number, classes[name]) for number, group in enumerate(data["groups"]) for name in group["images"]
             if name in classes]  # fmt: skip
    groups, labels = zip(*pairs, strict=True)
    return float(adjusted_mutual_info_score(labels, groups))


def count_copies(data: dict[str, Any], copies: dict[str, tuple[str, str]]) -> tuple[dict[str, int], list[list[str]]]:
    """Return how many planted copies of each kind were found, and the other images that count as copies, by set."""
    found, others = dict.fromkeys(KINDS, 0), []
    for each in data["near_duplicates"]:
        names = [each["keep"], *(copy["name"] for copy in each["copies"])]
        for name in copies.keys() & set(names):
            kind, original = copies[name]
            found[kind] += original in names
        originals = {copies[name][1] if name in copies else name for name in names}
        if len(originals) > 1:
            others.append(sorted(originals))
    return found, others


def arguments() -> argparse.Namespace:
    options = parser(__doc__ or "")
    options.add_argument("data", type=Path, help="a zip of class folders of photos")
    options.add_argument("--model", help="a model file or a network with published weights")
    options.add_argument("--odd", type=Path, nargs="*", default=[], help="zips of images of other kinds")
    options.add_argument("--each", type=int, default=50, help="copies of each kind")
    return options.parse_args()


def main() -> None:
    options = arguments()
    record = begin(options) | {"options": {"data": options.data.name, "each": options.each}}
    model = ["--model", str(Path(options.model).resolve())] if options.model else []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = work / "images"
        folder.mkdir()
        classes = unpack(options.data, folder)
        copies = plant(folder, options.each)
        odd = add_odd(folder, options.odd)
        _, seconds, cpu = explore(folder, work, *model)
        page = (work / "explore.html").stat().st_size
        text, again, again_cpu = explore(folder, work, *model, "--json")
        data = json.loads(text)
        same, _, _ = explore(folder, work, *model, "--json", "--groups", str(len(set(classes.values()))))
    found, others = count_copies(data, copies)
    record |= {
        "clock_seconds": [seconds, again],
        "choice": data["choice"],
        "others": others,
        "outliers": data["outliers"],
    }
    outliers = {each["name"] for each in data["outliers"]}
    fixed = agreement(json.loads(same), classes)
    rows = [
        ["images, with those that were added", f"{data['images']:,}"],
        ["CPU time of all threads, empty cache", f"{cpu:.0f} s"],
        ["CPU time, features in the cache, no page", f"{again_cpu:.0f} s"],
        ["page", f"{page / 1e6:.1f} MB"],
        [f"adjusted mutual information, {len(data['groups'])} groups (chosen)", f"{agreement(data, classes):.3f}"],
        [f"adjusted mutual information, {len(set(classes.values()))} groups (as classes)", f"{fixed:.3f}"],
        *([f"planted copies found, {kind}", f"{count} of {options.each}"] for kind, count in found.items()),
        ["sets of copies with different images", str(len(others))],
        ["images of other kinds among the outliers", f"{len(odd & outliers)} of {len(odd)}"],
        ["other outliers", str(len(outliers - odd))],
    ]
    finish(options, record | print_table(("what", "result"), rows))


if __name__ == "__main__":
    main()
