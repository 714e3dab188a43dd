"""Makes the built-in digits from MNIST: `python tools/make_digits.py MNIST_FOLDER`.

The choice is a function of MNIST alone: of each digit, the images whose random word (Philox,
key 1998) is smallest; 500 of the 60,000 for training, 100 of the 10,000 held out.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from opsin.data import LabeledImages, load

SEED = 1998
TRAIN_EACH, TEST_EACH = 500, 100
TARGET = Path(__file__).parent.parent / "src" / "opsin" / "data" / "digits.npz"


def choose(images: LabeledImages, each: int) -> LabeledImages:
    """`each` images of every class, in the order in which MNIST holds them."""
    words = np.random.Philox(key=SEED).random_raw(len(images))
    chosen = []
    for label in range(len(images.classes)):
        members = np.flatnonzero(images.labels == label)
        chosen.append(members[np.argsort(words[members], kind="stable")[:each]])
    return images.take(np.sort(np.concatenate(chosen)))


def write(path: Path, arrays: dict[str, NDArray[np.uint8]]) -> None:
    """An .npz file whose bytes depend on the arrays alone (`np.savez` would write the time into it)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1998, 11, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python tools/make_digits.py MNIST_FOLDER")
    mnist = load(sys.argv[1])
    arrays = {}
    for part, images in (("train", choose(mnist.train, TRAIN_EACH)), ("test", choose(mnist.test, TEST_EACH))):
        arrays[f"{part}_pixels"] = np.ascontiguousarray(images.pixels[:, 0])
        arrays[f"{part}_labels"] = images.labels.astype(np.uint8)
    write(TARGET, arrays)
    print(f"{TARGET}: {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
