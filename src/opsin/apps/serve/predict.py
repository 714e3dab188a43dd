"""The answer to a POST request: its images, checked and sent to the process that computes, and what that says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qs

from opsin.apps.serve.bodies import COMPLETE, Bodies, Receive
from opsin.apps.serve.computer import Computer
from opsin.apps.serve.limits import Limits, Refusal
from opsin.apps.serve.messages import ModelData
from opsin.apps.serve.multipart import parse_form

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FORM = "multipart/form-data"

ACCEPTED_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded", "binary/octet-stream", FORM)
"""Content types of images besides image/*. The third is what curl calls the bytes of a file."""

MAX_NAME = 200
"""Characters of a file's name that an answer repeats."""


class Predictor:
    """Answers requests about images."""

    def __init__(self, limits: Limits, computer: Computer) -> None:
        self.limits, self.computer = limits, computer
        self.bodies = Bodies(limits)

    async def answer(self, model: str, scope: Scope, receive: Receive) -> bytes:
        """Return the answer of a model as JSON. Raise `Refusal` for a request that has none."""
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        check_type(content_type)
        top = _top(scope["query_string"])
        with ExitStack() as stack:
            upload = stack.enter_context(self.bodies.upload())
            body = await self.bodies.read(receive, headers, upload, scope.get(COMPLETE, False))
            images = self._images(body, content_type)
            answer = self.computer.ask(model, images, top, stack.pop_all().close)
        del body, images
        _, status, content = await answer
        if status != 200:
            raise Refusal(status, content.decode())
        return content

    def _images(self, body: bytes, content_type: str) -> list[tuple[str, bytes]]:
        """Return the name and the bytes of each image of a request."""
        if content_type[: len(FORM)].lower() != FORM:
            images = [("image", body)]
        else:
            parts = [part for part in parse_form(body, content_type) if part.filename is not None]
            images = [((part.filename or "image")[:MAX_NAME], part.content) for part in parts]
            if not images:
                raise Refusal(400, "the form has no file; send the image as a file, such as curl -F image=@photo.jpg")
        if len(images) > self.limits.images:
            raise Refusal(413, f"the form has {len(images)} images; send at most {self.limits.images} at once")
        if not images[0][1] and len(images) == 1:
            raise Refusal(400, "the body is empty; send the bytes of an image")
        return images


def check_type(content_type: str) -> None:
    """Raise `Refusal` (415) unless a body of this type may be an image."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind.startswith("image/") and kind not in ACCEPTED_TYPES:
        raise Refusal(415, f"a body of the type {kind[:80]!r} is no image; send the bytes of an image, or a form")


def _top(query: bytes) -> int | None:
    """Return the number of labels that the address asks for, if any; raise `Refusal` (400) if it is none."""
    if not query:
        return None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    top = values.pop("top", None)
    if values:
        raise Refusal(400, f"there is no parameter {min(values)[:80]!r}; there is top, the number of labels")
    if top is None:
        return None
    text = top[-1]
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 10**6:
        raise Refusal(400, f"top is a number of labels from 1, not {text[:80]!r}")
    return int(text)


def model_data(data: ModelData) -> Mapping[str, Any]:
    """Return what clients need to know of a model, for JSON."""
    channels, height, width = data.shape
    return {
        "name": data.name, "task": data.task, "network": data.network, "labels": data.labels,
        "input": {"channels": channels, "height": height, "width": width},
    }  # fmt: skip
