"""What `opsin explore` costs on 100,000 images: photos of things and handwritten digits in one folder.

    python bench/explore_many.py cifar10.zip mnist [--count 100000] [--model MODEL] [--json FILE]

The images of CIFAR-10 are copied to one folder under names that tell nothing, and those of MNIST's files are written
next to them as PNG, until there are `--count`. `opsin explore` then runs in a process of its own with an empty cache.
CPU time is that of all its threads, which other work on the machine hardly changes; memory is the largest that the
process had resident. The record also has the time by the clock. Groups should not mix photos and digits: the table has
the share of the images that are in a group whose majority is of their kind.
"""

from __future__ import annotations

import json
import resource
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from explore import explore, unpack
from PIL import Image

from opsin.data import load

KIB = 1024
"""Linux counts resident memory in KiB."""


def add_digits(source: str, folder: Path, count: int) -> None:
    """Write so many of MNIST's images to a folder."""
    pixels = load(source).all_images().pixels[:count]
    for number, image in enumerate(pixels):
        Image.fromarray(image[0]).save(folder / f"digit-{number:05}.png", compress_level=1)


def unmixed(data: dict[str, Any]) -> float:
    """Return the share of images in a group whose majority is of their kind."""
    digits = [sum(name.startswith("digit") for name in group["images"]) for group in data["groups"]]
    sizes = [len(group["images"]) for group in data["groups"]]
    return float(sum(np.maximum(digits, np.subtract(sizes, digits))) / sum(sizes))


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("photos", help="CIFAR-10 as a zip of class folders")
    options.add_argument("digits", help="a folder with MNIST's files")
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--model", help="a model file or a network with published weights")
    chosen = options.parse_args()
    record = begin(chosen)
    model = ["--model", str(Path(chosen.model).resolve())] if chosen.model else []
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        folder = work / "images"
        folder.mkdir()
        for number, name in enumerate(sorted(unpack(Path(chosen.photos), folder))):
            if number >= 0.6 * chosen.count:
                (folder / name).unlink()
        add_digits(chosen.digits, folder, chosen.count - sum(1 for _ in folder.iterdir()))
        _, seconds, cpu = explore(folder, work, *model)
        peak = KIB * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        page = (work / "explore.html").stat().st_size
        text, again, again_cpu = explore(folder, work, *model, "--json")
    data = json.loads(text)
    rows = [
        ["images", f"{data['images']:,}"],
        ["CPU time of all threads, empty cache", f"{cpu:.0f} s"],
        ["CPU time, features in the cache, no page", f"{again_cpu:.0f} s"],
        ["peak memory", f"{peak / 1e9:.1f} GB"],
        ["page", f"{page / 1e6:.1f} MB"],
        ["groups", f"{len(data['groups'])}"],
        ["images in a group of their kind, photos or digits", f"{unmixed(data):.1%}"],
    ]
    finish(chosen, record | {"clock_seconds": [seconds, again]} | print_table(("what", "result"), rows))


if __name__ == "__main__":
    main()
