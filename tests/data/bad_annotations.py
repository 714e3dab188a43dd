"""150 annotations that cannot be used, one fault each, next to good ones: boxes in four forms, masks, and numbers."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WIDTH, HEIGHT, GOOD = 40, 30, 12

BOMB = (
    '<!DOCTYPE a [<!ENTITY b "{0}">'
    + "".join(f'<!ENTITY {chr(99 + n)} "{f"&{chr(98 + n)};" * 10}">' for n in range(9)).format()
    + "]><annotation>&k;</annotation>"
)
OUTSIDE_ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file://{secret}">]><annotation><filename>&x;</filename></annotation>'

BAD_BOXES = {
    "outside": (50, 5, 60, 9), "above": (5, -20, 9, -10), "empty": (5, 5, 5, 9), "flat": (5, 5, 9, 5),
    "reversed": (20, 20, 5, 5), "turned": (20, 5, 5, 20), "nan": ("nan", 5, 9, 9), "infinite": (5, 5, "inf", 9),
    "huge": (5, 5, "1e999", 9), "text": ("five", 5, 9, 9), "blank": ("", 5, 9, 9), "hex": ("0x5", 5, 9, 9),
}  # fmt: skip
"""Left, top, right and bottom in pixels."""


def image(path: Path, seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def voc_xml(name: str, box: tuple[object, ...] = (5, 5, 20, 20), label: str = "cell", size: int = WIDTH) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    corners = "".join(f"<{key}>{value}</{key}>" for key, value in zip(keys, box, strict=True))
    return (
        f"<annotation><filename>{name}</filename><size><width>{size}</width><height>{HEIGHT}</height><depth>3</depth>"
        f"</size><object><name>{label}</name><bndbox>{corners}</bndbox></object></annotation>"
    )


def write_voc(folder: Path, secret: Path) -> list[str]:
    """Write XML files; return the names that have to be reported."""
    faults: dict[str, str] = {name: voc_xml(f"{name}.png", box) for name, box in BAD_BOXES.items()}
    faults |= {
        "bomb": BOMB, "entity": OUTSIDE_ENTITY.format(secret=secret), "cut": voc_xml("cut.png")[:70], "nothing": "",
        "noise": "\x00\x01\x02\xff", "nested": "<annotation>" + "<a>" * 50_000,
        "unnamed": voc_xml("unnamed.png", label=""),
        "size": voc_xml("size.png", size=4000), "twice": voc_xml("twice.png").replace("</annotation>", "") * 2,
        "no-box": "<annotation><filename>no-box.png</filename><object><name>cell</name></object></annotation>",
        "climbing": voc_xml("../../secret.png"), "absolute": voc_xml(str(secret)), "missing": voc_xml("nowhere.png"),
        "control": voc_xml("control.png", label="a\x1b[31mb"), "latin": "<annotation>\xe9\xe8</annotation>",
    }  # fmt: skip
    for number, (name, text) in enumerate(faults.items()):
        if name not in ("climbing", "absolute", "missing"):
            image(folder / "images" / f"{name}.png", number)
        (folder / "annotations").mkdir(exist_ok=True)
        (folder / "annotations" / f"{name}.xml").write_text(text, encoding="latin-1", newline="")
    for number in range(GOOD):
        image(folder / "images" / f"good{number}.png", 100 + number)
        (folder / "annotations" / f"good{number}.xml").write_text(voc_xml(f"good{number}.png"))
    return [f"annotations/{name}.xml" if name != "size" else "images/size.png" for name in faults]


def write_coco(folder: Path, secret: Path) -> list[str]:
    """Write JSON in which annotations and images have faults; return the names that have to be reported."""
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number in range(GOOD):
        image(folder / "images" / f"good{number}.png", number)
        images.append({"id": number, "file_name": f"good{number}.png", "width": WIDTH, "height": HEIGHT})
        rows.append({"id": number, "image_id": number, "category_id": 1, "bbox": [5, 5, 10, 10], "iscrowd": 0})
    boxes: list[Any] = [
        [50, 5, 9, 9], [5, -20, 9, 9], [5, 5, 0, 9], [5, 5, 9, 0], [20, 20, -9, -9], ["five", 5, 9, 9], [5, 5, 9],
        [None, 5, 9, 9], {"x": 5}, "5 5 9 9", [5, 5, 9, 9, 9], [[5], 5, 9, 9], [True, 5, 9, 9], [1e300, 5, 1e300, 9],
    ]  # fmt: skip
    bad: list[dict[str, Any]] = [{"image_id": 0, "category_id": 1, "bbox": box} for box in boxes]
    bad += [
        {"image_id": 999, "category_id": 1, "bbox": [5, 5, 9, 9]},
        {"image_id": 0, "category_id": 7, "bbox": [5, 5, 9, 9]},
        {"image_id": "x", "category_id": 1, "bbox": [5, 5, 9, 9]}, {"image_id": 0, "bbox": [5, 5, 9, 9]},
        {"category_id": 1, "bbox": [5, 5, 9, 9]}, {"image_id": [1], "category_id": 1, "bbox": [5, 5, 9, 9]},
        {"image_id": 0, "category_id": {"a": 1}, "bbox": [5, 5, 9, 9]},
    ]  # fmt: skip
    rows += [{"id": 1000 + number, **row} for number, row in enumerate(bad)]
    names = [f"(id {1000 + number})" for number in range(len(bad))]
    for number, name in enumerate(
        ("../secret.png", str(secret), "nowhere.png", "", "a\x00b.png", "..\\..\\secret.png")
    ):
        images.append({"id": 500 + number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        names.append(f"annotations.json, image {len(images)}")
    content = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cell"}]}
    (folder / "annotations.json").write_text(json.dumps(content))
    return names


def write_yolo(folder: Path, secret: Path) -> list[str]:
    """Write text files with a faulty line each; return the names that have to be reported."""
    lines = {
        "outside": "0 1.5 0.5 0.1 0.1", "negative": "0 -0.5 0.5 0.1 0.1", "empty": "0 0.5 0.5 0 0.1",
        "thin": "0 0.5 0.5 0.1 0", "backwards": "0 0.5 0.5 -0.1 0.1", "nan": "0 nan 0.5 0.1 0.1",
        "infinite": "0 inf 0.5 0.1 0.1", "pixels": "0 20 15 9 9", "short": "0 0.5 0.5", "word": "0 half 0.5 0.1 0.1",
        "unknown": "9 0.5 0.5 0.1 0.1", "minus": "-1 0.5 0.5 0.1 0.1", "fraction": "0.5 0.5 0.5 0.1 0.1",
        "large": "99999999999999999999 0.5 0.5 0.1 0.1", "twice": "0 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2",
        "binary": "\x00\x01\x02", "hex": "0x0 0.5 0.5 0.1 0.1", "comma": "0,0.5,0.5,0.1,0.1", "long": "0 " * 5000,
    }  # fmt: skip
    for number, (name, text) in enumerate(lines.items()):
        image(folder / "images" / f"{name}.png", number)
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{name}.txt").write_text(text)
    for number in range(GOOD):
        image(folder / "images" / f"good{number}.png", 100 + number)
        (folder / "labels" / f"good{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text(f"path: ../..\ntrain: images\nval: {secret.parent}\nnc: 1\nnames: [cell]\n")
    return [f"labels/{name}.txt" for name in lines]


def write_masks(folder: Path, secret: Path) -> list[str]:
    """Write masks that do not fit their images; return the names that have to be reported."""
    masks = folder / "masks"
    masks.mkdir(parents=True)
    names = []
    for number in range(60):
        name = f"{('size', 'cut', 'text', 'none', 'giant', 'damaged')[number % 6]}{number}"
        image(folder / "images" / f"{name}.png", number)
        _write_bad_mask(masks / f"{name}.png", number % 6)
        names.append(f"images/{name}.png" if number % 6 == 3 else f"masks/{name}.png")
    image(masks / "lonely.png")
    for number in range(GOOD):
        image(folder / "images" / f"good{number}.png", 100 + number)
        Image.fromarray(_mask()).save(masks / f"good{number}.png")
    return [*names, "masks/lonely.png"]


def _mask() -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:20, 5:20] = 255
    return mask


def _write_bad_mask(path: Path, kind: int) -> None:
    if kind == 0:
        Image.fromarray(np.zeros((HEIGHT + 3, WIDTH), np.uint8)).save(path)
    elif kind in (1, 5):
        Image.fromarray(_mask()).save(path)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if kind == 1 else data[:45] + b"\xff" * 8 + data[53:])
    elif kind == 2:
        path.write_text("no image")
    elif kind == 4:
        path.write_bytes(_giant_png())


def _giant_png() -> bytes:
    """Return a PNG that promises 60,000 × 60,000 pixels in a few bytes."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(999))))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def write_numbers(folder: Path, secret: Path) -> list[str]:
    """Write a table with faulty rows; return the names that have to be reported."""
    good = [f"images/good{number}.png,{number + 0.5}" for number in range(GOOD)]
    for number in range(GOOD):
        image(folder / "images" / f"good{number}.png", number)
    values = ("", "abc", "1e999", "nan", "inf", "-inf", "0x5", "1,2,3", "--", "1.5 EUR?")
    bad = []
    for number, value in enumerate(values):
        image(folder / "images" / f"bad{number}.png", 100 + number)
        bad.append(f'images/bad{number}.png,"{value}"')
    paths = ("../secret.png", str(secret), "nowhere.png", "images/../../secret.png", "a\x01b.png", "..\\secret.png")
    bad += [f"{path},1.5" for path in (*paths, "file:///etc/passwd", "https://example.org/a.png")]
    bad += [f"images/good0.png,{99.5}", "images/good1.png"]
    (folder / "table.csv").write_text("\n".join(["path,price", *good, *bad]))
    return [f"table.csv, line {2 + len(good) + number}" for number in range(len(bad))]


WRITERS = {
    "voc": write_voc, "coco": write_coco, "yolo": write_yolo, "masks": write_masks, "numbers": write_numbers,
}  # fmt: skip
TASKS = {"masks": "segmentation", "numbers": "regression"}
"""The tasks of the forms; those of boxes are for detection."""
TARGETS = {"numbers": ("price",)}
"""The columns that a user would name, because few of the cells are numbers."""


def write_json_bomb(path: Path, megabytes: int) -> None:
    """Write a zip with JSON of so many megabytes in a few kilobytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("annotations.json", "w") as file:
        file.write(b'{"images": [], "categories": [], "annotations": [')
        for _ in range(megabytes):
            file.write(b" " * 2**20)
        file.write(b"]}")
