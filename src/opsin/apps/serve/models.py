"""The models of a server, each of which is replaced when its file changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from threading import Event, Thread

import numpy as np

from opsin.apps.serve.messages import ModelData, Reload
from opsin.base.errors import ModelError, OpsinError, UsageError
from opsin.base.processors import processors
from opsin.data.file_io import stamp
from opsin.model import Model
from opsin.model.samples import require_images

Open = Callable[[str], Model]

CHECK_SECONDS = 1.0
"""Time between two looks at the files. A file is read when it has not changed from one to the next."""

BATCH, BATCH_OF_CORE = 32, 4
"""Images of a batch, at least, and for each core, so that all threads are busy. Larger batches are hardly faster, take
more memory, and are rarely full."""


class ServedModel:
    """A model under its name in addresses. `model` is replaced as a whole; a request keeps the one it began with."""

    def __init__(self, name: str, path: str, open_model: Open) -> None:
        self.name, self.path, self._open = name, path, open_model
        self.stamp = self._seen = stamp(Path(path))
        self._digest = _digest(path)
        self.model = self._ready(path)

    def _ready(self, path: str) -> Model:
        """Open the model and compile its programs, so that no request waits for that."""
        model = self._open(path)
        require_images(model, "opsin serve")
        if model.preprocessing.frames > 1:
            raise UsageError(f"{path} compares frames of a film, and a server gets single images; use `opsin predict`")
        model.max_batch = max(BATCH, BATCH_OF_CORE * processors())
        for count in (1, model.largest_batch):
            model.outputs(np.zeros((count, *model.preprocessing.input_shape), np.uint8))
        return model

    @property
    def data(self) -> ModelData:
        """What clients need to know."""
        model = self.model
        return ModelData(self.name, model.task.name, model.network, tuple(model.labels), model.preprocessing.shape)

    def changed(self) -> bool:
        """Return whether the file has changed and is complete, as far as can be seen."""
        now = stamp(Path(self.path))
        is_stable, self._seen = now == self._seen, now
        return bool(now) and now != self.stamp and is_stable

    def reload(self) -> bool:
        """Replace the model by that in the file; return False if it is the same one.

        Raise `OpsinError`, and keep the model, if the file has none.
        """
        self.stamp, digest = stamp(Path(self.path)), _digest(self.path)
        if digest == self._digest:
            return False
        self.model = self._ready(self.path)
        self._digest = digest
        return True


def _digest(path: str) -> str:
    """Return a digest of the content of a file; "" if it cannot be read, or if there is none."""
    try:
        with open(path, "rb") as file:
            return file_digest(file, "blake2b").hexdigest()
    except OSError:
        return ""


def open_models(paths: Sequence[str], open_model: Open) -> dict[str, ServedModel]:
    """Return the models of files, or of published weights, by name: that of the file without its suffix."""
    models: dict[str, ServedModel] = {}
    for path in paths:
        name = Path(path).stem if os.path.exists(path) else path
        if name in models:
            raise UsageError(f"{models[name].path} and {path} would both be called '{name}'; rename one of the files")
        models[name] = ServedModel(name, path, open_model)
    return models


@contextmanager
def watching(
    models: Iterable[ServedModel], send: Callable[[Reload], None], report: Callable[[str], None]
) -> Iterator[None]:
    """Read model files again when they change. `send` gets the results, and `report` texts."""
    end = Event()
    thread = Thread(target=_watch, args=(models, end, send, report))
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def _watch(
    models: Iterable[ServedModel], end: Event, send: Callable[[Reload], None], report: Callable[[str], None]
) -> None:
    while not end.wait(CHECK_SECONDS):
        for served in models:
            if served.changed():
                send(reload(served, report))


def reload(served: ServedModel, report: Callable[[str], None]) -> Reload:
    """Read a model file again, and report the result."""
    try:
        is_replaced = served.reload()
    except (OpsinError, MemoryError) as error:
        text = str(error) if isinstance(error, OpsinError) else str(ModelError("there is not enough memory"))
        report(f"{served.name} was not replaced, the earlier model goes on: {text}")
        return Reload(served.name, "failed", served.data)
    if not is_replaced:
        report(f"{served.name} was not replaced: {served.path} has the content of the model that is served")
        return Reload(served.name, "unchanged", served.data)
    report(f"{served.name} was replaced: {served.path} has changed")
    return Reload(served.name, "done", served.data)
