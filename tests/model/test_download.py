"""Downloads from a local server: complete, interrupted, wrong and impossible ones."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from opsin.base.errors import ModelError, UsageError
from opsin.interop import download
from opsin.interop.download import weights_file
from tests.model.server import Site, serving

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    with serving() as made:
        monkeypatch.setenv("OPSIN_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("OPSIN_MIRROR", made.address + "/")
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        yield made


def folder() -> Path:
    return Path(os.environ["OPSIN_CACHE"]) / "weights"


def failure(name: str) -> str:
    with pytest.raises(ModelError) as caught:
        weights_file(name)
    assert not (folder() / name).exists()
    return str(caught.value)


def test_a_file_is_downloaded_once(site: Site) -> None:
    name = site.add(CONTENT)
    seen: list[tuple[int, int]] = []
    path = weights_file(name, lambda count, total: seen.append((count, total)))
    assert path == folder() / name
    assert path.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert weights_file(name) == path
    assert site.requests == [(name, None)]
    assert [file.name for file in folder().iterdir()] == [name]


def test_a_damaged_file_in_the_cache_is_downloaded_again(site: Site) -> None:
    name = site.add(CONTENT)
    weights_file(name).write_bytes(CONTENT[:-1])
    assert weights_file(name).read_bytes() == CONTENT


def test_a_broken_download_resumes(site: Site) -> None:
    name = site.add(CONTENT)
    site.breaks_after = 300_000
    seen: list[tuple[int, int]] = []
    assert weights_file(name, lambda count, total: seen.append((count, total))).read_bytes() == CONTENT
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]
    assert {total for _, total in seen} == {len(CONTENT)}


def test_a_download_resumes_in_a_later_process(site: Site) -> None:
    name = site.add(CONTENT)
    folder().mkdir(parents=True)
    (folder() / f"{name}.part").write_bytes(CONTENT[:1000])
    assert weights_file(name).read_bytes() == CONTENT
    assert site.requests == [(name, "bytes=1000-")]


def test_a_server_that_breaks_every_connection(site: Site) -> None:
    name = site.add(CONTENT)
    weights = folder() / f"{name}.part"
    folder().mkdir(parents=True)
    weights.write_bytes(CONTENT[:500_000])
    site.breaks_after = 0
    text = failure(name)
    assert text.startswith(f"{site.address}/{name} cannot be downloaded: the connection was lost. 0.5 MB have been")
    assert len(site.requests) == download.MAX_FAILURES
    site.breaks_after = None
    assert weights_file(name).read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [0, 1000, len(CONTENT), len(CONTENT) + 5])
def test_a_server_without_ranges(site: Site, begun: int) -> None:
    name = site.add(CONTENT)
    folder().mkdir(parents=True)
    (folder() / f"{name}.part").write_bytes(bytes(begun))
    site.ranges = False
    assert weights_file(name).read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [bytes(1000), CONTENT, bytes(len(CONTENT)), CONTENT + b"more"])
def test_a_partial_download_of_another_file_is_discarded(site: Site, begun: bytes) -> None:
    name = site.add(CONTENT)
    folder().mkdir(parents=True)
    (folder() / f"{name}.part").write_bytes(begun)
    assert weights_file(name).read_bytes() == CONTENT
    assert [file.name for file in folder().iterdir()] == [name]


def test_a_wrong_range_is_refused(site: Site) -> None:
    name = site.add(CONTENT)
    folder().mkdir(parents=True)
    (folder() / f"{name}.part").write_bytes(CONTENT[:1000])
    site.shift = 10
    assert "the server sent a different part of the file than requested" in failure(name)


def test_a_server_without_content_length(site: Site) -> None:
    name = site.add(CONTENT)
    site.length = False
    seen: list[tuple[int, int]] = []
    assert weights_file(name, lambda count, total: seen.append((count, total))).read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), 0)


def test_content_with_another_hash_is_refused(site: Site) -> None:
    name = site.add(CONTENT)
    site.files[name] = CONTENT[::-1]
    assert failure(name) == (
        f"{site.address}/{name} is not the published file: its SHA-256 does not match its name. "
        "It was deleted; try again, or choose another server with OPSIN_MIRROR"
    )
    assert not list(folder().iterdir())


def test_a_name_without_a_hash_is_never_trusted(site: Site) -> None:
    site.files["tiny.pth"] = CONTENT
    assert "is not the published file" in failure("tiny.pth")


@pytest.mark.parametrize("status, words", [
    (404, "the server has no such file (404)"), (403, "the server responds 'Forbidden' (403)"),
    (503, "the server responds 'Service Unavailable' (503)"),
])  # fmt: skip
def test_a_server_that_refuses(site: Site, status: int, words: str) -> None:
    site.status = status
    assert failure("tiny-00000000.pth") == (
        f"{site.address}/tiny-00000000.pth cannot be downloaded: {words}; check OPSIN_MIRROR, or try later"
    )


def test_a_file_that_never_ends(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 300_000)
    name = site.add(CONTENT)
    assert "is larger than any file of weights" in failure(name)
    assert (folder() / f"{name}.part").stat().st_size <= 300_000 + download.READ_BYTES
    site.length = False
    assert "is larger than any file of weights" in failure(name)


def test_no_network(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSIN_MIRROR", "http://127.0.0.1:9")
    assert failure("tiny-00000000.pth") == (
        "http://127.0.0.1:9/tiny-00000000.pth cannot be downloaded: Connection refused. Connect to the network, set "
        f"OPSIN_MIRROR to another server that has the file, or copy the file to {folder()}"
    )


def test_a_file_put_into_the_cache_by_hand(site: Site) -> None:
    name = site.add(CONTENT)
    folder().mkdir(parents=True)
    (folder() / name).write_bytes(CONTENT)
    assert weights_file(name) == folder() / name
    assert not site.requests


def test_the_official_server_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSIN_MIRROR", raising=False)
    assert download._server() == "https://download.pytorch.org/models"


@pytest.mark.parametrize("mirror", ["file:///etc", "ftp://host", "/a/folder"])
def test_mirrors_are_web_servers(site: Site, monkeypatch: pytest.MonkeyPatch, mirror: str) -> None:
    monkeypatch.setenv("OPSIN_MIRROR", mirror)
    with pytest.raises(UsageError, match=f"OPSIN_MIRROR is '{mirror}', but must begin with https:// or http://"):
        weights_file("tiny-00000000.pth")


def test_a_cache_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("no folder")
    name = site.add(CONTENT)
    with pytest.raises(
        ModelError, match=f"{name} cannot be saved in {folder()}: .*; free space there, or set OPSIN_CACHE"
    ):
        weights_file(name)


FULL_DISK = """
import resource, sys
from opsin.base.errors import ModelError
from opsin.interop.download import weights_file
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    weights_file(sys.argv[1])
except ModelError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of a file's size")
def test_a_full_disk(site: Site) -> None:
    name = site.add(CONTENT)
    result = subprocess.run(
        [sys.executable, "-c", FULL_DISK, name], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert result.stdout == (
        f"{name} cannot be saved in {folder()}: File too large; free space there, or set OPSIN_CACHE to another "
        "folder\n"
    )
    assert weights_file(name).read_bytes() == CONTENT  # when there is space again
    assert hashlib.sha256(CONTENT).hexdigest().startswith(name[5:13])


def test_threads_download_a_file_once(site: Site) -> None:
    name = site.add(CONTENT)
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda _: weights_file(name), range(6)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert site.requests == [(name, None)]


def test_another_process_may_be_done_first(site: Site) -> None:
    name = site.add(CONTENT)

    def other(count: int, total: int) -> None:
        if count == total:
            (folder() / f"{name}.part").rename(folder() / name)

    assert weights_file(name, other).read_bytes() == CONTENT


def test_processes_may_download_a_file_at_once(site: Site) -> None:
    name = site.add(CONTENT * 20)
    command = [sys.executable, "-c", f"from opsin.interop.download import weights_file; weights_file('{name}')"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [other.wait(60) for other in others] == [0, 0, 0]
    assert weights_file(name).read_bytes() == CONTENT * 20
