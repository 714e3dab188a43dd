"""Compiled programs of one network, within a limit of memory."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from opsin.backends.base import Program, load_known

MIN_LIMIT = 2**29
"""Bytes that all programs of a network may take together, at least."""
COPIES = 4
"""How often all programs may hold the variables; a program has its own, and may have packed ones."""


class ProgramCache:
    """Programs by key, with the variables of a network loaded.

    Beyond the limit, the programs that were not used for longest are dropped; they are compiled again if they are
    needed, from kernels that are cached. Variables are loaded when a program is next used.
    """

    def __init__(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._programs: dict[Hashable, Program] = {}
        self._loaded: set[Hashable] = set()
        self.load_state(state)

    def load_state(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Use other values of the variables from now on."""
        self.state = state
        self._loaded.clear()

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._programs)

    def get(self, key: Hashable, compiled: Callable[[], Program]) -> Program:
        """Return the program called `key`, which is otherwise the result of `compiled`."""
        program = self._programs.pop(key, None) or compiled()
        self._make_room(program_bytes(program))
        self._programs[key] = program  # the last one used comes last
        if key not in self._loaded:
            load_known(program, self.state)
            self._loaded.add(key)
        return program

    def clear(self) -> None:
        """Release the memory of all programs."""
        for key in list(self._programs):
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        self._programs.pop(key, None)
        self._loaded.discard(key)

    def _make_room(self, needed: int) -> None:
        limit = max(MIN_LIMIT, COPIES * sum(array.nbytes for array in self.state.values()))
        used = needed + sum(program_bytes(program) for program in self._programs.values())
        while self._programs and used > limit:
            key = next(iter(self._programs))
            used -= program_bytes(self._programs[key])
            self._drop(key)


def program_bytes(program: Program) -> int:
    """Return the memory of a program; only the native engine's is known."""
    plan = getattr(program, "plan", None)
    return int(getattr(plan, "bytes", 0))
