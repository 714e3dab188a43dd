"""`opsin gallery`: enrol, list and remove."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer

from opsin.apps.cli.images import paths_of
from opsin.apps.cli.output import print_json, print_table
from opsin.base.errors import UsageError
from opsin.gallery import Gallery
from opsin.gallery.gallery import load_comparing
from opsin.runs.lock import Lock, LockHeld


def run(
    action: str,
    gallery: str,
    name: str = "",
    images: Sequence[str] = (),
    model: str | None = None,
    as_json: bool = False,
) -> int:
    """Do one of "add", "list" and "remove"."""
    path = Path(gallery)
    if action == "list":
        return _list(path, as_json)
    try:
        with Lock(path.with_name(f"{path.name}.lock")):
            return _add(path, name, images, model) if action == "add" else _remove(path, name)
    except LockHeld:
        raise UsageError(f"another process changes {path}; try again when it has finished") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; give a file in a folder of yours") from None


def _list(path: Path, as_json: bool) -> int:
    gallery = Gallery.read(path)
    if as_json:
        print_json({"model": gallery.model_path, "digest": gallery.model_digest, "names": gallery.counts()})
        return 0
    print_table(("name", "vectors"), [(name, f"{count:,}") for name, count in gallery.counts().items()], left=(0,))
    return 0


def _add(path: Path, name: str, images: Sequence[str], model: str | None) -> int:
    is_new = not path.exists()
    if is_new and model is None:
        raise UsageError(f"{path} is a new gallery; name the model that makes its vectors: --model MODEL")
    old = None if is_new else Gallery.read(path)
    model_path = Path(str(model)) if old is None else old.find_model(path, model)
    network = load_comparing(model_path)
    answers = network.predict([file for image in images for file in paths_of(image)])
    gallery = old or Gallery.empty(model_path, len(answers[0].vector))
    gallery.added(name, np.stack([answer.vector for answer in answers])).write(path)
    typer.echo(f"{name}: {_vectors(len(answers))} added to {path}; no image is stored")
    return 0


def _remove(path: Path, name: str) -> int:
    gallery = Gallery.read(path)
    smaller = gallery.removed(name)
    smaller.write(path)
    typer.echo(f"{name}: {_vectors(len(gallery.names) - len(smaller.names))} removed from {path}")
    return 0


def _vectors(count: int) -> str:
    return "1 vector" if count == 1 else f"{count:,} vectors"
