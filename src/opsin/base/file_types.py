"""Identify a file by its first bytes, not by its name, for messages about a file that is not what was expected.

Often the file itself never arrived: Git LFS left a pointer, a web server sent a page or an error, a download stopped.
The signatures are those of the specifications of the formats, such as docs/spec.md of github.com/git-lfs/git-lfs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from pathlib import Path

HEAD = 4096
"""The number of bytes of a file that `identify` needs."""

MAX_QUOTATION_CHARACTERS = 80
"""Characters of the text of a file that a message quotes."""

DOWNLOAD_AGAIN = "download it again, from the link to the file itself"
UNPACK = "unpack it first, and give the file that is inside"
IMAGE = "give a model file, not an image"


MODEL_HEADER = b'{"__metadata__":{"opsin":'
"""How the header of every model file begins, at byte 8."""


@dataclass(frozen=True)
class FileType:
    """A kind of file: `what` completes "it is …"; `advice` says what to do, beyond giving what was expected.

    `absent`: the file contains something else in place of its content, such as a pointer.
    """

    what: str
    advice: str = ""
    absent: bool = False


LFS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")

EMPTY = FileType("empty", f"nothing has arrived; copy it again, or {DOWNLOAD_AGAIN}", absent=True)
ZEROS = FileType("nothing but zeros", f"its download or copy stopped; copy it again, or {DOWNLOAD_AGAIN}", absent=True)

KERAS = "export the network as ONNX, for example with tf2onnx"
WEIGHTS = "it holds weights without a network: give it to a network's model.load_state"
CHECKPOINT = FileType("a checkpoint of PyTorch's", WEIGHTS)
SAFETENSORS = FileType("a safetensors file", WEIGHTS)
PICKLE = FileType(
    "a Python pickle", "running it could do anything, so Opsin does not; save its arrays with numpy.savez"
)
ONNX = FileType("an ONNX file", "open it with opsin.import_onnx, or give it a name that ends in .onnx")

SIGNATURES: tuple[tuple[int, bytes, FileType], ...] = (
    (0, b"\x1f\x8b", FileType("compressed by gzip", "decompress it first: gunzip FILE (the name has to end in .gz)")),
    (0, b"BZh", FileType("compressed by bzip2", "decompress it first, with bunzip2")),
    (0, b"\xfd7zXZ\0", FileType("compressed by xz", "decompress it first, with unxz")),
    (0, b"\x28\xb5\x2f\xfd", FileType("compressed by zstd", "decompress it first, with unzstd")),
    (0, b"\x04\x22\x4d\x18", FileType("compressed by lz4", "decompress it first, with unlz4")),
    (0, b"7z\xbc\xaf\x27\x1c", FileType("a 7z archive", UNPACK)),
    (0, b"Rar!\x1a\x07", FileType("a RAR archive", UNPACK)),
    (0, b"PK\3\4", FileType("a ZIP archive")),
    (0, b"PK\5\6", FileType("an empty ZIP archive", DOWNLOAD_AGAIN)),
    (257, b"ustar", FileType("a tar archive", UNPACK)),
    (0, b"\x89HDF\r\n\x1a\n", FileType("an HDF5 file, as Keras writes", KERAS)),
    (0, b"\x93NUMPY", FileType("one NumPy array (.npy)", "give arrays names: numpy.savez(FILE, name=array)")),
    (0, b"GGUF", FileType("a GGUF file, of a language model", "Opsin reads convolutional networks")),
    (4, b"TFL3", FileType("a TensorFlow Lite model", KERAS)),
    (0, b"PAR1", FileType("a Parquet file", "it holds data; give it to `opsin train`")),
    (0, b"%PDF", FileType("a PDF", "give the file that was meant")),
    (0, b"\x7fELF", FileType("a program", "give the file that was meant")),
    (0, b"\x89PNG\r\n\x1a\n", FileType("a PNG image", IMAGE)),
    (0, b"\xff\xd8\xff", FileType("a JPEG image", IMAGE)),
    (0, b"GIF8", FileType("a GIF image", IMAGE)),
    (8, MODEL_HEADER, FileType("a model file of Opsin's", "open it with opsin.load")),
    (0, b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", CHECKPOINT),
)  # fmt: skip

ZIP_ENTRY_NAME = 30
"""The offset of the name of the first entry of a ZIP archive."""


def identify(head: bytes) -> FileType | None:
    """Return the kind of a file from `head`, its first `HEAD` bytes; `None` if it is unknown."""
    if not head:
        return EMPTY
    if head.startswith(LFS):
        return _pointer(head)
    if head.startswith(b"PK\3\4") and re.match(rb"[^/]{1,200}/data\.pkl", head[ZIP_ENTRY_NAME:]):
        return CHECKPOINT
    for offset, signature, kind in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind
    if not any(head):
        return ZEROS
    if head[8:10] == b'{"' and int.from_bytes(head[:8], "little") < 2**32:
        return SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in b"\1\2\3\4\5" and len(head) > 2:
        return PICKLE
    if head[:1] == b"\x08" and head[1:2] in bytes(range(1, 32)) and head[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):
        return ONNX
    return _text(head)


def absent(head: bytes) -> FileType | None:
    """Return what stands in for a file that has not arrived: a pointer, a web page, an error message, nothing."""
    kind = identify(head)
    return kind if kind and kind.absent else None


def _pointer(head: bytes) -> FileType:
    size = re.search(rb"^size (\d{1,18})\s*$", head, re.MULTILINE)
    size_text = f" of {int(size[1]):,} bytes" if size else ""
    what = f"a Git LFS pointer, which only stands for the real file{size_text}"
    return FileType(
        what, "fetch the file with `git lfs pull`, or download it from the repository's web page", absent=True
    )


def _text(head: bytes) -> FileType | None:
    """Identify web pages, messages of web servers, and other text."""
    text = _decoded(head)
    if text is None:
        return None
    start = text.lstrip("\ufeff \t\r\n").lower()
    page = start.startswith(("<!doctype html", "<html", "<head", "<body", "<title", "<script", "<meta"))
    if page or (start.startswith(("<!--", "<?xml", "<!doctype")) and "<html" in start):
        return _page(text)
    if start.startswith(("<?xml", "<error")):
        code = re.search(r"<(?:Code|Message)>([^<]{1,200})<", text)
        if code or "<error" in start:
            return _message(code[1] if code else "")
        return FileType("an XML document", "give the file that was meant", absent=True)
    if start.startswith(("/annex/objects/", "../.git/annex/", ".git/annex/")):
        return FileType(
            "a git-annex pointer, which only stands for the real file", "fetch it with `git annex get`", absent=True
        )
    if start.startswith(("{", "[")):
        return _json(text)
    return _plain(text)


def _decoded(head: bytes) -> str | None:
    """Return the bytes as text, or `None` if they are not text. The last character may be incomplete."""
    utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = head[: len(head) // 2 * 2].decode("utf-16") if utf16 else head.decode("utf-8")
    except UnicodeDecodeError as error:
        if utf16 or error.start < len(head) - 3 or not error.start:
            return None
        text = head[: error.start].decode("utf-8")
    return text if all(character.isprintable() or character in "\ufeff\t\r\n\f\v" for character in text) else None


def _page(text: str) -> FileType:
    title = re.search(r"<title[^>]*>([^<]*)", text, re.IGNORECASE)
    title_text = f" titled {_shown(unescape(title[1]))}" if title and title[1].strip() else ""
    return FileType(
        f"a web page (HTML){title_text}", f"a page was saved in place of the file; {DOWNLOAD_AGAIN}", absent=True
    )


def _message(text: str) -> FileType:
    quotation = f" ({_shown(text)})" if text.strip() else ""
    advice = f"it was saved in place of the file; see that you may have the file, and {DOWNLOAD_AGAIN}"
    return FileType(f"the error message of a web server{quotation}", advice, absent=True)


def _json(text: str) -> FileType:
    if '"weight_map"' in text:
        advice = "it holds no weights; give the files that it names, one after the other"
        return FileType("the index of weights that are in several files", advice)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    message = _error_text(data) if isinstance(data, dict) else None
    return _message(message) if message else FileType("JSON text", "give the file that was meant")


def _error_text(data: dict[str, object]) -> str | None:
    """Return the text of an error in JSON: {"message": …}, {"error": {"message": …}}, {"detail": …}, {"errors":
    […]}."""
    for key in ("message", "Message", "error_description", "error", "detail", "errors"):
        value = data.get(key)
        if isinstance(value, dict):
            return _error_text(value) or str(value)
        if value:
            return str(value)
    return None


REFUSALS = re.compile(
    r"not found|no such|denied|forbidden|unauthori[sz]ed|restricted|invalid (user|credential|token)|too many requests|"
    r"(bad|time-?out) ?gateway|gateway time-?out|unavailable|internal server error|\b40[0-9]\b|\b50[0-4]\b|"
    r"login|sign in|rate limit|expired|quota",
    re.IGNORECASE,
)
"""Error texts that web servers send in plain text instead of sending a file, such as "Entry not found"."""


def _plain(text: str) -> FileType | None:
    if not text.strip():
        return FileType("text of nothing but spaces", DOWNLOAD_AGAIN, absent=True)
    if len(text) < 1000 and REFUSALS.search(text):
        return _message(text)
    return FileType(f"text ({_shown(text)})")


def _shown(text: str) -> str:
    """Return the beginning of a text in quotes, on one line, without control characters for terminals."""
    line = " ".join(text.split())
    return repr(line if len(line) <= MAX_QUOTATION_CHARACTERS else f"{line[: MAX_QUOTATION_CHARACTERS - 1]}…")


def is_model(path: Path) -> bool:
    """Return whether the file begins like a model file; the rest of it may be damaged."""
    try:
        with path.open("rb") as file:
            return file.read(8 + len(MODEL_HEADER))[8:] == MODEL_HEADER
    except OSError:
        return False
