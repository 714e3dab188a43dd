"""Which results of a call may replace what the call reads, and where in memory.

A call that is the last to read a buffer may write its results over it, as far as it does not read there any more:

- operands of the results' shape are read element by element, right before the result there is written;
- images are read from the top, and rows of results replace those above the window (`kernels.row_order`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from opsin.compiler.calls import KernelCall
from opsin.compiler.views import WORD_BYTES, Buffer, View
from opsin.kernels.ir import ELEMENT_BYTES
from opsin.kernels.tile import Epilogue


@dataclass(frozen=True)
class Overlay:
    """A written buffer may begin `distance` words before one that is read, or more; if `same_place`, also where that
    begins."""

    distance: int
    same_place: bool = False


Overlays: TypeAlias = "Mapping[tuple[Buffer, Buffer], Overlay]"
"""By (read buffer, written buffer); other buffers that live at the same time have no memory in common."""


def overlays(calls: Sequence[KernelCall]) -> Overlays:
    """Return the overlays of calls that run one after the other, each block by block in order."""
    return {key: overlay for call in calls for key, overlay in _overlays(call)}


def _overlays(call: KernelCall) -> Iterator[tuple[tuple[Buffer, Buffer], Overlay]]:
    views = [argument for argument in call.arguments if isinstance(argument, View)]
    counts = Counter(view.buffer for view in views)
    whole = [view for view in views if _is_whole(view) and counts[view.buffer] == 1]
    orders = call.spec.row_orders([word for word in call.arguments if isinstance(word, int)])
    images = {views[number].buffer: order for number, order in orders.items()}
    elementwise = {view.buffer for view in operands_like_results(call)}
    for read in (view.buffer for view in whole if view.buffer in call.reads):
        for written in (view.buffer for view in whole if view.buffer in call.writes):
            sizes = ELEMENT_BYTES[read.element], ELEMENT_BYTES[written.element]
            if read in images and images[read].count * images[read].result_row == written.size:  # a single image
                yield (read, written), Overlay(-(-images[read].distance(*sizes) // WORD_BYTES))
            elif read in elementwise and sizes[0] == sizes[1]:
                yield (read, written), Overlay(written.words, same_place=True)


def _is_whole(view: View) -> bool:
    """Whether the view is all of its buffer, each element once."""
    return view.offset == 0 and view.size == view.buffer.size and not view.is_broadcast


def operands_like_results(call: KernelCall) -> list[View]:
    """Return the operands that are arrays of the results' shape: of the epilogue, or those that the kernel names."""
    if not call.spec.signature.epilogue:
        named = zip(call.spec.signature.pointers, call.arguments, strict=False)
        return [view for name, view in named if name in call.spec.elementwise and isinstance(view, View)]
    epilogue: Epilogue = call.spec.epilogue  # type: ignore[attr-defined]
    arrays = call.arguments[len(call.arguments) - len(epilogue.names) :]
    pairs = zip(epilogue.operands, arrays, strict=False)
    return [view for kind, view in pairs if kind == "same" and isinstance(view, View)]
