"""What a connection writes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.apps.serve.servers import run

from opsin.apps.serve import lingering  # isort: skip  (after the check for uvicorn)
from opsin.apps.serve.connections import JoinedWrites  # isort: skip
from opsin.apps.serve.lingering import Lingering  # isort: skip


class Recorder:
    """A transport that records its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def write(self, data: bytes) -> None:
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.calls


def test_two_writes_are_sent_together_and_one_alone_soon() -> None:
    async def test() -> None:
        recorder = Recorder()
        transport = JoinedWrites(recorder, asyncio.get_running_loop(), Recorder.close)  # type: ignore[arg-type]
        transport.write(b"head ")
        transport.write(b"body")
        assert recorder.calls == [b"head body"]
        transport.write(b"")
        transport.write(b"alone")
        await asyncio.sleep(0)
        assert recorder.calls == [b"head body", b"alone"] and not transport.is_closing()
        transport.write(b"last")
        transport.close()
        transport.write(b"too late")
        await asyncio.sleep(0)
        assert recorder.calls == [b"head body", b"alone", b"last", "closed"]
        transport.close()
        assert recorder.calls[-2:] == ["closed", "closed"]

    run(test())


def test_the_end_of_a_connection_may_be_delayed_once() -> None:
    async def test() -> None:
        recorder, ended = Recorder(), list[Any]()
        transport = JoinedWrites(recorder, asyncio.get_running_loop(), ended.append)  # type: ignore[arg-type]
        transport.write(b"answer")
        transport.close()
        assert recorder.calls == [b"answer"] and ended == [recorder] and transport.is_closing()
        transport.close()
        assert recorder.calls == [b"answer", "closed"]

    run(test())


class Answering(asyncio.Protocol):
    """Answers whatever arrives, and ends the connection."""

    def __init__(self) -> None:
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"answer")
        Lingering(self.transport, self, asyncio.get_running_loop())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@pytest.mark.parametrize("is_patient", [True, False])
def test_a_client_may_send_on_for_a_time_and_read_its_answer(is_patient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 60 if is_patient else 0.05)

    async def test() -> None:
        answering = Answering()
        listening = await asyncio.get_running_loop().create_server(lambda: answering, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        for _ in range(8 if is_patient else 1):
            writer.write(b"z" * 2**20)
            await writer.drain()
        assert await reader.read() == b"answer"  # and the end
        assert not answering.lost.done()
        if is_patient:
            writer.close()
        async with asyncio.timeout(30):
            assert await answering.lost is None
        writer.close()
        listening.close()

    run(test())
