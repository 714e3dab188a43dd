"""Resampling of images: nearest, bilinear, and area (adaptive average).

Each is linear and separable, y = A_h · x · A_wᵀ, with one weight matrix for the rows and one for the columns. The
nonzero elements of each row of these matrices are short and contiguous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from opsin.base.errors import ShapeError, UsageError
from opsin.base.renamed_arguments import renamed_arguments
from opsin.ir import Node, Tensor, Type
from opsin.ir.arguments import one_of
from opsin.ir.arguments import scale as factors
from opsin.ops import sampling
from opsin.ops.registry import Array, Primitive, Sample, register, shape_error
from opsin.ops.sliding import Pair, Scale, image, times, to_pair


def _nearest(source: int, size: int) -> Array:
    return np.eye(source)[np.arange(size) * source // size]


def _bilinear(source: int, size: int) -> Array:
    centres = ((2 * np.arange(size) + 1) * source - size) / (2 * size)
    return _hats(source, np.clip(centres, 0, source - 1))


def _bilinear_corners(source: int, size: int) -> Array:
    return _hats(source, np.arange(size) * (source - 1) / max(size - 1, 1))


def _hats(source: int, at: Array) -> Array:
    """Return the weights of linear interpolation between whole numbers at the coordinates `at`."""
    return np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(source)))


def _area(source: int, size: int) -> Array:
    index, place = np.arange(source), np.arange(size)[:, None]
    is_covered = (index >= place * source // size) & (index < -(-(place + 1) * source // size))
    return np.asarray(is_covered / is_covered.sum(1, keepdims=True))


MODES: dict[str, Callable[[int, int], Array]] = {
    "nearest": _nearest,
    "bilinear": _bilinear,
    "bilinear_corners": _bilinear_corners,
    "area": _area,
}


def axis_weights(mode: str, source: int, size: int) -> Array:
    """Return the weight of each old pixel for each new one, `size` × `source`; every row adds up to 1.

    "nearest" takes the pixel that contains the near edge of the new one, "bilinear" interpolates between the centres
    of pixels, "bilinear_corners" aligns the outermost centres, "area" averages over the new pixel.
    """
    if min(source, size) < 1:
        raise UsageError(f"axis_weights: source and size must be at least 1, not {source} and {size}")
    return MODES[one_of("the mode", mode, tuple(MODES))](source, size)


class Resample2d(Primitive):
    """x N × C × `source` → N × C × `size`; with `adjoint` the transposed map, `size` → `source`."""

    name = "resample2d"

    def infer(self, x: Type, *, size: Pair, mode: str, source: Pair, adjoint: bool) -> Type:
        batch, channels, source_size = image(self.name, x)
        if mode not in MODES:
            raise ShapeError(f"resample2d: no mode '{mode}'; expected one of {', '.join(MODES)}")
        if min(*size, *source) < 1:
            raise ShapeError(f"resample2d: cannot resize {times(source)} to {times(size)}")
        start, end = (size, source) if adjoint else (source, size)
        if source_size != start:
            raise ShapeError(f"resample2d: expected images of {times(start)}, got {x}")
        return Type((batch, channels, *end))

    def evaluate(self, x: Array, *, size: Pair, mode: str, source: Pair, adjoint: bool) -> Array:
        rows, columns = (axis_weights(mode, *pair).astype(x.dtype) for pair in zip(source, size, strict=True))
        return np.asarray(rows.T @ x @ columns if adjoint else rows @ x @ columns.T)

    def backward(self, node: Node, g: Tensor) -> Sequence[Tensor | None]:
        return (_resample2d(g, **node.attrs | {"adjoint": not node.attrs["adjoint"]}).output,)

    def sample(self, rng: np.random.Generator) -> Sample:
        source, size = ((sampling.between(rng, 1, 12), sampling.between(rng, 1, 12)) for _ in range(2))
        mode, adjoint = tuple(MODES)[int(rng.integers(len(MODES)))], sampling.flip(rng)
        shape = (sampling.between(rng, 1, 3), sampling.pick(rng, sampling.CHANNELS), *(size if adjoint else source))
        attrs = {"size": size, "mode": mode, "source": source, "adjoint": adjoint}
        return Sample((sampling.normal(rng, shape),), attrs, (0,))


_resample2d = register(Resample2d())


def resample2d(x: Tensor, size: Pair, mode: str) -> Tensor:
    """Resize x N × C × H × W to `size`; see `axis_weights` for the modes. Return `x` itself if nothing changes."""
    size = to_pair("resample2d", size)
    _, _, source = image("resample2d", x.type)
    return x if size == source else _resample2d(x, size=size, mode=mode, source=source, adjoint=False).output


@renamed_arguments(scale="scale_factor")
def upsample(
    x: Tensor, scale_factor: Scale | None = None, size: int | Pair | None = None, mode: str = "nearest"
) -> Tensor:
    """Resize x N × C × H × W to `scale_factor` times its size, or to `size`.

    `mode` is nearest, bilinear or bilinear_corners. Raise `ShapeError` unless exactly one of both is given.
    """
    if (scale_factor is None) == (size is None):
        raise shape_error("upsample: expected either a scale_factor or a size")
    if size is not None:
        return resample2d(x, to_pair("upsample", size), mode)
    _, _, (rows, columns) = image("upsample", x.type)
    down, across = to_pair("upsample", factors("upsample: scale_factor", scale_factor))
    return resample2d(x, (rows * down, columns * across), mode)
