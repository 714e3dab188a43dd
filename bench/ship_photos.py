"""Do page, C and server get the pixels and classes of `opsin predict --portable` for photographs of all kinds?

    python bench/ship_photos.py DATA [--model efficientnet_lite0] [--images 500] [--json FILE]

DATA is a zip of JPEGs. Evenly chosen ones are used in turn as they are, as PNG, turned by EXIF (each of eight
orientations), grey, and as PNG with transparency. Chromium opens each in the page of the model; the C program (`gcc
-O2`) gets what Pillow decodes; `opsin serve --portable` gets the file, and so does `opsin serve` with its fast kernels.
Counted are the images that Chromium decodes to the bytes of Pillow, those whose pixels for the network are
bit-identical to those of Opsin's portable resizing of what was decoded, and those with the class of
`opsin predict --portable` for the file.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from common import begin, finish, parser, print_table
from PIL import Image, ImageOps
from playwright.sync_api import sync_playwright

import opsin
from opsin.apps.cli.open_model import open_model
from opsin.model import Model

KINDS = ("as it is", "PNG", "turned", "grey", "transparent")
EXTRA_BYTES = 2**20
"""Memory in which the C program resizes photographs."""

MAX_MILLISECONDS = 600_000
"""The time in which the page has to answer, on a busy machine."""

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

SERVER = """
import hashlib, sys
from opsin.apps.cli.main import main
from opsin.model import Model
answers = Model.answers
def recorded(self, images, *rest):
    for pixels, _ in images:
        print(hashlib.sha256(pixels.tobytes()).hexdigest(), flush=True)
    return answers(self, images, *rest)
Model.answers = recorded
main()
"""
"""`opsin`, with the digest of what its networks get on standard output."""

Program = Callable[[Path, Image.Image], tuple[str, str]]
"""Takes a file, and what Pillow decodes; returns the digest of the network's pixels C×H×W, and the label."""


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


@contextmanager
def opened_page(model: Model, folder: Path) -> Iterator[Any]:
    """Open the page of a model in Chromium."""
    opsin.ship(model, "web", folder / "page.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(MAX_MILLISECONDS)
        page.goto((folder / "page.html").as_uri())
        page.wait_for_selector("html[data-state=ready]")
        yield page
        browser.close()


def c_program(model: Model, folder: Path) -> Program:
    """Return the exported C, compiled as a library."""
    export = opsin.ship(model, "c", folder)
    prefix = next(Path(name).stem for name in export.files if name.endswith(".h"))
    wrapper = f'#include "{prefix}.c"\nconst uint8_t *network_pixels(void) {{ return resized_image(); }}\n'
    (folder / "wrapper.c").write_text(wrapper)
    options = ["-O2", "-std=c99", "-shared", "-fPIC", "-Isrc", f"-D{prefix.upper()}_EXTRA_BYTES={EXTRA_BYTES}"]
    subprocess.run(["gcc", *options, "wrapper.c", "-o", "model.so"], cwd=folder, check=True)
    library = ctypes.CDLL(str(folder / "model.so"))
    library.network_pixels.restype = ctypes.c_void_p
    channels, height, width = model.preprocessing.shape

    def run(_: Path, image: Image.Image) -> tuple[str, str]:
        size = (*image.size, 3)
        state = getattr(library, f"{prefix}_load")(image.tobytes(), *size)
        assert state == 0, f"{prefix}_load returned {state}"
        pixels = np.frombuffer(ctypes.string_at(library.network_pixels(), height * width * channels), np.uint8)
        digest = sha256(pixels.reshape(height, width, channels).transpose(2, 0, 1))
        return digest, model.labels[getattr(library, f"{prefix}_predict")(image.tobytes(), *size, None)]

    return run


@contextmanager
def served(name: str, *options: str) -> Iterator[Program]:
    """Run the server of a model."""
    command = [sys.executable, "-u", "-c", SERVER, "serve", name, "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[1]

    def run(path: Path, _: Image.Image) -> tuple[str, str]:
        with urlopen(f"{address}v1/predict", path.read_bytes()) as response:
            answer = json.load(response)
        return process.stdout.readline().strip(), answer["results"][0]["label"]  # type: ignore[union-attr]

    try:
        yield run
    finally:
        process.terminate()
        process.wait(60)


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
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        programs = {
            "C": c_program(model, folder / "c"),
            "server": stack.enter_context(served(options.model, "--portable")),
            "fast server": stack.enter_context(served(options.model)),
        }
        page = stack.enter_context(opened_page(model, folder))
        for kind, name, content in photographs(options.data, options.images):
            path, count = folder / name, counts[kind]
            path.write_bytes(content)
            image, label = decoded(path), model.predict(path)[0].label
            pixels = sha256(model.reader.read(image, name))
            for program, run in programs.items():
                digest, answer = run(path, image)
                count[f"{program}: pixels"] += digest == pixels
                count[f"{program}: class"] += answer == label
            page.set_input_files("#file", path)
            result = page.evaluate(READ)
            if sha256(np.asarray(image.convert("RGBA"))) == result["rgba"]:
                count["decoded"] += 1
            else:
                size = result["width"], result["height"]
                image = Image.frombytes("RGBA", size, base64.b64decode(page.evaluate(BYTES))).convert("RGB")
                pixels = sha256(model.reader.read(image, name))
            count["images"] += 1
            count["page: pixels"] += pixels == result["pixels"]
            count["page: class"] += label == result["label"]
            path.unlink()
    columns = ("images", "decoded", *(f"{program}: {value}" for program in ("page", "C", "server") for value in VALUES))
    columns += ("fast server: class",)
    rows = [[kind, *(str(counts[kind][column]) for column in columns)] for kind in KINDS]
    rows.append(["all", *(str(sum(count[column] for count in counts.values())) for column in columns)])
    options.data = options.data.name
    heads = ["photographs", "number", "decoded as by Pillow", *columns[2:]]
    details = {kind: dict(count) for kind, count in counts.items()}
    finish(options, {**record, **print_table(heads, rows), "details": details})


VALUES = ("pixels", "class")

if __name__ == "__main__":
    main()
