"""How much memory does it take to go through 100,000 small images in tar shards?

    python bench/many_images.py [--images 100000] [--shard 10000] [--epochs 2] [--json FILE]

Generated JPEGs of 32² to 64² go to WebDataset shards in a temporary folder. A fresh process then opens them with
`opsin.data.load` (as 64²) and goes through epochs of shuffled batches; its resident memory is looked at after each step
of the way, and after every fiftieth batch. `decoded` is what all images take when decoded.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image

CLASSES, SIZE, BATCH, EVERY = 10, 64, 128, 50


def write_shards(folder: Path, images: int, shard: int) -> None:
    """train-00000.tar, … with N.jpg and N.cls: spots in the colours of the class, all different."""
    rng = np.random.default_rng(0)
    for number in range(0, images, shard):
        with tarfile.open(folder / f"train-{number // shard:05}.tar", "w") as tar:
            for key in range(number, min(images, number + shard)):
                spots = rng.integers(0, 200, (6, 6, 3), dtype=np.uint8)
                spots[..., key % 3] += np.uint8(5 * (key % CLASSES))
                side = int(rng.integers(32, 65))
                file = BytesIO()
                Image.fromarray(spots).resize((side, side)).save(file, "jpeg")
                for ending, content in (("jpg", file.getvalue()), ("cls", str(key % CLASSES).encode())):
                    member = tarfile.TarInfo(f"{key:08}.{ending}")
                    member.size = len(content)
                    tar.addfile(member, BytesIO(content))


def resident() -> float:
    """Megabytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def child(folder: str, epochs: int) -> None:
    """What the fresh process does; prints JSON."""
    from opsin.data import Batches, Preprocessing, load

    found: dict[str, Any] = {"imported": resident()}
    start = perf_counter()
    data = load(folder, size=SIZE)
    found |= {"intake_seconds": perf_counter() - start, "loaded": resident(), "images": len(data.all_images())}
    found["decoded"] = found["images"] * 3 * SIZE * SIZE / 1e6
    batches = Batches(data.train, Preprocessing.of(data.train), BATCH, 0)
    found["epochs"], found["epoch_seconds"] = [], []
    for epoch in range(1, epochs + 1):
        start, looks = perf_counter(), []
        for step, _ in enumerate(batches.epoch(epoch)):
            if step % EVERY == 0:
                looks.append(resident())
        found["epochs"].append(looks)
        found["epoch_seconds"].append(perf_counter() - start)
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps(found))


def main() -> None:
    made = parser(__doc__ or "")
    made.add_argument("--images", type=int, default=100_000)
    made.add_argument("--shard", type=int, default=10_000)
    made.add_argument("--epochs", type=int, default=2)
    made.add_argument("--child", metavar="FOLDER", help="what the fresh process is given")
    options = made.parse_args()
    if options.child:
        child(options.child, options.epochs)
        return
    record: dict[str, Any] = begin(options)
    with tempfile.TemporaryDirectory() as folder:
        shards = Path(folder) / "shards"
        shards.mkdir()
        write_shards(shards, options.images, options.shard)
        environment = {**os.environ, "OPSIN_CACHE": str(Path(folder) / "cache")}
        runs = []
        for _ in range(2):
            arguments = [sys.executable, __file__, "--child", str(shards), "--epochs", str(options.epochs)]
            output = subprocess.run(arguments, env=environment, check=True, capture_output=True, text=True).stdout
            runs.append(json.loads(output))
    record["runs"] = dict(zip(("first", "from the cache"), runs, strict=True))
    rows = []
    for name, run in record["runs"].items():
        for epoch, (looks, seconds) in enumerate(zip(run["epochs"], run["epoch_seconds"], strict=True), 1):
            rows.append([
                f"{name}, epoch {epoch}", f"{run['intake_seconds']:.1f}", f"{seconds:.1f}", f"{run['imported']:.0f}",
                f"{run['loaded']:.0f}", f"{looks[0]:.0f}", f"{max(looks):.0f}", f"{looks[-1]:.0f}",
                f"{run['peak']:.0f}", f"{run['decoded']:.0f}",
            ])  # fmt: skip
    heads = ["MB resident", "intake s", "epoch s", "imported", "loaded", "first", "most", "last", "peak", "decoded"]
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
