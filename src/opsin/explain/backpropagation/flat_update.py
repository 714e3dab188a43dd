"""An optimizer's update of many parameters by one small program.

An update computes every number by itself. So the numbers of all parameters can pass through a program for one vector,
in chunks: it is compiled once for any network, and needs little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from opsin.backends.base import Program

Floats = NDArray[np.float32]

CHUNK = 2**16
"""Numbers that are updated at once."""
WEIGHT = "w"
"""The name of the program's variable for the weights; its inputs are "gradient" and "learning_rate"."""


class FlatUpdate:
    """One step of an optimizer, with a program for a vector, usually of `CHUNK` numbers, and a learning rate."""

    def __init__(self, program: Program, rate: np.float32) -> None:
        self.program, self.rate = program, rate
        self.zeros = {name: np.zeros_like(array) for name, array in program.state().items()}
        self.chunk = self.zeros[WEIGHT].size
        self.vectors = [name for name, array in self.zeros.items() if array.ndim]
        self.numbers = {name: array for name, array in self.zeros.items() if not array.ndim}

    def __call__(
        self, weights: Mapping[str, Floats], gradients: Mapping[str, Floats], state: Mapping[str, Floats]
    ) -> dict[str, Floats]:
        """Return all variables after the step, named as in a training graph; those missing in `state` were 0."""
        results: dict[str, Floats] = {}
        for names in _bundles(weights, self.chunk):
            before = {
                vector: [
                    weights[n] if vector == WEIGHT else state.get(_of(vector, n), np.zeros_like(weights[n]))
                    for n in names
                ]
                for vector in self.vectors
            }
            numbers = {name: state.get(name, zero) for name, zero in self.numbers.items()}
            after, counts = self._updated(before, [gradients[n] for n in names], numbers)
            results |= counts
            for vector, values in after.items():
                parts = np.split(values, np.cumsum([weights[n].size for n in names])[:-1])
                results |= {
                    _of(vector, n): part.reshape(weights[n].shape) for n, part in zip(names, parts, strict=True)
                }
        return results

    def weights(self, weights: Mapping[str, Floats], gradients: Mapping[str, Floats]) -> dict[str, Floats]:
        """Return the weights after a first step for all `gradients`, without the optimizer's own variables."""
        results: dict[str, Floats] = {}
        for names in _bundles(gradients, self.chunk):
            flat, gradient = _joined([weights[n] for n in names]), _read([gradients[n] for n in names])
            for start in range(0, flat.size, self.chunk):
                part = slice(start, min(start + self.chunk, flat.size))
                after = self._step({**self.zeros, WEIGHT: self._padded(flat[part])}, gradient[part])
                flat[part] = after[WEIGHT][: part.stop - start]
            results |= _divided(flat, {n: weights[n] for n in names})
        return results

    def _updated(
        self, before: Mapping[str, list[Floats]], gradients: list[Floats], numbers: Mapping[str, Floats]
    ) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Return vectors and single numbers after the step."""
        flat = {vector: _joined(arrays) for vector, arrays in before.items()}
        gradient, counts = _read(gradients), dict(numbers)
        for start in range(0, gradient.size, self.chunk):
            part = slice(start, min(start + self.chunk, gradient.size))
            self.program.load_state(
                {**numbers, **{vector: self._padded(values[part]) for vector, values in flat.items()}}
            )
            self.program.run(gradient=self._padded(gradient[part]), learning_rate=self.rate)
            after = self.program.state()
            for vector, values in flat.items():
                values[part] = after[vector][: part.stop - start]
            counts = {name: after[name] for name in numbers}
        return flat, counts

    def _step(self, state: Mapping[str, Floats], gradient: Floats) -> dict[str, Floats]:
        """Return the program's variables after a step from `state`."""
        self.program.load_state(state)
        self.program.run(gradient=self._padded(gradient), learning_rate=self.rate)
        return self.program.state()

    def _padded(self, values: Floats) -> Floats:
        """Return the values, and zeros up to the size of the program's vector."""
        return values if values.size == self.chunk else np.pad(values, (0, self.chunk - values.size))


def _bundles(arrays: Mapping[str, Floats], least: int) -> Iterator[list[str]]:
    """Yield names of consecutive arrays with at least `least` numbers together."""
    names: list[str] = []
    count = 0
    for name, array in arrays.items():
        names.append(name)
        count += array.size
        if count >= least:
            yield names
            names, count = [], 0
    if names:
        yield names


def _joined(arrays: list[Floats]) -> Floats:
    """Return the numbers of arrays as a new vector."""
    return np.concatenate([array.reshape(-1) for array in arrays])


def _read(arrays: list[Floats]) -> Floats:
    """Return the numbers of arrays as a vector that does not change; a single array is not copied."""
    return arrays[0].reshape(-1) if len(arrays) == 1 else _joined(arrays)


def _divided(values: Floats, arrays: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the parts of a vector that belong to `arrays`, in their shapes."""
    parts = np.split(values, np.cumsum([array.size for array in arrays.values()])[:-1])
    return {name: part.reshape(array.shape) for part, (name, array) in zip(parts, arrays.items(), strict=True)}


def _of(vector: str, parameter: str) -> str:
    """Return the name of a variable of a parameter: "optimizer.w.momentum" is that of w."""
    return parameter if vector == WEIGHT else vector.replace(f".{WEIGHT}.", f".{parameter}.", 1)
