"""`opsin identify`: look for images in a gallery, or for the faces in photos, a video or a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from opsin.apps.cli.images import paths_of
from opsin.apps.cli.lazy import command
from opsin.apps.cli.output import print_error, print_json, table
from opsin.base.errors import DataError
from opsin.data.video_names import is_video
from opsin.faces import FaceDetector
from opsin.gallery import FaceReader, Gallery, Match, PersonFace, Search
from opsin.gallery.gallery import least_similarity, load_comparing

Results = Sequence[Match | PersonFace]
"""Who an image shows: one match, or one for each face in it."""

NO_FACE = "no face"


def run(
    gallery: str,
    images: Sequence[str],
    model: str | None,
    threshold: float | None,
    as_json: bool,
    detector: str | None = None,
) -> int:
    """Print whom each image shows; files that cannot be read are reported after that, and the exit code is then 1."""
    read = reader(gallery, model, threshold, detector)
    if any(map(is_video, images)):
        return command("identify_frames")(images, read, as_json)
    results = list(_results(read, [file for image in images for file in paths_of(image)]))
    if as_json:
        print_json([row for file, found in results for row in data(str(file), found)])
    else:
        rows = [row for file, found in results for row in texts(str(file), found)]
        for line in table(rows, left=(0, 1, 2)) if rows else []:
            typer.echo(line)
    errors = [found for _, found in results if isinstance(found, DataError)]
    for error in errors:
        print_error(str(error))
    return 1 if errors else 0


def reader(
    gallery: str, model: str | None, threshold: float | None, detector: str | None = None
) -> Callable[[Any], Results]:
    """Return what reads an image: who it shows, by a gallery."""
    path = Path(gallery)
    known = Gallery.read(path)
    network = load_comparing(known.find_model(path, model))
    least, search = least_similarity(network, threshold), Search(known)
    if known.faces:
        return FaceReader(FaceDetector.load(detector), network, search, least).read
    return lambda image: [search.nearest(network.predict([image])[0].vector, least)]


def _results(read: Callable[[Any], Results], files: Sequence[Path]) -> Iterator[tuple[Path, Results | DataError]]:
    for file in files:
        try:
            yield file, read(file)
        except DataError as error:
            yield file, error


def texts(name: str, results: Results | DataError) -> list[tuple[str, str, str]]:
    """Return rows for people: name, who it is, and where the face is."""
    if isinstance(results, DataError):
        return []
    rows = [(name, str(each), str(each.face) if isinstance(each, PersonFace) else "") for each in results]
    return rows or [(name, NO_FACE, "")]


def data(name: str, results: Results | DataError) -> list[dict[str, Any]]:
    """Return rows for JSON."""
    if isinstance(results, DataError):
        return [{"image": name, "error": str(results)}]
    return [{"image": name, **each.to_data()} for each in results] or [{"image": name, "error": NO_FACE}]
