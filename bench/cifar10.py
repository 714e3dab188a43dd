"""Accuracy over time on CIFAR-10, of `opsin train` and of the same training in PyTorch.

    python bench/cifar10.py DATA --out FOLDER [--budget 15min | --epochs N] [--network NAME] [--augment LEVEL]
                            [--mirrored] [--everything] [--seed 0] [--threads N]
                            [--precision bf16] [--json FILE]
    python bench/cifar10.py DATA --out FOLDER --peer pytorch [--mode MODE] [--threads N] [--json FILE]

DATA is whatever `opsin train` takes, such as CIFAR-10's images in class folders with train/ and test/. The first line
chooses the plan that `opsin train` would choose (`--everything`: and trains on the validation part, too, as published
results do), writes it to FOLDER/plan.json, and follows it to the end. The second follows the same plan in PyTorch: the
same network from the same first parameters, the same batches, learning rates, loss, optimizer and moving average, in
the fastest of PyTorch's modes here, or in MODE. An interrupted run in
PyTorch resumes after its last epoch.

The clock begins when the images are in memory. It counts compiling and training, but not the look at the test part
after every epoch, from which nothing is chosen. FOLDER gets opsin.json or pytorch.json, and curve.csv and curve.svg of
all libraries, rewritten after every epoch.
"""

from __future__ import annotations

import csv
import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.base.units import parse_seconds
from opsin.data import Dataset, LabeledImages
from opsin.data.sources import open_source
from opsin.planning import autoconfig, networks
from opsin.planning.dataset_summary import DatasetSummary
from opsin.planning.options import TrainOptions
from opsin.training import Epoch, Interrupted, Step, Trainer, TrainingPlan
from opsin.viz import svg
from opsin.viz.charts import HEIGHT, WIDTH, Series, line_chart

GOALS = (0.90, 0.92)
RULES = """
.grid { stroke: #d8dee4 } .axis { stroke: #a3aeb9; fill: none } .line { fill: none; stroke-width: 2 }
.line.first { stroke: #1d8f6e } .line.second { stroke: #c8642b }
.dot.first, .key.first { fill: #1d8f6e } .dot.second, .key.second { fill: #c8642b }
"""


@dataclass(frozen=True)
class Point:
    """After an epoch: minutes on the clock, the mean training loss, and the share of the test part that is right."""

    epoch: int
    minutes: float
    loss: float
    accuracy: float


Report = Callable[[Point], None]


# -- what is done -----------------------------------------------------------------------------


def material(options: Namespace) -> tuple[TrainingPlan, Dataset]:
    """The plan, which FOLDER keeps, and the data, divided so that each epoch is measured on the test part."""
    kept, source = Path(options.out) / "plan.json", open_source(options.data)
    budget = parse_seconds(options.budget) if options.budget else None
    train_options = TrainOptions(
        network=options.network, budget=budget, epochs=options.epochs, augment=options.augment,
        tta=options.mirrored, seed=options.seed, threads=options.threads, precision=options.precision,
    )  # fmt: skip
    outline = networks.choose_network(DatasetSummary.of(source), train_options)
    start = perf_counter()
    data = opsin.data.load(options.data, outline.preprocessing, size=None if outline.preprocessing else outline.size)
    spent = perf_counter() - start
    print(f"{len(data.train):,} images to learn from, {len(data.test):,} to test with; read in {spent:.1f} s")
    if options.everything:
        data = Dataset(data.name, joined(data), data.test, data.predefined_split)
    if kept.exists():
        print(f"the plan is {kept}'s")
        plan = TrainingPlan.from_data(json.loads(kept.read_text(encoding="utf-8")))
    else:
        choice = autoconfig.choose(outline, data, train_options, spent, tune_convs=True)
        plan = choice.plan
        kept.write_text(json.dumps(plan.to_data(), indent=2) + "\n", encoding="utf-8")
        print("\n".join(f"  - {reason}" for reason in choice.reasons))
    return plan, Dataset(data.name, data.train, data.test, data.predefined_split)


def joined(data: Dataset) -> LabeledImages:
    """The images to learn from and to choose by, together."""
    parts = [data.train, *([data.validation] if data.validation else [])]
    pixels = np.concatenate([part.pixels[np.arange(len(part))] for part in parts])
    return LabeledImages(pixels, np.concatenate([part.labels for part in parts]), data.classes)


def train(plan: TrainingPlan, data: Dataset, options: Namespace, report: Report) -> dict[str, Any]:
    """Opsin's run. An epoch's steps are over with the last `Step`; from there to `Epoch` it looks at the test part."""
    started, seconds = perf_counter(), 0.0
    training, ended = Trainer(plan, data, threads=options.threads), 0.0
    compiling = perf_counter() - started
    for event in training:
        if isinstance(event, Step):
            ended = perf_counter()
        elif isinstance(event, Epoch):
            seconds, started = seconds + ended - started, perf_counter()
            report(Point(event.epoch, seconds / 60, event.loss, event.held_out.accuracy))
            started = perf_counter()
        elif isinstance(event, Interrupted):
            raise SystemExit("interrupted")
    training.model.save(Path(options.out) / "opsin.opsin")
    return {"mode": "native", "compiling": compiling}


# -- what is shown ----------------------------------------------------------------------------


def write(out: Path, name: str, record: Mapping[str, Any]) -> None:
    """The record of one library, and the table and the image of all."""
    (out / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    found = {each: out / f"{each}.json" for each in ("opsin", "pytorch") if (out / f"{each}.json").exists()}
    curve = {each: json.loads(path.read_text(encoding="utf-8"))["curve"] for each, path in found.items()}
    with (out / "curve.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("library", "epoch", "minutes", "loss", "accuracy"))
        table.writerows((each, *point.values()) for each, points in curve.items() for point in points)
    (out / "curve.svg").write_text(image(curve), encoding="utf-8")


def image(curve: Mapping[str, list[dict[str, float]]]) -> str:
    """Accuracy over minutes, a line a library."""
    titles, styles = {"opsin": "Opsin", "pytorch": "PyTorch"}, ("first", "second")
    series = [
        Series(titles[name], style, tuple((point["minutes"], point["accuracy"]) for point in points))
        for (name, points), style in zip(curve.items(), styles, strict=False)
        if points
    ]
    content = [line_chart(series, "minutes", "accuracy on the test split", is_share=True)]
    for row, each in enumerate(series):
        content.append(svg.element("rect", class_=f"key {each.style}", x=300, y=150 + 16 * row, width=10, height=10))
        content.append(svg.label(315, 159 + 16 * row, f"{each.name}, {each.points[-1][1]:.2%}", ""))
    style = svg.style_sheet(RULES, ".grid { stroke: #333f4b }")
    return svg.document(WIDTH, HEIGHT, "Accuracy over time", style, content, zoom=1.5)


def show(points: list[Point]) -> dict[str, Any]:
    """Print the curve as a table and the time to each goal; return the table."""
    rows = [(str(p.epoch), f"{p.minutes:.2f}", f"{p.loss:.4f}", f"{p.accuracy:.2%}") for p in points]
    table = print_table(("epoch", "minutes", "training loss", "test accuracy"), rows)
    for goal in GOALS:
        first = next((p for p in points if p.accuracy >= goal), None)
        print(f"{goal:.0%} " + (f"after {first.minutes:.1f} min, epoch {first.epoch}" if first else "was not reached"))
    return table


def main() -> None:
    options = parser(__doc__)
    options.add_argument("data", metavar="DATA")
    options.add_argument("--out", metavar="FOLDER", required=True)
    options.add_argument("--budget", metavar="TIME", help="as for `opsin train`, such as 15min")
    options.add_argument("--epochs", type=int, metavar="N", help="as for `opsin train`")
    options.add_argument("--network", metavar="NAME", help="as for `opsin train`")
    options.add_argument("--augment", metavar="LEVEL", help="as for `opsin train`")
    options.add_argument("--mirrored", action="store_true", help="as for `opsin train`")
    options.add_argument("--everything", action="store_true", help="train on the validation part, too")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, help="every core where none are given")
    options.add_argument("--precision", default="float32", help="float32 or bf16, for Opsin")
    options.add_argument("--peer", choices=["pytorch"], help="train with it, and not with Opsin")
    options.add_argument("--mode", help="PyTorch's: eager or compile, perhaps with channels_last; the fastest if none")
    chosen = options.parse_args()
    out = Path(chosen.out)
    out.mkdir(parents=True, exist_ok=True)
    peer = import_module("cifar10_torch") if chosen.peer else None  # before the record: it says PyTorch's version, too
    record, name, points = begin(chosen), chosen.peer or "opsin", list[Point]()
    plan, data = material(chosen)

    def report(point: Point) -> None:
        points.append(point)
        print(f"epoch {point.epoch}: {point.minutes:.2f} min, {point.accuracy:.2%} of the test part", flush=True)
        write(out, name, record | {"plan": plan.to_data(), "curve": [asdict(each) for each in points]})

    facts = peer.train(plan, data, chosen, report, Point) if peer else train(plan, data, chosen, report)
    record |= facts | {"plan": plan.to_data(), "curve": [asdict(each) for each in points]}
    write(out, name, record)
    print("\n" + ", ".join(f"{key} {value}" for key, value in facts.items()))
    finish(chosen, record | show(points))


if __name__ == "__main__":
    main()
