"""Sizes that may depend on the batch: `c · N^p` with a rational `c`.

A graph is traced once and used with any batch. Its shapes contain plain integers, and `BATCH` or a multiple of it if
they depend on the batch; `bind` replaces it by a number. Monomials are enough: a mean over the batch divides by `3·N`,
a flattened batch of images has `28·28·N` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any, TypeAlias, TypeVar, cast

from opsin.base.errors import ShapeError


@dataclass(frozen=True)
class Size:
    """`factor · N**power`, where `N` is the batch. Never a plain number: see `of`."""

    factor: Fraction
    power: int

    @staticmethod
    def of(factor: Fraction, power: int) -> Dim:
        """Return the simplest form: an `int` if it does not depend on the batch and is whole, else a `Size`."""
        if power == 0 and factor.denominator == 1:
            return int(factor)
        return cast("Dim", Size(factor, power))

    def __mul__(self, other: Dim) -> Dim:
        factor, power = _parts(other)
        return Size.of(self.factor * factor, self.power + power)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        factor, power = _parts(other)
        return _whole(Size.of(self.factor / factor, self.power - power), self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        factor, power = _parts(other)
        return _whole(Size.of(factor / self.factor, power - self.power), other, self)

    def __add__(self, other: Dim) -> Dim:
        factor, power = _parts(other)
        if factor == 0:
            return self
        if power != self.power:
            raise ShapeError(f"a size cannot be {self} + {other}: only the batch may be free")
        return Size.of(self.factor + factor, self.power)

    __radd__ = __add__

    def inverse(self) -> Size:
        """Return `1 / self`, a factor rather than a count."""
        return Size(1 / self.factor, -self.power)

    def at(self, batch: int) -> Fraction:
        """Return the value for `batch` images."""
        return self.factor * Fraction(batch) ** self.power

    def __str__(self) -> str:
        name = "N" if self.power == 1 else f"N^{self.power}"
        return name if self.factor == 1 else f"{self.factor}·{name}"

    __repr__ = __str__


Dim: TypeAlias = "int | Size"
Shape: TypeAlias = "tuple[Dim, ...]"

BATCH = Size(Fraction(1), 1)
"""The free batch dimension, printed as `N`."""


def _parts(dim: Dim) -> tuple[Fraction, int]:
    return (dim.factor, dim.power) if isinstance(dim, Size) else (Fraction(dim), 0)


def _whole(result: Dim, a: Dim, b: Dim) -> Dim:
    if isinstance(result, Size) and (result.factor.denominator != 1 or result.power < 0):
        raise ShapeError(f"{a} elements cannot be divided into {b}")
    return result


def product(shape: Shape) -> Dim:
    """Return the number of elements of `shape`."""
    return cast("Dim", prod(shape))


def same_size(a: Dim, b: Dim) -> bool:
    """Return whether two sizes are equal for every batch."""
    return a == b or _parts(a) == _parts(b)


T = TypeVar("T")
COMPOUND_TYPES = (Size, tuple, dict)
"""Types that are a `Size` or may contain one."""


def bind(value: T, batch: int) -> Any:
    """Return `value` with every `Size` in it replaced by its number, also inside tuples and dictionaries."""
    if isinstance(value, Size):
        number = value.at(batch)
        return int(number) if number.denominator == 1 and value.power >= 0 else float(number)
    if isinstance(value, tuple):
        return tuple([bind(item, batch) if isinstance(item, COMPOUND_TYPES) else item for item in value])
    if isinstance(value, dict):
        return {key: bind(item, batch) if isinstance(item, COMPOUND_TYPES) else item for key, item in value.items()}
    return value


def show(shape: Shape) -> str:
    """Return the shape as text: `N × 6 × 28 × 28`, or `scalar`."""
    return " × ".join(str(dim) for dim in shape) if shape else "scalar"
