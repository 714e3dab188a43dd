"""Are the files of `opsin ship --to onnx --precision int8` as good in ONNX Runtime as Opsin's integers, and how fast?

    python bench/ship_onnx.py MODEL DATA [MODEL DATA]… [--images 10000] [--rounds 15] [--json FILE]

A MODEL is a file of Opsin's; if it has no ranges, they are observed on training images of DATA. Counted are held-out
images to which ONNX Runtime gives, with the file in 8-bit integers, the label of Opsin's integers, and, where float32
is at least 50% sure, the label of float32. Test-time augmentation is off. The speed is that of ONNX Runtime with one
thread, int8 against float32, median and range over alternating rounds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from common import begin, finish, interleaved, parser, print_table
from numpy.typing import NDArray

import opsin
from opsin.model.int8 import INT8

COLUMNS = (
    "model", "images", "as Opsin's int8", "sure images", "as Opsin's int8, sure", "as float32, sure", "kB, float32",
    "kB, int8", "speed-up, batch 1", "batch 32",
)  # fmt: skip
SURE = 0.5


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def logits(runtime: Any, images: NDArray[Any]) -> NDArray[np.float32]:
    parts = [images[first : first + 32] for first in range(0, len(images), 32)]
    return np.concatenate([runtime.run(["logits"], {"inputs": part})[0] for part in parts])


def speed_up(sessions: dict[str, Any], images: NDArray[Any], rounds: int) -> str:
    """Return how many times as fast int8 is, with its range."""

    def step(runtime: Any) -> Callable[[], object]:
        return lambda: runtime.run(["logits"], {"inputs": images})

    times = interleaved({name: step(runtime) for name, runtime in sessions.items()}, rounds, seconds=0.3)
    ratios = np.divide(times["float32"], times[INT8])
    return f"{np.median(ratios):.2f} ({ratios.min():.2f}-{ratios.max():.2f})"


def row(path: str, source: str, count: int, rounds: int, folder: Path) -> tuple[str, ...]:
    model = replace(opsin.load(path), tta=None, max_drop=np.inf)
    data = opsin.data.load(source, preprocessing=model.preprocessing)
    if model.quantization is None:
        model.quantize(data.train)
    pixels = np.asarray(data.require_test().pixels[:count])
    images = model.preprocessing.apply(pixels)
    files = {
        name: opsin.ship(model, "onnx", precision=name).save(folder / f"{name}.onnx") for name in ("float32", INT8)
    }
    sessions = {name: session(file) for name, file in files.items()}
    found = logits(sessions[INT8], images).argmax(axis=1)
    exact, integers = (
        np.concatenate([outputs["logits"] for outputs in model.batches(pixels, name)]) for name in ("float32", INT8)
    )
    sure = 1 / np.exp(exact - exact.max(axis=1, keepdims=True)).sum(axis=1) >= SURE
    same = found == integers.argmax(axis=1)
    return (
        f"{model.network}, {data.name}", f"{len(pixels):,}", f"{np.mean(same):.2%}", f"{sure.sum():,}",
        f"{np.mean(same[sure]):.2%}", f"{np.mean((found == exact.argmax(axis=1))[sure]):.2%}",
        *(f"{files[name].stat().st_size / 1000:,.1f}" for name in ("float32", INT8)),
        *(speed_up(sessions, images[:batch], rounds) for batch in (1, 32)),
    )  # fmt: skip


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("pairs", nargs="+", metavar="MODEL DATA")
    arguments.add_argument("--images", type=int, default=10_000, help="at most so many held-out images of each DATA")
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()
    record = begin(options)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            row(*options.pairs[place : place + 2], options.images, options.rounds, Path(folder))
            for place in range(0, len(options.pairs), 2)
        ]
    finish(options, record | print_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
