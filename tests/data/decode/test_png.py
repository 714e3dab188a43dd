"""PNG: pixels are read whatever other chunks there are, and the orientation is found wherever it is stored."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opsin.data.decode import ImageHeader, decode_image, read_header, read_pixels
from tests.data.decode.pngs import CHANNELS, chunk, png

HEIGHT, WIDTH = 9, 14
MUCH = zlib.compress(b"x" * 1_600_000)
BOMB = zlib.compress(bytes(200_000_000), 9)
HUGE = zlib.compress(b'<x tiff:Orientation="6"/>' + bytes(200_000_000), 9)


def exif(turned: int) -> bytes:
    return b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1" + struct.pack(">HH", turned, 0) + bytes(4)


CHUNKS = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + MUCH),
    "iTXt": chunk(b"iTXt", b"Comment\0\1\0\0\0" + MUCH),
    "tEXt": chunk(b"tEXt", b"Comment\0" + b"y" * 3_000_000),
    "iCCP": chunk(b"iCCP", b"profile\0\0" + MUCH),
    "many": b"".join(chunk(b"tEXt", b"k%d\0" % number + b"z" * 1_000_000) for number in range(70)),
    "a bomb": chunk(b"zTXt", b"Comment\0\0" + BOMB),
    "a bomb as XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + BOMB),
    "a bomb as EXIF": chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB),
    "an unknown method": chunk(b"zTXt", b"Comment\0\7abc") + chunk(b"iCCP", b"profile\0\5abc"),
    "a wrong checksum": chunk(b"tEXt", b"a\0b", damage=1),
    "short ones": b"".join(chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tEXt", b"eXIf")),
    "animation": chunk(b"acTL", struct.pack(">2I", 2, 0)),
    "private": chunk(b"prVt", bytes(50)),
}  # fmt: skip


@pytest.mark.parametrize("other", CHUNKS)
@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_are_read_with_any_other_chunk(other: str, bits: int) -> None:
    values = np.random.default_rng(bits).integers(0, 2**bits, (HEIGHT, WIDTH, 3))
    for where in ("before", "after"):
        file = png(values, bits, **{where: [CHUNKS[other]]})
        assert read_header(file, "a") == ImageHeader(HEIGHT, WIDTH, False, "uint16" if bits == 16 else "")
        assert np.array_equal(read_pixels(file, "a", (3, HEIGHT, WIDTH)), (values >> bits - 8).transpose(2, 0, 1))


def test_metadata_takes_no_memory() -> None:
    values = np.zeros((HEIGHT, WIDTH, 3), np.int64)
    files = [png(values, after=[CHUNKS[name]]) for name in CHUNKS if "bomb" in name]
    tracemalloc.start()
    with ThreadPoolExecutor(4) as pool:
        for pixels in pool.map(lambda file: read_pixels(file, "a", (3, HEIGHT, WIDTH)), files * 4):
            assert not pixels.any()
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def raw_exif(turned: int) -> bytes:
    digits = (b"Exif\0\0" + exif(turned)).hex().encode()
    return b"\nexif\n%8d\n" % (len(digits) // 2) + digits[:40] + b"\n" + digits[40:] + b"\n"


def xmp(turned: int) -> bytes:
    return b'<rdf:Description tiff:Orientation="%d"/>' % turned


RAW = b"Raw profile type exif"
TURNED = {
    "eXIf": lambda turned: chunk(b"eXIf", exif(turned)),
    "EXIF as text": lambda turned: chunk(b"tEXt", RAW + b"\0" + raw_exif(turned)),
    "EXIF as packed text": lambda turned: chunk(b"zTXt", RAW + b"\0\0" + zlib.compress(raw_exif(turned))),
    "XMP": lambda turned: chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turned)),
    "XMP, packed": lambda turned: chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp(turned))),
    "XMP, long": lambda turned: chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turned) + bytes(2_000_000)),
    "XMP after EXIF without it": lambda turned: chunk(b"eXIf", b"II*\0\x08\0\0\0\0\0\0\0\0\0")
    + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(turned)),
    "EXIF before XMP": lambda turned: chunk(b"eXIf", exif(turned))
    + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(1 + turned % 8)),
}  # fmt: skip


@pytest.mark.parametrize("how", TURNED)
@pytest.mark.parametrize(("bits", "colours"), [(8, 2), (16, 2), (16, 0)])
def test_the_orientation_counts_wherever_it_stands(how: str, bits: int, colours: int) -> None:
    values = np.random.default_rng(1).integers(0, 2**bits, (HEIGHT, WIDTH, CHANNELS[colours]))
    shades = values >> bits - 8
    upright = {1: shades, 2: shades[:, ::-1], 3: shades[::-1, ::-1], 4: shades[::-1], 5: shades.transpose(1, 0, 2),
               6: np.rot90(shades, -1), 7: shades[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(shades)}  # fmt: skip
    for turned, expected in upright.items():
        for where in ("before", "after"):
            file = png(values, bits, colours, **{where: [TURNED[how](turned)]})
            height, width = expected.shape[:2]
            read = decode_image(file, "a", (CHANNELS[colours], height, width))
            assert read.header == read_header(file, "a")
            assert (read.header.height, read.header.width) == (height, width), (turned, where)
            assert np.array_equal(read.pixels.transpose(1, 2, 0), expected), (turned, where)


def test_the_orientation_in_a_bomb_is_found() -> None:
    file = png(np.zeros((HEIGHT, WIDTH, 3), int), after=[chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + HUGE)])
    header = read_header(file, "a")
    assert (header.height, header.width) == (WIDTH, HEIGHT)


@pytest.mark.parametrize(("colours", "bits"), [
    (0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 2), (3, 4), (3, 8), (4, 8), (4, 16), (6, 8),
    (6, 16),
])  # fmt: skip
@pytest.mark.parametrize("see_through", [False, True])
def test_transparency_of_every_kind_is_white(colours: int, bits: int, see_through: bool) -> None:
    random = np.random.default_rng(bits)
    values, most = random.integers(0, 2**bits, (HEIGHT, WIDTH, CHANNELS[colours])), 2**bits - 1
    palette, transparent, cover = b"", b"", np.ones((HEIGHT, WIDTH))
    if colours == 3:
        table = random.integers(0, 256, (2**bits, 3), dtype=np.uint8)
        shades, palette = table[values[..., 0]].astype(float), table.tobytes()
        if see_through:
            alpha = random.integers(0, 256, 2**bits, dtype=np.uint8)
            cover, transparent = alpha[values[..., 0]] / 255, alpha.tobytes()
    else:
        colour = values[..., :1] if colours in (0, 4) else values[..., :3]
        shades = (colour >> 8 if bits == 16 else colour * (255 / most)).astype(float)
        if colours in (4, 6):
            cover = values[..., -1] / most
        elif see_through:
            selection = colour[2, 3]
            if bits == 16:  # differs in its lower half alone, and stays
                values[0, 0] = selection ^ 1
                shades[0, 0] = values[0, 0] >> 8
            transparent = struct.pack(f">{len(selection)}H", *selection.tolist())
            cover = (colour != selection).any(axis=2).astype(float)
    file = png(values, bits, colours, palette=palette, transparent=transparent)
    expected = np.broadcast_to(shades * cover[..., None] + 255 * (1 - cover[..., None]), (HEIGHT, WIDTH, 3))
    assert np.abs(read_pixels(file, "a", (3, HEIGHT, WIDTH)).transpose(1, 2, 0) - expected).max() <= 1.01


def test_sixteen_bits_are_read_whole() -> None:
    for colours, count in CHANNELS.items():
        if colours == 3:
            continue
        values = np.random.default_rng(colours).integers(0, 4096, (HEIGHT, WIDTH, count))
        if colours in (4, 6):
            values[..., -1] = 65535
        read = decode_image(png(values, 16, colours), "a", (3, HEIGHT, WIDTH), None, (0.0, 4095.0))
        shades = values[..., : count - (colours in (4, 6))] >> 4
        assert np.array_equal(read.pixels.transpose(1, 2, 0), np.broadcast_to(shades, (HEIGHT, WIDTH, 3)))
        assert read.values == (values[..., : shades.shape[2]].min(), values[..., : shades.shape[2]].max())
