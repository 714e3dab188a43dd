"""A folder of three kinds of images, with copies, an outlier and files that cannot be read; and a small model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from opsin import nn
from opsin.data import Preprocessing
from opsin.model import Model
from tests.data.ingest.in_memory import encoded, photo

EACH = 12
"""Images of each kind."""

KINDS = ("disc", "frame", "sky")


def drawn(kind: str, seed: int) -> Image.Image:
    """Return an image of one of the `KINDS`, 64 × 48."""
    random = np.random.default_rng(seed)
    image = photo(seed, 64).resize((64, 48)).point(lambda value: value // 4)
    draw, (x, y), shade = ImageDraw.Draw(image), random.integers(0, 12, 2).tolist(), int(random.integers(200, 255))
    if kind == "disc":
        draw.ellipse((8 + x, 2 + y, 40 + x, 34 + y), fill=(shade, 30, 20))
    elif kind == "frame":
        draw.rectangle((4 + x, 2 + y, 48 + x, 32 + y), outline=(20, shade, 40), width=7)
    else:
        draw.rectangle((0, 0, 64, 22 + y), fill=(60, 90, shade))
    return image


def write_kinds(folder: Path, each: int = EACH) -> Path:
    """Write `each` images of every kind into `folder`, in subfolders; the names do not tell the kind."""
    for number, (kind, seed) in enumerate((kind, seed) for seed in range(each) for kind in KINDS):
        path = folder / f"day{seed % 2}" / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(drawn(kind, 100 * KINDS.index(kind) + seed)))
    return folder


def write_copies(folder: Path) -> dict[str, str]:
    """Add copies of 000.png to 003.png; return their kinds by name."""
    first = [Image.open(folder / f"day0/{number:03}.png") for number in range(3)]
    (folder / "again.png").write_bytes((folder / "day0" / "000.png").read_bytes())
    (folder / "small.png").write_bytes(encoded(first[0].resize((48, 36))))
    (folder / "saved.jpg").write_bytes(encoded(first[1], "jpeg", quality=60))
    (folder / "other.bmp").write_bytes(encoded(first[1], "bmp"))
    (folder / "turned.png").write_bytes(encoded(first[2].transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    return {
        "again.png": "same file", "small.png": "resized", "saved.jpg": "saved again", "other.bmp": "same pixels",
        "turned.png": "mirrored",
    }  # fmt: skip


def untrained_model() -> Model:
    """Return a model of RGB 32 × 32 images whose random filters tell the kinds apart."""
    network = nn.Sequential(
        ("conv1", nn.Conv2d(16, 5, stride=2)), ("act1", nn.ReLU()), ("conv2", nn.Conv2d(32, 3, stride=2)),
        ("act2", nn.ReLU()), ("pool", nn.GlobalAvgPool2d()), ("flat", nn.Flatten()), ("head", nn.Linear(2)),
    )  # fmt: skip
    graph = nn.trace(network, (3, 32, 32))
    preprocessing = Preprocessing(3, 32, 32, (0.3,) * 3, (0.25,) * 3)
    return Model("small", graph, nn.initial_state(graph, 0), preprocessing, ("a", "b"), nn.layer_kinds(network))
