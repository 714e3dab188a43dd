"""Two sets of images that are hard to learn from: many classes that look alike, and few images of each class.

    python bench/similar_classes.py faces LFWCROP.zip FOLDER
    python bench/similar_classes.py few PHOTOS.zip FOLDER [--each 40] [--validation]

`faces` takes everybody of LFWcrop with 20 images or more as a class; a third of each, by a hash of the names, is the
test part. `few` takes, by such a hash, so many images of each class of the training part of PHOTOS, a zip with
train/, validation/ and test/; the test part stays whole, and the validation part goes with `--validation` only: who
has 40 photos of each class has to choose by some of these. Both write FOLDER/train/CLASS/ and FOLDER/test/CLASS/,
the files as they are; `opsin train FOLDER` and `finetune_pytorch.py FOLDER` take them.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

from small_images import name_hash, people_of


def faces(source: Path, folder: Path) -> None:
    members = {
        name: f"{part}/{person}/{Path(name).name}"
        for person, parts in people_of(source).items()
        for part in parts
        for name in parts[part]
    }
    _write(source, folder, members)


def few(source: Path, folder: Path, each: int, validation: bool) -> None:
    parts = ("train", "validation", "test") if validation else ("train", "test")
    groups: dict[tuple[str, str], list[str]] = {}
    for name in zipfile.ZipFile(source).namelist():
        steps = name.rstrip("/").split("/")
        if not name.endswith("/") and len(steps) >= 3 and steps[-3] in parts:
            groups.setdefault((steps[-3], steps[-2]), []).append(name)
    members: dict[str, str] = {}
    for (part, label), names in sorted(groups.items()):
        chosen = sorted(names, key=name_hash)[: each if part == "train" else None]
        members |= {name: f"{part}/{label}/{Path(name).name}" for name in sorted(chosen)}
    _write(source, folder, members)


def _write(source: Path, folder: Path, members: dict[str, str]) -> None:
    counts: dict[str, int] = {}
    with zipfile.ZipFile(source) as archive:
        for name, goal in members.items():
            path = folder / goal
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
            part = goal.split("/")[0]
            counts[part] = counts.get(part, 0) + 1
    classes = len({goal.split("/")[1] for goal in members.values()})
    print(f"{folder}: {classes} classes; " + ", ".join(f"{part} {count}" for part, count in counts.items()))


def main() -> int:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("what", choices=("faces", "few"))
    command.add_argument("source", type=Path)
    command.add_argument("folder", type=Path)
    command.add_argument("--each", type=int, default=40)
    command.add_argument("--validation", action="store_true", help="keep the validation part")
    options = command.parse_args()
    if options.what == "faces":
        faces(options.source, options.folder)
    else:
        few(options.source, options.folder, options.each, options.validation)
    return 0


if __name__ == "__main__":
    sys.exit(main())
