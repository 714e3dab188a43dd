"""The file of a gallery: a safetensors file with the vectors, and JSON with their names and the model's digest.

It holds no image. It is replaced as a whole, so that a crash at any moment leaves the old or the new one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from opsin.base.atomic import PRIVATE, atomic_file
from opsin.base.errors import DataError

FORMAT, OLDEST_FORMAT = 2, 1
"""Version of the format, increased by every change that an older Opsin would misread, and the oldest that is read."""

METADATA_KEY, VECTORS = "opsin.gallery", "vectors"


def write(path: Path, description: Mapping[str, Any], vectors: NDArray[np.float32]) -> None:
    """Write the file atomically, readable by its owner alone if it is new. Raise `DataError` if that fails."""
    content = {**description, "format": FORMAT, "checksum": _checksum(description, vectors)}
    data = save({VECTORS: np.ascontiguousarray(vectors)}, {METADATA_KEY: json.dumps(content)})
    try:
        with atomic_file(path, mode=PRIVATE) as file:
            file.write(data)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; it is as it was before") from None


def read(path: Path) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Return description and vectors. Raise `DataError` if the file is no gallery, or is damaged."""
    try:
        with safe_open(path, framework="numpy") as file:
            content = json.loads((file.metadata() or {})[METADATA_KEY])
            vectors = file.get_tensor(VECTORS)
        version, checksum = content.pop("format"), content.pop("checksum")
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such gallery; `opsin gallery add` makes one") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None
    except (SafetensorError, ValueError, TypeError, KeyError, AttributeError):
        raise DataError(f"{path} is no gallery; give a file that `opsin gallery add` made") from None
    if not isinstance(version, int) or not OLDEST_FORMAT <= version <= FORMAT:
        raise DataError(f"{path} has gallery format {version}, and this Opsin reads {FORMAT}; upgrade Opsin")
    if checksum != _checksum(content, vectors):
        raise DataError(f"{path} is damaged: its checksum is wrong; take a copy, or enrol the images again")
    return content, vectors


def _checksum(description: Mapping[str, Any], vectors: NDArray[np.float32]) -> str:
    digest = blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(vectors).tobytes())
    return digest.hexdigest()
