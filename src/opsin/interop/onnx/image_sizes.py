"""Sizes of the images of an ONNX file, and the shape of its logits."""

from __future__ import annotations

from collections.abc import Sequence

from opsin import ops
from opsin.base.errors import ModelError
from opsin.ir import BATCH, Shape, Tensor, show


def by_class(logits: Tensor) -> Tensor:
    """Return `logits` as N × classes; raise `ModelError` if they have several axes per image."""
    sizes = [size for size in logits.shape[1:] if size != 1]
    if not logits.rank or logits.shape[0] != BATCH or len(sizes) > 1:
        raise ModelError(
            f"outputs {logits.type} instead of one number per class and image; "
            "opsin.interop.onnx.read returns the graph of such a network"
        )
    return ops.reshape(logits, (BATCH, *(sizes or [1])))


def image_shape(sizes: Sequence[int | None], input_shape: tuple[int, int, int] | None) -> Shape:
    """Return the shape of an image, from the file or from `input_shape`; raise `ModelError` if they differ."""
    if input_shape is None:
        fixed_sizes = [size for size in sizes if size is not None]
        if len(fixed_sizes) < len(sizes):
            raise ModelError(
                f"leaves the size of its images free ({dims_text(sizes)}); "
                "choose one in Python, such as opsin.import_onnx(…, input_shape=(3, 224, 224))"
            )
        return tuple(fixed_sizes)
    if len(input_shape) != len(sizes) or not matches(sizes, input_shape) or min(input_shape) < 1:
        raise ModelError(f"takes images of {dims_text(sizes)}, not {show(input_shape)}")
    return input_shape


def matches(dims: Sequence[int | None], sizes: Sequence[int]) -> bool:
    """Return whether `sizes` are equal to the declared ones, except for free ones."""
    return all(expected in (None, size) for expected, size in zip(dims, sizes, strict=True))


def dims_text(sizes: Sequence[int | None]) -> str:
    """Return sizes for a message; free ones are question marks."""
    return " × ".join("?" if size is None else str(size) for size in sizes)
