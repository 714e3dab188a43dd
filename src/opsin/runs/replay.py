"""The frames of a run's replay: one safetensors file for each in the folder `replay/` of the run.

The metadata has one entry, "opsin_replay": JSON with the step, the epoch, and the split and numbers of the images.
These held-out images are in a file of their own, with their names and the right answers.
A file is renamed when it is complete, so a crash leaves none that is half-written.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from opsin.base.atomic import atomic_write, remove_temporaries
from opsin.base.errors import TrainingError, UsageError
from opsin.training.replay import ReplayFrame, ReplayImages
from opsin.training.state import State

REPLAY = "replay"
"""The name of the folder, and of the entry in a run's configuration that asks for it."""

FORMAT, KEY, SUFFIX = 1, "opsin_replay", ".safetensors"
IMAGES = "images.safetensors"
"""The name of the file with the held-out images."""

WEIGHTS, OUTPUTS = "weights/", "outputs/"


def check_folder(replay: bool, run: object) -> None:
    """Raise `UsageError` if a replay is asked for without the folder of a `run`."""
    if replay and run is None:
        raise UsageError("replay=True needs a folder for the snapshots; give run='FOLDER'")


class ReplayFiles:
    """The frames in `folder`, which only one process may write at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, frame: ReplayFrame) -> None:
        """Add a frame, or replace that of the same step. Raise `TrainingError` if that fails."""
        path = self.folder / f"{frame.step:08}{SUFFIX}"
        description = {
            "format": FORMAT, "step": frame.step, "epoch": frame.epoch, "split": frame.split,
            "images": list(frame.images),
        }  # fmt: skip
        tensors = {**_prefixed(WEIGHTS, frame.weights), **_prefixed(OUTPUTS, frame.outputs)}
        self._write(path, tensors, description)

    def _write(self, path: Path, tensors: dict[str, NDArray[Any]], description: dict[str, Any]) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            atomic_write(path, save(tensors, {KEY: json.dumps(description)}), durable=False)
        except OSError as error:
            raise TrainingError(f"{path} cannot be written ({error.strerror})") from None

    def write_images(self, images: ReplayImages) -> None:
        """Keep the held-out images, in the file `IMAGES`. Raise `TrainingError` if that fails."""
        description = {"format": FORMAT, "names": list(images.names), "truth": list(images.truth)}
        self._write(self.folder / IMAGES, {"pixels": np.ascontiguousarray(images.pixels)}, description)

    def read_images(self) -> ReplayImages | None:
        """Return the held-out images; None if there are none, or if they are damaged."""
        try:
            with safe_open(self.folder / IMAGES, framework="numpy") as file:
                description, pixels = json.loads(file.metadata()[KEY]), file.get_tensor("pixels")
            names, truth = (tuple(map(str, description[key])) for key in ("names", "truth"))
            if description["format"] != FORMAT or pixels.dtype != np.uint8 or pixels.ndim != 4:
                return None
            return ReplayImages(names, truth, pixels) if len(names) == len(truth) == len(pixels) else None
        except (OSError, SafetensorError, ValueError, TypeError, KeyError):
            return None

    def truncate(self, step: int) -> None:
        """Remove the frames after `step` steps, and files that a killed process left half-written."""
        remove_temporaries(self.folder)
        for path in self._paths():
            if int(path.stem) > step:
                with suppress(OSError):
                    path.unlink()

    def read(self) -> list[ReplayFrame]:
        """Return all frames in the order of their steps, without damaged ones."""
        frames = [_read(path) for path in self._paths()]
        return [frame for frame in frames if frame]

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdigit())


def _prefixed(group: str, values: State) -> dict[str, NDArray[Any]]:
    # ascontiguousarray would give scalars an axis.
    return {group + name: np.asarray(array, order="C") for name, array in values.items()}


def _read(path: Path) -> ReplayFrame | None:
    """Return a frame; None if the file is damaged, or of a newer Opsin."""
    try:
        with safe_open(path, framework="numpy") as file:
            description = json.loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        if description["format"] != FORMAT:
            return None
        weights, outputs = (
            {name.removeprefix(group): array for name, array in tensors.items() if name.startswith(group)}
            for group in (WEIGHTS, OUTPUTS)
        )
        images = tuple(map(int, description["images"]))
        return ReplayFrame(
            int(description["step"]), float(description["epoch"]), str(description["split"]), images, weights, outputs
        )
    except (OSError, SafetensorError, ValueError, TypeError, KeyError):
        return None
