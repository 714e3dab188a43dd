"""How many faces the detector finds, and how well a published network tells people apart on Labeled Faces in the Wild.

    python bench/faces.py [lfwcrop.zip] [--others NO_PEOPLE.zip …] [--sample 300] [--model FILE] [--json FILE]

Detection: the least height at which the face in docs/images/astronaut.jpg is found, and the number of faces in archives
of images without people. The archive has faces/PERSON/PERSON_0001.jpg of 64 × 64 pixels, which show little more than
the face, and the lists of Huang, Ramesh, Berg & Learned-Miller, 2007: it gives the share of the images of pairs in
which a face is found, and that of a sample of all which is made smaller and put on grey. Verification: the pairs of
pairs.txt (view 2, ten folds, with outside data), with the faces that the detector finds, aligned, and with the images
as they are; an image in which it finds no face is aligned by the mean landmarks of the others. The threshold is fitted
to the pairs of pairsDevTest.txt. `--model` measures another network than dlib's.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path

import numpy as np
from common import begin, finish, parser, print_table
from numpy.typing import NDArray
from PIL import Image

import opsin
from opsin.base.path_words import is_image
from opsin.faces import FaceDetector, align
from opsin.faces.published import EMBEDDING
from opsin.faces.vectors import template_of
from opsin.model import Model
from opsin.tasks.identity import Identities
from opsin.tasks.identity.calibration import fit_threshold
from opsin.tasks.identity.evaluation import IdentityEvaluation
from opsin.tasks.identity.pairs import Pairs, read_pairs

SIZES = (48, 32, 24, 16)
HEIGHTS = (60, 48, 40, 32, 28, 24, 20, 18, 16, 14, 12, 10, 8)
PHOTO = Path(__file__).parents[1] / "docs" / "images" / "astronaut.jpg"
SIDE, BACKGROUND = 320, 110

Floats = NDArray[np.float64]
Landmarks = dict[int, Floats]


class Lfw:
    """The images and lists in the archive."""

    def __init__(self, path: str) -> None:
        self._archive = zipfile.ZipFile(path)
        self.names = sorted(name for name in self._archive.namelist() if is_image(name))

    def image(self, number: int) -> Image.Image:
        return Image.open(BytesIO(self._archive.read(self.names[number]))).convert("RGB")

    def pairs(self, name: str) -> Pairs:
        return read_pairs(self._archive.read(name).decode(), name, self.names)


def detected(detector: FaceDetector, lfw: Lfw, numbers: Sequence[int]) -> tuple[Landmarks, list[list[str]]]:
    """Return the landmarks of the largest face in each of these images, and rows of the table."""
    landmarks: Landmarks = {}
    several = 0
    for place, number in enumerate(numbers):
        faces = detector.find(lfw.image(number))
        several += len(faces) > 1
        if faces:
            landmarks[number] = max(faces, key=lambda face: face.height).landmarks
        if place % 1000 == 0:
            print(f"{place:,} of {len(numbers):,} images", file=sys.stderr, flush=True)
    count = len(numbers)
    return landmarks, [
        [f"faces found in {count:,} images of a face alone, 64 × 64", f"{100 * len(landmarks) / count:.2f}%"],
        ["images with more than one", f"{100 * several / count:.2f}%"],
    ]


def on_grey(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image, resized to a width and a height, in the middle of a grey square."""
    square = Image.new("RGB", (SIDE, SIDE), (BACKGROUND,) * 3)
    square.paste(image.resize(size, Image.Resampling.BICUBIC), ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square


def small_faces(detector: FaceDetector) -> Iterator[list[str]]:
    """Yield the least height of a face in a photo at which it is found, among those that are tried."""
    photo = Image.open(PHOTO).convert("RGB")
    (face,) = detector.find(photo)
    least = 0
    for height in HEIGHTS:
        share = height / face.height
        if len(detector.find(on_grey(photo, (round(photo.width * share), round(photo.height * share))))) != 1:
            break
        least = height
    yield [f"least height of the face in {PHOTO.name} that is found", f"{least} pixels"]


def cut_out_faces(detector: FaceDetector, lfw: Lfw, sample: int) -> Iterator[list[str]]:
    """Yield the share of faces that are found if an image of a face alone is made smaller."""
    numbers = np.random.default_rng(0).choice(len(lfw.names), sample, replace=False)
    for size in SIZES:
        found = sum(bool(detector.find(on_grey(lfw.image(int(number)), (size, size)))) for number in numbers)
        yield [f"faces found in {sample:,} of them, {size} × {size} on grey", f"{100 * found / sample:.1f}%"]


def false_faces(detector: FaceDetector, paths: Iterable[str]) -> Iterator[list[str]]:
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if is_image(name) and "mask" not in name]
            count = sum(len(detector.find(archive.read(name))) for name in names)
        yield [f"faces found in {len(names):,} images without people ({Path(path).stem})", f"{count:,}"]


def vectors(model: Model, crop: Callable[[int], Image.Image], numbers: Sequence[int]) -> NDArray[np.float32]:
    """Return the unit vectors of images, computed in parts."""
    parts = []
    for first in range(0, len(numbers), 256):
        answers = model.predict([crop(int(number)) for number in numbers[first : first + 256]])
        parts.append(np.stack([answer.vector for answer in answers]))
    return np.concatenate(parts)


def verification(title: str, result: IdentityEvaluation) -> Iterator[list[str]]:
    yield [f"{title}: accuracy", f"{100 * result.accuracy:.2f}% ± {100 * result.standard_error:.2f}"]
    yield [f"{title}: equal error rate", f"{100 * result.roc.equal_error_rate:.2f}%"]
    for rate, share in result.roc.stated_rates():
        yield [f"{title}: true accepts at {100 * rate:g}% false accepts", f"{100 * share:.1f}%"]


def measured(model: Model, crop: Callable[[int], Image.Image], pairs: Pairs) -> IdentityEvaluation:
    images = pairs.images
    targets = Identities(np.zeros(len(images), np.int32), ("unused",))
    return IdentityEvaluation(vectors(model, crop, images.tolist()), targets, pairs.among(images), True)


def calibrated(development: IdentityEvaluation, test: IdentityEvaluation) -> Iterator[list[str]]:
    """Yield the threshold that the pairs of view 1 give, and its errors on those of view 2."""
    fit = fit_threshold(development.similarities, development.pairs.same)
    if fit is None:
        return
    print(fit, file=sys.stderr)
    yield ["threshold by the aligned pairs of pairsDevTest", f"{fit.threshold:.4f}, slope {fit.slope:.2f}"]
    accepted, same = test.similarities >= fit.threshold, test.pairs.same
    yield ["at this threshold, view 2: false accepts", f"{100 * accepted[~same].mean():.1f}%"]
    yield ["at this threshold, view 2: false rejects", f"{100 * (~accepted[same]).mean():.1f}%"]


def lfw_rows(detector: FaceDetector, options: argparse.Namespace) -> Iterator[list[str]]:
    lfw = Lfw(options.archive)
    model = opsin.import_embedding(options.model or EMBEDDING.require("name another: --model FILE"))
    pairs, development = lfw.pairs("pairs.txt"), lfw.pairs("pairsDevTest.txt")
    landmarks, rows = detected(detector, lfw, np.union1d(pairs.images, development.images).tolist())
    yield from rows
    mean = np.mean(list(landmarks.values()), axis=0)
    template, size = template_of(model), model.preprocessing.size

    def aligned(number: int) -> Image.Image:
        return align(lfw.image(number), landmarks.get(number, mean), size, template)

    yield from cut_out_faces(detector, lfw, options.sample)
    result = measured(model, aligned, pairs)
    yield from verification(f"{model.network}, view 2, aligned", result)
    yield from calibrated(measured(model, aligned, development), result)
    yield from verification(f"{model.network}, view 2, images as they are", measured(model, lfw.image, pairs))


def main() -> int:
    arguments = parser(__doc__ or "")
    arguments.add_argument("archive", nargs="?")
    arguments.add_argument("--others", nargs="+", default=[], help="archives of images without people")
    arguments.add_argument("--sample", type=int, default=300, help="faces that are made smaller")
    arguments.add_argument("--model", help="a network that compares faces; default: dlib's")
    options = arguments.parse_args()
    record = begin(options)
    detector = FaceDetector.load(side=SIDE)
    rows = []
    for row in chain(
        small_faces(detector),
        false_faces(detector, options.others),
        lfw_rows(detector, options) if options.archive else (),
    ):
        print("  ".join(row), flush=True)
        rows.append(row)
    finish(options, record | print_table(("CenterFace and networks that compare faces", "measured"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
