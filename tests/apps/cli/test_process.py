"""What only a process of its own can show: standard input, Ctrl-C, terminals, imports, time to start."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import opsin
from tests.data.files import write_stripes

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error"}
COMMAND = (sys.executable, "-m", "opsin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes", 10, side=28)


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    opsin.train("lenet5", folder, epochs=8, batch=8, out=folder / "m.opsin")
    return folder / "m.opsin"


def call(*arguments: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=ENVIRONMENT)


def test_warnings_are_printed_without_source_lines(model: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    process_result = subprocess.run(
        [*COMMAND, "predict", str(model), str(folder / "standing" / "4.png")],
        capture_output=True,
        text=True,
        env={**ENVIRONMENT, "PYTHONWARNINGS": "default", "OPSIN_CACHE": str(tmp_path / "file" / "cache")},
    )
    assert process_result.returncode == 0
    assert process_result.stderr == (
        f"Warning: compiled code cannot be saved in {tmp_path}/file/cache/kernels: Not a directory; "
        "set OPSIN_CACHE to a folder that can be written, or the next start compiles again\n"
    )


def test_an_image_on_standard_input(model: Path, folder: Path) -> None:
    process_result = call("predict", model, "-", "--json", stdin=(folder / "standing" / "4.png").read_bytes())
    assert (process_result.returncode, process_result.stderr) == (0, b"")
    (result,) = json.loads(process_result.stdout)
    assert (result["image"], result["label"]) == ("standard input", "standing")
    process_result = call("predict", model, "-", stdin=b"no image")
    assert (process_result.returncode, process_result.stdout) == (1, b"")
    assert process_result.stderr.startswith(b"Error: standard input is not an image but text")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
def test_ctrl_c_ends_training_with_a_usable_model(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "train", "digits", "--epochs", "1000", "--run", str(tmp_path / "run")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True,
    )  # fmt: skip
    assert process.stdout
    lines = []
    while not lines or not lines[-1].startswith("epoch"):
        lines.append(process.stdout.readline())
        assert lines[-1], process.communicate(timeout=30)[1]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "Stopped in epoch" in out
    assert f"opsin train --resume {tmp_path / 'run'}" in out
    model = opsin.load(tmp_path / "run" / "model.opsin")
    assert model.record["ended"] == "interrupted"
    assert model.evaluate(opsin.data.load("digits").test).accuracy > 0.3


def test_import_opsin_loads_nothing_heavy() -> None:
    code = (
        "import sys, opsin; print(*sorted({'numpy', 'llvmlite', 'PIL', 'typer', 'rich', 'torch'} & sys.modules.keys()))"
    )
    process_result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, text=True, check=True
    )
    assert process_result.stdout == "\n"
    assert set(opsin.__all__) <= set(dir(opsin))
    for name in opsin.__all__:
        assert getattr(opsin, name) is not None
    with pytest.raises(AttributeError, match="module 'opsin' has no attribute 'fit'"):
        opsin.fit  # noqa: B018


def test_help_loads_no_command() -> None:
    code = "import sys; from opsin.apps.cli.main import run; run(['predict']); print('numpy' in sys.modules)"
    process_result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, text=True, check=True
    )
    assert process_result.stdout == "False\n"


def test_predict_answers_quickly(model: Path, folder: Path) -> None:
    image = folder / "lying" / "0.png"
    call("predict", model, image)

    def seconds() -> float:
        begin = time.perf_counter()
        assert call("predict", model, image).returncode == 0
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(3)) < 1.5  # 0.5 s on an idle machine; tests share theirs


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_has_a_bar(folder: Path, tmp_path: Path) -> None:
    import pty

    parent, child = pty.openpty()
    process = subprocess.Popen(
        [
            *COMMAND, "train", str(folder), "--network", "lenet5", "--epochs", "40", "--batch", "4",
            "--run", str(tmp_path / "run"), "--no-report",
        ],
        stdout=child, stderr=child, env={**ENVIRONMENT, "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:  # Linux's way to say that the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(parent)
    assert process.wait() == 0
    text = shown.decode()
    assert "━" in text
    assert "images/s" in text
    assert " left" in text
    assert text.count("validation ") <= 14 + 2
    assert "\x1b[1m" in text


def test_a_closed_pipe_gives_no_traceback(model: Path) -> None:
    process_result = subprocess.run(
        f"{sys.executable} -m opsin describe {model} --json | head -n 1",
        shell=True,
        capture_output=True,
        env=ENVIRONMENT,
    )
    assert process_result.stdout == b"{\n"
    assert b"Traceback" not in process_result.stderr
