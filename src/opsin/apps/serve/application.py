"""The ASGI application: addresses, the token, errors as JSON, and the page to try it by hand."""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from opsin.apps.serve.bodies import COMPLETE, ClientGoneError, Receive
from opsin.apps.serve.computer import Computer
from opsin.apps.serve.json_text import dumps
from opsin.apps.serve.limits import NO_MEMORY, Refusal
from opsin.apps.serve.messages import Answers, ModelData, Reload, Setup
from opsin.apps.serve.metrics import Metrics
from opsin.apps.serve.openapi import describe
from opsin.apps.serve.page.page import PAGE, PAGE_HEADERS
from opsin.apps.serve.predict import Predictor, Scope, Send, model_data

PREDICT = "/v1/predict"

JSON_HEADERS = {
    "content-type": "application/json; charset=utf-8", "x-content-type-options": "nosniff", "cache-control": "no-store",
}  # fmt: skip


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


RAW_JSON_HEADERS = _raw(JSON_HEADERS)


class Service:
    """Models, their metrics, and what their requests have in common."""

    def __init__(self, setup: Setup, reading: int, writing: int) -> None:
        """Serve models; the process that computes is at the other ends of two pipes."""
        self.models = {data.name: data for data in setup.models}
        self.limits = limits = setup.limits
        self._token = setup.token.encode() if setup.token else None
        self.metrics = Metrics()
        self.computer = Computer(limits, reading, writing, self._receive)
        self.predictor = Predictor(limits, self.computer)
        self.metrics.gauges["opsin_requests_waiting"] = "Requests that wait for an answer.", lambda: self.computer.jobs
        self.metrics.gauges["opsin_body_bytes"] = "Bodies in memory.", lambda: self.predictor.bodies.size

    def application(self) -> Starlette:
        """Return the ASGI application."""
        pages = {
            "/": (self.page, False), "/health": (self.health, False), "/metrics": (self.text_metrics, True),
            "/openapi.json": (self.openapi, False), "/v1/models": (self.list_models, True),
        }  # fmt: skip
        routes: list[Any] = [Route(path, Predict(self)) for path in (PREDICT, "/v1/models/{model}/predict")]
        routes += [Route(path, self._page(*page), methods=["GET"]) for path, page in pages.items()]
        return Application(self, routes)

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        await self.computer.open()
        yield
        self.computer.close()

    def _receive(self, message: Answers | Reload) -> None:
        """Count what the process that computes has done."""
        metrics = self.metrics
        if isinstance(message, Reload):
            metrics.count(metrics.reloads, model=message.name, result=message.result)
            self.models[message.name] = message.data
        elif message.images:
            metrics.observe(metrics.batches, message.images, model=message.model)
            metrics.count(metrics.images, message.images, model=message.model)

    def authorize(self, headers: Mapping[bytes, bytes]) -> None:
        """Raise `Refusal` (401) unless the request has the token. The comparison takes the same time for any token."""
        if self._token is None:
            return
        scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self._token):
            raise Refusal(401, "the token is missing or wrong; send the header Authorization: Bearer TOKEN", CHALLENGE)

    def find(self, name: str | None) -> ModelData:
        """Return a model by name, the first one if there is no name. Raise `Refusal` (404) if there is none."""
        if name is None:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refusal(404, f"there is no model {name[:80]!r}; there are {', '.join(self.models)}")
        return self.models[name]

    def _page(self, answer: Callable[[], Response], is_private: bool) -> Callable[[Request], Awaitable[Response]]:
        async def page(request: Request) -> Response:
            try:
                if is_private:
                    self.authorize(dict(request.scope["headers"]))
                response = answer()
            except Refusal as refusal:
                response = _refused(refusal)
            self.metrics.count(self.metrics.requests, path=request.url.path, status=str(response.status_code))
            return response

        return page

    def page(self) -> Response:
        return Response(PAGE, headers=PAGE_HEADERS)

    def health(self) -> Response:
        return _json({"status": "ok", "models": list(self.models)})

    def text_metrics(self) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    def openapi(self) -> Response:
        return _json(describe(self.models, self.limits, self._token is not None))

    def list_models(self) -> Response:
        return _json({"models": [model_data(data) for data in self.models.values()]})


class Application(Starlette):
    """The routes of a service. Requests about images go straight to `Predict`: routing takes a third of their time."""

    def __init__(self, service: Service, routes: Sequence[Route]) -> None:
        super().__init__(routes=routes, exception_handlers={HTTPException: _http_error}, lifespan=service.lifespan)
        self._predict = Predict(service)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope.get("path") == PREDICT:
            await self._predict(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


CHALLENGE = {"www-authenticate": "Bearer"}


class Predict:
    """The ASGI application of an address that images are posted to. It is an object so that nothing wraps it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, started = self.service, time.perf_counter()
        name = scope.get("path_params", {}).get("model")
        path = PREDICT if name is None else f"/v1/models/{name}/predict"
        try:
            model = service.find(name).name
        except Refusal as refusal:  # an unknown name must not become a label of the metrics
            path = "/v1/models/{model}/predict"
            status = await _refuse(refusal, scope, send)
        else:
            status = await self._answer(model, scope, receive, send)
        if status:
            service.metrics.count(service.metrics.requests, path=path, status=str(status))
            service.metrics.observe(service.metrics.seconds, time.perf_counter() - started, path=path)

    async def _answer(self, model: str, scope: Scope, receive: Receive, send: Send) -> int:
        """Answer a request and return the status; 0 if the client has gone."""
        try:
            if scope["method"] != "POST":
                raise Refusal(405, "images are posted; the page / shows how", {"allow": "POST"})
            self.service.authorize(dict(scope["headers"]))
            body = await self.service.predictor.answer(model, scope, receive)
        except ClientGoneError:
            return 0
        except Refusal as refusal:
            return await _refuse(refusal, scope, send)
        except MemoryError:
            return await _refuse(Refusal(500, NO_MEMORY), scope, send)
        await send({"type": "http.response.start", "status": 200, "headers": _sized(RAW_JSON_HEADERS, body)})
        await send({"type": "http.response.body", "body": body})
        return 200


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> int:
    """Send a refusal, the last answer of a connection whose request is not complete; return the status."""
    body = dumps({"error": refusal.text})
    ending = {} if scope.get(COMPLETE, False) else {"connection": "close"}
    headers = _sized(_raw({**JSON_HEADERS, **refusal.headers, **ending}), body)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
    return refusal.status


def _sized(headers: Sequence[tuple[bytes, bytes]], body: bytes) -> list[tuple[bytes, bytes]]:
    return [*headers, (b"content-length", str(len(body)).encode())]


def _json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(dumps(data), status, {**JSON_HEADERS, **(headers or {})})


def _refused(refusal: Refusal) -> Response:
    return _json({"error": refusal.text}, refusal.status, refusal.headers)


async def _http_error(request: Request, error: Exception) -> Response:
    """Return an error of the router, such as an unknown address, as JSON."""
    assert isinstance(error, HTTPException)
    text = "there is no such address; the page / shows what there is" if error.status_code == 404 else error.detail
    return _json({"error": text}, error.status_code, error.headers)
