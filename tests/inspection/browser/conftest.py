"""A browser without a network, and pages to open in it.

These tests need the packages playwright and axe-playwright-python, and Chromium: `make browser`. Without one of them
they are skipped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.inspection.api import Inspection
from tests.docs.markdown import ROOT
from tests.offline_tab import OfflineTab

HOSTILE_NAME = "</script><script>window.pwned=1</script>\u2028\u202egnp.\u202c<b>😀</b>&amp;.png"
"""What a file or a class may be called (but for /, which no file name holds)."""


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    """A LeNet-5 that was trained for two epochs, on three images, with data and a replay."""
    digits, run = opsin.data.load("digits"), tmp_path_factory.mktemp("run") / "run"
    data = replace(
        digits, train=digits.train.take(np.arange(400)), test=digits.test.take(np.arange(200)), validation=None
    )
    model = opsin.train("lenet5", data, epochs=2, run=run, replay=True)
    pixels = np.stack([data.test.pixels[number] for number in range(2)])
    return opsin.see(
        model, [ROOT / "docs" / "seven.png", *pixels], names=["seven.png", "a", "b"], data=data, replay=run
    )


@pytest.fixture(scope="session")
def digits_page(digits: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("see") / "digits.html"
    digits.save(path)
    return path


@pytest.fixture(scope="session")
def hostile_page(digits: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page whose file and class have names that attack it."""
    folder = tmp_path_factory.mktemp("hostile")
    image = folder / HOSTILE_NAME.replace("/", "\u2215")
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(image)
    model = digits.subject.model
    labels, model.labels = model.labels, tuple(f"{HOSTILE_NAME}{number}" for number in range(10))
    try:
        inspection = opsin.see(model, [image])
        inspection.save(folder / "page.html")
    finally:
        model.labels = labels
    return folder / "page.html"


class Tab(OfflineTab):
    """A tab that shows a page of `opsin see`."""

    def __init__(self, browser: Any, path: Path, address: str = "", width: int = 1200, scheme: str = "light") -> None:
        super().__init__(browser, path, address, width, scheme)
        self.page.wait_for_selector("html[data-ready]", timeout=20_000)

    @property
    def views(self) -> list[str]:
        names: list[str] = self.page.evaluate("Object.keys(page.subject.views)")
        return names

    def open(self, address: str) -> None:
        """Go to an address of the page, such as `network?stage=2`."""
        self.page.evaluate("follow", f"#{address}")
