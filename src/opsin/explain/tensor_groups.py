"""Values of many tensors that are computed in groups: those of a large network do not fit into memory all at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Generic, TypeVar

from opsin.ir import Tensor, bind

R = TypeVar("R")
V = TypeVar("V")

MAX_VALUES = 2**27
"""Numbers that are computed, and kept, at once: those of one group."""
KEPT = 2
"""Groups that are kept; the least recently used one is computed again."""


def value_count(tensor: Tensor) -> int:
    """Return the numbers of a tensor for one image."""
    return prod(bind(tensor.shape, 1))


def divide_tensors(tensors: Iterable[Tensor], numbers: Callable[[Tensor], int]) -> list[list[Tensor]]:
    """Return consecutive `tensors` in groups of at most `MAX_VALUES` numbers, but at least one tensor each.

    `numbers` says how many a tensor needs. All are in one group if they fit.
    """
    groups: list[list[Tensor]] = []
    left = 0
    for tensor in tensors:
        count = numbers(tensor)
        if count > left or not groups:
            groups.append([])
            left = MAX_VALUES
        groups[-1].append(tensor)
        left -= count
    return groups


class TensorGroups(Generic[R]):
    """Computes the results of a group of tensors when one of them is first asked for."""

    def __init__(self, groups: Sequence[Sequence[Tensor]], compute: Callable[[Sequence[Tensor]], R]) -> None:
        self.groups, self._compute = groups, compute
        self._number_of = {tensor: number for number, group in enumerate(groups) for tensor in group}
        self._results: dict[int, R] = {}

    def of(self, tensor: Tensor) -> R:
        """Return the results of the group that contains `tensor`."""
        number = self._number_of[tensor]
        if number not in self._results:
            while len(self._results) >= KEPT:
                del self._results[next(iter(self._results))]
            self._results[number] = self._compute(self.groups[number])
        self._results[number] = self._results.pop(number)  # the last one used comes last
        return self._results[number]

    def release(self) -> None:
        """Release the memory of all results."""
        self._results.clear()

    def view(self, tensors: Iterable[Tensor], part: Callable[[R], Mapping[Tensor, V]]) -> Mapping[Tensor, V]:
        """Return one part of the results as a mapping of `tensors`."""
        return _GroupView(self, dict.fromkeys(tensors), part)


class _GroupView(Mapping[Tensor, V], Generic[R, V]):
    def __init__(
        self, groups: TensorGroups[R], tensors: Mapping[Tensor, None], part: Callable[[R], Mapping[Tensor, V]]
    ) -> None:
        self._groups, self._tensors, self._part = groups, tensors, part

    def __getitem__(self, tensor: Tensor) -> V:
        if tensor not in self._tensors:
            raise KeyError(tensor)
        return self._part(self._groups.of(tensor))[tensor]

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __contains__(self, tensor: object) -> bool:
        return tensor in self._tensors
