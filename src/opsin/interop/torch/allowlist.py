"""Allowlist of the names in a pickle that denote plain data. They are stored as descriptions and never called.

It has the names of PyTorch's allowlist (torch/_weights_only_unpickler.py, PyTorch 2.13) that are not tensors, and the
names of objects that training scripts save with their weights: options, paths, times and NumPy scalars.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = {
    "torch.float64": "float64", "torch.float32": "float32", "torch.float16": "float16", "torch.bfloat16": "bfloat16",
    "torch.float8_e4m3fn": "float8_e4m3fn", "torch.float8_e5m2": "float8_e5m2",
    "torch.float8_e4m3fnuz": "float8_e4m3fnuz", "torch.float8_e5m2fnuz": "float8_e5m2fnuz",
    "torch.int64": "int64", "torch.int32": "int32", "torch.int16": "int16", "torch.int8": "int8",
    "torch.uint64": "uint64", "torch.uint32": "uint32", "torch.uint16": "uint16", "torch.uint8": "uint8",
    "torch.bool": "bool", "torch.complex64": "complex64", "torch.complex128": "complex128",
}  # fmt: skip
"""Names of PyTorch's element types in Opsin."""

OTHER_DTYPES = (
    "complex32 quint8 qint8 qint32 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4 bits4x2 float8_e8m0fnu "
    "float4_e2m1fn_x2 uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7"
)
TORCH_NAMES = (
    "device Tensor Size Generator contiguous_format channels_last channels_last_3d preserve_format strided sparse_coo "
    "per_tensor_affine per_tensor_symmetric per_channel_affine per_channel_symmetric per_channel_affine_float_qparams "
    "serialization._get_layout nn.parameter.Parameter nn.parameter.Buffer torch_version.TorchVersion "
    f"{OTHER_DTYPES}"
)
BUILTIN_NAMES = (
    "set frozenset bytearray bytes complex slice range xrange object int float str bool list dict tuple Ellipsis"
)
OTHER_NAMES = (
    "_codecs.encode argparse.Namespace types.SimpleNamespace collections.deque copyreg._reconstructor "
    "copy_reg._reconstructor uuid.UUID decimal.Decimal fractions.Fraction numpy.dtype numpy.ndarray "
    "datetime.datetime datetime.date datetime.time datetime.timedelta datetime.timezone "
    "pathlib.Path pathlib.PurePath pathlib.PosixPath pathlib.PurePosixPath pathlib.WindowsPath pathlib.PureWindowsPath "
    "pathlib._local.Path pathlib._local.PosixPath pathlib._local.PurePosixPath pathlib._local.WindowsPath "
    "pathlib._local.PureWindowsPath "
    "lightning_fabric.utilities.data.AttributeDict lightning.fabric.utilities.data.AttributeDict "
    "pytorch_lightning.utilities.parsing.AttributeDict easydict.EasyDict addict.addict.Dict yacs.config.CfgNode "
    "fvcore.common.config.CfgNode mmcv.utils.config.ConfigDict mmengine.config.config.ConfigDict"
)
NUMPY_MODULES = ("numpy.core", "numpy._core")
"""The modules of NumPy's array constructors, before and since version 2."""
ARRAY_CONSTRUCTORS = "multiarray.scalar multiarray._reconstruct numeric._frombuffer"

NAMES = frozenset(
    [
        *DTYPES,
        *(f"torch.{name}" for name in TORCH_NAMES.split()),
        *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in BUILTIN_NAMES.split()),
        *(f"{module}.{name}" for module in NUMPY_MODULES for name in ARRAY_CONSTRUCTORS.split()),
        *OTHER_NAMES.split(),
    ]
)  # fmt: skip


@dataclass(eq=False)
class OpaqueObject:
    """The description of an object that a pickle constructs by `name`: its arguments and its state."""

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


def to_array(value: Any) -> NDArray[Any] | None:
    """Return the array of a description; None if it is not a NumPy array, or if its size does not match its data."""
    match _array_parts(value):
        case (
            1,
            tuple() as shape,
            OpaqueObject(name="numpy.dtype", arguments=(str() as type_code, *_)) as description,
            bool() as fortran,
            data,
        ):
            content = _bytes(data)
        case _:
            return None
    order = description.state[1] if type(description.state) is tuple and len(description.state) > 1 else "="
    if content is None or type_code not in ARRAY_TYPES:
        return None
    dtype = np.dtype(type_code).newbyteorder(">" if order == ">" else "<")
    if not all(type(size) is int and size >= 0 for size in shape) or math.prod(shape) * dtype.itemsize != len(content):
        return None
    elements = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
    return elements.reshape(shape, order="F" if fortran else "C")


ARRAY_TYPES = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "b1", "c8", "c16")


def _array_parts(value: Any) -> tuple[Any, ...] | None:
    """Return version, shape, type, whether the order is Fortran's, and data, from both forms of NumPy's pickles."""
    if type(value) is not OpaqueObject:
        return None
    if value.name.endswith(".multiarray._reconstruct"):
        return value.state if type(value.state) is tuple else None
    if value.name.endswith(".numeric._frombuffer") and len(value.arguments) == 4:
        data, dtype, shape, order = value.arguments
        return 1, shape, dtype, order == "F", data
    return None


def _bytes(data: Any) -> bytes | None:
    """Return the bytes in a pickle; older protocols store them as a string of the characters 0 to 255."""
    if type(data) is OpaqueObject and data.name == "_codecs.encode" and len(data.arguments) == 2:
        text, encoding = data.arguments
        if type(text) is str and encoding == "latin1":
            try:
                return text.encode("latin-1")
            except UnicodeEncodeError:
                return None
    return bytes(data) if type(data) in (bytes, bytearray) else None
