"""The number of processors available to this process, from its CPU affinity and the CPU quota of its cgroups.

A container that may use 2 of 16 processors still sees all 16. With 16 threads it uses up its quota early in each period
(a tenth of a second) and is throttled until the next one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

V2, V1 = "cgroup2", "cgroup"
"""File system types of cgroups: the unified hierarchy, and one with named controllers."""


def processors(root: Path = Path("/")) -> int:
    """Return the number of threads that can run at the same time, at least 1; `root` contains /proc and /sys.

    Round a quota of 1.5 processors up to 2, since two threads make better use of it than one.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = cpu_quota(root)
    return max(1, count if quota is None else min(count, -int(-quota // 1)))


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return the CPU time that this process may use per unit of time; None if it is not limited.

    This is the minimum of the quotas of its cgroup and of all visible ancestors (`cpu.max`, see
    https://docs.kernel.org/admin-guide/cgroup-v2.html; `cpu.cfs_quota_us`, see
    https://docs.kernel.org/scheduler/sched-bwc.html).
    """
    quotas = [quota for folder, kind in _cgroups(root) if (quota := _quota(folder, kind)) is not None]
    return min(quotas, default=None)


def _cgroups(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folders of the cgroups that can limit this process, their ancestors included, with their types."""
    mounts = list(_mounts(root))
    for kind, group in dict(_own_groups(root)).items():
        points = [(top, point) for each, top, point in mounts if each == kind]
        paths = [(point, group.relative_to(top)) for top, point in points if _contains(top, group)]
        # If the cgroup is outside of what is mounted, only the outermost folder can apply to it.
        for point, path in paths or [(point, PurePosixPath()) for _, point in points]:
            for folder in (path, *path.parents):
                yield root / str(point).lstrip("/") / folder, kind


def _own_groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the hierarchies and the path of this process in them, from lines like `0::/a/b`, `4:cpu,cpuacct:/a/b`."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            yield V2, PurePosixPath(path)
        elif "cpu" in controllers.split(","):
            yield V1, PurePosixPath(path)


def _mounts(root: Path) -> Iterator[tuple[str, PurePosixPath, PurePosixPath]]:
    """Yield the mounted hierarchies that may have quotas: type, mounted folder and mount point, see
    proc_pid_mountinfo(5).
    """
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *rest) = before.split(" "), after.split(" ")
        if len(fields) > 4 and (kind == V2 or (kind == V1 and rest and "cpu" in rest[-1].split(","))):
            yield kind, _unescaped(fields[3]), _unescaped(fields[4])


def _contains(top: PurePosixPath, path: PurePosixPath) -> bool:
    return path.is_relative_to(top) and ".." not in path.relative_to(top).parts


def _unescaped(path: str) -> PurePosixPath:
    """Replace the escapes of spaces and similar characters, such as \\040."""
    return PurePosixPath(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path))


def _quota(folder: Path, kind: str) -> float | None:
    """Return the quota of one cgroup: CPU time per period, divided by the period."""
    names = ["cpu.max"] if kind == V2 else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    try:
        quota, period = (int(word) for name in names for word in _text(folder / name).split())
    except ValueError:  # "max" is no quota; or there is no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    """Return the content of a file; nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (OSError, ValueError):  # a null character in a path is a ValueError
        return ""
