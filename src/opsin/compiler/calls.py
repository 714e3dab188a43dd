"""What a compiled program consists of: calls of kernels on views, before they have addresses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from opsin.compiler.views import Buffer, View
from opsin.kernels.spec import KernelSpec

Argument: TypeAlias = "View | int"

IMAGE, CHUNK, FREE = "image", "chunk", "free"
"""How a call's blocks go with the batch: some for every image; one for every chunk of images; not at all."""


@dataclass(eq=False)
class KernelCall:
    """One kernel, its arguments, and how its blocks may be shared out.

    `blocks`: for each image where `split` is IMAGE, in all otherwise. `reads` and `writes` say for
    each buffer whether the block of an image (or a chunk) touches that image's part alone, which
    lets calls follow each other, image by image, without waiting for the other threads.
    `scratch` counts float32 elements of memory of a thread's own. `scope` is the layer, `label` the operation,
    `direction` its part of the step (see `roles`), and `fused` the operations computed along with it. `timed` says that
    its algorithm was chosen by timing.
    """

    spec: KernelSpec
    arguments: tuple[Argument, ...]
    split: str
    blocks: int
    reads: dict[Buffer, bool]
    writes: dict[Buffer, bool]
    scratch: int = 0
    scope: str = ""
    label: str = ""
    macs: int = 0
    direction: str = ""
    fused: tuple[str, ...] = ()
    timed: bool = False


@dataclass
class AccessSet:
    """Collects which buffers a call touches, and whether image by image."""

    batch: int
    touched: dict[Buffer, bool] = field(default_factory=dict)

    def note(self, view: View) -> None:
        self.touched[view.buffer] = self.touched.get(view.buffer, True) and own_images(view, self.batch)


def own_images(view: View, batch: int) -> bool:
    """Whether dimension 0 of `view` is the batch, and image n lies in the n-th part of the buffer."""
    return bool(view.shape) and view.shape[0] == batch and view.strides[0] * batch == view.buffer.size
