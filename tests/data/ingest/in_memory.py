"""A source in memory that counts how often it is read, and images to fill it with."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO

import numpy as np
from PIL import Image

from opsin.data.items import MISSING, UNSPLIT, FileProblem, Item, ItemError


@dataclass
class Files:
    """Named files with labels; `reads` lists what was read."""

    name: str = "files"
    items: list[Item] = field(default_factory=list)
    problems: list[FileProblem] = field(default_factory=list)
    content: dict[str, bytes] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def add(self, name: str, content: bytes, label: str | None = None, part: str = UNSPLIT) -> None:
        """`label` is otherwise what comes before the first slash."""
        self.items.append(Item(name, label or name.split("/")[0], part))
        self.content[name] = content

    def read(self, index: int) -> bytes:
        name = self.items[index].name
        self.reads.append(name)
        if name not in self.content:
            raise ItemError(f"{name} is gone; leave it out", FileProblem(name, "gone", MISSING))
        return self.content[name]

    def stamp(self, index: int) -> str:
        return blake2b(self.content.get(self.items[index].name, b""), digest_size=8).hexdigest()


def photo(seed: int, side: int = 64, mode: str = "RGB") -> Image.Image:
    """Broad coloured spots, as different from seed to seed as photographs of different places."""
    spots = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(spots).resize((side, side), Image.Resampling.BICUBIC).convert(mode)


def encoded(image: Image.Image, kind: str = "png", **options: int) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photos(count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), side: int = 64, part: str = UNSPLIT) -> Files:
    """`count` different images of each class."""
    files = Files()
    for number, kind in enumerate(classes):
        for place in range(count):
            prefix = f"{part}/" if part else ""
            files.add(f"{prefix}{kind}/{place}.png", encoded(photo(1000 * number + place, side)), kind, part)
    return files
