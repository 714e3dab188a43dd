"""`opsin gallery`: enrol, list and remove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer

from opsin.apps.cli.images import paths_of
from opsin.apps.cli.output import print_json, print_table
from opsin.base.errors import UsageError
from opsin.base.file_lock import Lock, LockHeld
from opsin.faces import FaceDetector
from opsin.faces.published import EMBEDDING
from opsin.gallery import FaceReader, Gallery
from opsin.gallery.gallery import load_comparing


def run(
    action: str,
    gallery: str,
    name: str = "",
    images: Sequence[str] = (),
    model: str | None = None,
    as_json: bool = False,
    faces: bool = False,
    detector: str | None = None,
) -> int:
    """Do one of "add", "list" and "remove"."""
    path = Path(gallery)
    if action == "list":
        return _list(path, as_json)
    try:
        with Lock(path.with_name(f"{path.name}.lock"), temporary=True):
            return _add(path, name, images, model, faces, detector) if action == "add" else _remove(path, name)
    except LockHeld:
        raise UsageError(f"another process changes {path}; try again when it has finished") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; give a file in a folder of yours") from None


def _list(path: Path, as_json: bool) -> int:
    gallery = Gallery.read(path)
    if as_json:
        print_json({
            "model": gallery.model_path, "digest": gallery.model_digest, "faces": gallery.faces,
            "names": gallery.counts(),
        })  # fmt: skip
        return 0
    print_table(("name", "vectors"), [(name, f"{count:,}") for name, count in gallery.counts().items()], left=(0,))
    return 0


def _add(path: Path, name: str, images: Sequence[str], model: str | None, faces: bool, detector: str | None) -> int:
    old = Gallery.read(path) if path.exists() else None
    if old and faces and not old.faces:
        raise UsageError(f"{path} has vectors of whole images; begin another gallery for faces, or leave --faces out")
    faces = old.faces if old else faces
    model_path = old.find_model(path, model) if old else _new_model(path, model, faces)
    network, files = load_comparing(model_path), [file for image in images for file in paths_of(image)]
    vectors = (
        FaceReader(FaceDetector.load(detector), network).only_vectors(files)
        if faces
        else np.stack([answer.vector for answer in network.predict(files)])
    )
    gallery = old or Gallery.empty(model_path, vectors.shape[1], faces)
    gallery.added(name, vectors).write(path)
    typer.echo(f"{name}: {_vectors(len(vectors))} added to {path}; no image is stored")
    return 0


def _new_model(path: Path, model: str | None, faces: bool) -> Path:
    """Return the model of a new gallery: the one that is named, or for faces a published one if it is installed."""
    if model is not None:
        return Path(model)
    if faces:
        return EMBEDDING.require("name a model: --model MODEL")
    raise UsageError(f"{path} is a new gallery; name the model that makes its vectors: --model MODEL")


def _remove(path: Path, name: str) -> int:
    gallery = Gallery.read(path)
    smaller = gallery.removed(name)
    smaller.write(path)
    typer.echo(f"{name}: {_vectors(len(gallery.names) - len(smaller.names))} removed from {path}")
    return 0


def _vectors(count: int) -> str:
    return "1 vector" if count == 1 else f"{count:,} vectors"
