"""Locks, caches and lazy attributes that hold for several threads, and in a forked process.

After `os.fork()` the child has a copy of every lock, but only one thread: a lock that another thread held stays locked
for ever. So locks here are made anew in the child, and objects may ask to be told (`in_child`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from threading import Lock, RLock
from typing import Any, Generic, Self, TypeVar, TypeVarTuple, overload
from weakref import WeakKeyDictionary

T = TypeVar("T")
O = TypeVar("O")
Args = TypeVarTuple("Args")

_owners: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def in_child(owner: O, action: Callable[[O], None]) -> None:
    """Has `action(owner)` called in every forked process, as long as `owner` lives; one action for each owner."""
    _owners[owner] = action


class ForkLock:
    """A mutex that is free in a forked process: `with it.lock: ...`. A thread may take it again where `reentrant`.

    What it protects must be usable at any moment at which another thread may fork, or be made anew in the child.
    """

    __slots__ = ("__weakref__", "_make", "lock")

    def __init__(self, *, reentrant: bool = True) -> None:
        self._make: Callable[[], Any] = RLock if reentrant else Lock
        self._renew()
        in_child(self, _renew)

    def _renew(self) -> None:
        self.lock = self._make()

    def held_over_forks(self) -> Self:
        """Has forks wait until no other thread holds it: for state that no child could use half changed.

        Of two such locks, who needs both takes the one that was made first, first.
        """
        _waited_for.append(self)
        return self


_waited_for: list[ForkLock] = []
_taken: list[Any] = []


def _before_fork() -> None:
    for mutex in _waited_for:
        lock = mutex.lock
        lock.acquire()
        _taken.append(lock)


def _after_fork() -> None:
    while _taken:
        _taken.pop().release()


def _in_child() -> None:
    _taken.clear()
    for owner, action in list(_owners.items()):
        action(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _renew(mutex: ForkLock) -> None:
    mutex._renew()


importing = ForkLock().held_over_forks()
"""For whoever imports modules when they are first needed: Python lets two threads, of which one imports a package and
the other a module of it, see half of both."""


def locked_cache(mutex: ForkLock | None = None) -> Callable[[Callable[[*Args], T]], Callable[[*Args], T]]:
    """As `functools.cache`, for positional arguments, but each result is made only once, whatever threads ask for it.

    Functions that need each other's results and are called in different orders have to share a `mutex`.
    """

    def decorate(function: Callable[[*Args], T]) -> Callable[[*Args], T]:
        results: dict[tuple[Any, ...], T] = {}
        making = mutex or ForkLock()

        @wraps(function)
        def cached(*args: *Args) -> T:
            if args not in results:
                with making.lock:
                    if args not in results:
                        results[args] = function(*args)
            return results[args]

        return cached

    return decorate


class lazy(Generic[T]):
    """As `functools.cached_property`, without the lock that this has in Python 3.11: one for all objects of a class,
    it would stay locked in a process that was forked meanwhile. Threads may compute the value twice, but get the same.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make, self.__doc__ = make, make.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T: ...
    def __get__(self, owner: object | None, kind: type) -> Self | T:
        if owner is None:
            return self
        value: T = owner.__dict__.setdefault(self.name, self.make(owner))
        return value
