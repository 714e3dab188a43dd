"""Servers in this process, asked without a network."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from opsin.model import Model
from tests.model.networks import small_model

pytest.importorskip("starlette", reason="Starlette is not installed: pip install 'opsin[serve]'")
pytest.importorskip("httptools", reason="httptools is not installed: pip install 'opsin[serve]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'opsin[serve]'")
from opsin.apps.serve.application import Service
from opsin.apps.serve.batching import Batcher
from opsin.apps.serve.limits import Limits
from opsin.apps.serve.messages import Channel, Setup
from opsin.apps.serve.models import ServedModel, open_models, watching


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a thread of its own: browsers in other tests keep an event loop in the main thread."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, test).result()


@dataclass(frozen=True)
class Answer:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.data["error"])


class Client:
    """Asks an ASGI application. A chunk of a body that is a number is a pause in seconds."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def ask(
        self, method: str, path: str, chunks: Sequence[bytes | float] = (), headers: Mapping[str, str] | None = None
    ) -> Answer:
        path, _, query = path.partition("?")
        rest, messages = list(chunks or [b""]), list[Any]()

        async def receive() -> dict[str, Any]:
            while rest and not isinstance(rest[0], bytes):
                await asyncio.sleep(rest.pop(0))  # type: ignore[arg-type]
            if not rest:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest)}

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http", "http_version": "1.1", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "root_path": "", "scheme": "http", "server": ("x", 80), "client": None,
            "headers": [(key.lower().encode(), value.encode()) for key, value in (headers or {}).items()],
        }  # fmt: skip
        await self.application(scope, receive, send)
        if not messages:
            return Answer(0, {}, b"")
        head = {key.decode(): value.decode() for key, value in messages[0]["headers"]}
        return Answer(messages[0]["status"], head, b"".join(each.get("body", b"") for each in messages[1:]))

    async def post(self, body: bytes, path: str = "/v1/predict", **headers: str) -> Answer:
        return await self.ask("POST", path, [body], {key.replace("_", "-"): value for key, value in headers.items()})


class TestedService(Service):
    """A service, and what its other process has: here it is a thread."""

    __test__ = False
    served: dict[str, ServedModel]
    batcher: Batcher


@asynccontextmanager
async def serving(
    models: Sequence[str] = ("small",),
    limits: Limits | None = None,
    token: str | None = None,
    opened: Any = None,
    cores: int = 2,
) -> AsyncIterator[tuple[Client, TestedService]]:
    """A server of small models."""

    def open_model(name: str) -> Model:
        return small_model(seed=len(name)) if opened is None else opened(name)

    lines: list[str] = []
    served, limits = open_models(models, open_model), limits or Limits()
    (jobs, asking), (answers, answering) = os.pipe(), os.pipe()
    channel = Channel(jobs, answering)
    service = TestedService(Setup([each.data for each in served.values()], limits, token), answers, asking)
    service.served, service.batcher = served, Batcher(served, channel, limits, cores, lambda: None)
    computing = threading.Thread(target=service.batcher.run)
    computing.start()
    application = service.application()
    with watching(served.values(), channel.send, lines.append):
        async with application.router.lifespan_context(application):
            yield Client(application), service
    await asyncio.to_thread(computing.join)
    os.close(jobs)
    os.close(answering)


def image_file(seed: int = 0, size: tuple[int, int] = (9, 8), format: str = "PNG") -> bytes:
    """An image file of random grey pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, size[::-1], np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def form(*files: tuple[str, bytes], boundary: str = "x1") -> tuple[bytes, str]:
    """A form with files, and its content type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n'
        f"Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"
