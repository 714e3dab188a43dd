"""A page of `opsin see` in Chromium: size, first paint, decoding, and the time from an event to the next frame.

    python bench/see_page.py PAGE.html … [--rounds 3] [--json FILE]

Needs Playwright and Chromium (`make browser`). Each page is opened by file:// with the network off. The tour opens
every view, chooses every image, the first twelve stages and the steps of each, clicks buttons and choices, and presses
arrow keys in maps. A time is that from the event to the end of the second animation frame after it, less the time that
an idle page needs for two frames. The table has the least time of each event in all rounds: their median and the worst,
and below it the five slowest events by name. First paint and numbers (decoded) are the least of five openings a round.
Other work on the machine adds to all these times, but hardly to "busy", the largest CPU time of the page's main thread
for an event.
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

SLOWEST = 5

OPENINGS = 5

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


def opened(browser: Any, path: Path) -> tuple[Any, list[str], list[str], list[float]]:
    """Open a page. Return it, its requests and errors, and the seconds to the first paint and to the numbers."""
    page = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}).new_page()
    requests: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    # The page forbids `eval`, which Playwright's own waiting needs.
    while not page.evaluate("performance.getEntriesByName('first-contentful-paint').length"):
        page.wait_for_timeout(20)
    seconds = page.evaluate(
        "['first-contentful-paint', 'numbers'].map((n) => performance.getEntriesByName(n)[0].startTime / 1000)"
    )
    return page, requests, errors, seconds


def opening(browser: Any, path: Path) -> tuple[float, float]:
    """Return the least seconds to the first paint and to the numbers."""
    times = []
    for _ in range(OPENINGS):
        page, _, _, seconds = opened(browser, path)
        times.append(seconds)
        page.context.close()
    paint, decoded = (min(each) for each in zip(*times, strict=True))
    return paint, decoded


def measure(browser: Any, path: Path) -> dict[str, Any]:
    """Open a page, take the tour, and return the figures in seconds."""
    paint, decoded = opening(browser, path)
    page, requests, errors, _ = opened(browser, path)
    context = page.context
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    events = []
    for number in range(page.evaluate(ACTIONS)):
        before = busy(session)
        name, milliseconds = page.evaluate(f"({TIMER})(window.tour[{number}])")
        events.append((name, milliseconds / 1000, busy(session) - before))
    others = [url for url in requests if not url.startswith("data:")][1:]
    context.close()
    return {
        "page": path.name, "bytes": path.stat().st_size, "paint": paint, "decoded": decoded,
        "events": events, "requests": others, "errors": errors,
    }  # fmt: skip


def busy(session: Any) -> float:
    """The CPU time of the page's main thread in seconds."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(each["value"] for each in metrics if each["name"] == "TaskDuration")


def summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a page over all rounds: the least time of each event, as the tour is the same in each round."""
    first = rounds[0]
    events = [
        (each[0][0], min(one[1] for one in each), min(one[2] for one in each))
        for each in zip(*(one["events"] for one in rounds), strict=True)
    ]
    slowest = sorted(events, key=lambda each: -each[1])[:SLOWEST]
    return {
        "page": first["page"], "bytes": first["bytes"], "paint": min(one["paint"] for one in rounds),
        "decoded": min(one["decoded"] for one in rounds), "events": len(events),
        "median": median(each[1] for each in events), "worst": slowest[0][1],
        "worst of a median round": median(max(each[1] for each in one["events"]) for one in rounds),
        "busy": max(each[2] for each in events), "slowest": [(name, wall) for name, wall, _ in slowest],
        "requests": sum(len(one["requests"]) for one in rounds),
        "errors": [text for one in rounds for text in one["errors"]],
    }  # fmt: skip


def row(page: dict[str, Any]) -> list[str]:
    """A line of the table."""
    milliseconds = [f"{1000 * page[key]:.0f} ms" for key in ("median", "worst", "worst of a median round", "busy")]
    return [
        page["page"].removesuffix(".html"), f"{page['bytes'] / 1e6:.2f} MB", f"{page['paint']:.2f} s",
        f"{page['decoded']:.2f} s", f"{page['events']}", *milliseconds, f"{page['requests']}",
    ]  # fmt: skip


def main() -> int:
    command = parser(__doc__ or "")
    command.add_argument("pages", nargs="+", metavar="PAGE.html")
    command.add_argument("--rounds", type=int, default=3)
    options = command.parse_args()
    record = begin(options)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        record["chromium"] = browser.version
        paths = [Path(each).resolve() for each in options.pages]
        pages = [summary([measure(browser, path) for _ in range(options.rounds)]) for path in paths]
        browser.close()
    record["results"] = pages
    heads = (
        "page", "size", "first paint", "numbers", "events", "median", "worst", "worst, median round", "busy",
        "requests",
    )  # fmt: skip
    finish(options, record | print_table(heads, [row(page) for page in pages]))
    for page in pages:
        print(f"{page['page']}: " + ", ".join(f"{name} {1000 * seconds:.0f} ms" for name, seconds in page["slowest"]))
    return 0 if not any(page["requests"] or page["errors"] for page in pages) else 1


if __name__ == "__main__":
    sys.exit(main())
