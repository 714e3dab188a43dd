"""Do pages get the pixels and classes of `opsin predict --portable` for photographs of all kinds?

    python bench/ship_photos.py DATA [--model efficientnet_lite0] [--images 500] [--json FILE]

DATA is a zip of JPEGs. Evenly chosen ones are used in turn as they are, as PNG, turned by EXIF (each of eight
orientations), grey, and as PNG with transparency. Chromium opens each in the page of the model. Counted are the images
that Chromium decodes to the bytes of Pillow, those whose pixels for the network are bit-identical to those of Opsin's
portable resizing of what Chromium decoded, and those with the class of `opsin predict --portable` for the file.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

import opsin
from opsin.apps.cli.open_model import open_model

KINDS = ("as it is", "PNG", "turned", "grey", "transparent")

READ = """async () => {
  const canvas = await decoded(document.querySelector('#file').files[0])
  const {width, height} = canvas, data = pixelsOf(canvas), {model} = opsin
  return {width, height, rgba: await sha256(data), pixels: await sha256(model.pixels(data, width, height)),
    label: model.predict(data, width, height).label}
}"""

BYTES = """async () => {
  const canvas = await decoded(document.querySelector('#file').files[0])
  let text = ''
  for (const octet of pixelsOf(canvas)) text += String.fromCharCode(octet)
  return btoa(text)
}"""


def photographs(data: Path, count: int) -> Iterator[tuple[str, str, bytes]]:
    """Yield kind, file name and content of each photograph."""
    with zipfile.ZipFile(data) as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith((".jpg", ".jpeg")))
        for number, name in enumerate(names[:: max(1, len(names) // count)][:count]):
            kind, content = KINDS[number % len(KINDS)], archive.read(name)
            image, file = Image.open(BytesIO(content)).convert("RGB"), BytesIO()
            if kind == "PNG":
                image.save(file, "PNG")
            elif kind == "turned":
                exif = Image.Exif()
                exif[0x0112] = 1 + number // len(KINDS) % 8
                image.save(file, "JPEG", quality=90, exif=exif)
            elif kind == "grey":
                image.convert("L").save(file, "JPEG", quality=90)
            elif kind == "transparent":
                image.putalpha(Image.linear_gradient("L").resize(image.size))
                image.save(file, "PNG")
            else:
                file.write(content)
            yield kind, f"{number}.{'png' if kind in ('PNG', 'transparent') else 'jpg'}", file.getvalue()


def decoded(path: Path) -> Image.Image:
    """Return a file as Pillow decodes it: upright, RGB, on white."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def sha256(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--model", default="efficientnet_lite0")
    arguments.add_argument("--images", type=int, default=500)
    options = arguments.parse_args()
    record = begin(options)
    model = open_model(options.model)
    model.portable = True
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder = Path(temporary)
        opsin.ship(model, "web", folder / "page.html")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        page.goto((folder / "page.html").as_uri())
        page.wait_for_selector("html[data-state=ready]", timeout=120_000)
        for kind, name, content in photographs(options.data, options.images):
            path, count = folder / name, counts[kind]
            path.write_bytes(content)
            page.set_input_files("#file", path)
            result = page.evaluate(READ)
            image = decoded(path)
            if sha256(np.asarray(image.convert("RGBA"))) == result["rgba"]:
                count["decoded"] += 1
            else:
                size = result["width"], result["height"]
                image = Image.frombytes("RGBA", size, base64.b64decode(page.evaluate(BYTES))).convert("RGB")
            count["images"] += 1
            count["pixels"] += sha256(model.reader.read(image, name)) == result["pixels"]
            count["class"] += model.predict(path)[0].label == result["label"]
            path.unlink()
        browser.close()
    columns = ("images", "decoded", "pixels", "class")
    rows = [[kind, *(str(counts[kind][column]) for column in columns)] for kind in KINDS]
    rows.append(["all", *(str(sum(count[column] for count in counts.values())) for column in columns)])
    options.data = options.data.name
    heads = ["photographs", "number", "decoded as by Pillow", "same pixels", "same class"]
    finish(options, record | print_table(heads, rows))


if __name__ == "__main__":
    main()
