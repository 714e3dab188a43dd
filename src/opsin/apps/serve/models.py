"""The models of a server, each of which is replaced when its file changes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from opsin.apps.serve.metrics import Metrics
from opsin.base.errors import ModelError, OpsinError, UsageError
from opsin.data.file_io import stamp
from opsin.model import Model

Open = Callable[[str], Model]

CHECK_SECONDS = 1.0
"""Time between two looks at the files. A file is read when it has not changed from one to the next."""


class ServedModel:
    """A model under its name in addresses. `model` is replaced as a whole; a request keeps the one it began with."""

    def __init__(self, name: str, path: str, open_model: Open) -> None:
        self.name, self.path, self._open = name, path, open_model
        self.stamp = self._seen = stamp(Path(path))
        self.model = self._ready(path)

    def _ready(self, path: str) -> Model:
        """Open the model and compile its programs, so that no request waits for that."""
        model = self._open(path)
        if model.preprocessing.frames > 1:
            raise UsageError(f"{path} compares frames of a film, and a server gets single images; use `opsin predict`")
        for count in (1, model.largest_batch):
            model.outputs(np.zeros((count, *model.preprocessing.input_shape), np.uint8))
        return model

    def changed(self) -> bool:
        """Return whether the file has changed and is complete, as far as can be seen."""
        now = stamp(Path(self.path))
        is_stable, self._seen = now == self._seen, now
        return bool(now) and now != self.stamp and is_stable

    def reload(self) -> None:
        """Replace the model by that in the file. Raise `OpsinError`, and keep the model, if the file has none."""
        self.stamp = stamp(Path(self.path))
        self.model = self._ready(self.path)


def open_models(paths: Sequence[str], open_model: Open) -> dict[str, ServedModel]:
    """Return the models of files, or of published weights, by name: that of the file without its suffix."""
    models: dict[str, ServedModel] = {}
    for path in paths:
        name = Path(path).stem if os.path.exists(path) else path
        if name in models:
            raise UsageError(f"{models[name].path} and {path} would both be called '{name}'; rename one of the files")
        models[name] = ServedModel(name, path, open_model)
    return models


async def watch(models: Mapping[str, ServedModel], metrics: Metrics, report: Callable[[str], None]) -> None:
    """Read model files again when they change, until cancelled."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        for served in models.values():
            if await asyncio.to_thread(served.changed):
                await reload(served, metrics, report)


async def reload(served: ServedModel, metrics: Metrics, report: Callable[[str], None]) -> None:
    """Read a model file again, and report the result."""
    try:
        await asyncio.to_thread(served.reload)
    except (OpsinError, MemoryError) as error:
        text = str(error) if isinstance(error, OpsinError) else str(ModelError("there is not enough memory"))
        metrics.count(metrics.reloads, model=served.name, result="failed")
        report(f"{served.name} was not replaced, the earlier model goes on: {text}")
    else:
        metrics.count(metrics.reloads, model=served.name, result="done")
        report(f"{served.name} was replaced: {served.path} has changed")
