"""How large are the pages of `opsin ship --to web`, how soon are they ready, and which changed copies do they refuse?

    python bench/ship_page.py [--networks lenet5 mlperf_tiny_resnet8] [--precision int8] [--opens 9] [--flips 200]
                              [--json FILE]

Weights are random, and so are the images on which ranges for int8 are observed. `export` is the time of a second
export, `ready` that from navigation in Chromium, from the disk, to the page that can be asked: median (least). Of
`flips` copies of the first page with one random bit changed, those are `refused` that say so, `dead` whose script
does not run, and `ready` that answer all the same.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from contextlib import suppress
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from common import begin, finish, parser, print_table
from playwright.sync_api import Error, sync_playwright
from untrained import observed, untrained

import opsin
from opsin.base.formatting import exact_size
from opsin.export.precision import FLOAT32
from opsin.model.int8 import INT8

STATE = "document.documentElement.dataset.state"
DEAD_MILLISECONDS = 3000


def opened(browser: Any, path: Path) -> tuple[str | None, float]:
    """Open a page from the disk, and return its state and the milliseconds until it was ready."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto(path.as_uri())
    with suppress(Error):
        page.wait_for_selector("html[data-state]", timeout=DEAD_MILLISECONDS)
    state: str | None = page.evaluate(STATE)
    milliseconds = float(page.evaluate("document.documentElement.dataset.milliseconds ?? 0"))
    context.close()
    return state, milliseconds


def flipped(browser: Any, path: Path, count: int) -> Counter[str]:
    """Return the number of copies with one changed bit by what became of them."""
    content, rng, counts = path.read_bytes(), random.Random(0), Counter[str]()
    copy = path.with_name("copy.html")
    for _ in range(count):
        changed, bit = bytearray(content), rng.randrange(8 * len(content))
        changed[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(changed)
        counts[opened(browser, copy)[0] or "dead"] += 1
    return counts


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--networks", nargs="+", default=["lenet5", "mlperf_tiny_resnet8", "mobilenet_v2"])
    arguments.add_argument("--precision", choices=[FLOAT32, INT8], default=FLOAT32)
    arguments.add_argument("--opens", type=int, default=9)
    arguments.add_argument("--flips", type=int, default=200)
    options = arguments.parse_args()
    record, rows = begin(options), []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in options.networks:
            path, model = Path(temporary) / f"{name}.html", untrained(name)
            if options.precision == INT8:
                observed(model)
            opsin.ship(model, "web", path, precision=options.precision)
            start = perf_counter()
            opsin.ship(model, "web", path, precision=options.precision)
            seconds = perf_counter() - start
            results = [opened(browser, path) for _ in range(options.opens)]
            times = [milliseconds for state, milliseconds in results if state == "ready"]
            ready = f"{median(times):.0f} ({min(times):.0f})" if times else "never"
            rows.append([name, exact_size(path.stat().st_size), f"{seconds:.2f}", ready])
        flips = flipped(browser, Path(temporary) / f"{options.networks[0]}.html", options.flips)
        browser.close()
    table = print_table(["network", "page", "export, s", "ready, ms"], rows)
    print(f"\n{options.flips} copies with one changed bit: {dict(flips)}")
    finish(options, record | table | {"flips": dict(flips)})


if __name__ == "__main__":
    main()
