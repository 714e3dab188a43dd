"""A page of `opsin see` in Chromium: size, first paint, decoding, and the time from an event to the next frame.

    python bench/see_page.py PAGE.html … [--rounds 3] [--json FILE]

Needs Playwright and Chromium (`make browser`). Each page is opened by file:// with the network off. The tour opens
every view, chooses every image, the first twelve stages and the steps of each, clicks buttons and choices, and presses
arrow keys in maps. A time is that from the event to the end of the second animation frame after it, less the time that
an idle page needs for two frames; the table has the median and the worst.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from statistics import median
from typing import Any

from common import begin, finish, parser, print_table

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    raise SystemExit("this opens pages in Chromium; install what it needs with: make browser") from None

TIMER = """
async (action) => {
  const frame = (then) => requestAnimationFrame(() => requestAnimationFrame(() => then(performance.now())));
  const frames = () => new Promise(frame);
  await frames();
  const idle = performance.now(); const idleFrames = (await frames()) - idle;
  const start = performance.now();
  const name = action();
  return [name, Math.max(0, (await frames()) - start - idleFrames)];
}
"""

ACTIONS = """
() => {
  const actions = [];
  const shown = (element) => element.getClientRects().length > 0;
  const section = () => document.querySelector('.view:not([hidden])');
  for (const view of Object.keys(page.subject.views)) {
    actions.push(() => { follow(`#${view}`); return `open ${view}`; });
    for (let stage = 1; stage < Math.min(13, page.subject.stages.length); stage += 1) {
      actions.push(() => { page.set({ stage, step: 0, channel: 0 }); return `${view}: stage`; });
      for (let step = 1; step < page.subject.stages[stage].steps.length; step += 1) {
        actions.push(() => { page.set({ step }); return `${view}: step`; });
      }
    }
    page.subject.images.forEach((_, image) => actions.push(() => { page.set({ image }); return `${view}: image`; }));
    for (let n = 0; n < 60; n += 1) {
      actions.push(() => {
        const controls = [...section().querySelectorAll('button:not(:disabled), input, option')].filter(shown);
        const control = controls[(n * 7) % Math.max(1, controls.length)];
        if (control) control.click();
        document.querySelectorAll('dialog').forEach((dialog) => dialog.close());
        return `${view}: control`;
      });
      actions.push(() => {
        const cells = [...section().querySelectorAll('.cells[tabindex="0"], canvas[tabindex="0"]')].filter(shown);
        const key = ['ArrowRight', 'ArrowDown', 'ArrowLeft'][n % 3];
        cells[n % Math.max(1, cells.length)]?.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
        return `${view}: key`;
      });
    }
  }
  window.tour = actions;
  return actions.length;
}
"""


def measure(browser: Any, path: Path) -> dict[str, Any]:
    """Open a page, take the tour, and return the figures in seconds."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page, requests, errors = context.new_page(), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("html[data-ready]")
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    paint, decoded = page.evaluate(
        "['first-contentful-paint', 'numbers'].map((n) => performance.getEntriesByName(n)[0].startTime / 1000)"
    )
    times = [page.evaluate(f"({TIMER})(window.tour[{number}])") for number in range(page.evaluate(ACTIONS))]
    others = [url for url in requests if not url.startswith("data:")][1:]
    context.close()
    slowest = max(times, key=lambda each: each[1])
    return {
        "page": path.name, "bytes": path.stat().st_size, "paint": paint, "decoded": decoded, "events": len(times),
        "median": median(seconds for _, seconds in times) / 1000, "worst": slowest[1] / 1000, "slowest": slowest[0],
        "requests": others, "errors": errors,
    }  # fmt: skip


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("pages", nargs="+", type=Path)
    command.add_argument("--rounds", type=int, default=3)
    options = command.parse_args()
    options.pages = [path.resolve() for path in options.pages]
    record = begin(options)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        record["chromium"] = browser.version
        rounds = [[measure(browser, path) for _ in range(options.rounds)] for path in options.pages]
        browser.close()
    record["results"] = rounds
    rows = [
        [
            each[0]["page"], f"{each[0]['bytes'] / 1e6:.2f} MB",
            *(f"{median(one[key] for one in each):.2f} s" for key in ("paint", "decoded")), f"{each[0]['events']}",
            *(f"{1000 * median(one[key] for one in each):.0f} ms" for key in ("median", "worst")),
            each[0]["slowest"], f"{len(each[0]['requests'])}",
        ]
        for each in rounds
    ]  # fmt: skip
    heads = ("page", "size", "first paint", "numbers", "events", "median", "worst", "slowest", "requests")
    finish(options, record | print_table(heads, rows))
    return 0 if not any(one["requests"] or one["errors"] for each in rounds for one in each) else 1


if __name__ == "__main__":
    sys.exit(main())
