"""Building blocks of networks for clips, which are images of all frames, one below the other (see `inputs.video`)."""

from __future__ import annotations

from opsin import ops
from opsin.base.errors import ShapeError
from opsin.ir import Tensor, show
from opsin.ops.pool3d import TIME_FIRST
from opsin.ops.sliding import image


def frame_count(x: Tensor) -> int:
    """Return the frames in images of square frames N × C × (T·S) × S. Raise `ShapeError` if they are no such images."""
    _, _, (rows, side) = image("clips", x.type)
    if rows % side:
        raise ShapeError(f"a clip has square frames, one below the other; {show((rows, side))} are none")
    return rows // side


def to_clips(x: Tensor) -> Tensor:
    """Return images of square frames N × C × (T·S) × S as clips N × C × T × S × S."""
    batch, channels, _, side = x.shape
    return ops.reshape(x, (batch, channels, frame_count(x), side, side))


def to_frames(x: Tensor) -> Tensor:
    """Return images of square frames N × C × (T·S) × S as single ones, N·T × C × S × S."""
    batch, channels, _, side = x.shape
    count = frame_count(x)
    return ops.reshape(ops.transpose(to_clips(x), TIME_FIRST), (batch * count, channels, side, side))
