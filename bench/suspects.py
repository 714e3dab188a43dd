"""How many wrong labels the report finds, and how far its probabilities can be believed.

    python bench/suspects.py ../shared/data/clothing-small.zip [--draws 3] [--json FILE]

Flips the labels of 5% of the training images, ranks all of them by confident learning on EfficientNet-Lite0's
published features, and counts how many of the flipped ones are among the first 8%. Labels are flipped to any other
class, or, harder, to the class that the image is most easily taken for. Then fits the last layer on the training
images, its temperature on the validation images, and measures the expected calibration error on the test images.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.nn.features import penultimate_graph
from opsin.report.label_issues import held_out_probabilities, rank_labels
from opsin.report.logistic import choose_penalty, fit
from opsin.report.statistics import Share, reliability
from opsin.tasks.classification.calibration import calibrate
from opsin.tasks.probabilities import softmax

FLIPPED, LOOKED_AT = 0.05, 0.08
BATCH = 32


def main() -> None:
    options = parser(__doc__)
    options.add_argument("data", help="labelled images with a training, a validation and a test part")
    options.add_argument("--draws", type=int, default=3, help="how often labels are flipped, from seed 0 on")
    arguments = options.parse_args()
    record = begin(arguments)
    published = opsin.pretrained("efficientnet_lite0")
    data = opsin.data.load(arguments.data, preprocessing=published.preprocessing)
    program = published.engine(penultimate_graph(published.graph), BATCH, None)
    program.load_state({name: published.state[name] for name in program.graph.variables})
    start = perf_counter()
    parts = {
        name: (features(program, published.preprocessing, part.pixels), part.labels)
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    record["seconds"] = {"features": perf_counter() - start}
    record["found"], table = flips(parts["train"], len(data.classes), arguments.draws)
    record["calibration"] = calibration(parts, len(data.classes))
    finish(arguments, record | table)


def features(program: Any, preprocessing: Any, pixels: Any) -> Any:
    rows = []
    for first in range(0, len(pixels), BATCH):
        part = pixels[first : first + BATCH]
        full = part[np.resize(np.arange(len(part)), BATCH)]
        rows.append(program.run(inputs=preprocessing.apply(full))["features"][: len(part)])
    return np.concatenate(rows)


def flips(train: Any, classes: int, draws: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return how many wrong labels are found, as data and as a table."""
    rows, found = [], []
    inputs, labels = train
    honest = held_out_probabilities(inputs, labels, classes, choose_penalty(inputs, labels, classes))
    for seed in range(draws):
        for kind in ("any class", "the likeliest"):
            random = np.random.default_rng(seed)
            chosen = random.choice(len(labels), round(FLIPPED * len(labels)), replace=False)
            noisy = labels.copy()
            if kind == "any class":
                noisy[chosen] = (labels[chosen] + random.integers(1, classes, len(chosen))) % classes
            else:
                others = honest[chosen].copy()
                others[np.arange(len(chosen)), labels[chosen]] = -1
                noisy[chosen] = others.argmax(axis=1)
            start = perf_counter()
            penalty = choose_penalty(inputs, noisy, classes)
            result = rank_labels(held_out_probabilities(inputs, noisy, classes, penalty), noisy)
            seconds = perf_counter() - start
            first = result.order[: round(LOOKED_AT * len(labels))]
            share = Share(int(np.isin(chosen, first).sum()), len(chosen))
            among = int(np.isin(chosen, result.order[: result.issue_count]).sum())
            issues = result.issue_count
            rows.append([kind, f"{seed}", f"{share.value:.1%}", f"{issues}", f"{among}", f"{seconds:.1f} s"])
            found.append({"kind": kind, "seed": seed, "found": share.value, "doubtful": issues, "s": seconds})
    heads = ["flipped to", "seed", f"found in the first {LOOKED_AT:.0%}", "doubtful", "flipped among them", "time"]
    return found, print_table(heads, rows)


def calibration(parts: Any, classes: int) -> dict[str, float]:
    inputs, labels = parts["train"]
    head = fit(inputs, labels, classes, choose_penalty(inputs, labels, classes))
    fitted = calibrate(head.logits(parts["validation"][0]), parts["validation"][1])
    logits, truth = head.logits(parts["test"][0]), parts["test"][1]
    rows, figures = [], {"temperature": fitted.temperature}
    for name, temperature in (("as trained", 1.0), ("calibrated", fitted.temperature)):
        shares = softmax(logits, temperature)
        result = reliability(shares, truth)
        right = float((shares.argmax(axis=1) == truth).mean())
        figures[name] = result.error
        rows.append([name, f"{temperature:.2f}", f"{right:.1%}", f"{result.error:.4f}", f"{result.by_chance:.4f}"])
    print_table(["last layer", "temperature", "right", "calibration error", "by chance alone"], rows)
    if fitted.threshold is not None:
        shares = softmax(logits, fitted.temperature)
        known = shares.max(axis=1) >= fitted.threshold
        right = float((shares.argmax(axis=1) == truth)[known].mean())
        print(f"\nabove {fitted.threshold:.2f}: answers {known.mean():.1%}, {right:.1%} of these right")
        figures |= {"threshold": fitted.threshold, "answered": float(known.mean()), "right": right}
    return figures


if __name__ == "__main__":
    main()
