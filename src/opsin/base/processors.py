"""How many processors this process may use: by the system's count, its affinity, and the CPU quota of its cgroups.

A container that may use 2 of 16 processors still sees all 16. With 16 threads it has spent its share of each period
(a tenth of a second) early, and is stopped until the next one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

V2, V1 = "cgroup2", "cgroup"
"""Types of file systems: the unified hierarchy, and one with named controllers."""


def processors(root: Path = Path("/")) -> int:
    """The number of threads that can run at the same time, at least 1; `root` is where /proc and /sys are looked for.

    A quota of 1.5 processors counts as 2, as two threads get more done in it than one.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, -int(-quota // 1)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The processors' time that this process may take in a unit of time; None where nothing limits it.

    The least of its cgroup's quota and those of all above it, as far as they can be seen here (`cpu.max`, see
    https://docs.kernel.org/admin-guide/cgroup-v2.html; `cpu.cfs_quota_us`, see
    https://docs.kernel.org/scheduler/sched-bwc.html).
    """
    found = [quota for folder, kind in _cgroups(root) if (quota := _quota(folder, kind)) is not None]
    return min(found, default=None)


def _cgroups(root: Path) -> Iterator[tuple[Path, str]]:
    """The folders of this process's cgroups that can limit its time, and of those above them, with their types."""
    groups, mounts = dict(_own_groups(root)), list(_mounts(root))
    for kind, mine in groups.items():
        tops = [(top, at) for each, top, at in mounts if each == kind]
        ways = [(at, mine.relative_to(top)) for top, at in tops if _has(top, mine)]
        # A cgroup outside of what is mounted: of that, only the outermost can concern it.
        for at, way in ways or [(at, PurePosixPath()) for _, at in tops]:
            for part in (way, *way.parents):
                yield root / str(at).lstrip("/") / part, kind


def _own_groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """The types of hierarchies, and where in them this process is: `0::/a/b`, `4:cpu,cpuacct:/a/b`."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield V2, PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            yield V1, PurePosixPath(path)


def _mounts(root: Path) -> Iterator[tuple[str, PurePosixPath, PurePosixPath]]:
    """Of every mounted hierarchy that may hold quotas: its type, which of its folders is mounted, and where (see
    proc_pid_mountinfo(5))."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(" "), after.split(" ")
        if len(fields) > 4 and (kind == V2 or (kind == V1 and rest and "cpu" in rest[-1].split(","))):
            yield kind, _unescaped(fields[3]), _unescaped(fields[4])


def _has(top: PurePosixPath, path: PurePosixPath) -> bool:
    return path.is_relative_to(top) and ".." not in path.relative_to(top).parts


def _unescaped(path: str) -> PurePosixPath:
    """Spaces and the like are written as their code, such as \\040."""
    return PurePosixPath(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), path))


def _quota(folder: Path, kind: str) -> float | None:
    """Of one cgroup: time in a period, divided by the period."""
    names = ["cpu.max"] if kind == V2 else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    try:
        quota, period = (int(word) for name in names for word in _text(folder / name).split())
    except ValueError:  # "max", which is none, or a file that is not there
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    """A file's content; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):  # of which a path with a null character is one
        return ""
