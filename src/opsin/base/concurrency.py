"""Locks, caches and lazy attributes that are safe with threads and after a fork.

After `os.fork()` the child has a copy of every lock but only one thread: a lock that another thread held would stay
locked forever. The locks here are therefore recreated in the child, and other objects can register an action
(`in_child`).
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
    """Call `action(owner)` in every forked process as long as `owner` is alive. Each owner has one action."""
    _owners[owner] = action


class ForkLock:
    """A mutex that is free in a forked process: `with mutex.lock: ...`. If `reentrant`, a thread may acquire it twice.

    What it protects must be valid whenever another thread may fork, or be recreated in the child.
    """

    __slots__ = ("__weakref__", "_make", "lock")

    def __init__(self, *, reentrant: bool = True) -> None:
        self._make: Callable[[], Any] = RLock if reentrant else Lock
        self._renew()
        in_child(self, _renew)

    def _renew(self) -> None:
        self.lock = self._make()

    def held_over_forks(self) -> Self:
        """Make forks wait until no other thread holds the lock, for state that must not be half changed in a child.

        Acquire two such locks in the order in which they were created.
        """
        _fork_barriers.append(self)
        return self


_fork_barriers: list[ForkLock] = []
_acquired: list[Any] = []


def _before_fork() -> None:
    for mutex in _fork_barriers:
        lock = mutex.lock
        lock.acquire()
        _acquired.append(lock)


def _after_fork() -> None:
    while _acquired:
        _acquired.pop().release()


def _in_child() -> None:
    _acquired.clear()
    for owner, action in list(_owners.items()):
        action(owner)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _renew(mutex: ForkLock) -> None:
    mutex._renew()


importing = ForkLock().held_over_forks()
"""Hold this lock to import modules on first use: if one thread imports a package and another one a module of it, Python
lets both see half-initialised modules."""


def locked_cache(mutex: ForkLock | None = None) -> Callable[[Callable[[*Args], T]], Callable[[*Args], T]]:
    """Cache results like `functools.cache`, for positional arguments, but compute each only once, also with threads.

    Functions that call each other in different orders must share a `mutex`.
    """

    def decorate(function: Callable[[*Args], T]) -> Callable[[*Args], T]:
        results: dict[tuple[Any, ...], T] = {}
        guard = mutex or ForkLock()

        @wraps(function)
        def cached(*args: *Args) -> T:
            if args not in results:
                with guard.lock:
                    if args not in results:
                        results[args] = function(*args)
            return results[args]

        return cached

    return decorate


class lazy(Generic[T]):
    """A cached property like `functools.cached_property`, without its lock.

    In Python 3.11 all objects of a class share that lock, and it would stay locked in a forked process. Here threads
    may compute the value twice, but all get the same object.
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
