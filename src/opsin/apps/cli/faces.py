"""`opsin faces`: find the faces in photos, and say whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from PIL import Image

from opsin.apps.cli.annotated_copies import AnnotatedCopies
from opsin.apps.cli.face_crops import FaceCrops
from opsin.apps.cli.images import paths_of
from opsin.apps.cli.output import print_error, print_json, table
from opsin.base.errors import DataError, UsageError
from opsin.faces import FaceDetector
from opsin.faces.detector import SIDE
from opsin.faces.drawing import draw_faces
from opsin.gallery import FaceReader, Gallery, PersonFace, Search
from opsin.gallery.gallery import least_similarity, load_comparing
from opsin.model import Model


@dataclass(frozen=True)
class FaceOptions:
    """The options of `opsin faces`."""

    gallery: str | None = None
    model: str | None = None
    threshold: float | None = None
    detector: str | None = None
    side: int = SIDE
    out: str | None = None
    crops: str | None = None
    as_json: bool = False


Faces = Sequence[PersonFace]


def run(photos: Sequence[str], *options: Any) -> int:
    """Print the faces in each photo; files that cannot be read are reported after that, and the exit code is then 1."""
    chosen = FaceOptions(*options)
    reader = _reader(chosen)
    files = [(file, Path(photo)) for photo in photos for file in paths_of(photo)]
    copies = AnnotatedCopies(Path(chosen.out), _Drawing(chosen.gallery is not None)) if chosen.out else None
    crops = FaceCrops(Path(chosen.crops), reader.model) if chosen.crops else None
    results = list[tuple[Path, Faces | DataError]]()
    for file, given in files:
        try:
            faces = reader.read(file)
        except DataError as error:
            results.append((file, error))
            continue
        results.append((file, faces))
        if copies:
            copies.write(str(file), file, faces)
        if crops:
            crops.write(file, given, [each.face for each in faces])
    _print(results, reader, chosen)
    errors = [found for _, found in results if isinstance(found, DataError)]
    for each in errors:
        print_error(str(each))
    return 1 if errors else 0


class _Drawing:
    """Draws faces, with names if there is a gallery."""

    name = "faces"

    def __init__(self, has_names: bool) -> None:
        self.has_names = has_names

    def draw(self, image: Image.Image, faces: Faces) -> Image.Image:
        names = [each.match.label if each.match else "" for each in faces] if self.has_names else None
        return draw_faces(image, [each.face for each in faces], names)


def _reader(options: FaceOptions) -> FaceReader:
    """Return what reads the photos. Raise `UsageError` if the gallery is none of faces, or options do not fit."""
    if options.threshold is not None and options.gallery is None:
        raise UsageError("--threshold says when an entry of a gallery is known; add --gallery GALLERY, or leave it out")
    if options.gallery is None:
        model = load_comparing(Path(options.model)) if options.model else None
        return FaceReader(FaceDetector.load(options.detector, side=options.side), model)
    path = Path(options.gallery)
    known = Gallery.read(path)
    if not known.faces:
        raise UsageError(
            f"{path} has vectors of whole images; `opsin gallery add --faces` begins one of faces in photos"
        )
    network = load_comparing(known.find_model(path, options.model))
    least = least_similarity(network, options.threshold)
    return FaceReader(FaceDetector.load(options.detector, side=options.side), network, Search(known), least)


def _print(results: Sequence[tuple[Path, Faces | DataError]], reader: FaceReader, options: FaceOptions) -> None:
    if options.as_json:
        model = reader.model.name if reader.model else None
        images = [_data(str(file), found, reader.model, options) for file, found in results]
        print_json({"detector": reader.detector.name, "model": model, "images": images})
        return
    rows = [(str(file), _count(found), "; ".join(map(str, found))) for file, found in results
            if not isinstance(found, DataError)]  # fmt: skip
    for line in table(rows, left=(0, 1, 2)) if rows else []:
        typer.echo(line)
    compared = f"; compared by {reader.model.network} ({reader.model.name})" if reader.model else ""
    typer.echo(f"Found by {reader.detector.name}{compared}.")


def _count(faces: Faces) -> str:
    return "no face" if not faces else "1 face" if len(faces) == 1 else f"{len(faces):,} faces"


def _data(name: str, faces: Faces | DataError, model: Model | None, options: FaceOptions) -> dict[str, Any]:
    """Return the faces of a photo for JSON; with a model and no gallery, also their vectors."""
    if isinstance(faces, DataError):
        return {"image": name, "error": str(faces)}
    with_vectors = model is not None and options.gallery is None
    return {
        "image": name,
        "faces": [
            {
                **each.to_data(),
                **({"embedding": each.vector.tolist()} if with_vectors and each.vector is not None else {}),
            }
            for each in faces
        ],
    }
