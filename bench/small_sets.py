"""A hundred small datasets, derived from public ones by rule: can `opsin train` learn each of them in 20 seconds?

    python bench/small_sets.py make FOLDER SOURCE… [--count 100] [--seed 0]
    python bench/small_sets.py run FOLDER [--budget 20s] [--seed 0] [--only 3 17-20] [--jobs 1] [--retry] [--json FILE]
    python bench/small_sets.py rank FOLDER [--sets 24] [the options of run]

SOURCE is a folder of MNIST's files; CIFAR-10 or other photos as a zip with train/ and test/; an NPZ file of MedMNIST;
or a zip of LFWcrop, easy-VQA or the nuclei of the Data Science Bowl. `make` writes sets of 2 to 50 classes with 5 to
500 images each. Class ratios range from balanced to 1000:1 (common classes then have up to 3,000 images). Images are
grey or colour, from 16² to 224²; sets are folders, zips or arrays. Each has a test split. `manifest.json` lists them.

`run` trains each set with `opsin train SET --budget 20s` in its own process and evaluates it with `opsin evaluate`.
Seconds are those of the whole command. Balanced accuracy, the mean of the classes' accuracies, is compared with always
predicting the most common class (one over the number of classes): a set is worse than that if even the upper bound of
the 95 percent interval is below it. `rank` also trains some of the sets with five fixed recipes (`fixed_recipe.py`) in
the same time, and prints the rank of the automatic choice among the six. Both append to FOLDER/results-….jsonl and
continue after an interruption.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from small_images import Class, Pool, Reader, classes_of, pool_of
from small_runs import rank, run

CLASSES = (2, 2, 3, 4, 5, 6, 8, 10, 10, 12, 16, 20, 30, 40, 50)
RATIOS = (1, 1, 2, 1, 5, 10, 1, 3, 20, 50, 1, 100, 5, 300, 1000)
CONTAINERS = ("folder", "npz", "zip", "folder", "npz")
MIN_CLASS_IMAGES = 5
MAX_CLASS_IMAGES = 500
MAX_COMMON_CLASS_IMAGES = 3000
"""Training images of a class, and the bound for the common classes of an unbalanced set."""

HIGH_RATIO = 50
"""From this ratio of the class sizes, sets have few classes, so that the common ones can have many images."""

MAX_VALUES = 120_000_000
MAX_IMAGES = 6000
"""Values of all pixels and channels, and images, in the training split of a set."""

MIN_CLASS_TEST_IMAGES = 10
MAX_TEST_IMAGES = 1500
FORMATS: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 90},
    "png": {"format": "PNG", "compress_level": 1},
}


@dataclass(frozen=True)
class Spec:
    """A set to make. Its images show the classes in random orientation if `by_orientation`."""

    number: int
    source: str
    classes: int
    by_orientation: bool
    side: int
    channels: int
    counts: tuple[int, ...]
    ratio: int
    container: str
    jpeg: bool
    keeps_aspect: bool
    balanced_test: bool


@dataclass(frozen=True)
class Properties:
    """The properties of a set that are assigned in fixed proportions, independently of each other."""

    pool: Pool
    classes: int
    ratio: int
    container: str


def assign_properties(pools: Sequence[Pool], count: int, seed: int) -> list[Properties]:
    """Return the properties of `count` sets; the pools are used in turn."""
    rng = np.random.default_rng(seed)
    columns = [[values[i % len(values)] for i in rng.permutation(count)] for values in (CLASSES, RATIOS, CONTAINERS)]
    pools_in_turn = [pools[i % len(pools)] for i in range(count)]
    return [Properties(*row) for row in zip(pools_in_turn, *columns, strict=True)]


def specify(number: int, properties: Properties, seed: int) -> tuple[Spec, list[Class]]:
    """Return the set of this number and its classes."""
    rng, pool, ratio = np.random.default_rng([seed, number]), properties.pool, properties.ratio
    class_count = properties.classes if ratio < HIGH_RATIO else int(rng.choice((2, 2, 3, 4, 6, 10)))
    by_orientation = pool.has_orientation and class_count <= 4 and bool(rng.random() < 0.25)
    classes = classes_of(pool, min(class_count, pool.max_classes), by_orientation, rng)
    side = int(rng.choice(pool.sides))
    channels = 3 if bool(rng.random() < 0.67) == pool.colour else 1
    while side > 32 and len(classes) * 100 * side * side * channels > MAX_VALUES:
        side = max(smaller for smaller in (*pool.sides, 32) if smaller < side)
    counts = _counts(classes, ratio, side * side * channels, rng)
    spec = Spec(
        number, pool.name, len(classes), by_orientation, side, channels, counts, round(max(counts) / min(counts)),
        properties.container, jpeg=bool(rng.random() < 0.5),
        keeps_aspect=properties.container != "npz" and bool(rng.random() < 0.4),
        balanced_test=bool(rng.random() < 0.5),
    )  # fmt: skip
    return spec, classes


def _counts(classes: Sequence[Class], ratio: int, image_values: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Return the training images of each class: one class is rare, or one is common, or sizes fall geometrically."""
    count, available = len(classes), min(len(one.train) for one in classes)
    if ratio <= MAX_CLASS_IMAGES // MIN_CLASS_IMAGES:
        largest = float(np.exp(rng.uniform(np.log(MIN_CLASS_IMAGES * ratio), np.log(MAX_CLASS_IMAGES))))
    else:
        largest = min(MAX_COMMON_CLASS_IMAGES, 5 * ratio)
    smallest = max(1.0, largest / ratio)
    profile = int(rng.integers(3))
    sizes = np.geomspace(largest, smallest, count)
    if profile < 2:
        sizes[1:-1] = (largest, smallest)[profile]
    order = (
        rng.permutation(count) if ratio < HIGH_RATIO or profile == 2 else np.argsort([-len(c.train) for c in classes])
    )
    counts = np.empty(count)
    counts[order] = sizes
    counts *= min(1.0, MAX_IMAGES / counts.sum(), MAX_VALUES / image_values / counts.sum())
    floor = min(MIN_CLASS_IMAGES, available) if ratio < 300 else max(1, round(smallest))
    return tuple(
        max(min(floor, len(one.train)), min(round(n), len(one.train))) for one, n in zip(classes, counts, strict=True)
    )


def test_counts(spec: Spec, classes: Sequence[Class]) -> list[int]:
    """Return the test images of each class: equally many, or in the training split's proportions but at least ten."""
    largest = max(MIN_CLASS_TEST_IMAGES, min(100, MAX_TEST_IMAGES // len(classes)))
    shares = [1.0 if spec.balanced_test else count / max(spec.counts) for count in spec.counts]
    return [
        min(len(one.test), max(MIN_CLASS_TEST_IMAGES, round(largest * share)))
        for one, share in zip(classes, shares, strict=True)
    ]


# -- writing ----------------------------------------------------------------------------------


def prepare(image: Image.Image, spec: Spec, tint: tuple[int, ...]) -> Image.Image:
    """Return the image in the set's size and colours; its aspect ratio is kept if the set says so."""
    image = image.convert("L") if spec.channels == 1 else image
    if spec.channels == 3 and image.mode == "L":
        image = ImageOps.colorize(image, tint[:3], tint[3:])
    if spec.keeps_aspect:
        scale = spec.side / min(image.size)
        return image.resize(tuple(max(1, round(length * scale)) for length in image.size), Image.Resampling.BICUBIC)
    return image.resize((spec.side, spec.side), Image.Resampling.BICUBIC)


def read_images(spec: Spec, readers: list[Reader], count: int, rng: np.random.Generator) -> list[Image.Image]:
    """Return the first `count` images, prepared; each grey one in a colour set gets a random dark and light colour."""
    tints = np.concatenate([rng.integers(0, 90, (count, 3)), rng.integers(165, 256, (count, 3))], 1).tolist()
    return [prepare(reader(), spec, tuple(tint)) for reader, tint in zip(readers[:count], tints, strict=True)]


def write(spec: Spec, classes: list[Class], folder: Path, seed: int) -> dict[str, Any]:
    """Write the set and return its entry in the manifest. Fixed recipes read files, so arrays get these, too."""
    rng = np.random.default_rng([seed, spec.number, 1])
    tests = test_counts(spec, classes)
    splits = {
        split: [read_images(spec, getattr(one, split), n, rng) for one, n in zip(classes, counts, strict=True)]
        for split, counts in (("train", spec.counts), ("test", tests))
    }
    stem = f"{spec.number:03}-{spec.source}"
    files = folder / (f"{stem}-files.zip" if spec.container == "npz" else f"{stem}.zip")
    if spec.container == "folder":
        files = folder / stem
        _write_files(spec, classes, splits, lambda name, data: _write_file(files / name, data))
    else:
        with zipfile.ZipFile(files, "w") as archive:
            _write_files(spec, classes, splits, lambda name, data: archive.writestr(zipfile.ZipInfo(name), data))
    data = files
    if spec.container == "npz":
        data = folder / f"{stem}.npz"
        arrays = {}
        for split, groups in splits.items():
            arrays[f"x_{split}"] = np.stack([np.asarray(image) for group in groups for image in group])
            arrays[f"y_{split}"] = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        np.savez_compressed(data, **arrays)
    return {**asdict(spec), "tests": tests, "names": [c.name for c in classes], "data": data.name, "files": files.name}


def _write_files(
    spec: Spec, classes: list[Class], splits: dict[str, list[list[Image.Image]]], put: Callable[[str, bytes], None]
) -> None:
    ending = "jpg" if spec.jpeg and spec.container != "npz" else "png"
    for split, groups in splits.items():
        for one, group in zip(classes, groups, strict=True):
            for number, image in enumerate(group):
                buffer = io.BytesIO()
                image.save(buffer, **FORMATS[ending])
                put(f"{split}/{one.name.replace(' ', '-')}/{number:04}.{ending}", buffer.getvalue())


def _write_file(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    pools = [pool_of(Path(source)) for source in options.sources]
    manifest = []
    for number, properties in enumerate(assign_properties(pools, options.count, options.seed)):
        spec, classes = specify(number, properties, options.seed)
        manifest.append(write(spec, classes, folder, options.seed))
        print(
            f"{number:3}  {spec.source:15} {spec.classes:3} classes  {sum(spec.counts):5} images, "
            f"{min(spec.counts)} to {max(spec.counts)} ({spec.ratio}:1)  {spec.side}² × {spec.channels}  "
            f"{spec.container}", flush=True,
        )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="action", required=True)
    make_parser = commands.add_parser("make")
    make_parser.add_argument("folder")
    make_parser.add_argument("sources", nargs="+")
    make_parser.add_argument("--count", type=int, default=100)
    make_parser.add_argument("--seed", type=int, default=0)
    for name in ("run", "rank"):
        run_parser = commands.add_parser(name)
        run_parser.add_argument("folder")
        run_parser.add_argument("--budget", default="20s")
        run_parser.add_argument("--seed", type=int, default=0)
        run_parser.add_argument("--only", nargs="+", metavar="N", help="only these sets, such as 3 17-20")
        run_parser.add_argument("--jobs", type=int, default=1, help="concurrent runs, which distort the seconds")
        run_parser.add_argument("--tag", default="", help="part of the results file's name")
        run_parser.add_argument("--retry", action="store_true", help="repeat failed runs")
        run_parser.add_argument("--json", metavar="FILE", help="also write the results to FILE")
        run_parser.add_argument("--sets", type=int, default=24, help="number of sets to rank")
    options = parser.parse_args()
    if options.action == "make":
        make(options)
        return 0
    return (run if options.action == "run" else rank)(options)


if __name__ == "__main__":
    sys.exit(main())
