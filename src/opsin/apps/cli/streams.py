"""Standard input, output and error as a command needs them: open, able to write any text, and honest about failures.

Standard output that cannot be written ends the command: what it was asked for is lost. Standard error that cannot be
written ends nothing, since there is nobody left to tell. A stream that was closed before the start is none at all, and
a command does its work without it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from contextlib import suppress
from typing import NoReturn, TextIO

READABLE = "opsin.readable"
"""What becomes of characters that the encoding of a stream does not have."""

ASCII = "opsin-ascii"
"""ASCII under another name: where a stream is said to be ASCII, typer takes that for a mistake and writes UTF-8."""

PLAIN = {"×": "x", "·": "*", "–": "-", "—": "-", "…": "...", "→": "->", "≈": "~", "≤": "<=", "≥": ">=", "“": '"',
         "”": '"', "’": "'", "µ": "u", "━": "-", "╸": "-", "╺": "-"}  # fmt: skip


class OutputLost(BaseException):
    """Standard output cannot be written. No error of a command's own, so that no command takes it for one."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror or str(error))
        self.quiet = isinstance(error, BrokenPipeError | ConnectionResetError)
        """The reader has seen enough, as `head` has after its last line: nothing to complain about."""


class Stream(io.TextIOWrapper):
    """Text onto a standard stream; after a failure it goes nowhere, so that nothing fails again when Python ends."""

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
        """What has not been written yet, and all that follows, goes to the null device."""
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, self.fileno())
        os.close(null)


class Output(Stream):
    """Standard output: `OutputLost` where it cannot be written."""

    def fail(self, error: OSError) -> NoReturn:
        super().fail(error)
        raise OutputLost(error) from None


def prepare() -> None:
    """Makes the standard streams of this process such as the module says; for a process of one's own only."""
    codecs.register_error(READABLE, readable)
    codecs.register(_ascii)
    _fill()
    sys.stdout = sys.__stdout__ = _stream(Output, sys.stdout, 1)  # type: ignore[misc,assignment]
    sys.stderr = sys.__stderr__ = _stream(Stream, sys.stderr, 2)  # type: ignore[misc,assignment]


def readable(error: UnicodeError) -> tuple[str, int]:
    """An error handler of encodings: `PLAIN` characters where there are some, else escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    """Finds `ASCII`, and no other encoding."""
    if name != ASCII.replace("-", "_"):
        return None
    known = codecs.lookup("ascii")
    return codecs.CodecInfo(*known, known.incrementalencoder, known.incrementaldecoder, name=ASCII)


def _fill() -> None:
    """Puts the null device where a standard stream was closed: else the next file that is opened would be there, and
    whatever writes to standard output or error by its number would write into it.
    """
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)


def _stream(kind: type[Stream], old: TextIO | None, number: int) -> TextIO:
    """`old`, or the null device where there is none, as a stream of another kind; what a program put there stays."""
    if old is not None and not isinstance(old, io.TextIOWrapper):
        return old
    if old is None:
        return kind(open(number, "wb", closefd=False), "utf-8", READABLE)
    with suppress(OSError, AttributeError):
        os.set_blocking(number, True)  # a pipe that is full for a moment is waited for
    lines, through = old.line_buffering, old.write_through
    encoding = ASCII if codecs.lookup(old.encoding).name == "ascii" else old.encoding
    return kind(old.detach(), encoding, READABLE, line_buffering=lines, write_through=through)
