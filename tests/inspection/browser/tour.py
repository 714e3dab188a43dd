"""The states of a page that the tests of accessibility visit: views, steps, methods, optimizers, and dialogs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.inspection.browser.conftest import Tab

SHOWN = ".view:not([hidden])"

OPEN_ALL = f"document.querySelectorAll('{SHOWN} details').forEach((each) => {{ each.open = true; }})"

NUMBERS = f"document.querySelector('{SHOWN} figcaption button').click()"

KERNEL = f"document.querySelector('{SHOWN} .kernel-row canvas').click()"

FILE_NAMES = f"[...document.querySelectorAll('{SHOWN} button')].find((e) => e.textContent === 'file names').click()"

CLOSE = "document.querySelectorAll('dialog').forEach((each) => each.close())"

ACTIVE_STEPS = """
() => page.subject.stages.flatMap((stage) => stage.steps.map((step, n) => [stage.number, n, step.kind]))
  .filter(([stage, step]) => page.subject.views.convolution.stages[stage][step])
"""


@dataclass(frozen=True)
class State:
    """An address of the page, and a script that changes what is shown there."""

    address: str
    script: str = ""

    def enter(self, tab: Tab) -> None:
        """Show the state; dialogs of the state before are closed."""
        tab.page.evaluate(CLOSE)
        tab.open(self.address)
        if self.script:
            tab.page.evaluate(self.script)


def states(tab: Tab) -> Iterator[State]:
    """Yield the states of a page that has all views."""
    for view in tab.views:
        yield State(view)
        yield State(view, OPEN_ALL)
    for view in ("network", "convolution", "backpropagation", "explanations"):
        yield State(view, f"{OPEN_ALL}; {NUMBERS}")
    yield State("network?stage=1", KERNEL)
    kinds = set[str]()
    for stage, step, kind in tab.page.evaluate(ACTIVE_STEPS):
        yield State(f"network?stage={stage}&step={step}")
        if kind not in kinds:
            yield State(f"convolution?stage={stage}&step={step}&row=1&column=1", OPEN_ALL)
        kinds.add(kind)
    yield from _walk(tab)
    for method in tab.page.evaluate("Object.keys(page.subject.views.explanations.methods)"):
        yield State(
            "explanations", f"document.querySelector('.why-card[data-method=\"{method}\"]').click(); {OPEN_ALL}"
        )
    yield State("embedding?point=3")
    yield State("embedding", FILE_NAMES)
    for label in ("marks", "PCA", "doubt"):
        labels = f"[...document.querySelectorAll('{SHOWN} .choice label')]"
        yield State("embedding", f"{labels}.find((each) => each.textContent === '{label}').click()")
    yield State("replay?frame=1&image=1")


def _walk(tab: Tab) -> Iterator[State]:
    """Yield the steps of backpropagation, and the update by every optimizer."""
    tab.open("backpropagation?walk=-1")
    count = int(tab.page.locator(".walk .note").first.inner_text().split(" of ")[1])
    for walk in range(count):
        yield State(f"backpropagation?walk={walk}")
    for rule in range(tab.page.evaluate("page.subject.views.backpropagation.rules.length")):
        script = f"""(() => {{
          const inputs = document.querySelectorAll('{SHOWN} .back-panel fieldset input');
          const list = document.querySelector('{SHOWN} .back-panel select');
          if (list) list.selectedIndex = {rule};
          if (list) list.dispatchEvent(new Event('change'));
          else inputs[{rule}].click();
        }})()"""
        yield State("backpropagation?walk=-1", script)
