"""A folder of class folders as the world delivers them: 200 entries, sound and broken, and the truth about each.

Everything is written by a fixed rule, so that two calls give the same bytes. The sound images all differ, enough
for no two to count as near duplicates.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from opsin.data import items
from tests.data import bombs

COUNT = 200
CLASSES = ("cats", "собаки", "鳥 & co")
GOOD = ""
OVERSIZED = 1 << 30
"""The size of a file that is too large to be an image; it is sparse and takes no space on the disk."""


@dataclass(frozen=True)
class Made:
    """One entry of the folder: its name as it is shown, and the kind of its problem, `GOOD` if it has none."""

    name: str
    kind: str


def write_corrupted(folder: Path) -> list[Made]:
    """Fills `folder` with `COUNT` entries in class folders; see `Made`."""
    made = [*Writer(folder).write_all()]
    assert len(made) == COUNT == len({entry.name for entry in made}), len(made)
    return made


class Writer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers = iter(range(10**6))
        for kind in CLASSES:
            (folder / kind).mkdir(parents=True)

    def write_all(self) -> Iterator[Made]:
        yield from self.plain()
        yield from self.truncated()
        yield from self.empty()
        yield from self.no_images()
        yield from self.bombs()
        yield from self.absurd_exif()
        yield from self.wrong_extensions()
        yield from self.os_error()
        yield from self.links()
        yield from self.names()
        yield from self.filling()

    # -- pieces ---------------------------------------------------------------------------------

    def place(self, name: str | bytes) -> Path:
        """A path in the next class folder."""
        return self.folder / CLASSES[next(self.numbers) % len(CLASSES)] / os.fsdecode(name)

    def entry(self, path: Path, kind: str) -> Made:
        return Made(items.printable(path.relative_to(self.folder)), kind)

    def file(self, name: str | bytes, data: bytes, kind: str = GOOD) -> Made:
        path = self.place(name)
        path.write_bytes(data)
        return self.entry(path, kind)

    def image(self, mode: str = "RGB") -> Image.Image:
        """Broad spots of its own, 48 × 40."""
        random = np.random.default_rng(next(self.numbers))
        spots = Image.fromarray(random.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        image = spots.resize((48, 40), Image.Resampling.BICUBIC)
        if mode in ("RGBA", "LA"):
            image.putalpha(spots.convert("L").resize((48, 40)))
        if mode == "LAB":
            return Image.merge("LAB", image.split())
        return image.convert("L").convert(mode) if mode in ("F", "I") else image.convert(mode)

    def encoded(self, format: str, mode: str = "RGB", **options: object) -> bytes:
        file = BytesIO()
        self.image(mode).save(file, format, **options)
        return file.getvalue()

    # -- what there is --------------------------------------------------------------------------

    def plain(self) -> Iterator[Made]:
        """Every format and mode, 30 sound images."""
        for format, mode, options in [
            ("jpeg", "RGB", {}), ("jpeg", "L", {}), ("jpeg", "CMYK", {}), ("jpeg", "RGB", {"progressive": True}),
            ("png", "RGB", {}), ("png", "L", {}), ("png", "LA", {}), ("png", "RGBA", {}), ("png", "P", {}),
            ("png", "1", {}), ("png", "P", {"transparency": 0}), ("gif", "P", {}), ("gif", "L", {"transparency": 3}),
            ("bmp", "RGB", {}), ("bmp", "P", {}), ("webp", "RGB", {}), ("webp", "RGBA", {}),
            ("webp", "RGB", {"lossless": True}), ("tiff", "RGB", {}), ("tiff", "CMYK", {}), ("tiff", "LAB", {}),
            ("tiff", "L", {"compression": "tiff_lzw"}), ("tiff", "RGB", {"compression": "jpeg"}),
            ("tiff", "F", {}), ("tiff", "I", {}),
        ]:  # fmt: skip
            yield self.file(f"plain-{next(self.numbers)}.{format}", self.encoded(format, mode, **options))
        for number in range(5):
            deep = np.asarray(self.image("L"), np.uint16) * 257
            file = BytesIO()
            Image.fromarray(deep).save(file, "png" if number % 2 else "tiff")
            yield self.file(f"deep-{number}.{'png' if number % 2 else 'tiff'}", file.getvalue())

    def truncated(self) -> Iterator[Made]:
        """Cut after the head, in the middle, and near the end: 24 files."""
        for format in ("jpeg", "png", "gif", "webp", "tiff", "bmp"):
            for share in (0.06, 0.3, 0.6, 0.9):
                data = self.encoded(format)
                whole = data[: max(16, int(share * len(data)))]
                yield self.file(f"cut-at-{share}.{format}", whole, items.DAMAGED)

    def empty(self) -> Iterator[Made]:
        for ending in ("jpg", "png", "gif", "webp", "tif", "bmp", "JPG", "jpeg", "txt", "x"):
            yield self.file(f"nothing.{ending}", b"", items.EMPTY)

    def no_images(self) -> Iterator[Made]:
        """Text, pages, zeros and other files under images' names: 20."""
        for number, data in enumerate([
            b"not an image at all", b"<!DOCTYPE html><html><title>404 Not Found</title></html>",
            b'{"error": "expired"}', "an image?".encode("utf-16"), b"#!/bin/sh\nexit 1\n",
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", b"\x7fELF\2\1\1" + bytes(60), b"PK\3\4" + bytes(40),
            b"RIFF\x24\0\0\0WAVEfmt " + bytes(40), b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
            b"P7\nWIDTH 1\nHEIGHT 1\nENDHDR\n\0",
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", bytes(1), bytes(1000), bytes(100_000),
            b"\xff\xd8", b"BM", b"GIF8",
        ]):  # fmt: skip
            yield self.file(f"claims-{number}.jpg", data, items.NOT_AN_IMAGE)

    def bombs(self) -> Iterator[Made]:
        """30,000 × 30,000 pixels, or more bytes than an image has: 10 files."""
        for name, data in [
            ("bomb-rgb.png", bombs.png()), ("bomb-bits.png", bombs.png(colours=0, bits=1)), ("bomb.jpg", bombs.jpeg()),
            ("bomb-deep.png", bombs.png(colours=6, bits=16)), ("bomb-head.jpg", bombs.jpeg(complete=False)),
            ("bomb-progressive.jpg", bombs.jpeg(progressive=True)), ("bomb.gif", bombs.gif()),
            ("bomb.tiff", bombs.tiff()), ("bomb.bmp", bombs.bmp()),
        ]:  # fmt: skip
            yield self.file(name, data, items.TOO_LARGE)
        path = self.place("oversized.png")
        path.write_bytes(b"\x89PNG\r\n\x1a\n")
        os.truncate(path, OVERSIZED)
        yield self.entry(path, items.TOO_LARGE)

    def absurd_exif(self) -> Iterator[Made]:
        """Metadata that makes no sense around sound images: 16 files."""
        head = b"Exif\0\0"
        orientation = b"\x12\x01"
        fields = [orientation + rest for rest in (
            b"\3\0\1\0\0\0\0\0\0\0", b"\3\0\1\0\0\0\x09\0\0\0", b"\3\0\1\0\0\0\xff\xff\0\0", b"\2\0\4\0\0\0abc\0",
            b"\3\0\xff\xff\xff\xff\1\0\0\0", b"\x63\0\1\0\0\0\1\0\0\0", b"\5\0\1\0\0\0\xf0\xff\xff\xff",
            b"\x0b\0\1\0\0\0\0\0\xc0\x7f",
        )]  # fmt: skip
        blocks = [b"II*\0\x08\0\0\0\1\0" + field + bytes(4) for field in fields]
        blocks += [
            b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
            b"\xff" * 60_000,
        ]  # fmt: skip
        for number, block in enumerate(blocks):
            yield self.file(f"exif-{number}.jpg", self.encoded("jpeg", exif=head + block))
        for format in ("png", "webp"):
            yield self.file(f"exif.{format}", self.encoded(format, exif=head + blocks[4]))

    def wrong_extensions(self) -> Iterator[Made]:
        formats = ("jpeg", "png", "gif", "bmp", "webp", "tiff")
        endings = (".png", ".jpg", ".bmp", ".gif", ".tif", ".webp")
        for format, ending in zip(formats, endings, strict=True):
            yield self.file(f"really-{format}{ending}", self.encoded(format))
        for name in ("no-ending", "a.jpg.pdf", "b.txt", "c.JPEG", "d.", "e.jpg~", "f.jpg(1)", "g.jpg?width=300"):
            yield self.file(name, self.encoded("jpeg"))

    def os_error(self) -> Iterator[Made]:
        """Files that may not be read (root may), and things that are no files: 10 entries."""
        for number in range(4):
            made = self.file(f"forbidden-{number}.png", self.encoded("png"))
            path = next(self.folder.glob(f"*/forbidden-{number}.png"))
            path.chmod(0)
            yield made if os.access(path, os.R_OK) else Made(made.name, items.FORBIDDEN)
        for ending in ("jpg", "png"):
            path = self.place(f"folder.{ending}")
            path.mkdir()
            yield self.entry(path, items.SPECIAL)
        path = self.place("pipe.jpg")
        os.mkfifo(path)
        yield self.entry(path, items.SPECIAL)
        path = self.folder / CLASSES[0] / "socket.jpg"
        self._socket(path)
        yield self.entry(path, items.SPECIAL)
        for device in ("zero", "null"):
            path = self.place(f"device-{device}.jpg")
            path.symlink_to(f"/dev/{device}")
            yield self.entry(path, items.SPECIAL)

    def _socket(self, path: Path) -> None:
        """A socket's file, bound by a short name, since the names of sockets must be short."""
        before = os.getcwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
        os.chdir(before)

    def links(self) -> Iterator[Made]:
        """Links to nothing, in circles, and to a sound image: 10 entries."""
        store = self.folder / ".store"
        store.mkdir()
        for number in range(3):
            (store / f"{number}.png").write_bytes(self.encoded("png"))
            path = self.place(f"linked-{number}.png")
            path.symlink_to(f"../.store/{number}.png")
            yield self.entry(path, GOOD)
        path = self.place("dangling.jpg")
        path.symlink_to("nowhere.jpg")
        yield self.entry(path, items.MISSING)
        path = self.place("itself.jpg")
        path.symlink_to(path.name)
        yield self.entry(path, items.LOOP)
        first, second = self.folder / CLASSES[1] / "there.jpg", self.folder / CLASSES[1] / "back.jpg"
        first.symlink_to(second.name)
        second.symlink_to(first.name)
        yield self.entry(first, items.LOOP)
        yield self.entry(second, items.LOOP)
        for name, target in (("up", "."), ("round", ".."), ("around", "../.")):
            path = self.place(name)
            path.symlink_to(target)
            yield self.entry(path, items.LOOP)

    def names(self) -> Iterator[Made]:
        """Sound images, and some cut short, under names that are hard to read, print or type."""
        for number, name in enumerate(NAMES):
            good = number % 5 != 4
            data = self.encoded("png")
            path = self.place(name)
            with suppress(OSError):  # some file systems refuse names that are not UTF-8; `filling` takes their place
                path.write_bytes(data if good else data[:300])
                yield self.entry(path, GOOD if good else items.DAMAGED)

    def filling(self) -> Iterator[Made]:
        """Sound images up to the full number."""
        wanted = COUNT - sum(1 for path in self.folder.glob("*/*") if path.parent.name != ".store")
        for number in range(wanted):
            yield self.file(f"more-{number}.png", self.encoded("png"))


NAMES: tuple[str | bytes, ...] = (
    "фотография.png", "照片.png", "写真のファイル.png", "사진.png", "صورة.png", "תמונה.png", "รูปภาพ.png", "चित्र.png",
    "ፎቶ.png", "ᏗᏓᏴᎳᏛᏍᎩ.png", "φωτογραφία.png", "ფოტო.png", "نیم‌فاصله.png", "\U0001f408\u200d\u2b1b.png",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467.png", "caf\u00e9.png", "cafe\u0301.png", "line\nend.png",
    "tab\tstop.png", "\x1b[31mred.png", "\x07bell.png", "back\\slash.png", "back\\nslash.png", "it's.png",
    '"quoted".png', "-rf.png", " leading.png", "trailing .png", "%s{0}.png", "[bold]red[/].png", "*?.png",
    "$(reboot).png", "a;b|c&d.png", "~.png", "100%.png", "gnp\u202egpj.png", "null%00.png", "a" * 251 + ".png",
    "é" * 125 + ".png", b"\xff\xfe.png", b"latin-\xe9.png", b"cut-\xf0\x9f\x90.png",
)  # fmt: skip
