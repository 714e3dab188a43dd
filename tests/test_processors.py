"""The number of threads follows affinity and the CPU quota of cgroups, wherever they are mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from opsin.apps.benchmark import report
from opsin.backends.native import compile_workers, program
from opsin.base import processors as module
from opsin.base.processors import cpu_quota, processors
from opsin.data import parallel

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1 = "sys/fs/cgroup/cpu,cpuacct"


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(16)), raising=False)


def system(root: Path, cgroup: str, mounts: str, **files: str) -> Path:
    """A root folder with these contents of /proc, and files by their paths below it."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup + "\n")
    (root / "proc/self/mountinfo").write_text("23 1 8:1 / / rw - ext4 /dev/root rw\n" + mounts + "\n")
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content + "\n")
    return root


def v1(folder: str, quota: str, period: str = "100000") -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("200000 100000", 2), ("max 100000", 16), ("150000 100000", 2), ("50000 100000", 1), ("1000 100000", 1),
        ("100000 100000", 1), ("20000 10000", 2), ("3200000 100000", 16), ("100001 100000", 2), ("", 16), ("0 0", 16),
        ("-1 100000", 16), ("200000 0", 16), ("nonsense", 16), ("2e5 1e5", 16), ("1 2 3", 16), ("\x00\xff", 16),
    ],
)  # fmt: skip
def test_a_quota_of_version_2(tmp_path: Path, text: str, count: int) -> None:
    files = {"sys/fs/cgroup/app/cpu.max": text}
    assert processors(system(tmp_path, "0::/app", V2_MOUNT, **files)) == count


@pytest.mark.parametrize(
    ("quota", "period", "count"),
    [("200000", "100000", 2), ("-1", "100000", 16), ("150000", "100000", 2), ("25000", "50000", 1), ("x", "100000", 16),
     ("200000", "", 16), ("", "", 16), ("400000", "0", 16)],
)  # fmt: skip
def test_a_quota_of_version_1(tmp_path: Path, quota: str, period: str, count: int) -> None:
    root = system(tmp_path, "5:memory:/x\n4:cpu,cpuacct:/app", V1_MOUNT, **v1(f"{V1}/app", quota, period))
    assert processors(root) == count


def test_the_smallest_quota_of_all_ancestors_counts(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/a/b/c/cpu.max": "max 100000",
        "sys/fs/cgroup/a/b/cpu.max": "800000 100000",
        "sys/fs/cgroup/a/cpu.max": "300000 100000",
    }
    assert processors(system(tmp_path, "0::/a/b/c", V2_MOUNT, **files)) == 3
    assert cpu_quota(tmp_path) == 3.0


def test_the_smallest_quota_of_version_1(tmp_path: Path) -> None:
    files = v1(f"{V1}/a/b", "-1") | v1(f"{V1}/a", "500000") | v1(V1, "-1")
    assert processors(system(tmp_path, "1:cpu,cpuacct:/a/b", V1_MOUNT, **files)) == 5


def test_other_cgroups_do_not_count(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/other/cpu.max": "100000 100000", "sys/fs/cgroup/app/below/cpu.max": "100000 100000"}
    assert processors(system(tmp_path, "0::/app", V2_MOUNT, **files)) == 16


def test_within_a_cgroup_namespace(tmp_path: Path) -> None:
    """As in a container that sees its own cgroup as the outermost."""
    assert processors(system(tmp_path, "0::/", V2_MOUNT, **{"sys/fs/cgroup/cpu.max": "200000 100000"})) == 2


def test_a_mount_of_the_own_cgroup_alone(tmp_path: Path) -> None:
    """As Docker mounts version 1 without a namespace: the path is the host's, the mount holds nothing but it."""
    mount = V1_MOUNT.replace(" / /sys", " /docker/5f /sys")
    assert processors(system(tmp_path, "4:cpu,cpuacct:/docker/5f", mount, **v1(V1, "200000"))) == 2


def test_below_a_mounted_cgroup(tmp_path: Path) -> None:
    mount = V1_MOUNT.replace(" / /sys", " /docker/5f /sys")
    files = v1(f"{V1}/job", "400000") | v1(V1, "700000")
    assert processors(system(tmp_path, "4:cpu,cpuacct:/docker/5f/job", mount, **files)) == 4


@pytest.mark.parametrize("cgroup", ["0::/../../host/job", "0::/not/mounted/here", "0::/.."])
def test_a_cgroup_that_cannot_be_seen(tmp_path: Path, cgroup: str) -> None:
    """Only what is mounted outermost can concern it."""
    mount = V2_MOUNT.replace(" / /sys", " /docker/5f /sys")
    assert processors(system(tmp_path, cgroup, mount, **{"sys/fs/cgroup/cpu.max": "300000 100000"})) == 3


def test_the_own_path_is_the_hosts_and_the_mount_a_namespaces(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    assert processors(system(tmp_path, "0::/system.slice/docker-5f.scope", V2_MOUNT, **files)) == 2


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    mounts = V1_MOUNT + "\n" + V2_MOUNT.replace("/sys/fs/cgroup ", "/sys/fs/cgroup/unified ")
    root = system(tmp_path, "4:cpu,cpuacct:/app\n1:name=systemd:/x\n0::/app", mounts, **v1(f"{V1}/app", "200000"))
    assert processors(root) == 2


@pytest.mark.parametrize("controllers", ["cpu", "cpuacct,cpu", "cpu,cpuacct"])
def test_controllers_in_any_order_and_mounted_anywhere(tmp_path: Path, controllers: str) -> None:
    mount = f"40 31 0:29 / /mnt/my\\040cgroups rw master:1 shared:7 - cgroup none rw,{controllers}"
    root = system(tmp_path, f"7:{controllers}:/app", mount, **v1("mnt/my cgroups/app", "300000"))
    assert processors(root) == 3


@pytest.mark.parametrize("controllers", ["cpuset", "cpuacct", "memory", "name=cpu"])
def test_other_controllers_have_no_quota(tmp_path: Path, controllers: str) -> None:
    mount = f"40 31 0:29 / /sys/fs/cgroup/x rw - cgroup cgroup rw,{controllers}"
    assert processors(system(tmp_path, f"7:{controllers}:/app", mount, **v1("sys/fs/cgroup/x/app", "100000"))) == 16


def test_colons_in_a_cgroups_name(tmp_path: Path) -> None:
    assert processors(system(tmp_path, "0::/a:b", V2_MOUNT, **{"sys/fs/cgroup/a:b/cpu.max": "200000 100000"})) == 2


def test_affinity_below_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 6}, raising=False)
    root = system(tmp_path, "0::/app", V2_MOUNT, **{"sys/fs/cgroup/app/cpu.max": "800000 100000"})
    assert processors(root) == 3


@pytest.mark.parametrize("known", [None, 1, 8])
def test_without_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: int | None) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: known)
    assert processors(tmp_path) == (known or 1)


@pytest.mark.parametrize(
    "content", ["", "\n\n", "0", "0::", "::", "nonsense", "0::/\0", "4:cpu", "a b c - cgroup2", " - "]
)
def test_files_of_another_form(tmp_path: Path, content: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    for cgroup, mounts in ((content, V2_MOUNT), ("0::/app", content), (content, content)):
        (tmp_path / "proc/self/cgroup").write_text(cgroup)
        (tmp_path / "proc/self/mountinfo").write_text(mounts)
        assert processors(tmp_path) == 16


def test_folders_in_place_of_files(tmp_path: Path) -> None:
    for path in ("proc/self/cgroup", "proc/self/mountinfo"):
        (tmp_path / path).mkdir(parents=True)
    assert processors(tmp_path) == 16
    other = system(tmp_path / "other", "0::/app", V2_MOUNT)
    (other / "sys/fs/cgroup/app/cpu.max").mkdir(parents=True)
    assert processors(other) == 16


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 1 <= processors() <= (os.cpu_count() or 1)


def test_everything_that_starts_threads_uses_this_count() -> None:
    """No other file counts processors, and these use what is counted here."""
    folder = Path(module.__file__).parents[1]
    counting = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if any(word in path.read_text() for word in ("cpu_count", "sched_getaffinity", "ThreadPoolExecutor()"))
    ]
    assert counting == ["base/processors.py"]
    for user in (parallel, program, report, compile_workers):
        assert user.processors is processors  # type: ignore[attr-defined]


def test_importing_it_is_cheap() -> None:
    program = "import sys; import opsin.base.processors; print('numpy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout == "False\n"
