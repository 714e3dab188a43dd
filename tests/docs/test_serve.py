"""docs/serve.md: its commands and its example, with the server on a free port; its limits are those of the code."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import opsin
from tests.docs.markdown import ROOT, code_blocks

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'opsin[serve]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'opsin[serve]'")
pytest.importorskip("httptools", reason="httptools is not installed: pip install 'opsin[serve]'")

from opsin.apps.serve.limits import Limits

PAGE = ROOT / "docs" / "serve.md"
TEXT = PAGE.read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+\.\d+(e-\d+)?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("reader")
    opsin.train("lenet5", opsin.data.load("digits"), epochs=3, seed=0).save(path / "digits.opsin")
    (path / "docs").mkdir()
    for name in ("seven.png", "seven.md"):
        shutil.copy(ROOT / "docs" / name, path / "docs")
    return path


def serve(command: str, folder: Path) -> subprocess.Popen[str]:
    """The server of a command of the page, on a free port."""
    code = "from opsin.apps.cli.main import main; main()"
    arguments = [*command.removeprefix("$ opsin ").split(), "--port", "0"]
    return subprocess.Popen(
        [sys.executable, "-u", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, cwd=folder
    )


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[str, str]]:
    """The first line that the first command prints, and the port."""
    process = serve(code_blocks(PAGE, "console")[0].code.splitlines()[0], folder)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.strip(), line.split("/")[2].split(":")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_commands_print_what_the_page_says(server: tuple[str, str], folder: Path) -> None:
    line, port = server
    first, *requests, with_token = code_blocks(PAGE, "console")
    assert line == first.code.splitlines()[1].replace("8000", port)
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for block in requests:
        command, *expected = block.code.replace("8000", port).splitlines()
        arguments = command.removeprefix("$ ").replace("'", "").split()
        printed = subprocess.run(arguments, cwd=folder, check=True, capture_output=True, text=True, timeout=30).stdout
        # The other probabilities, and with them the second label, depend on the processor.
        assert NUMBER.sub("#", printed)[:200] == NUMBER.sub("#", expected[0])[:200]
    assert "--token-file token" in with_token.code


def test_the_example_runs(
    server: tuple[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    (example,) = code_blocks(PAGE)
    type(example)(PAGE, example.line, example.code.replace("8000", server[1])).run()
    assert capsys.readouterr().out == "7\n"


def test_a_token_from_a_file_works(folder: Path) -> None:
    (folder / "token").write_text("0123456789abcdef0123456789abcdef\n")
    with serve(code_blocks(PAGE, "console")[-1].code.splitlines()[1], folder) as process:
        assert process.stdout is not None and process.stdout.readline().startswith("digits: http")
        process.terminate()
        assert process.wait(30) == 0


def test_the_limits_are_those_of_the_code() -> None:
    limits = Limits()
    rows = {
        "body of a request": f"{limits.body_bytes / 10**6:g} MB",
        "pixels of an image, by its header": f"{limits.pixels:,}",
        "images in a form": f"{limits.images}",
        "time for a body, and then for its answer": f"{limits.seconds:g} s",
        "time for the request line and headers": f"{limits.head_seconds:g} s",
        "request line and headers": f"{limits.head_bytes // 1024} KiB, {limits.headers} headers",
        "open connections": f"{limits.connections:,}",
        "bodies in memory, all together": f"{limits.waiting_bytes / 10**6:g} MB",
        "requests that wait for an answer": f"{limits.requests:,}",
    }
    for name, value in rows.items():
        assert f"\n| {name} | {value} |" in TEXT, name
