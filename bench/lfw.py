"""Verification and identification on Labeled Faces in the Wild, by networks that are trained on it alone.

    python bench/lfw.py lfwcrop.zip --view 1 [--epochs 60] [--threads 2] [--work FOLDER] [--json FILE]
    python bench/lfw.py lfwcrop.zip --view 2 [--folds 1 2 …] [--epochs 20]
    python bench/lfw.py lfwcrop.zip --view 1 --model MODEL
    python bench/lfw.py lfwcrop.zip --view 1 --published efficientnet_lite0

The archive has faces/PERSON/PERSON_0001.jpg and the lists of Huang, Ramesh, Berg & Learned-Miller, 2007. View 1 trains
on the people of peopleDevTrain.txt and measures the pairs of pairsDevTest.txt; then it enrols one image of each of 50
people of peopleDevTest.txt, many times with others, and looks for the further images of them and for strangers. View 2
(unrestricted, no outside data) trains ten times, each time without the people of one fold of people.txt, and measures
the pairs of that fold, at the threshold that the model got from its own validation people; the table has the mean of
the folds and its standard error. A fold that was trained before is read from FOLDER. With `--model`, the given model of
identities, trained elsewhere, is measured instead, and with `--published` the features of a classifier that was trained
on ImageNet only. Results do not depend on the number of threads.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray

import opsin
from opsin.data import Samples, load
from opsin.ir import Graph
from opsin.model import Model
from opsin.nn.features import penultimate_graph
from opsin.nn.metric_losses import unit_vectors
from opsin.tasks.identity import Identity
from opsin.tasks.identity.identification import Rate

GALLERY = 50
DRAWS = 200
STRANGERS = 50
STRANGER_RATE = 0.1
FOLDS = 10
VALIDATION_STEP = 12
"""One person of so many is for validation, and sets the threshold."""


def people_in(path: Path) -> list[list[str]]:
    """Return the names of each fold of a list of people; the first line has the number of folds, or of people."""
    first, *lines = path.read_text().splitlines()
    if "\t" in lines[0]:
        return [[line.split("\t")[0] for line in lines]]
    folds, rest = [], lines
    for _ in range(int(first)):
        count = int(rest[0])
        folds.append([line.split("\t")[0] for line in rest[1 : 1 + count]])
        rest = rest[1 + count :]
    return folds


def link_people(faces: Path, names: Sequence[str], unseen: Sequence[str], target: Path) -> Path:
    """Return `target` with the splits train, validation and test, in which each person is a folder of hard links.

    The people `unseen` are the test split, which training does not use.
    """
    splits = {"train": names, "validation": names[::VALIDATION_STEP], "test": unseen}
    splits["train"] = sorted(set(names) - set(splits["validation"]))
    for split, people in splits.items():
        for name in people:
            folder = target / split / name
            folder.mkdir(parents=True, exist_ok=True)
            for image in (faces / name).iterdir():
                link = folder / image.name
                if not link.exists():
                    os.link(image, link)
    return target


def children_seconds() -> float:
    """Return the processor time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def trained(people: Path, model: Path, options: argparse.Namespace) -> tuple[Model, float]:
    """Return a model trained on `people`, read from the file if there is one, and the seconds that each thread ran."""
    note = model.with_suffix(".seconds")
    if not model.exists():
        command = [sys.executable, "-m", "opsin", "train", str(people), "--task", "identity", "--tta", "--no-report"]
        command += ["--out", str(model), "--run", str(model.with_suffix(".run")), "--epochs", str(options.epochs)]
        command += ["--threads", str(options.threads), *options.train]
        before = children_seconds()
        subprocess.run(command, check=True)
        note.write_text(f"{(children_seconds() - before) / options.threads:.1f}")
    return opsin.load(str(model)), float(note.read_text())


def view1(root: Path, work: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    (names,) = people_in(root / "peopleDevTrain.txt")
    (unseen,) = people_in(root / "peopleDevTest.txt")
    people, seconds = link_people(root / "faces", names, unseen, work / "view1"), float("nan")
    if options.published:
        model = classifier_features(options.published)
    elif options.model:
        model = opsin.load(options.model)
    else:
        model, seconds = trained(people, work / "view1.opsin", options)
    images = load(str(people / "test"), preprocessing=model.preprocessing, task="identity").all_images()
    result = evaluate(model, images, root / "pairsDevTest.txt")
    yield ["view 1: pairsDevTest, accuracy", f"{100 * result.accuracy:.1f}%"]
    yield ["area under the ROC curve", f"{result.roc.area:.3f}"]
    yield ["equal error rate", f"{100 * result.roc.equal_error_rate:.1f}%"]
    for rate, share in result.roc.stated_rates():
        yield [f"true accepts at {100 * rate:g}% false accepts", f"{100 * share:.1f}%"]
    yield ["training, processor minutes of each thread", f"{seconds / 60:.1f}"]
    yield from gallery_of_50(model, images, unseen)


def classifier_features(name: str) -> Model:
    """Return a model of identities whose vectors are the features of a classifier with published weights."""
    source = opsin.pretrained(name)
    features = penultimate_graph(source.graph).outputs["features"]
    graph = Graph(source.graph.inputs, {"embeddings": unit_vectors(features)})
    state = {name: source.state[name] for name in graph.variables}
    return Model(source.network, graph, state, source.preprocessing, Identity(features.shape[1]))


def evaluate(model: Model, images: Samples, pairs: Path) -> Any:
    """Return the evaluation of a model of identities on the pairs that a file lists."""
    listed = model.task.read_pairs(pairs.read_text(), str(pairs), images.names)
    used = images.take(listed.images)
    return model.task.evaluate_pairs(list(model.results(used)), listed.among(listed.images), model.calibration)


def gallery_of_50(model: Model, images: Samples, names: Sequence[str]) -> Iterator[list[str]]:
    """Yield rates of galleries with the first image of each of 50 people, over draws of people.

    A draw looks for all further images of them, and for one image of each of 50 strangers.
    """
    embeddings, people = vectors(model, images, names)
    several = np.flatnonzero(np.bincount(people) > 1)
    generator = np.random.default_rng(0)
    ranks, found_open, owners = [], [], []
    for _ in range(DRAWS):
        members = generator.choice(several, GALLERY, replace=False)
        entries = np.array([np.flatnonzero(people == member)[0] for member in members])
        probes = np.setdiff1d(np.flatnonzero(np.isin(people, members)), entries)
        others = generator.choice(np.setdiff1d(np.unique(people), members), STRANGERS, replace=False)
        strangers = np.array([np.flatnonzero(people == other)[0] for other in others])
        similarity = embeddings[probes] @ embeddings[entries].T
        limit = np.quantile((embeddings[strangers] @ embeddings[entries].T).max(axis=1), 1 - STRANGER_RATE)
        right = people[entries[similarity.argmax(axis=1)]] == people[probes]
        ranks.append(right)
        found_open.append(right & (similarity.max(axis=1) > limit))
        owners.append(people[probes])
    identities = np.concatenate(owners)
    for title, hits in (
        (f"gallery of {GALLERY} unseen people, one image each: rank 1", ranks),
        (f"the same, found while {100 * STRANGER_RATE:g}% of strangers are accepted", found_open),
    ):
        rate = Rate.of(np.concatenate(hits), identities)
        yield [title, f"{100 * rate.share:.1f}% ({100 * rate.low:.1f} to {100 * rate.high:.1f}), chance 2%"]


def vectors(model: Model, images: Samples, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the vectors of the images of these people, and a number for each person."""
    places = {name: number for number, name in enumerate(names)}
    folder = [name.split("/")[-2] for name in images.names or ()]
    chosen = np.array([number for number, name in enumerate(folder) if name in places], np.intp)
    results = list(model.results(images.take(chosen)))
    numbers = np.array([places[folder[number]] for number in chosen], np.int32)
    return np.concatenate([embeddings for embeddings, _ in results]), numbers


def view2(root: Path, work: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    folds, accuracies, minutes = people_in(root / "people.txt"), [], []
    for number in options.folds:
        names = [name for place, fold in enumerate(folds, 1) if place != number for name in fold]
        people = link_people(root / "faces", names, folds[number - 1], work / f"view2-{number}")
        model, seconds = trained(people, work / f"view2-{number}.opsin", options)
        images = load(str(root / "faces"), preprocessing=model.preprocessing, task="identity").all_images()
        result = evaluate(model, images, root / "pairs.txt")
        inside = result.pairs.fold == number - 1
        accepted = result.similarities[inside] >= model.calibration.threshold
        accuracies.append(float((accepted == result.pairs.same[inside]).mean()))
        minutes.append(seconds / 60)
        yield [f"view 2: fold {number}", f"{100 * accuracies[-1]:.1f}% ({minutes[-1]:.1f} min)"]
    if len(accuracies) > 1:
        error = float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies)))
        yield [f"view 2: mean of {len(accuracies)} folds", f"{100 * np.mean(accuracies):.1f}% ± {100 * error:.1f}"]


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("archive")
    arguments.add_argument("--view", type=int, choices=(1, 2), default=1)
    arguments.add_argument("--folds", type=int, nargs="+", default=list(range(1, FOLDS + 1)))
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--work", help="where images are unpacked and models are kept")
    arguments.add_argument("--model", help="a model to measure instead of training one")
    arguments.add_argument("--published", help="a classifier with published weights, to measure its features")
    arguments.add_argument("--train", nargs=argparse.REMAINDER, default=[], help="further options of opsin train")
    options = arguments.parse_args()
    record = begin(options)
    work = Path(options.work or tempfile.mkdtemp())
    root = work / "lfw"
    if not (root / "pairs.txt").exists():
        with zipfile.ZipFile(options.archive) as archive:
            archive.extractall(root)
    rows = []
    for row in (view1 if options.view == 1 else view2)(root, work, options):
        print("  ".join(row), flush=True)
        rows.append(row)
    finish(options, record | print_table(("labeled faces in the wild", "measured"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
