"""What a connection writes."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.apps.serve.servers import run

from opsin.apps.serve.connections import JoinedWrites  # isort: skip  (after the check for uvicorn)


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
        transport = JoinedWrites(recorder, asyncio.get_running_loop())  # type: ignore[arg-type]
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

    run(test())
