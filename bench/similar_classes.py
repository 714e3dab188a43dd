"""Two datasets that are hard to learn: many similar classes, and few images per class.

    python bench/similar_classes.py faces LFWCROP.zip FOLDER
    python bench/similar_classes.py few PHOTOS.zip FOLDER [--per-class 40] [--validation]

`faces` makes a class of every person in LFWcrop with 20 images or more; a third of each, chosen by a hash of the file
name, is the test split. `few` takes `--per-class` images of each class, chosen by such a hash, from the training split
of PHOTOS, a zip with train/, validation/ and test/. The test split stays complete. The validation split is left out
unless `--validation` is given: with only 40 photos per class, some of these have to serve for validation. Both copy the
files to FOLDER/train/CLASS/ and FOLDER/test/CLASS/, for `opsin train FOLDER` and `finetune_pytorch.py FOLDER`.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

from small_images import name_hash, people_of


def faces(source: Path, folder: Path) -> None:
    members = {
        name: f"{split}/{person}/{Path(name).name}"
        for person, splits in people_of(source).items()
        for split in splits
        for name in splits[split]
    }
    _write(source, folder, members)


def few(source: Path, folder: Path, per_class: int, validation: bool) -> None:
    splits = ("train", "validation", "test") if validation else ("train", "test")
    groups: dict[tuple[str, str], list[str]] = {}
    for name in zipfile.ZipFile(source).namelist():
        parents = name.rstrip("/").split("/")
        if not name.endswith("/") and len(parents) >= 3 and parents[-3] in splits:
            groups.setdefault((parents[-3], parents[-2]), []).append(name)
    members: dict[str, str] = {}
    for (split, label), names in sorted(groups.items()):
        chosen = sorted(names, key=name_hash)[: per_class if split == "train" else None]
        members |= {name: f"{split}/{label}/{Path(name).name}" for name in sorted(chosen)}
    _write(source, folder, members)


def _write(source: Path, folder: Path, members: dict[str, str]) -> None:
    counts: dict[str, int] = {}
    with zipfile.ZipFile(source) as archive:
        for name, target in members.items():
            path = folder / target
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(archive.read(name))
            split = target.split("/")[0]
            counts[split] = counts.get(split, 0) + 1
    classes = len({target.split("/")[1] for target in members.values()})
    print(f"{folder}: {classes} classes; " + ", ".join(f"{split} {count}" for split, count in counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("faces", "few"))
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=40)
    parser.add_argument("--validation", action="store_true", help="keep the validation split")
    options = parser.parse_args()
    if options.action == "faces":
        faces(options.source, options.folder)
    else:
        few(options.source, options.folder, options.per_class, options.validation)
    return 0


if __name__ == "__main__":
    sys.exit(main())
