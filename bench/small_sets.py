"""A hundred small data sets, made by rule from public ones: does `opsin train` cope with each of them in 20 seconds?

    python bench/small_sets.py make FOLDER SOURCE… [--count 100] [--seed 0]
    python bench/small_sets.py run FOLDER [--budget 20s] [--seed 0] [--only 3 17-20] [--jobs 1] [--retry] [--json FILE]
    python bench/small_sets.py rank FOLDER [--sets 24] [the options of run]

SOURCE is a folder of MNIST's files, CIFAR-10 or other photos as a zip with train/ and test/, an NPZ file of MedMNIST,
LFWcrop, easy-VQA or the nuclei of the Data Science Bowl as zips. `make` writes sets of 2 to 50 classes with 5 to 500
images each, balanced to 1000:1 (then the common classes have up to 3,000), grey and colour, 16² to 224², as folders,
zips and arrays, each with a test part of its own, and `manifest.json`.

`run` trains each set with `opsin train SET --budget 20s` as a process of its own and measures with `opsin evaluate`.
Seconds are those of the whole command. Balanced accuracy, the mean over the classes of the share that is right, is held
against always saying the commonest class (one over the number of classes): a set is worse than that where even the
upper bound, of 95 %, is below it. `rank` also trains some of the sets by five fixed recipes (`fixed_recipe.py`) in the
same time, and says which place the automatic choice takes among the six. Both append to FOLDER/results-….jsonl
and go on where they were broken off.
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
LEAST, MOST, COMMONEST = 5, 500, 3000
UNEVEN = 50
"""From this ratio on there are few classes, so that the common ones can have many images."""

NUMBERS, IMAGES = 120_000_000, 6000
"""So many numbers and images, at most, in the training part of a set."""

TESTED, TEST_MOST = 10, 1500
FORMATS: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 90},
    "png": {"format": "PNG", "compress_level": 1},
}


@dataclass(frozen=True)
class Spec:
    """What a set is to be."""

    number: int
    source: str
    classes: int
    alone: bool
    side: int
    channels: int
    counts: tuple[int, ...]
    ratio: int
    container: str
    jpeg: bool
    whole: bool
    balanced_test: bool


@dataclass(frozen=True)
class Properties:
    """What is dealt out to the sets: each value comes up as often as it should, and together with all others."""

    pool: Pool
    classes: int
    ratio: int
    container: str


def dealt(pools: Sequence[Pool], count: int, seed: int) -> list[Properties]:
    """The properties of `count` sets; the pools take turns."""
    rng = np.random.default_rng(seed)
    columns = [[values[i % len(values)] for i in rng.permutation(count)] for values in (CLASSES, RATIOS, CONTAINERS)]
    turns = [pools[i % len(pools)] for i in range(count)]
    return [Properties(*row) for row in zip(turns, *columns, strict=True)]


def specified(number: int, properties: Properties, seed: int) -> tuple[Spec, list[Class]]:
    """The set of this number."""
    rng, pool, ratio = np.random.default_rng([seed, number]), properties.pool, properties.ratio
    wanted = properties.classes if ratio < UNEVEN else int(rng.choice((2, 2, 3, 4, 6, 10)))
    alone = pool.alone and wanted <= 4 and bool(rng.random() < 0.25)
    classes = classes_of(pool, min(wanted, pool.most_classes), alone, rng)
    side = int(rng.choice(pool.sides))
    channels = 3 if bool(rng.random() < 0.67) == pool.colour else 1
    while side > 32 and len(classes) * 100 * side * side * channels > NUMBERS:
        side = max(smaller for smaller in (*pool.sides, 32) if smaller < side)
    counts = _counts(classes, ratio, side * side * channels, rng)
    spec = Spec(
        number, pool.name, len(classes), alone, side, channels, counts, round(max(counts) / min(counts)),
        properties.container, jpeg=bool(rng.random() < 0.5),
        whole=properties.container != "npz" and bool(rng.random() < 0.4),
        balanced_test=bool(rng.random() < 0.5),
    )  # fmt: skip
    return spec, classes


def _counts(classes: Sequence[Class], ratio: int, numbers: int, rng: np.random.Generator) -> tuple[int, ...]:
    """Training images of each class: one rare one, one common one, or fewer and fewer."""
    count, there = len(classes), min(len(one.train) for one in classes)
    if ratio <= MOST // LEAST:
        most = float(np.exp(rng.uniform(np.log(LEAST * ratio), np.log(MOST))))
    else:
        most = min(COMMONEST, 5 * ratio)
    least = max(1.0, most / ratio)
    profile = int(rng.integers(3))
    shares = np.geomspace(most, least, count)
    if profile < 2:
        shares[1:-1] = (most, least)[profile]
    order = rng.permutation(count) if ratio < UNEVEN or profile == 2 else np.argsort([-len(c.train) for c in classes])
    wanted = np.empty(count)
    wanted[order] = shares
    wanted *= min(1.0, IMAGES / wanted.sum(), NUMBERS / numbers / wanted.sum())
    floor = min(LEAST, there) if ratio < 300 else max(1, round(least))
    return tuple(
        max(min(floor, len(one.train)), min(round(n), len(one.train))) for one, n in zip(classes, wanted, strict=True)
    )


def tests_of(spec: Spec, classes: Sequence[Class]) -> list[int]:
    """Test images of each class: as many of each, or in the proportions of the training part but ten at least."""
    most = max(TESTED, min(100, TEST_MOST // len(classes)))
    shares = [1.0 if spec.balanced_test else count / max(spec.counts) for count in spec.counts]
    return [min(len(one.test), max(TESTED, round(most * share))) for one, share in zip(classes, shares, strict=True)]


# -- writing ----------------------------------------------------------------------------------


def prepared(image: Image.Image, spec: Spec, tint: tuple[int, ...]) -> Image.Image:
    """The image at the set's size and in its colours; whole ones keep their shape."""
    image = image.convert("L") if spec.channels == 1 else image
    if spec.channels == 3 and image.mode == "L":
        image = ImageOps.colorize(image, tint[:3], tint[3:])
    if spec.whole:
        scale = spec.side / min(image.size)
        return image.resize(tuple(max(1, round(length * scale)) for length in image.size), Image.Resampling.BICUBIC)
    return image.resize((spec.side, spec.side), Image.Resampling.BICUBIC)


def images_of(spec: Spec, readers: list[Reader], count: int, rng: np.random.Generator) -> list[Image.Image]:
    """The first `count`, prepared; grey ones that are to be coloured get a dark and a light colour each, by chance."""
    tints = np.concatenate([rng.integers(0, 90, (count, 3)), rng.integers(165, 256, (count, 3))], 1).tolist()
    return [prepared(reader(), spec, tuple(tint)) for reader, tint in zip(readers[:count], tints, strict=True)]


def write(spec: Spec, classes: list[Class], folder: Path, seed: int) -> dict[str, Any]:
    """Writes the set; what the manifest says of it. Arrays are written as files, too, for who needs these."""
    rng = np.random.default_rng([seed, spec.number, 1])
    tests = tests_of(spec, classes)
    parts = {
        part: [images_of(spec, getattr(one, part), n, rng) for one, n in zip(classes, counts, strict=True)]
        for part, counts in (("train", spec.counts), ("test", tests))
    }
    stem = f"{spec.number:03}-{spec.source}"
    files = folder / (f"{stem}-files.zip" if spec.container == "npz" else f"{stem}.zip")
    if spec.container == "folder":
        files = folder / stem
        _write_files(spec, classes, parts, lambda name, data: _put(files / name, data))
    else:
        with zipfile.ZipFile(files, "w") as archive:
            _write_files(spec, classes, parts, lambda name, data: archive.writestr(zipfile.ZipInfo(name), data))
    data = files
    if spec.container == "npz":
        data = folder / f"{stem}.npz"
        arrays = {}
        for part, groups in parts.items():
            arrays[f"x_{part}"] = np.stack([np.asarray(image) for group in groups for image in group])
            arrays[f"y_{part}"] = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        np.savez_compressed(data, **arrays)
    return {**asdict(spec), "tests": tests, "names": [c.name for c in classes], "data": data.name, "files": files.name}


def _write_files(
    spec: Spec, classes: list[Class], parts: dict[str, list[list[Image.Image]]], put: Callable[[str, bytes], None]
) -> None:
    ending = "jpg" if spec.jpeg and spec.container != "npz" else "png"
    for part, groups in parts.items():
        for one, group in zip(classes, groups, strict=True):
            for number, image in enumerate(group):
                written = io.BytesIO()
                image.save(written, **FORMATS[ending])
                put(f"{part}/{one.name.replace(' ', '-')}/{number:04}.{ending}", written.getvalue())


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def make(options: argparse.Namespace) -> None:
    folder = Path(options.folder)
    folder.mkdir(parents=True, exist_ok=True)
    pools = [pool_of(Path(source)) for source in options.sources]
    manifest = []
    for number, properties in enumerate(dealt(pools, options.count, options.seed)):
        spec, classes = specified(number, properties, options.seed)
        manifest.append(write(spec, classes, folder, options.seed))
        print(
            f"{number:3}  {spec.source:15} {spec.classes:3} classes  {sum(spec.counts):5} images, "
            f"{min(spec.counts)} to {max(spec.counts)} ({spec.ratio}:1)  {spec.side}² × {spec.channels}  "
            f"{spec.container}", flush=True,
        )  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = command.add_subparsers(dest="what", required=True)
    making = kinds.add_parser("make")
    making.add_argument("folder")
    making.add_argument("sources", nargs="+")
    making.add_argument("--count", type=int, default=100)
    making.add_argument("--seed", type=int, default=0)
    for name in ("run", "rank"):
        running = kinds.add_parser(name)
        running.add_argument("folder")
        running.add_argument("--budget", default="20s")
        running.add_argument("--seed", type=int, default=0)
        running.add_argument("--only", nargs="+", metavar="N", help="numbers of sets, such as 3 17-20")
        running.add_argument("--jobs", type=int, default=1, help="at a time; more than one distorts the seconds")
        running.add_argument("--tag", default="", help="part of the name of the file of results")
        running.add_argument("--retry", action="store_true", help="run what failed once more")
        running.add_argument("--json", metavar="FILE", help="write the figures to FILE, too")
        running.add_argument("--sets", type=int, default=24, help="so many of them are ranked")
    options = command.parse_args()
    if options.what == "make":
        make(options)
        return 0
    return (run if options.what == "run" else rank)(options)


if __name__ == "__main__":
    sys.exit(main())
