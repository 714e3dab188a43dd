"""A network with the layers before it that turn a kind of input into what it takes."""

from __future__ import annotations

from typing import Any

from opsin.ir import Tensor
from opsin.nn import Layer


class Prepared(Layer):
    """`network` on the result of `front_end`: spectra of sounds, or vectors of words."""

    def __init__(self, front_end: Layer, network: Layer) -> None:
        self.front_end, self.network = front_end, network

    def forward(self, x: Tensor) -> Any:
        return self.network(self.front_end(x))
