"""Pools of labelled images from public data, and classes made of them, for `small_sets.py` and `similar_classes.py`.

A pool keeps the division into training and test images that its data has, or makes one by rule, so that no image
of a test part was ever trained on. Where a set needs more classes than a pool has, a class is one of the pool's own
*and* a change that can be seen: turned, negative, mirrored, with red and blue exchanged, or a second image beside it.
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
Twist = Callable[[Image.Image], Image.Image]
Readers = dict[str, list[Reader]]

TWISTS: Mapping[str, Twist] = {
    "plain": lambda image: image,
    "turned-90": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned-180": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "turned-270": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "negative": ImageOps.invert,
    "mirrored": ImageOps.mirror,
    "swapped": lambda image: Image.merge("RGB", image.convert("RGB").split()[::-1]),
}
WAYS_UP = ("plain", "turned-90", "turned-180", "turned-270")
PARTS = {"train": "train", "validation": "train", "val": "train", "test": "test"}
PEOPLE = 20
"""People with fewer images are no class of their own."""


@dataclass(frozen=True)
class Pool:
    """Images of `train` and `test` by label; `twists` are the changes that can be told apart in them, and `sides` the
    sizes that suit. `alone`: which way up an image is can be seen whatever is in it. `pairs`: two of them beside each
    other make a class, too.
    """

    name: str
    train: Readers
    test: Readers
    colour: bool
    sides: tuple[int, ...]
    twists: tuple[str, ...] = ("plain",)
    alone: bool = False
    pairs: bool = False

    @property
    def labels(self) -> list[str]:
        return sorted(label for label in self.train if self.test.get(label))

    @property
    def most_classes(self) -> int:
        """How many classes can be made."""
        own = len(self.labels)
        return max(own * len(self.twists), own * own if self.pairs else 0)


@dataclass(frozen=True)
class Class:
    """A class of a set: its name, and the images of each part."""

    name: str
    train: list[Reader]
    test: list[Reader]
    base: str = field(default="")


def classes_of(pool: Pool, count: int, alone: bool, rng: np.random.Generator) -> list[Class]:
    """`count` classes of a pool, by chance; `alone`: by the change, whatever the image shows."""
    labels = pool.labels
    if alone:
        every = {part: _mixed(getattr(pool, part), labels, rng) for part in ("train", "test")}
        return [
            _twisted("any", twist, every["train"][place::count], every["test"][place::count])
            for place, twist in enumerate(WAYS_UP[:count])
        ]
    if count <= len(labels):
        chosen = [(labels[i], "plain") for i in rng.permutation(len(labels))[:count]]
    elif count <= len(labels) * len(pool.twists):
        own = list(product(labels, pool.twists))
        chosen = [own[i] for i in rng.permutation(len(own))[:count]]
    else:
        both = list(product(labels, labels))
        return [_beside(pool, *both[i], rng) for i in rng.permutation(len(both))[:count]]
    return [
        _twisted(label, twist, *(_shuffled(part[label], rng) for part in (pool.train, pool.test)))
        for label, twist in sorted(chosen)
    ]


def _twisted(label: str, twist: str, train: list[Reader], test: list[Reader]) -> Class:
    name = label if twist == "plain" else f"{label} {twist}"
    return Class(name, [partial(_change, r, twist) for r in train], [partial(_change, r, twist) for r in test], label)


def _change(reader: Reader, twist: str) -> Image.Image:
    return TWISTS[twist](reader())


def _beside(pool: Pool, left: str, right: str, rng: np.random.Generator) -> Class:
    parts = []
    for part in (pool.train, pool.test):
        pairs = zip(_shuffled(part[left], rng), _shuffled(part[right], rng), strict=False)
        parts.append([partial(_join, one, other) for one, other in pairs])
    return Class(f"{left} then {right}", *parts, base=f"{left}{right}")


def _join(left: Reader, right: Reader) -> Image.Image:
    one, other = left(), right()
    both = Image.new(one.mode, (one.width + other.width, one.height))
    both.paste(one, (0, 0))
    both.paste(other, (one.width, 0))
    return both


def _shuffled(readers: list[Reader], rng: np.random.Generator) -> list[Reader]:
    return [readers[i] for i in rng.permutation(len(readers))]


def _mixed(part: Readers, labels: list[str], rng: np.random.Generator) -> list[Reader]:
    return _shuffled([reader for label in labels for reader in part[label][:1500]], rng)


# -- where images come from -----------------------------------------------------------------


def pool_of(path: Path) -> Pool:
    """The pool of a folder of IDX files, an NPZ file or a zip, told apart by what is in it."""
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
    parts = [_grey(*_idx(folder, part)) for part in ("train", "t10k")]
    return Pool(
        "digits", *parts, colour=False, sides=(16, 20, 28, 28, 32, 48, 64), twists=("plain", "turned-90", "negative"),
        pairs=True,
    )  # fmt: skip


def _idx(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    raw = []
    for name, header in ((f"{part}-images-idx3-ubyte", 16), (f"{part}-labels-idx1-ubyte", 8)):
        packed = folder / f"{name}.gz"
        content = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / name).read_bytes()
        raw.append(np.frombuffer(content, np.uint8, offset=header))
    return raw[0].reshape(len(raw[1]), 28, 28), raw[1]


def _arrays(path: Path) -> Pool:
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    train = [np.concatenate([arrays[f"{part}_{kind}"] for part in ("train", "val")]) for kind in ("images", "labels")]
    parts = [_grey(*train), _grey(arrays["test_images"], arrays["test_labels"])]
    return Pool(
        "x-rays", *parts, colour=False, sides=(16, 28, 28, 56, 112, 224), alone=True,
        twists=(*WAYS_UP, "negative", "mirrored"),
    )  # fmt: skip


def _grey(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Readers:
    made: Readers = {}
    for image, label in zip(pixels, labels.reshape(-1).tolist(), strict=True):
        made.setdefault(str(label), []).append(partial(Image.fromarray, image))
    return made


def _member(archive: zipfile.ZipFile, name: str) -> Image.Image:
    with Image.open(io.BytesIO(archive.read(name))) as image:
        image.draft("RGB", (256, 256))  # JPEG is decoded at half or a quarter of its size where that suffices
        return ImageOps.exif_transpose(image).convert("L" if image.mode == "L" else "RGB")


def _collected(path: Path, members: Iterable[tuple[str, str, str]]) -> tuple[Readers, Readers]:
    """(train, test) of (part, label, name of the member), in the order of the names."""
    archive, found = zipfile.ZipFile(path), {"train": Readers(), "test": Readers()}
    for part, label, name in sorted(members, key=lambda member: member[2]):
        found[part].setdefault(label, []).append(partial(_member, archive, name))
    return found["train"], found["test"]


def _folders(path: Path) -> Pool:
    """train/, validation/ and test/ with class folders: large photos, or small ones."""
    names = [Path(name) for name in zipfile.ZipFile(path).namelist() if name.lower().endswith((".jpg", ".png"))]
    chosen = [(PARTS[name.parts[-3]], name.parent.name, str(name)) for name in names if name.parts[-3] in PARTS]
    train, test = _collected(path, chosen)
    large = max(next(iter(train.values()))[0]().size) > 64
    sides = (32, 64, 96, 128, 160, 192, 224) if large else (16, 24, 32, 32, 48, 64, 96)
    return Pool(path.stem, train, test, colour=True, sides=sides, twists=(*WAYS_UP, "swapped"), alone=True)


def _faces(path: Path) -> Pool:
    people = people_of(path)
    members = [(part, person, name) for person, parts in people.items() for part in parts for name in parts[part]]
    train, test = _collected(path, members)
    return Pool("faces", train, test, colour=False, sides=(24, 32, 64, 64, 96), alone=True, twists=WAYS_UP)


def people_of(path: Path) -> dict[str, dict[str, list[str]]]:
    """Names of images in faces/PERSON/ of everybody with enough of them: a third of each, by hash, is for testing."""
    people: dict[str, list[str]] = {}
    for name in zipfile.ZipFile(path).namelist():
        if name.startswith("faces/") and name.endswith(".jpg"):
            people.setdefault(Path(name).parent.name, []).append(name)
    enough = {person: sorted(names, key=name_hash) for person, names in people.items() if len(names) >= PEOPLE}
    return {
        person: {"test": sorted(names[: len(names) // 3]), "train": sorted(names[len(names) // 3 :])}
        for person, names in sorted(enough.items())
    }


def name_hash(name: str) -> bytes:
    """An order of names that has nothing to do with what they say, the same everywhere."""
    return blake2b(name.encode(), digest_size=8).digest()


def _nuclei(path: Path) -> Pool:
    """Micrographs by how many nuclei there are: few, some, many."""
    rows = csv.DictReader(io.StringIO(zipfile.ZipFile(path).read("split.csv").decode()))
    members = []
    for row in rows:
        count = int(row["nuclei"])
        kind = "few" if count < 15 else "some" if count < 50 else "many"
        members.append(("test" if row["split"] == "test" else "train", kind, row["file"]))
    return Pool(
        "nuclei", *_collected(path, members), colour=True, sides=(64, 96, 128, 224), twists=("plain", "negative")
    )


def _shapes(path: Path) -> Pool:
    """Drawn shapes by colour and form, from the answers to questions about them."""
    archive, members = zipfile.ZipFile(path), []
    for part in ("train", "test"):
        found: dict[int, dict[str, str]] = {}
        for _, answer, number in json.loads(archive.read(f"{part}/questions.json")):
            if answer not in ("yes", "no"):
                kind = "form" if answer in ("circle", "rectangle", "triangle") else "colour"
                found.setdefault(number, {})[kind] = answer
        complete = {number: known for number, known in found.items() if len(known) == 2}
        members += [
            (part, f"{known['colour']} {known['form']}", f"{part}/images/{number}.png")
            for number, known in complete.items()
        ]
    return Pool("shapes", *_collected(path, members), colour=True, sides=(16, 32, 64, 128))
