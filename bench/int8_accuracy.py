"""What predictions in 8-bit integers cost: a row a model, on all held-out images of its data.

    python bench/int8_accuracy.py [MODEL DATA]… [--labels NETWORK DATA] [--images 256] [--json FILE]

A MODEL is a file of Opsin's; its ranges are observed on training images of DATA, unless it was trained with --qat. Lost
and won are answers that are right in float32 only, and in int8 only; the interval of the drop is that of a paired
difference (Agresti & Min 2005).
Test-time augmentation is off. With --labels, a network with published weights answers held-out images of DATA in both
precisions, among 1,000 labels, whatever DATA's labels are; the row has the images of which float32 is sure.
"""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import replace

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.data import Dataset
from opsin.model import Model
from opsin.model.int8 import INT8
from opsin.quantization.comparison import Comparison, compared

COLUMNS = ("model", "images", "float32", "int8", "lost", "won", "drop in points (95%)", "same answer")
SURE = (0.5, 0.0)
"""Probabilities in float32 from which images count, for published weights."""


def logits(model: Model, pixels: np.ndarray, precision: str) -> np.ndarray:  # type: ignore[type-arg]
    return np.concatenate([outputs["logits"] for outputs in model.batches(pixels, precision)])


def row(name: str, comparison: Comparison) -> tuple[str, ...]:
    same = f"{100 * comparison.same / comparison.images:.2f}%"
    if comparison.interval is None or comparison.exact is None or comparison.quantized is None:
        return name, f"{comparison.images:,}", "", "", "", "", "", same
    low, high = comparison.interval
    return (
        name, f"{comparison.images:,}", f"{100 * comparison.exact:.2f}%", f"{100 * comparison.quantized:.2f}%",
        str(comparison.lost), str(comparison.won), f"{comparison.drop:.2f} ({low:.2f} to {high:.2f})", same,
    )  # fmt: skip


def measured(path: str, source: str) -> tuple[str, ...]:
    model = opsin.load(path)
    data = opsin.data.load(source, preprocessing=model.preprocessing)
    model = replace(model, tta=None, max_drop=np.inf)
    is_rounded = model.quantization is not None and "steps" in model.quantization.ranges
    if not is_rounded:
        model.quantize(data.train)
    images = data.require_test()
    pixels = np.asarray(images.pixels[:])
    answers = [logits(model, pixels, precision).argmax(axis=1) for precision in ("float32", INT8)]
    name = f"{model.network}, {data.name}{', --qat' if is_rounded else ''}"
    return row(name, compared(*answers, model.label_indices(images)))


def held_out(data: Dataset) -> np.ndarray:  # type: ignore[type-arg]
    """Return the images of the splits that nothing was fitted to, for published weights."""
    return np.concatenate([np.asarray(part.pixels[:]) for part in (data.test, data.validation) if part is not None])


def models_parser(doc: str | None) -> ArgumentParser:
    """Return a parser of models, each with its data, and of a network with published weights."""
    arguments = parser(doc)
    arguments.add_argument("pairs", nargs="*", metavar="MODEL DATA")
    arguments.add_argument("--labels", nargs=2, metavar=("NETWORK", "DATA"))
    return arguments


def published(network: str, source: str, count: int) -> list[tuple[str, ...]]:
    model = opsin.pretrained(network)
    data = opsin.data.load(source, preprocessing=model.preprocessing)
    model.quantize(data.train.pixels[np.arange(count) * len(data.train) // count])
    pixels = held_out(data)
    exact, quantized = (logits(model, pixels, precision) for precision in ("float32", INT8))
    shares = np.exp(exact - exact.max(axis=1, keepdims=True))
    probability = 1 / shares.sum(axis=1)
    rows = []
    for least in SURE:
        sure = probability >= least
        comparison = compared(exact[sure].argmax(axis=1), quantized[sure].argmax(axis=1), None)
        name = f"{network}, published weights, {data.name}"
        rows.append(row(f"{name}, at least {least:.0%} sure" if least else name, comparison))
    return rows


def main() -> None:
    arguments = models_parser(__doc__)
    arguments.add_argument("--images", type=int, default=256, help="images on which published weights are calibrated")
    options = arguments.parse_args()
    record = begin(options)
    rows = [measured(*options.pairs[place : place + 2]) for place in range(0, len(options.pairs), 2)]
    if options.labels:
        rows += published(*options.labels, options.images)
    finish(options, record | print_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
