"""PBM, PGM, PPM and PFM as Pillow reads them, but grey of sixteen bits as what it is."""

from __future__ import annotations

from typing import Any

from PIL.PpmImagePlugin import PpmImageFile


class PnmImageFile(PpmImageFile):
    """Pillow makes whole numbers of 32 bits of deep grey, scaled to 65,535. These do not tell what is white."""

    def _open(self) -> None:
        super()._open()
        self._deep = self._mode == "I"
        if self._deep:
            self._mode = "I;16"

    def load(self) -> Any:
        if not (self._deep and self.tile):
            return super().load()
        self._mode = "I"
        super().load()
        self.im, self._mode = self.im.convert("I;16", 0), "I;16"
        self._deep = False
        return super().load()
