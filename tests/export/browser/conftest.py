"""Pages of small models, and tabs that open them without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import opsin
from tests.export.models import models
from tests.offline_tab import OfflineTab

CLOSING = 60_000
"""Milliseconds that a page may take to check itself on a busy machine."""


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of each small model."""
    folder = tmp_path_factory.mktemp("pages")
    for name, model in models().items():
        opsin.ship(model, "web", folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in models()}


class Tab(OfflineTab):
    """A tab that shows the page of a model, which has checked itself unless `wait` is false."""

    def __init__(self, browser: Any, path: Path, width: int = 1000, scheme: str = "light", wait: bool = True) -> None:
        super().__init__(browser, path, "", width, scheme)
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
