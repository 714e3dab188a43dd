"""Standard streams that are full, closed, broken, or not UTF-8: a line and an exit code, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from opsin.apps.cli.streams import readable
from tests.apps.cli.test_process import ENVIRONMENT
from tests.model.networks import small_model

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full and a shell")

OPSIN = f"{sys.executable} -m opsin"
FULL = "Error: the output cannot be written: No space left on device; free some space, or send it elsewhere\n"


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `command` does, with $OPSIN for the command line; its output is read as UTF-8."""
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, env={**ENVIRONMENT, "OPSIN": OPSIN, **environment}
    )
    err = result.stderr.decode()
    assert "Traceback" not in err and "Exception ignored" not in err
    return subprocess.CompletedProcess(command, result.returncode, result.stdout.decode(errors="replace"), err)


@pytest.mark.parametrize(
    "arguments",
    ["describe lenet5", "describe lenet5 --json", "--version", "--help", "train --help", "", "data", "runs"],
)
def test_a_full_disk_is_reported_in_a_line(arguments: str, tmp_path: Path) -> None:
    result = shell(f"cd {tmp_path}; $OPSIN {arguments} > /dev/full")
    assert (result.returncode, result.stderr) == (1, FULL)


@pytest.mark.parametrize(
    ("redirection", "arguments", "code"),
    [
        (">&-", "describe lenet5", 0),
        ("2>&-", "describe lenet5", 0),
        ("<&-", "describe lenet5", 0),
        (">&- 2>&- <&-", "describe lenet5", 0),
        (">&-", "--version", 0),
        ("2>&-", "describe nothing", 2),
        ("2>/dev/full", "describe nothing", 2),
        ("2>/dev/full", "describe lenet5", 0),
        (">/dev/full 2>/dev/full", "describe lenet5", 1),
        (">/dev/full 2>&-", "describe lenet5", 1),
        (">&- 2>&- <&-", "nothing", 2),
    ],
)
def test_a_command_does_its_work_without_streams(redirection: str, arguments: str, code: int) -> None:
    assert shell(f"$OPSIN {arguments} {redirection}").returncode == code


def test_a_file_written_without_streams_is_complete(tmp_path: Path) -> None:
    """The first file that is opened would else be standard output itself."""
    for redirection in ("", ">&- 2>&- <&-"):
        assert (
            shell(f"cd {tmp_path}; $OPSIN describe lenet5 --diagram a{len(redirection)}.svg {redirection}").returncode
            == 0
        )
    assert (tmp_path / "a0.svg").read_bytes() == (tmp_path / "a12.svg").read_bytes()


@pytest.mark.parametrize("arguments", ["describe resnet152", "train --help", "--version"])
def test_a_reader_that_closes_the_pipe_is_no_error(arguments: str) -> None:
    result = shell(f"$OPSIN {arguments} | true; exit ${{PIPESTATUS[0]}}")
    assert (result.returncode, result.stdout, result.stderr) == (141, "", "")


def test_standard_input_without_an_image(tmp_path: Path) -> None:
    shell(f"cd {tmp_path}; $OPSIN train digits --network lenet5 --epochs 1 --no-report --out m.opsin")
    closed = shell(f"$OPSIN predict {tmp_path}/m.opsin - <&-")
    assert closed.returncode == 1
    assert closed.stderr == (
        "Error: standard input is closed; pipe an image into the command, or name a file instead of -\n"
    )
    endless = shell(f"$OPSIN predict {tmp_path}/m.opsin - < /dev/zero")
    assert endless.returncode == 1
    assert "images of up to 128 MiB are read" in endless.stderr
    unreadable = shell(f"$OPSIN predict {tmp_path}/m.opsin - 0> {tmp_path}/out")
    assert unreadable.stderr == (
        "Error: standard input cannot be read: Bad file descriptor; name a file instead of -\n"
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-16", "koi8-r"])
def test_any_encoding_can_be_written(encoding: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "opsin", "describe", "lenet5"],
        capture_output=True, env={**ENVIRONMENT, "PYTHONIOENCODING": encoding}, check=True,
    )  # fmt: skip
    first = result.stdout.decode(encoding).splitlines()[0]
    assert first in ("lenet5: 1 × 28 × 28 images, 10 classes", "lenet5: 1 x 28 x 28 images, 10 classes")
    for arguments in ("--help", "train --help"):
        assert shell(f"$OPSIN {arguments}", PYTHONIOENCODING=encoding).returncode == 0


def test_ascii_is_readable_and_json_stays_json(tmp_path: Path) -> None:
    assert readable(UnicodeEncodeError("ascii", "a×…é", 1, 4, "")) == ("x...\\xe9", 4)
    with pytest.raises(UnicodeDecodeError):
        readable(UnicodeDecodeError("ascii", b"\xff", 0, 1, ""))
    result = shell("$OPSIN describe lenet5", PYTHONIOENCODING="ascii")
    assert result.stdout.isascii() and "6 x 28 x 28" in result.stdout
    Image.new("L", (9, 9)).save(tmp_path / "Größe.txt", "PNG")
    small_model().save(tmp_path / "m.opsin")
    result = shell(f"cd {tmp_path}; $OPSIN predict m.opsin Größe.txt --json", PYTHONIOENCODING="ascii")
    assert result.stdout.isascii()
    assert json.loads(result.stdout)[0]["image"] == "Größe.txt"


def test_a_plain_terminal_gets_plain_text() -> None:
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        result = subprocess.run(
            [sys.executable, "-c", code, *OPSIN.split(), "describe", "lenet5"],
            capture_output=True, stdin=subprocess.DEVNULL, env={**ENVIRONMENT, "TERM": "xterm", name: value},
        )  # fmt: skip
        assert b"lenet5: 1" in result.stdout
        assert b"\x1b" not in result.stdout


def test_a_user_without_a_home_can_work(tmp_path: Path) -> None:
    result = shell("$OPSIN describe lenet5 --plan", HOME="relative", XDG_CACHE_HOME="", OPSIN_CACHE="")
    assert result.returncode == 0
