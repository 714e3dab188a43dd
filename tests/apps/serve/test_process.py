"""A real server process: connections, signals and the command line."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opsin.apps.cli.main import run
from opsin.base import optional
from opsin.base.errors import OpsinError
from tests.apps.serve.servers import image_file
from tests.model.networks import small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "small.opsin"
    small_model().save(path)
    return path


@contextmanager
def process(*arguments: Any, before: str = "") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server on a free port."""
    code = f"{before or 'pass'}; from opsin.apps.cli.main import main; main()"
    command = [sys.executable, "-u", "-W", "error", "-c", code, "serve", *map(str, arguments), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None and server.stderr is not None
        line = server.stdout.readline()
        match = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert match, line + server.stderr.read()
        yield server, int(match[1])
    finally:
        server.kill()
        server.communicate()  # returns when the process that speaks HTTP has closed its standard error, too


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def post(body: bytes, length: int | None = None) -> bytes:
    return b"POST /v1/predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (length or len(body)) + body


def receive(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection, or until the answer is complete."""
    data = b""
    while True:
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            return data
        data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if not chunk or (length and len(body) >= int(length[1])):
            return data


SHORT_LIMITS = (
    "from opsin.apps.serve import limits; "
    "limits.Limits.__init__.__defaults__ = tuple(1.0 if d == 10.0 else d for d in limits.Limits.__init__.__defaults__)"
)
"""One second for headers."""


def test_a_process_answers_and_ends_gracefully(model: Path) -> None:
    with process(model, "--max-connections", 8, before=SHORT_LIMITS) as (server, port):
        with connect(port) as client:
            for _ in range(3):  # on one connection
                client.sendall(post(image_file()))
                answer = receive(client)
                assert answer.startswith(b"HTTP/1.1 200 OK") and b'"model":"small"' in answer

        with connect(port) as client:  # the answer arrives although the body is never read whole
            client.sendall(post(b"z" * 10**6, 2 * 10**9))
            assert receive(client).startswith(b"HTTP/1.1 413 ")
        with connect(port) as client:  # it may send all that it wants to before it reads the answer
            client.sendall(b"GET / HTTP/1.1\r\nx: " + b"y" * 2**24)
            assert receive(client).startswith(b"HTTP/1.1 431 ")
        for nonsense in (b"\x16\x03\x01\0\0nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 65 + b"\r\n"):
            with connect(port) as client:
                client.sendall(nonsense)
                assert receive(client).startswith(b"HTTP/1.1 400 ")

        started = time.monotonic()
        with connect(port) as client:  # headers that do not end
            client.sendall(b"GET / HTTP/1.1\r\nx: y\r\n")
            assert receive(client) == b"" and 0.5 < time.monotonic() - started < 20

        idle = [connect(port) for _ in range(12)]  # more than there may be: the first ones give way
        with connect(port) as client:
            client.sendall(post(image_file()))
            assert receive(client).startswith(b"HTTP/1.1 200 ")
        assert receive(idle[0]) == b""
        for each in idle:
            each.close()

        body = image_file(1)  # a request that is under way when the server is asked to end
        with connect(port) as client:
            client.sendall(post(body)[:-10])
            time.sleep(0.3)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(body[-10:])
            assert receive(client).startswith(b"HTTP/1.1 200 ")
        out, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, "") and "ended; every request was answered" in out
        with pytest.raises(OSError):
            connect(port)


def test_a_replaced_file_is_served_without_a_lost_request(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.opsin"
    path.write_bytes(model.read_bytes())
    with process(path) as (server, port):
        statuses, answers, stop = set[bytes](), set[str](), threading.Event()

        def ask() -> None:
            with connect(port) as client:
                while not stop.is_set():
                    client.sendall(post(image_file()))
                    head, _, body = receive(client).partition(b"\r\n\r\n")
                    statuses.add(head[:15])
                    answers.add(json.dumps(json.loads(body)["results"]))

        clients = [threading.Thread(target=ask) for _ in range(3)]
        for each in clients:
            each.start()
        small_model(9).save(path)
        assert server.stdout is not None and "small was replaced" in server.stdout.readline()
        time.sleep(0.2)
        stop.set()
        for each in clients:
            each.join()
        assert statuses == {b"HTTP/1.1 200 OK"} and len(answers) == 2
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=30)
        assert (server.returncode, err) == (0, "") and "ended" in out


def test_a_process_ends_when_the_other_one_dies(model: Path) -> None:
    with process(model) as (server, port):
        (front,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        os.kill(int(front), signal.SIGKILL)
        _, err = server.communicate(timeout=30)
        assert server.returncode == 1 and "the process that speaks HTTP has ended with code -9" in err
        with pytest.raises(OSError):
            connect(port)


def test_bad_arguments_are_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("short")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases = {
            ("missing.opsin",): "missing.opsin: there is no such file",
            (str(model), "--port", str(taken.getsockname()[1])): "give another address",
            (str(model), "--token-file", str(token)): "has at least 16 characters",
            (str(model), "--token-file", str(tmp_path / "none")): "cannot be read: No such file or directory",
            (str(model), "--precision", "int3"): "int3",
            (str(model), "--precision", "int8"): "has no ranges for 8-bit integers",
            (str(model), "--max-connections", "100000000"): "open files; give at most",
        }
        for arguments, text in cases.items():
            assert run(["serve", *arguments]) != 0
            assert text in capsys.readouterr().err, arguments

    def missing(module: str, error: type[OpsinError], text: str) -> Any:
        return optional.require("no_such_library", error, text)

    monkeypatch.setattr("opsin.apps.cli.serve.require", missing)
    assert run(["serve", str(model)]) == 2
    assert "pip install 'opsin[serve]'" in capsys.readouterr().err


def test_other_commands_do_not_load_the_server() -> None:
    code = (
        "import sys; from opsin.apps.cli.main import run; run(['serve', '--help']); "
        "print({'starlette', 'uvicorn', 'httptools'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.endswith("set()\n")
