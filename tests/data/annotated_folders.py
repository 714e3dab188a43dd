"""Folders of small annotated images for tests: a bright rectangle in each, with a box, a mask, a number or labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 48, 32
CLASSES = ("car", "bus")

Box = tuple[int, int, int, int]


def boxes(count: int) -> list[Box]:
    """Return left, top, right and bottom of the rectangle in each image."""
    rng = np.random.default_rng(5)
    lefts, tops = rng.integers(0, WIDTH - 12, count).tolist(), rng.integers(0, HEIGHT - 9, count).tolist()
    return [(x, y, x + 12, y + 9) for x, y in zip(lefts, tops, strict=True)]


def write_images(folder: Path, count: int) -> None:
    """Write images of noise with a rectangle: red, or pink if the number of the image is odd."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (left, top, right, bottom) in enumerate(boxes(count)):
        pixels = np.random.default_rng(number).integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        pixels[top:bottom, left:right] = (250, 20, 200 * (number % 2))
        Image.fromarray(pixels).save(folder / f"{number:02}.png")


def write_boxes(folder: Path, count: int) -> Path:
    """Write images and COCO's JSON with the rectangles as objects of two classes."""
    write_images(folder / "images", count)
    (folder / "annotations.json").write_text(json.dumps(coco(count)))
    return folder


def coco(count: int) -> dict[str, list[dict[str, object]]]:
    """Return the content of COCO's JSON."""
    rows: list[dict[str, object]] = [
        {"id": n, "image_id": n, "category_id": 1 + n % 2, "bbox": [left, top, 12, 9], "area": 108, "iscrowd": 0}
        for n, (left, top, _, _) in enumerate(boxes(count))
    ]
    images: list[dict[str, object]] = [
        {"id": n, "file_name": f"{n:02}.png", "width": WIDTH, "height": HEIGHT} for n in range(count)
    ]
    return {
        "images": images,
        "categories": [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)],
        "annotations": rows,
    }


def write_masks(folder: Path, count: int) -> Path:
    """Write images and masks in which the rectangles are white."""
    write_images(folder / "images", count)
    (folder / "masks").mkdir()
    for number, (left, top, right, bottom) in enumerate(boxes(count)):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[top:bottom, left:right] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{number:02}.png")
    return folder


def write_table(folder: Path, header: str, cells: list[str]) -> Path:
    """Write images and a table with a cell, or several, for each."""
    write_images(folder / "images", len(cells))
    rows = [f"images/{number:02}.png,{cell}" for number, cell in enumerate(cells)]
    (folder / "table.csv").write_text("\n".join([header, *rows]))
    return folder


def write_numbers(folder: Path, count: int) -> Path:
    """Write images and a table with the place of the rectangle from the left."""
    return write_table(folder, "path,price (EUR)", [f"{left + 0.25:.2f}" for left, _, _, _ in boxes(count)])


def write_labels(folder: Path, count: int) -> Path:
    """Write images and a table with lists of labels: the colour, and whether it is left or right, or both."""
    sides = ("left", "right", "left;right")
    return write_table(folder, "path,labels", [f"{sides[n % 3]};{('red', 'pink')[n % 2]}" for n in range(count)])
