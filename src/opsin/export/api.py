"""`opsin.ship`: a model as files that are used without Opsin."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsin.base.atomic import atomic_write_all
from opsin.base.errors import UsageError
from opsin.export.format import Files, Format
from opsin.export.registry import check_options, find
from opsin.ir.arguments import instance
from opsin.ir.arguments import path as sound_path
from opsin.model import Model
from opsin.model.samples import require_images

MODEL_SUFFIXES = (".opsin", ".onnx")


@dataclass(frozen=True, eq=False)
class Export:
    """A model in a format: the content of its files."""

    format: Format
    files: Files = field(repr=False)
    default_path: str

    @property
    def size(self) -> int:
        """The number of bytes of all files."""
        return sum(map(len, self.files.values()))

    @property
    def summary(self) -> str:
        """What the format says about the export, such as whether it fits; empty for most."""
        return self.format.summary(self.files)

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write all files or none, and return where they are. An earlier export of the same model is replaced.

        `path` is a file or a folder, as the format is. Raise `UsageError` if it cannot be written, or is a folder with
        other files.
        """
        target = Path(self.default_path if path is None else sound_path("the export's path", path))
        check_target(self.format, target, self.files)
        try:
            atomic_write_all({target if self.format.suffix else target / name: self.files[name] for name in self.files})
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}; choose another path") from None
        return target


def ship(model: Model, to: str, out: str | os.PathLike[str] | None = None, **options: Any) -> Export:
    """Export a model to the format `to`, and write it to `out` if that is given.

    `options` are those of the format. Raise `UsageError` for an unknown format or option, for a model that the format
    cannot hold, and if `out` cannot be written.
    """
    instance("the model", model, Model, "opsin.load(FILE), opsin.import_onnx(FILE) or opsin.pretrained(NETWORK)")
    form = find(to)
    check_options(form, options)
    require_images(model, "opsin ship")
    if out is not None:
        check_target(form, Path(sound_path("the export's path", out)))
    export = Export(form, form.export(model, **options), form.default_path(_stem(model)))
    if out is not None:
        export.save(out)
    return export


def check_target(form: Format, target: Path, files: Iterable[str] = ()) -> None:
    """Raise `UsageError` unless an export of this format may be written to `target`.

    A folder is new, or empty, or has all `files` of an earlier export: otherwise files of different origin would be
    mixed. Without `files`, only the main one of the format is looked for.
    """
    if not form.suffix:
        if target.exists() and not target.is_dir():
            raise UsageError(f"{target} is a file, but {form.contents} is a folder; choose another path")
        names = list(files) or ([form.main_file] if form.main_file else [])
        missing = [name for name in names if not (target / name).is_file()]
        if missing and target.is_dir() and os.listdir(target):
            raise UsageError(
                f"{target} is not empty, and is not an earlier export of this model, which would have a file "
                f"{missing[0]}; choose another folder, or empty this one"
            )
        return
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file, such as {target / f'model{form.suffix}'}")
    if target.suffix.lower() != form.suffix:
        raise UsageError(f"{target}: {form.contents} is a file {target.stem}{form.suffix}; choose such a name")
    if not target.parent.is_dir():
        raise UsageError(
            f"{target} cannot be written: there is no folder {target.parent}; create it, or choose another path"
        )


def _stem(model: Model) -> str:
    """Return the name of the model's file without its suffix, or the network's name if there is no file."""
    path = Path(model.name)
    return path.stem if path.suffix.lower() in MODEL_SUFFIXES else model.network
