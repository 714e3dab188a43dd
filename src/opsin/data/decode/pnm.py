"""Read PBM, PGM, PPM and PFM with Pillow, but keep 16-bit grey as it is."""

from __future__ import annotations

from typing import Any

from PIL.PpmImagePlugin import PpmImageFile


class PnmImageFile(PpmImageFile):
    """Pillow converts 16-bit grey to 32-bit integers scaled to 65,535, which do not tell the original maximum."""

    def _open(self) -> None:
        super()._open()
        self._high_depth = self._mode == "I"
        if self._high_depth:
            self._mode = "I;16"

    def load(self) -> Any:
        if not (self._high_depth and self.tile):
            return super().load()
        self._mode = "I"
        super().load()
        self.im, self._mode = self.im.convert("I;16", 0), "I;16"
        self._high_depth = False
        return super().load()
