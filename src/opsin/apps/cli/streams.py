"""Prepare standard input, output and error: open, able to write any text, and with failures reported.

If standard output cannot be written, the command ends, since its result is lost. If standard error cannot be written,
the command continues. A stream that was closed before the process started is replaced by the null device.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

READABLE = "opsin.readable"
"""The error handler for characters that the encoding of a stream does not have."""

ASCII = "opsin-ascii"
"""ASCII under another name: typer takes a stream that says it is ASCII for misconfigured, and writes UTF-8."""

REPLACEMENTS = {"×": "x", "·": "*", "–": "-", "—": "-", "…": "...", "→": "->", "≈": "~", "≤": "<=", "≥": ">=", "“": '"',
         "”": '"', "’": "'", "µ": "u", "━": "-", "╸": "-", "╺": "-"}  # fmt: skip


class OutputLost(BaseException):
    """Standard output cannot be written. It is not an `Exception`, so no command handles it by accident."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.quiet = isinstance(error, BrokenPipeError | ConnectionResetError)
        """Whether the reader has closed its end, as `head` does after its last line. That is not an error."""


class StandardStream(io.TextIOWrapper):
    """A standard text stream. After a failure it discards its output, which avoids another failure at exit."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError as error:
            self.fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            self.fail(error)

    def fail(self, error: OSError) -> None:
        """Send pending and later output to the null device."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


class Output(StandardStream):
    """Standard output. Raises `OutputLost` if it cannot be written."""

    def fail(self, error: OSError) -> NoReturn:
        super().fail(error)
        raise OutputLost(error) from None


def prepare() -> None:
    """Replace the standard streams of this process, which must belong to the command alone."""
    codecs.register_error(READABLE, readable)
    codecs.register(_ascii)
    _open_closed_streams()
    sys.stdout = sys.__stdout__ = _stream(Output, sys.stdout, 1)  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = _stream(StandardStream, sys.stderr, 2)  # type: ignore[misc,assignment]


def readable(error: UnicodeError) -> tuple[str, int]:
    """Encode with characters of `REPLACEMENTS` if possible, otherwise with escapes: an error handler for codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(REPLACEMENTS.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    """Return the codec `ASCII`, and None for any other name."""
    if name != ASCII.replace("-", "_"):
        return None
    codec = codecs.lookup("ascii")
    return codecs.CodecInfo(*codec, codec.incrementalencoder, codec.incrementaldecoder, name=ASCII)


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that was closed.

    Otherwise the next file to be opened would get its number, and output by that number would be written into the file.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)


def _stream(kind: type[StandardStream], stream: TextIO | None, number: int) -> TextIO:
    """Return `stream`, or the null device if there is none, as a stream of `kind`. Streams of other programs stay."""
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream
    if stream is None:
        return kind(open(number, "wb", closefd=False), "utf-8", READABLE)
    with suppress(OSError, AttributeError):
        os.set_blocking(number, True)  # wait for a pipe that is full
    line_buffering = stream.line_buffering
    write_through = stream.write_through
    encoding = ASCII if codecs.lookup(stream.encoding).name == "ascii" else stream.encoding
    return kind(stream.detach(), encoding, READABLE, line_buffering=line_buffering, write_through=write_through)
