"""The answer to a POST request: its images, checked and read, and what a model says about them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from opsin.apps.answer_data import answer_data
from opsin.apps.serve.batching import Batcher
from opsin.apps.serve.bodies import COMPLETE, Bodies, Receive
from opsin.apps.serve.limits import Limits, Refusal
from opsin.apps.serve.models import ServedModel
from opsin.apps.serve.multipart import parse_form
from opsin.base.errors import DataError

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FORM = "multipart/form-data"

ACCEPTED_TYPES = ("", "application/octet-stream", "application/x-www-form-urlencoded", "binary/octet-stream", FORM)
"""Content types of images besides image/*. The third is what curl calls the bytes of a file."""

LABELS = 5
"""Labels for each image, if the request does not say how many."""

MAX_NAME = 200
"""Characters of a file's name that an answer repeats."""


class Predictor:
    """Answers requests about images."""

    def __init__(self, limits: Limits, batcher: Batcher) -> None:
        self.limits, self.batcher = limits, batcher
        self.bodies = Bodies(limits)

    async def answer(self, served: ServedModel, scope: Scope, receive: Receive) -> bytes:
        """Return the answer as JSON. Raise `Refusal` for a request that has none."""
        headers = dict(scope["headers"])
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        check_type(content_type)
        model = served.model
        top = _top(scope["query_string"], model.task)
        with self.bodies.upload() as upload:
            body = await self.bodies.read(receive, headers, upload, scope.get(COMPLETE, False))
            images = self._images(body, content_type)
            del body
            results = await self.batcher.answers(served.name, model, images, top)
        if len(results) == 1 and isinstance(results[0], DataError):
            raise Refusal(422, str(results[0]))
        data = [answer_data(name, result) for (name, _), result in zip(images, results, strict=True)]
        return dumps({"model": served.name, "task": model.task.name, "results": data})

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


def _top(query: bytes, task: Any) -> int | None:
    """Return the number of labels that the address asks for; raise `Refusal` (400) if it is none."""
    if not query:
        return LABELS if hasattr(task, "probabilities") else None
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    text = values.pop("top", [str(LABELS)])[-1]
    if values:
        raise Refusal(400, f"there is no parameter {min(values)[:80]!r}; there is top, the number of labels")
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:10]) <= 10**6:
        raise Refusal(400, f"top is a number of labels from 1, not {text[:80]!r}")
    return int(text)


ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(data: Any) -> bytes:
    """Return JSON as UTF-8."""
    return ENCODER.encode(data).encode("utf-8", "replace")


def model_data(served: ServedModel) -> Mapping[str, Any]:
    """Return what clients need to know of a model."""
    model = served.model
    channels, height, width = model.preprocessing.shape
    return {
        "name": served.name, "task": model.task.name, "network": model.network, "labels": list(model.labels),
        "input": {"channels": channels, "height": height, "width": width},
    }  # fmt: skip
