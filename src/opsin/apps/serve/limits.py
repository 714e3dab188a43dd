"""The limits of the server, and how a request beyond one is refused."""

from __future__ import annotations

from dataclasses import dataclass, field

from opsin.base.image_limits import MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """What a request may cost. Sizes are in bytes and times in seconds."""

    body_bytes: int = 32 * 10**6
    """The body of a request."""

    pixels: int = MAX_PIXELS
    """The pixels of an image, as its header declares them."""

    images: int = 64
    """The images of a request."""

    seconds: float = 30.0
    """The time in which a body has to arrive, and that in which it has to be answered."""

    head_seconds: float = 10.0
    """The time in which the request line and the headers have to arrive."""

    head_bytes: int = 16 * 2**10
    """The request line and the headers together."""

    headers: int = 64
    """The number of headers."""

    connections: int = 1000
    """Open connections. Beyond it, the connection is closed that has waited longest for its client."""

    waiting_bytes: int = 256 * 10**6
    """The bodies of all requests together. Beyond it, the upload is refused that has taken longest."""

    requests: int = 1024
    """Requests that wait for an answer."""


NO_MEMORY = "there is not enough memory for the images"


@dataclass
class Refusal(Exception):
    """An answer other than the one that was asked for: an HTTP status and a text that says what to do."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)


def too_busy(text: str) -> Refusal:
    """Return the refusal of a request that would be answered at another time."""
    return Refusal(503, f"{text}; try again in a moment", {"retry-after": "1"})
