"""Descriptions of the tensors in a checkpoint."""

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
"""Element types of PyTorch's storage classes."""


@dataclass(frozen=True)
class Storage:
    """`count` contiguous elements, stored under `key`."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class StridedTensor:
    """A view of `storage`: its offset and strides, in elements. All of its elements are inside the storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class QuantizedTensor:
    """The tensor (`integers` - `zero_point`) · `scale`.

    Both parameters are scalars, or have one element for each index of `axis`.
    """

    integers: StridedTensor
    scale: float | StridedTensor
    zero_point: int | StridedTensor
    axis: int = 0


@dataclass(frozen=True)
class UnsupportedTensor:
    """A tensor of a kind that Opsin does not read: a description, and what to do in PyTorch."""

    description: str
    advice: str
