"""Tensors as a checkpoint describes them, before their numbers are read."""

from __future__ import annotations

from dataclasses import dataclass

STORAGES = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
    "torch.ComplexFloatStorage": "complex64",
    "torch.ComplexDoubleStorage": "complex128",
    "torch.QInt8Storage": "int8",
    "torch.QUInt8Storage": "uint8",
    "torch.QInt32Storage": "int32",
    "torch.storage.UntypedStorage": "uint8",
    "torch.storage._UntypedStorage": "uint8",
}
STORAGES |= {
    name.replace("torch.", "torch.cuda."): dtype for name, dtype in STORAGES.items() if ".storage." not in name
}
"""PyTorch's storage classes, and their element types."""


@dataclass(frozen=True)
class Storage:
    """`count` contiguous numbers, stored under `key`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Strided:
    """A tensor: elements of `storage` from `offset` on, with `strides` in elements, all inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Quantised:
    """The tensor (`whole` - `zero`) · `scale`; the latter two are numbers, or one number for each index of `axis`."""

    whole: Strided
    scale: float | Strided
    zero: int | Strided
    axis: int = 0


@dataclass(frozen=True)
class Unread:
    """A tensor of a kind that Opsin does not read: what it is, and what to do in PyTorch."""

    what: str
    advice: str
