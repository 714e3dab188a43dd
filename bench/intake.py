"""How fast is a folder of JPEGs read, decoded and brought to 224²? The whole intake against bare decoding by others.

    python bench/intake.py DATA [--images 1000] [--size 224] [--rounds 3] [--threads 2] [--json FILE]

DATA is a folder or a zip of class folders; so many images of it, evenly chosen, go to a temporary folder. `intake` is
`opsin.data.load` with an empty cache: digest, header, decoding, resizing, look, duplicates, division, and writing the
decoded images to disk. `again` is the same with what that left behind. The others only decode and resize, as many
threads at a time as the intake has: Pillow (bicubic), torchvision (`decode_jpeg`, antialiased bilinear) and OpenCV
(`imdecode`, area), the last two also letting JPEG leave out detail where they can. Who is not installed is left out.
Rounds take turns; images a second, median (least to most), and milliseconds of processor time an image.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image

from opsin.apps.benchmark.spread import Spread
from opsin.data import load, parallel
from opsin.data.decode import read_pixels

Decode = Callable[[Path], object]


def unpacked(data: Path, count: int, folder: Path) -> list[Path]:
    """About `count` of the images in `folder`, in their class folders."""
    if data.is_dir():
        names = sorted(str(path.relative_to(data)) for path in data.rglob("*.jpg"))
        read = lambda name: (data / name).read_bytes()  # noqa: E731
    else:
        archive = zipfile.ZipFile(data)
        names, read = sorted(name for name in archive.namelist() if name.endswith(".jpg")), archive.read
    chosen = names[:: max(1, len(names) // count)]
    for name in chosen:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(read(name))
    return [folder / name for name in chosen]


def peers(size: int) -> Iterator[tuple[str, Decode]]:
    """Who else decodes and resizes, each in its usual way."""

    def pillow(path: Path) -> object:
        return np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.Resampling.BICUBIC))

    yield "Pillow", pillow
    try:
        torch, io = import_module("torch"), import_module("torchvision.io")
        functional = import_module("torchvision.transforms.v2.functional")
    except ImportError:
        pass
    else:
        torch.set_num_threads(1)  # the images are what runs in parallel
        yield (
            "torchvision",
            lambda path: functional.resize(
                io.decode_jpeg(io.read_file(str(path)), mode=io.ImageReadMode.RGB), [size, size], antialias=True
            ),
        )
    try:
        cv2 = import_module("cv2")
    except ImportError:
        return
    cv2.setNumThreads(1)

    def opencv(flag: int) -> Decode:
        return lambda path: cv2.resize(
            cv2.imdecode(np.fromfile(path, np.uint8), flag), (size, size), interpolation=cv2.INTER_AREA
        )

    yield "OpenCV", opencv(cv2.IMREAD_COLOR)


def measure(paths: list[Path], folder: Path, size: int, threads: int, rounds: int) -> dict[str, list[list[float]]]:
    """Seconds, and seconds of the processors, of each, round by round."""
    times: dict[str, list[list[float]]] = {}
    others = dict(peers(size))
    cache = Path(tempfile.mkdtemp())
    os.environ["OPSIN_CACHE"] = str(cache)
    read_pixels(paths[0], "the first", (3, size, size))  # compiles what every machine compiles once
    for turn in range(rounds):

        def intake() -> object:
            return load(folder, size=size)

        def loop(decode: Decode) -> Callable[[], object]:
            def run() -> None:
                with ThreadPoolExecutor(threads) as pool:
                    for _ in pool.map(decode, paths):
                        pass

            return run

        steps = [("intake", intake), ("again", intake), *((name, loop(decode)) for name, decode in others.items())]
        for name, step in steps if turn % 2 == 0 else [*steps[2:], *steps[:2]]:
            start, work = perf_counter(), process_time()
            step()
            times.setdefault(name, []).append([perf_counter() - start, process_time() - work])
        shutil.rmtree(cache / "pictures")
    shutil.rmtree(cache)
    return times


def main() -> None:
    made = parser(__doc__ or "")
    made.add_argument("data", type=Path)
    made.add_argument("--images", type=int, default=1000)
    made.add_argument("--size", type=int, default=224)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--threads", type=int, default=parallel.processors())
    options = made.parse_args()
    record: dict[str, Any] = begin(options)
    parallel.processors = lambda: options.threads  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as folder:
        paths = unpacked(options.data, options.images, Path(folder))
        times = measure(paths, Path(folder), options.size, options.threads, options.rounds)
    record |= {"images": len(paths), "seconds": times}
    rows = []
    intake = [second for second, _ in times["intake"]]
    for name, pairs in times.items():
        seconds, work = zip(*pairs, strict=True)
        speeds = Spread.of([len(paths) / second for second in seconds])
        cost = Spread.of([1e3 * second / len(paths) for second in work])
        rows.append([name, f"{speeds:,.0f}", f"{Spread.of_ratios(intake, seconds):.2f}", f"{cost:.2f}"])
    table = print_table(["step", "images/s", "× the intake", "ms of processor time"], rows)
    finish(options, record | table)


if __name__ == "__main__":
    sys.exit(main())
