"""Does `opsin predict` reach the speed of the model with frames from a folder or a video?

    python bench/frames.py [--networks mobilenet_v3_small …] [--frames 300] [--rounds 3] [--json FILE]

Frames are 640 × 480: crops that move over a smooth random image, as JPEGs of quality 85 and as an H.264 video of 30
frames per second; weights are random. `model` is the network alone, on one image at a time that is already resized;
`--out` draws and writes every frame. All in frames per second, the best of rounds that alternate. Videos need PyAV.
"""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image

from opsin import nn, zoo
from opsin.data import Preprocessing
from opsin.data.frames import VideoWriter
from opsin.model import Model

SIZE = (640, 480)
INPUT = (3, 224, 224)
FOLLOW = ("--follow", "--idle", "0")
CASES = {
    "folder": ("frames", *FOLLOW),
    "folder, --out": ("frames", *FOLLOW, "--out", "drawn"),
    "video": ("drive.mp4",),
    "video, --out": ("drive.mp4", "--out", "drawn.mp4"),
}


def write_frames(folder: Path, count: int) -> None:
    """Write the frames as `frames/*.jpg` and `drive.mp4`."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    scene = Image.fromarray(noise).resize((2 * SIZE[0], 2 * SIZE[1]), Image.Resampling.BICUBIC)
    video = VideoWriter(str(folder / "drive.mp4"), Fraction(30))
    (folder / "frames").mkdir()
    for number in range(count):
        left, top = 2 * number % SIZE[0], number % SIZE[1]
        image = scene.crop((left, top, left + SIZE[0], top + SIZE[1]))
        image.save(folder / "frames" / f"{number:05}.jpg", quality=85)
        video.add(image, number / 30)
    video.commit()


def create_model(network: str, path: Path) -> Model:
    """Return a classifier with random weights, which is also saved."""
    layer = zoo.create(network, classes=10)
    graph = nn.trace(layer, INPUT)
    labels = tuple(f"class {number}" for number in range(10))
    preprocessing = Preprocessing(*INPUT, (0.5,) * 3, (0.25,) * 3)
    model = Model(network, graph, nn.initial_state(graph, 0), preprocessing, labels, nn.layer_kinds(layer))
    model.save(path)
    return model


def alone(model: Model, count: int) -> float:
    """Return the frames per second of the network alone."""
    image = (np.zeros(INPUT, np.uint8), SIZE[::-1])
    model.answers([image])
    start = perf_counter()
    for _ in range(count):
        model.answers([image])
    return count / (perf_counter() - start)


def command(folder: Path, network: str, arguments: tuple[str, ...]) -> float:
    """Return the frames per second that `opsin predict` reports."""
    process = subprocess.run(
        [sys.executable, "-m", "opsin", "predict", f"{network}.opsin", *arguments],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(re.findall(r"([\d.]+) frames/s", process.stdout)[-1])


def measure(folder: Path, network: str, frames: int, rounds: int) -> dict[str, float]:
    """Return the best rate of each case."""
    model = create_model(network, folder / f"{network}.opsin")
    best = dict.fromkeys(("model", *CASES), 0.0)
    for _ in range(rounds):
        best["model"] = max(best["model"], alone(model, frames))
        for name, arguments in CASES.items():
            best[name] = max(best[name], command(folder, network, arguments))
    return best


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--networks", nargs="+", default=["mobilenet_v3_small", "efficientnet_lite0"])
    arguments.add_argument("--frames", type=int, default=300)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    record = begin(options)
    with TemporaryDirectory() as name:
        write_frames(Path(name), options.frames)
        results = {each: measure(Path(name), each, options.frames, options.rounds) for each in options.networks}
    record["results"] = results
    heads = ["network", "model", *CASES]
    record |= print_table(
        heads, [[network, *(f"{rate:.1f}" for rate in row.values())] for network, row in results.items()]
    )
    finish(options, record)


if __name__ == "__main__":
    main()
