"""Pools of labelled images from public data, and classes made of them, for `small_sets.py` and `similar_classes.py`.

A pool keeps the training and test splits of its data, or makes them by rule, so that no test image is ever used for
training. If a set needs more classes than a pool has, a class is one of the pool's labels *and* a visible transform:
rotated, inverted, mirrored, with red and blue exchanged, or with a second image next to it.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

Reader = Callable[[], Image.Image]
Transform = Callable[[Image.Image], Image.Image]
Readers = dict[str, list[Reader]]

TRANSFORMS: Mapping[str, Transform] = {
    "plain": lambda image: image,
    "turned-90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned-180": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned-270": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "negative": ImageOps.invert,
    "mirrored": ImageOps.mirror,
    "swapped": lambda image: Image.merge("RGB", image.convert("RGB").split()[::-1]),
}
ORIENTATIONS = ("plain", "turned-90", "turned-180", "turned-270")
SPLITS = {"train": "train", "validation": "train", "val": "train", "test": "test"}
MIN_PERSON_IMAGES = 20
"""People with fewer images are left out."""


@dataclass(frozen=True)
class Pool:
    """Images of `train` and `test` by label.

    `transforms` are those that can be told apart in them, and `sides` the suitable sizes. `has_orientation`: rotations
    can be recognised whatever an image shows. `has_pairs`: two images next to each other also make a class.
    """

    name: str
    train: Readers
    test: Readers
    colour: bool
    sides: tuple[int, ...]
    transforms: tuple[str, ...] = ("plain",)
    has_orientation: bool = False
    has_pairs: bool = False

    @property
    def labels(self) -> list[str]:
        return sorted(label for label in self.train if self.test.get(label))

    @property
    def max_classes(self) -> int:
        """How many classes can be made."""
        count = len(self.labels)
        return max(count * len(self.transforms), count * count if self.has_pairs else 0)


@dataclass(frozen=True)
class Class:
    """A class of a set: its name, and the images of each split."""

    name: str
    train: list[Reader]
    test: list[Reader]
    base: str = field(default="")


def classes_of(pool: Pool, count: int, by_orientation: bool, rng: np.random.Generator) -> list[Class]:
    """Return `count` random classes of a pool; with `by_orientation`, they are rotations of any image."""
    labels = pool.labels
    if by_orientation:
        mixed = {split: _mixed(getattr(pool, split), labels, rng) for split in ("train", "test")}
        return [
            _transformed("any", transform, mixed["train"][number::count], mixed["test"][number::count])
            for number, transform in enumerate(ORIENTATIONS[:count])
        ]
    if count <= len(labels):
        chosen = [(labels[i], "plain") for i in rng.permutation(len(labels))[:count]]
    elif count <= len(labels) * len(pool.transforms):
        combinations = list(product(labels, pool.transforms))
        chosen = [combinations[i] for i in rng.permutation(len(combinations))[:count]]
    else:
        pairs = list(product(labels, labels))
        return [_pair(pool, *pairs[i], rng) for i in rng.permutation(len(pairs))[:count]]
    return [
        _transformed(label, transform, *(_shuffled(split[label], rng) for split in (pool.train, pool.test)))
        for label, transform in sorted(chosen)
    ]


def _transformed(label: str, transform: str, train: list[Reader], test: list[Reader]) -> Class:
    name = label if transform == "plain" else f"{label} {transform}"
    return Class(
        name, [partial(_apply, r, transform) for r in train], [partial(_apply, r, transform) for r in test], label
    )


def _apply(reader: Reader, transform: str) -> Image.Image:
    return TRANSFORMS[transform](reader())


def _pair(pool: Pool, left: str, right: str, rng: np.random.Generator) -> Class:
    splits = []
    for split in (pool.train, pool.test):
        pairs = zip(_shuffled(split[left], rng), _shuffled(split[right], rng), strict=False)
        splits.append([partial(_join, one, other) for one, other in pairs])
    return Class(f"{left} then {right}", *splits, base=f"{left}{right}")


def _join(left: Reader, right: Reader) -> Image.Image:
    first, second = left(), right()
    joined = Image.new(first.mode, (first.width + second.width, first.height))
    joined.paste(first, (0, 0))
    joined.paste(second, (first.width, 0))
    return joined


def _shuffled(readers: list[Reader], rng: np.random.Generator) -> list[Reader]:
    return [readers[i] for i in rng.permutation(len(readers))]


def _mixed(readers: Readers, labels: list[str], rng: np.random.Generator) -> list[Reader]:
    return _shuffled([reader for label in labels for reader in readers[label][:1500]], rng)


# -- where images come from -----------------------------------------------------------------


def pool_of(path: Path) -> Pool:
    """Return the pool of a folder of IDX files, an NPZ file or a zip, depending on its content."""
    if path.is_dir():
        return _digits(path)
    if path.suffix == ".npz":
        return _arrays(path)
    names = zipfile.ZipFile(path).namelist()
    if "split.csv" in names:
        return _nuclei(path)
    if "train/questions.json" in names:
        return _shapes(path)
    return _faces(path) if any(name.startswith("faces/") for name in names) else _folders(path)


def _digits(folder: Path) -> Pool:
    splits = [_grey(*_idx(folder, split)) for split in ("train", "t10k")]
    return Pool(
        "digits", *splits, colour=False, sides=(16, 20, 28, 28, 32, 48, 64), has_pairs=True,
        transforms=("plain", "turned-90", "negative"),
    )  # fmt: skip


def _idx(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    arrays = []
    for name, header in ((f"{split}-images-idx3-ubyte", 16), (f"{split}-labels-idx1-ubyte", 8)):
        archive = folder / f"{name}.gz"
        content = gzip.decompress(archive.read_bytes()) if archive.exists() else (folder / name).read_bytes()
        arrays.append(np.frombuffer(content, np.uint8, offset=header))
    return arrays[0].reshape(len(arrays[1]), 28, 28), arrays[1]


def _arrays(path: Path) -> Pool:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    train = [np.concatenate([arrays[f"{split}_{kind}"] for split in ("train", "val")]) for kind in ("images", "labels")]
    splits = [_grey(*train), _grey(arrays["test_images"], arrays["test_labels"])]
    return Pool(
        "x-rays", *splits, colour=False, sides=(16, 28, 28, 56, 112, 224), has_orientation=True,
        transforms=(*ORIENTATIONS, "negative", "mirrored"),
    )  # fmt: skip


def _grey(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Readers:
    readers: Readers = {}
    for image, label in zip(pixels, labels.reshape(-1).tolist(), strict=True):
        readers.setdefault(str(label), []).append(partial(Image.fromarray, image))
    return readers


def _member(archive: zipfile.ZipFile, name: str) -> Image.Image:
    with Image.open(io.BytesIO(archive.read(name))) as image:
        image.draft("RGB", (256, 256))  # Decode JPEG at half or a quarter of its size if that suffices.
        return ImageOps.exif_transpose(image).convert("L" if image.mode == "L" else "RGB")


def _readers(path: Path, members: Iterable[tuple[str, str, str]]) -> tuple[Readers, Readers]:
    """Return (train, test) from (split, label, name of the member), in the order of the names."""
    archive, splits = zipfile.ZipFile(path), {"train": Readers(), "test": Readers()}
    for split, label, name in sorted(members, key=lambda member: member[2]):
        splits[split].setdefault(label, []).append(partial(_member, archive, name))
    return splits["train"], splits["test"]


def _folders(path: Path) -> Pool:
    """Return the pool of train/, validation/ and test/ with class folders, of large or small photos."""
    names = [Path(name) for name in zipfile.ZipFile(path).namelist() if name.lower().endswith((".jpg", ".png"))]
    chosen = [(SPLITS[name.parts[-3]], name.parent.name, str(name)) for name in names if name.parts[-3] in SPLITS]
    train, test = _readers(path, chosen)
    large = max(next(iter(train.values()))[0]().size) > 64
    sides = (32, 64, 96, 128, 160, 192, 224) if large else (16, 24, 32, 32, 48, 64, 96)
    return Pool(
        path.stem, train, test, colour=True, sides=sides, transforms=(*ORIENTATIONS, "swapped"), has_orientation=True
    )


def _faces(path: Path) -> Pool:
    people = people_of(path)
    members = [(split, person, name) for person, splits in people.items() for split in splits for name in splits[split]]
    train, test = _readers(path, members)
    return Pool(
        "faces", train, test, colour=False, sides=(24, 32, 64, 64, 96), has_orientation=True, transforms=ORIENTATIONS
    )


def people_of(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the images in faces/PERSON/ of people with enough of them; a hash puts a third into the test split."""
    people: dict[str, list[str]] = {}
    for name in zipfile.ZipFile(path).namelist():
        if name.startswith("faces/") and name.endswith(".jpg"):
            people.setdefault(Path(name).parent.name, []).append(name)
    ordered = {
        person: sorted(names, key=name_hash) for person, names in people.items() if len(names) >= MIN_PERSON_IMAGES
    }
    return {
        person: {"test": sorted(names[: len(names) // 3]), "train": sorted(names[len(names) // 3 :])}
        for person, names in sorted(ordered.items())
    }


def name_hash(name: str) -> bytes:
    """Return a hash by which names are sorted into an arbitrary order, the same on every machine."""
    return blake2b(name.encode(), digest_size=8).digest()


def _nuclei(path: Path) -> Pool:
    """Return the pool of micrographs, labelled by the number of nuclei: few, some, many."""
    rows = csv.DictReader(io.StringIO(zipfile.ZipFile(path).read("split.csv").decode()))
    members = []
    for row in rows:
        count = int(row["nuclei"])
        kind = "few" if count < 15 else "some" if count < 50 else "many"
        members.append(("test" if row["split"] == "test" else "train", kind, row["file"]))
    return Pool(
        "nuclei", *_readers(path, members), colour=True, sides=(64, 96, 128, 224), transforms=("plain", "negative")
    )


def _shapes(path: Path) -> Pool:
    """Return the pool of drawn shapes, labelled by colour and form from the answers to questions about them."""
    archive, members = zipfile.ZipFile(path), []
    for split in ("train", "test"):
        attributes: dict[int, dict[str, str]] = {}
        for _, answer, number in json.loads(archive.read(f"{split}/questions.json")):
            if answer not in ("yes", "no"):
                kind = "form" if answer in ("circle", "rectangle", "triangle") else "colour"
                attributes.setdefault(number, {})[kind] = answer
        complete = {number: each for number, each in attributes.items() if len(each) == 2}
        members += [
            (split, f"{each['colour']} {each['form']}", f"{split}/images/{number}.png")
            for number, each in complete.items()
        ]
    return Pool("shapes", *_readers(path, members), colour=True, sides=(16, 32, 64, 128))
