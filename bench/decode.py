"""JPEGs per second, decoded and resized to 224 × 224, compared with Pillow, torchvision and OpenCV.

    python bench/decode.py DATA [--images 600] [--rounds 7] [--threads 2] [--side 224] [--json FILE]

DATA is anything that `opsin train` takes, with JPEGs in it. Their bytes are in memory before the clock starts. In each
round every library has a turn, in changing order, with the same number of threads: it decodes the whole image and
resizes the square in its middle. `PSNR` compares the result with decoding everything and resizing it with a full
bicubic filter; "aliased" means that pixels between the samples are skipped, as OpenCV does unless asked for areas.
`CPU` is processor time per image, which other processes disturb less. Libraries that are not installed are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from io import BytesIO
from time import process_time

import numpy as np
from common import begin, finish, interleaved, parser, print_table
from numpy.typing import NDArray
from PIL import Image, ImageOps

from opsin.apps.benchmark.spread import Spread
from opsin.data import Dataset
from opsin.data.decode import read_pixels
from opsin.data.sources import open_source

Way = Callable[[bytes], NDArray[np.uint8]]
"""From a JPEG to H×W×3 or 3×H×W."""


def middle(height: int, width: int) -> tuple[slice, slice]:
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)


def with_pillow(side: int) -> Way:
    def read(data: bytes) -> NDArray[np.uint8]:
        decoded = Image.open(BytesIO(data)).convert("RGB")
        rows, columns = middle(decoded.height, decoded.width)
        square = decoded.crop((columns.start, rows.start, columns.stop, rows.stop))
        return np.asarray(square.resize((side, side), Image.Resampling.BICUBIC))

    return read


def with_torchvision(side: int) -> Way:
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg
    from torchvision.transforms.v2.functional import resize

    torch.set_num_threads(1)

    def read(data: bytes) -> NDArray[np.uint8]:
        image = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)
        rows, columns = middle(*image.shape[1:])
        return resize(image[:, rows, columns], [side, side], antialias=True).numpy()

    return read


def with_opencv(side: int, areas: bool) -> Way:
    import cv2

    cv2.setNumThreads(1)
    kind = cv2.INTER_AREA if areas else cv2.INTER_LINEAR

    def read(data: bytes) -> NDArray[np.uint8]:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        rows, columns = middle(*image.shape[:2])
        return cv2.resize(image[rows, columns], (side, side), interpolation=kind)

    return read


def ways(side: int) -> dict[str, Way]:
    found: dict[str, Way] = {
        "Opsin": lambda data: read_pixels(data, "image", (3, side, side)),
        "Pillow": with_pillow(side),
    }
    if find_spec("torchvision"):
        found["torchvision"] = with_torchvision(side)
    if find_spec("cv2"):
        found |= {"OpenCV, areas": with_opencv(side, True), "OpenCV, aliased": with_opencv(side, False)}
    return found


def likeness(way: Way, files: list[bytes], side: int) -> float:
    """Median PSNR in decibel against Pillow's bicubic on everything decoded.

    The middle may lie half a pixel aside, where an image's sides differ by an odd number: the nearer one counts.
    """
    found = []
    for data in files:
        image = way(data)
        image = image.transpose(1, 2, 0) if image.shape[0] == 3 else image
        decoded = Image.open(BytesIO(data)).convert("RGB")
        fitted = np.asarray(ImageOps.fit(decoded, (side, side), Image.Resampling.BICUBIC))
        error = min(np.square(image - exact.astype(float)).mean() for exact in (fitted, with_pillow(side)(data)))
        found.append(10 * np.log10(255**2 / max(error, 1e-9)))
    return float(np.median(found))


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("data")
    for name, number in (("images", 600), ("rounds", 7), ("threads", 2), ("side", 224)):
        arguments.add_argument(f"--{name}", type=int, default=number)
    options = arguments.parse_args()
    record = begin(options)
    source = open_source(options.data)
    if isinstance(source, Dataset):
        arguments.error("DATA holds arrays; give image files")
    chosen = np.linspace(0, len(source.items) - 1, min(options.images, len(source.items))).astype(int)
    files = [source.read(int(index)) for index in chosen]
    every = ways(options.side)
    with ThreadPoolExecutor(options.threads) as pool:
        steps = {name: lambda way=way: list(pool.map(way, files)) for name, way in every.items()}
        times = interleaved(steps, options.rounds, seconds=1.0)
        processor = {}
        for name, step in steps.items():
            start = process_time()
            step()
            processor[name] = (process_time() - start) / len(files) * 1e3
    best = {name: Spread.of([len(files) / t for t in taken]) for name, taken in times.items()}
    ratios = {name: Spread.of_ratios(times[name], times["Opsin"]) for name in every}
    record["images/s"], record["ratio"] = best, ratios
    some = files[:: max(1, len(files) // 60)]
    record["PSNR"] = {name: likeness(way, some, options.side) for name, way in every.items()}
    rows = [
        [name, f"{best[name]:,.0f}", f"{ratios[name]:.2f}", f"{processor[name]:.2f}", f"{record['PSNR'][name]:.1f}"]
        for name in every
    ]
    table = print_table(["decoder", "images/s", "Opsin is × as fast", "CPU, ms", "PSNR, dB"], rows)
    finish(options, record | table)


if __name__ == "__main__":
    main()
