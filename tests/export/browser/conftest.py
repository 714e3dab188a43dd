"""Pages of small models, and tabs that open them without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import opsin
from tests.export.models import models

CLOSING = 60_000
"""Milliseconds that a page may take to check itself on a busy machine."""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each small model."""
    folder = tmp_path_factory.mktemp("pages")
    for name, model in models().items():
        opsin.ship(model, "web", folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in models()}


class Tab:
    """A tab that has opened a page by file://, with the network off; it records requests and errors."""

    def __init__(self, browser: Any, path: Path, width: int = 1000, scheme: str = "light", wait: bool = True) -> None:
        self.context = browser.new_context(
            offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(path.as_uri())
        if wait:
            self.page.wait_for_selector("html[data-state]", timeout=CLOSING)

    @property
    def state(self) -> str | None:
        state: str | None = self.page.evaluate("document.documentElement.dataset.state")
        return state

    def answer(self) -> str:
        """Return the text of the answer."""
        self.page.wait_for_selector("[aria-live] .answer, [role=alert]:not(:empty)", timeout=CLOSING)
        text: str = self.page.locator("[aria-live]").inner_text()
        return text

    def choose(self, path: Path) -> str:
        """Choose an image file, and return the text of the answer."""
        self.page.set_input_files("#file", path)
        self.page.wait_for_selector(f'.preview[aria-label="The image: {path.name}"]', timeout=CLOSING)
        return self.answer()

    def __enter__(self) -> Tab:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
