"""Several labels for an image: generated images with 0 to 5 of 12 things, and the kinds of cells in a set of boxes.

    PYTHONPATH=src python bench/several_labels.py [--images 1500] [--budget 120] [--boxes bccd.zip] [--json FILE]

A thing is a shape (disc, square, triangle, cross) in a colour (red, green, blue); their places, sizes and the noise
around them are drawn from the seed. `opsin.autotrain` learns from a table of lists, and the mean average precision on
the held-out fifth is printed. With `--boxes`, images with boxes in any form that Opsin reads become images with the
labels of their boxes; the splits stay as they are.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image, ImageDraw

import opsin
from opsin.data import load
from opsin.data.sources.annotated import read_as
from opsin.data.sources.archive import stem
from opsin.data.sources.file_tree import MemberTree
from opsin.data.sources.zips import Zip

SHAPES = ("disc", "square", "triangle", "cross")
COLOURS = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (50, 70, 230)}
THINGS = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
SIDE = 96


def draw(canvas: ImageDraw.ImageDraw, shape: str, colour: tuple[int, int, int], x: int, y: int, r: int) -> None:
    """Draw a shape of radius `r` around a point."""
    if shape == "disc":
        canvas.ellipse((x - r, y - r, x + r, y + r), fill=colour)
    elif shape == "square":
        canvas.rectangle((x - r, y - r, x + r, y + r), fill=colour)
    elif shape == "triangle":
        canvas.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=colour)
    else:
        canvas.line((x - r, y - r, x + r, y + r), fill=colour, width=max(2, r // 2))
        canvas.line((x - r, y + r, x + r, y - r), fill=colour, width=max(2, r // 2))


def write_things(folder: Path, count: int, seed: int = 0) -> None:
    """Write images with 0 to 5 of the things, and a table of their labels."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "labels"))
        for number in range(count):
            image = Image.fromarray(rng.integers(90, 170, (SIDE, SIDE, 3)).astype(np.uint8))
            canvas = ImageDraw.Draw(image)
            things = rng.permutation(len(THINGS))[: rng.integers(0, 6)]
            for thing in things.tolist():
                colour, shape = THINGS[thing].split()
                x, y, r = (*rng.integers(12, SIDE - 12, 2).tolist(), int(rng.integers(6, 13)))
                draw(canvas, shape, COLOURS[colour], x, y, r)
            path = f"images/{number:04}.png"
            image.save(folder / path)
            table.writerow((path, ";".join(THINGS[thing] for thing in things)))


def write_labels_of_boxes(archive: Path, folder: Path) -> None:
    """Write the images of a zip, and a table with the classes of the boxes in each."""
    source = read_as(MemberTree(stem(archive), Zip(archive)), "detection", ())
    names = source.annotations.settings["classes"]
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "labels", "split"))
        for number, image in enumerate(source.annotations.images):
            path = f"images/{number:04}{Path(image.path).suffix}"
            (folder / path).write_bytes(source.read(number))
            labels = [names[label] for label in np.unique(image.target.classes)]
            table.writerow((path, ";".join(labels), image.split))


def measure(folder: Path, budget: float) -> tuple[str, ...]:
    """Return the data's name, its images, and the scores of a model that learned from it, as text."""
    model = opsin.autotrain(folder, task="multilabel", budget=budget)
    data = load(folder, model.preprocessing, task="multilabel")
    score = model.evaluate(data.require_test()).score
    counts = [str(len(images)) for images in data.splits.values()]
    return (folder.name, model.network, *counts, *(f"{value:.4f}" for value in score.metrics.values()))


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=1500)
    options.add_argument("--budget", type=float, default=120.0, help="seconds for each training")
    options.add_argument("--boxes", type=Path, help="a zip of images with boxes")
    chosen = options.parse_args()
    record, rows = begin(chosen), []
    with tempfile.TemporaryDirectory() as name:
        write_things(Path(name) / "things", chosen.images)
        rows.append(measure(Path(name) / "things", chosen.budget))
        if chosen.boxes:
            write_labels_of_boxes(chosen.boxes, Path(name) / "boxes")
            rows.append(measure(Path(name) / "boxes", chosen.budget))
    heads = ("data", "network", "train", "validation", "test", "mean AP", "label ranking AP", "F1")
    finish(chosen, {**record, **print_table(heads, rows)})


if __name__ == "__main__":
    main()
