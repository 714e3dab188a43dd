"""The page in Chromium: by keyboard, on a telephone's width, and without requests to others.

Needs the packages of `make browser`; without them the test is skipped.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.apps.serve.servers import image_file
from tests.apps.serve.test_process import process
from tests.model.networks import small_model

TOKEN = "0123456789abcdef"


def test_an_image_is_chosen_and_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed: make browser")
    small_model().save(tmp_path / "small.opsin")
    (tmp_path / "photo.png").write_bytes(image_file())
    (tmp_path / "note.png").write_text("no image")
    monkeypatch.setenv("OPSIN_TOKEN", TOKEN)
    with ThreadPoolExecutor(1) as thread:  # Browsers in other tests keep an event loop in the main thread.
        thread.submit(choose_an_image, tmp_path, sync_api, chromium).result()


def choose_an_image(folder: Path, sync_api: Any, chromium: str) -> None:
    with process(folder / "small.opsin") as (_, port), sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 700})
        hosts, errors = set[str](), list[str]()
        page.on("request", lambda request: hosts.add(request.url.removeprefix("blob:").split("/")[2]))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_label("Token").wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.type(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_text("classification, 3 labels").wait_for()
        page.get_by_label("Images").set_input_files([folder / "photo.png", folder / "note.png"])
        page.locator("meter").first.wait_for()
        page.locator("strong", has_text="not an image but text").wait_for()
        assert page.locator("meter").count() == 3
        assert "Authorization: Bearer $TOKEN" in page.locator("#command").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert (hosts, errors) == ({f"127.0.0.1:{port}"}, [])
        browser.close()
