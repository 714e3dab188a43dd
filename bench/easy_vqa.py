"""Questions about images of one shape (easy-VQA): both inputs, and each of them alone; accuracy by kind of question.

    python bench/easy_vqa.py easy-vqa.zip [--budget 10min] [--alone 5min] [--network NAME] [--json FILE]

The archive is that of vzhou842/easy-VQA: in `train` and `test`, `questions.json` with rows of question, answer and
number of the image, and `images`. The model of both inputs gets `--budget` from reading to the trained model, and each
of the two others `--alone`. The epoch is chosen on a tenth of the training rows, whose images are not trained on. All
test rows are measured, once.
"""

from __future__ import annotations

import json
import re
import zipfile
from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table

import opsin
from opsin.data import load
from opsin.report.statistics import Share

INPUTS = {"both": ("image", "question"), "image alone": ("image",), "question alone": ("question",)}

KINDS = (
    ("negated", re.compile(r"\b(no|not)\b|n't\b")), ("which colour", re.compile(r"^(what|which) .*colou?r")),
    ("which shape", re.compile(r"^(what|which)\b")),
    ("is it this shape", re.compile(r"\b(circle|rectangle|triangle)\b")), ("is it this colour", re.compile("")),
)  # fmt: skip
"""Kinds of questions: the first pattern that occurs in the question decides."""


def unpack(archive: Path, folder: Path) -> list[str]:
    """Write the images, train.json and test.json; return the questions of the test rows."""
    questions: list[str] = []
    with zipfile.ZipFile(archive) as members:
        for part in ("train", "test"):
            for name in members.namelist():
                if name.startswith(f"{part}/images/"):
                    members.extract(name, folder)
            rows = json.loads(members.read(f"{part}/questions.json"))
            keys = ("question", "answer", "image")
            data = [dict(zip(keys, (row[0], row[1], f"{part}/images/{row[2]}.png"), strict=True)) for row in rows]
            (folder / f"{part}.json").write_text(json.dumps(data), encoding="utf-8")
            questions = [row["question"] for row in data]
    return questions


def right(folder: Path, inputs: tuple[str, ...], budget: str, options: Namespace) -> tuple[Any, float, float, int]:
    """Return whether the answer to each test row is right, seconds, seconds of processor time, and the parameters."""
    started, used = perf_counter(), process_time()
    chosen = {"target": "answer", "network": options.network, "seed": options.seed, "threads": options.threads}
    model = opsin.autotrain(folder, inputs=inputs, budget=budget, **chosen)
    seconds, processor = perf_counter() - started, process_time() - used
    test = load(folder, model.preprocessing, target="answer").require_test()
    rows = [int(name.rpartition(" ")[2]) - 1 for name in test.names or ()]
    result = np.zeros(len(test), bool)
    result[rows] = model.logits(test.pixels).argmax(axis=1) == test.targets.numbers
    return result, seconds, processor, sum(array.size for array in model.state.values())


def kind(question: str) -> str:
    return next(name for name, pattern in KINDS if pattern.search(question.lower()))


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("data", type=Path)
    options.add_argument("--budget", default="10min")
    options.add_argument("--alone", default="5min")
    options.add_argument("--network")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int)
    arguments = options.parse_args()
    record, results, times = begin(arguments), {}, {}
    with TemporaryDirectory() as name:
        questions = unpack(arguments.data, Path(name))
        for title, inputs in INPUTS.items():
            budget = arguments.budget if len(inputs) > 1 else arguments.alone
            results[title], seconds, processor, size = right(Path(name), inputs, budget, arguments)
            times[title] = {"seconds": seconds, "processor": processor, "parameters": size}
            print(f"{title}: {results[title].mean():.2%} in {seconds:.0f} s", flush=True)
    kinds = np.array([kind(question) for question in questions])
    groups = [("all", np.ones(len(kinds), bool)), *((name, kinds == name) for name, _ in KINDS)]
    rows = [
        (name, f"{chosen.sum():,}", *(f"{result[chosen].mean():.2%}" for result in results.values()))
        for name, chosen in groups if chosen.any()
    ]  # fmt: skip
    rows.append(("time", "", *(f"{times[title]['seconds']:.0f} s" for title in results)))
    failed = [questions[row] for row in np.flatnonzero(~results["both"]).tolist()]
    bounds = {title: Share(int(result.sum()), len(result)) for title, result in results.items()}
    for title, share in bounds.items():
        print(f"{title}: 95% between {share.low:.2%} and {share.high:.2%}")
    print(f"{len(failed)} questions that the model of both fails at", *failed[:20], sep="\n  ")
    table = print_table(("kind of question", "questions", *results), rows)
    ranges = {title: [share.low, share.high] for title, share in bounds.items()}
    finish(arguments, record | {"bounds": ranges, "trainings": times, "failed": failed} | table)


if __name__ == "__main__":
    main()
