"""Saving the model that a training has made, wherever there is room for it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from opsin.base.errors import ModelError
from opsin.model import Model


def save_model(model: Model, path: Path) -> None:
    """Saves it; where there is no room any more, at least in the system's folder for temporary files.

    `ModelError` says where it is then.
    """
    try:
        model.save(path)
    except ModelError as error:
        try:
            rescue = Path(tempfile.mkdtemp(prefix="opsin-")) / path.name
            model.save(rescue)
        except (ModelError, OSError):
            raise error from None
        raise ModelError(f"{error}\nThe trained model is safe in {rescue}: move it from there.") from None
    model.name = str(path)
