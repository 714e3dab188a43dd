"""What the rounding of weights by what they multiply saves: the error of the logits in int8, and the same answers.

    python bench/int8_rounding.py [MODEL DATA]… [--labels NETWORK DATA] [--most 3000] [--json FILE]

A MODEL is a file of Opsin's; ranges and rounding are observed on training images of DATA, and errors measured on
held-out ones, relative to the variance of the logits in float32. With --labels, a network with published weights
answers. Seconds are those of one core for choosing the rounding.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from common import begin, finish, print_table
from int8_accuracy import held_out, logits, models_parser

import opsin
from opsin.base.spread import spread
from opsin.data import Dataset
from opsin.model import Model
from opsin.model.int8 import INT8, Quantization, observed_count
from opsin.quantization.adaptive_rounding import adapt_rounding
from opsin.quantization.quantize import calibrated
from opsin.quantization.record import ranges_to_data

COLUMNS = ("model", "images", "error, nearest", "error, adaptive", "less", "same answer", "adaptive", "seconds")


def measured(name: str, model: Model, data: Dataset, most: int) -> tuple[str, ...]:
    total = len(data.train)
    observed = np.asarray(data.train.pixels[spread(total, observed_count(model.graph, total))])
    pixels = held_out(data)[:most]
    model = replace(model, tta=None, max_drop=np.inf)
    exact = logits(model, pixels, "float32")
    exact -= exact.mean(axis=1, keepdims=True)
    images, errors, same, seconds = model.preprocessing.apply(observed), [], [], 0.0
    ranges = calibrated(model.graph, model.state, images, model.engine, model.threads)
    for adapt in (False, True):
        begun = time.process_time()
        if adapt:
            adapt_rounding(model.graph, model.state, ranges, images, model.engine, model.threads)
            seconds = time.process_time() - begun
        model.adopt(Quantization(ranges_to_data(ranges, model.graph), len(images)))
        found = logits(model, pixels, INT8)
        errors.append(float(((found - found.mean(axis=1, keepdims=True) - exact) ** 2).mean() / exact.var()))
        same.append(float(np.mean(found.argmax(axis=1) == exact.argmax(axis=1))))
    return (
        f"{name}, {data.name}", f"{len(pixels):,}", *(f"{100 * error:.4f}%" for error in errors),
        f"{100 * (1 - errors[1] / errors[0]):.0f}%", *(f"{100 * share:.2f}%" for share in same),
        f"{seconds:.1f}",
    )  # fmt: skip


def main() -> None:
    arguments = models_parser(__doc__)
    arguments.add_argument("--most", type=int, default=3000, help="images on which errors are measured, at most")
    options = arguments.parse_args()
    record = begin(options)
    models = [(opsin.load(path), source) for path, source in zip(options.pairs[::2], options.pairs[1::2], strict=True)]
    named = [(model.network, model, source) for model, source in models]
    if options.labels:
        network, source = options.labels
        named.append((f"{network}, published weights", opsin.pretrained(network), source))
    rows = []
    for name, model, source in named:
        data = opsin.data.load(source, preprocessing=model.preprocessing)
        rows.append(measured(name, model, data, options.most))
    finish(options, record | print_table(COLUMNS, rows))


if __name__ == "__main__":
    main()
