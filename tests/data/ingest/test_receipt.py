"""The receipt: a screenful for people, everything for the file, and data for programs."""

from __future__ import annotations

import json

from opsin.data.ingest.findings import EXACT, NEAR, Duplicates, Member, Sizes
from opsin.data.ingest.receipt import Receipt
from opsin.data.items import FileProblem
from opsin.data.load import load_source
from tests.data.ingest.in_memory import encoded, photo, photos

PROBLEMS = tuple(FileProblem(f"cat/{n}.jpg", "cut short", "damaged" if n % 2 else "empty") for n in range(50))


def group(kind: str, *members: str) -> Duplicates:
    """Of "name label part" each."""
    return Duplicates(kind, tuple(Member(*member.split()) for member in members))


def large() -> Receipt:
    counts = {f"class{n}": 100 - n for n in range(40)}
    return Receipt(
        "photos", {"train": counts, "validation": counts, "test": {}}, "given by the data", (3, 224, 224),
        Sizes((10, 20), (300, 400), (3000, 4000), 77), PROBLEMS,
        (
            *(group(EXACT, f"train/a/{n}.jpg a train", f"test/a/{n}.jpg a test") for n in range(30)),
            *(group(NEAR, f"{n}.jpg a train", f"{n}b.jpg b train") for n in range(20)),
            *(group(NEAR, f"x{n}.jpg a train", f"y{n}.jpg a train") for n in range(10)),
        ),
        empty_classes=("empty class",), single_image_classes=("lone",), seconds=2.0,
    )  # fmt: skip


def test_a_screenful_says_what_matters() -> None:
    text = large().text()
    lines = text.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 130
    assert lines[0] == "photos: 6,440 images of 40 classes, in 2.0 s, 3,220 per second"
    for split in (
        "Used as 224 × 224, colour. The files have 10 × 20 to 3000 × 4000 pixels",
        "1 class without a usable image, left out: empty class\n",
        "1 class with a single image, which is used for training only: lone\n",
        "50 files that cannot be used, left out: 25 × empty, 25 × damaged\n  cat/0.jpg: cut short\n",
        "  … and 48 more",
        "30 groups of the same image in several splits, a leak (= the same file, ≈ near-duplicate)\n"
        "  train/a/0.jpg (train) = test/a/0.jpg (test)\n",
        "20 groups of the same image with several labels (= the same file, ≈ near-duplicate)\n"
        "  0.jpg (a) ≈ 0b.jpg (b)\n",
        "10 groups of the same image within one class and split",
        "  class39",
    ):
        assert split in text, split
    assert "class20" not in text


def test_the_whole_receipt_names_everything() -> None:
    text = large().text(full=True)
    for n in range(50):
        assert f"cat/{n}.jpg: cut short" in text
    assert all(f"class{n} " in text for n in range(40))
    assert all(f"y{n}.jpg" in text for n in range(10))
    assert "more" not in text


def test_the_receipt_as_data() -> None:
    data = json.loads(json.dumps(large().to_data()))
    assert (data["images"], data["images_per_second"]) == (6440, 3220)
    assert (len(data["problems"]), len(data["leaks"]), len(data["conflicts"])) == (50, 30, 20)
    assert data["problems"][0] == {"name": "cat/0.jpg", "reason": "cut short", "kind": "empty"}
    assert data["leaks"][0]["members"][1] == {"name": "test/a/0.jpg", "label": "a", "split": "test", "part": "test"}


def test_sound_data_is_called_sound() -> None:
    receipt = load_source(photos(6), "files").receipt
    assert receipt is not None
    lines = receipt.text().splitlines()
    assert lines[1:] == [
        "Used as 64 × 64, colour.",
        "Splits: made by Opsin: test is a fifth of each class, validation a tenth of the rest, the same each time.",
        "",
        "          train   validation   test",
        "  cat         4            1      1",
        "  dog         4            1      1",
        "  total       8            2      2",
        "",
        "Every file can be read, and no image occurs twice.",
    ]


def test_uneven_classes_are_pointed_out() -> None:
    files = photos(3)
    for number in range(10):
        files.add(f"cat/more{number}.png", encoded(photo(500 + number)))
    receipt = load_source(files, "files").receipt
    assert receipt is not None
    assert "\nImbalanced: cat has 4.3 times as many images as dog." in receipt.text()
