"""Features on disk, in the cache folder: each image is computed once for a network, whatever folder it is in."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from opsin.data.ingest.decode_settings import short_digest
from opsin.data.store import CACHE_SIZE, DecodedCache, StoreWriter, free_space, touch
from opsin.explain.features import Floats

VERSION = 1
"""Increased when features are computed differently."""


class FeatureCache:
    """The features of a network (`fingerprint`), of which `name` stands for a folder.

    The rows of a store of images hold them: F numbers of four bytes for the digest of an image file.
    """

    def __init__(self, fingerprint: str, name: str) -> None:
        self._store = DecodedCache(f"features-{VERSION}-{fingerprint}", short_digest(name))

    def read(self, digests: NDArray[np.uint8]) -> list[Floats | None]:
        """Return the features of each image, None if they are not there."""
        return [self._row(int(position)) for position in self._store.find(digests)]

    def write(self, digests: NDArray[np.uint8], features: Floats) -> None:
        """Store the features of images of the folder. If the disk refuses, the next run is slower."""
        with suppress(OSError):
            if not free_space(features.nbytes + digests.nbytes, CACHE_SIZE):
                return
            writer = StoreWriter(self._store.path, *features.view(np.uint8).shape)
            try:
                for row, digest in enumerate(digests):
                    writer.put(row, digest, features[row])
                writer.finish()
            finally:
                writer.abandon()

    def touch(self) -> None:
        """Mark the features of the folder as used now."""
        touch(self._store.path)

    def _row(self, position: int) -> Floats | None:
        if position < 0:
            return None
        width = next(file.stride for file in self._store.files) // 4
        features = np.empty(width, np.float32)
        try:
            self._store.read(position, features)
        except OSError:
            return None
        return features
