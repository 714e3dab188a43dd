"""The contents of a compiled program: calls of kernels on views, before they have addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import TypeAlias, TypeVar

from opsin.compiler.views import Buffer, View
from opsin.kernels.ir import F32, WIDE
from opsin.kernels.spec import KernelSpec
from opsin.kernels.tile import Epilogue

Argument: TypeAlias = "View | int"
Pointers: TypeAlias = "Mapping[str, View | Sequence[View]]"
Words: TypeAlias = "Mapping[str, int | Sequence[int]]"
NO_WORDS: Words = {}
T = TypeVar("T")


class Partition(Enum):
    """How the blocks of a call depend on the batch."""

    PER_SAMPLE = "per sample"
    """Some blocks for each sample."""
    PER_CHUNK = "per chunk"
    """One block for each chunk of samples."""
    ANY = "any"
    """Blocks that do not follow the batch."""


@dataclass(eq=False)
class KernelCall:
    """One kernel, its arguments in the order of its signature, and how its blocks may be shared among threads.

    `blocks` counts those of one sample if `partition` is PER_SAMPLE, and all of them otherwise. `reads` and `writes`
    map each buffer to whether the block of a sample (or a chunk) touches only that sample's part of it. Calls for which
    this holds can follow each other sample by sample, without waiting for other threads. `scratch` counts the float32
    elements of private memory that each thread needs.

    The rest is for people: `scope` is the layer, `label` the operation, `direction` the pass of the training step (see
    `passes`), `fused` the operations computed along with it, `macs` its multiply-accumulate operations, and `tuned`
    whether its algorithm comes from tuning instead of the heuristic.
    """

    spec: KernelSpec
    arguments: tuple[Argument, ...]
    partition: Partition
    blocks: int
    reads: dict[Buffer, bool]
    writes: dict[Buffer, bool]
    scratch: int = 0
    macs: int = 0
    scope: str = ""
    label: str = ""
    direction: str = ""
    fused: tuple[str, ...] = ()
    tuned: bool = False

    def described(
        self, scope: str, label: str, direction: str, fused: tuple[str, ...] = (), tuned: bool = False
    ) -> KernelCall:
        """Return the same call with a description."""
        return KernelCall(
            self.spec, self.arguments, self.partition, self.blocks, self.reads, self.writes, self.scratch, self.macs,
            scope, label, direction, fused, tuned,
        )  # fmt: skip


@dataclass
class AccessSet:
    """The buffers that a call touches, and for each whether a sample's block touches that sample's part alone."""

    batch: int
    touched: dict[Buffer, bool] = field(default_factory=dict)

    def add(self, view: View) -> None:
        """Add a view that is accessed sample by sample if its layout allows that."""
        self.touched[view.buffer] = self.touched.get(view.buffer, True) and is_per_sample(view, self.batch)

    def add_shared(self, view: View) -> None:
        """Add a view that every block may access as a whole."""
        self.touched[view.buffer] = False


def is_per_sample(view: View, batch: int) -> bool:
    """Whether dimension 0 of `view` is the batch, and sample n is the n-th part of the buffer."""
    return bool(view.shape) and view.shape[0] == batch and view.strides[0] * batch == view.buffer.size


def bind_arguments(
    spec: KernelSpec, pointers: Pointers, words: Words, epilogue: Sequence[View] = ()
) -> tuple[Argument, ...]:
    """Return the arguments of `spec` in the order of its signature; groups (see `Signature`) are given as sequences.

    Raise `TypeError` if a name is missing or unknown, if an array has another element type than the kernel reads, or if
    the epilogue's arrays are not as many as its operands and results.
    """
    name, signature = type(spec).__name__, spec.signature
    arguments: list[Argument] = [
        *_in_order(name, "pointers", signature.pointers, pointers),
        *_in_order(name, "words", signature.words, words),
        *epilogue,
    ]
    for pointer in signature.pointers:
        view = pointers.get(pointer)
        element = spec.element(pointer)
        if isinstance(view, View) and view.buffer.element != element:
            raise TypeError(f"{name}: the pointer '{pointer}' is to {element} elements, not {view.buffer.element}")
    expected = _epilogue_count(spec)
    if len(epilogue) != expected:
        raise TypeError(f"{name}: the epilogue has {expected} arrays, not {len(epilogue)}")
    return tuple(arguments)


def with_elements(spec: KernelSpec, pointers: Pointers, epilogue: Sequence[View]) -> KernelSpec:
    """Return `spec` for the element kinds of its arrays: narrow numbers wherever a view holds them and the kernel
    allows them, and whatever the arrays of an epilogue hold."""
    named: dict[str, View] = {}
    for name in spec.signature.pointers:
        value = pointers.get(name.removeprefix("*"), ())
        group = [(name, value)] if isinstance(value, View) else [(f"{name[1:]}{i}", v) for i, v in enumerate(value)]
        named |= dict(group)
    elements = {name: view.buffer.element for name, view in named.items() if view.buffer.element in WIDE}
    if spec.signature.epilogue:
        arrays = zip(spec.epilogue.names, epilogue, strict=False)  # type: ignore[attr-defined]
        elements |= {name: view.buffer.element for name, view in arrays if view.buffer.element != F32}
    usual = spec.signature.elements
    return spec.typed({name: element for name, element in elements.items() if element != usual.get(name, F32)})


def _in_order(kernel: str, kind: str, names: tuple[str, ...], values: Mapping[str, T | Sequence[T]]) -> list[T]:
    """Return `values` in the order of `names`, groups expanded."""
    keys = _keys(names)
    if len(values) != len(keys) or any(key not in values for key in keys):
        missing = [key for key in keys if key not in values]
        unknown = [key for key in values if key not in keys]
        raise TypeError(
            f"{kernel}: {kind} are {', '.join(keys) or 'none'}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
        )
    arguments: list[T] = []
    for name, key in zip(names, keys, strict=True):
        if name == key:
            arguments.append(values[key])  # type: ignore[arg-type]
        else:
            arguments.extend(values[key])  # type: ignore[arg-type]
    return arguments


@cache
def _keys(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names without the mark of groups."""
    return tuple(name.removeprefix("*") for name in names)


def _epilogue_count(spec: KernelSpec) -> int:
    """Return how many arrays the epilogue of a kernel has: its operands but the sum, and its results."""
    if not spec.signature.epilogue:
        return 0
    epilogue: Epilogue = spec.epilogue  # type: ignore[attr-defined]
    return len(epilogue.operands) + len(epilogue.expression.results)
