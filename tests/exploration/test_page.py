"""The page of `opsin explore`: what it holds, that it is safe, and in Chromium that it works and is accessible."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import opsin
from opsin.base.errors import UsageError
from opsin.exploration import page as page_module
from opsin.exploration.api import Exploration
from opsin.exploration.page import Shown
from opsin.model import Model
from tests.exploration.folders import drawn
from tests.inspection.browser.conftest import Tab
from tests.inspection.browser.test_accessibility import check
from tests.inspection.browser.tour import State

HOSTILE_NAME = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def path(exploration: Exploration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "explore.html"
    exploration.save(path)
    return path


def test_the_page_is_one_file_without_requests(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "default-src 'none'; script-src 'sha256-" in text and 'content="opsin explore ' in text
    assert not re.search(r'(src|href)="(?!#|data:)', text)
    assert path.stat().st_size < 400_000


def test_only_pages_of_the_command_are_overwritten(exploration: Exploration, path: Path, tmp_path: Path) -> None:
    exploration.save(path)
    other = tmp_path / "see.html"
    other.write_text('<meta content="opsin see 0.1.0">', encoding="utf-8")
    with pytest.raises(UsageError, match="is not a page of opsin explore"):
        exploration.save(other)
    with pytest.raises(UsageError, match=r"is a folder; name a file, such as .*explore\.html"):
        exploration.save(tmp_path)


def test_a_page_of_many_images_shows_some(exploration: Exploration, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MAX_SHOWN", 20), ("TYPICAL", 2), ("UNUSUAL", 1)):
        monkeypatch.setattr(page_module, name, value)
    shown = Shown.of(exploration)
    assert len(shown.numbers) == 20 and set(shown.large) <= set(shown.numbers)
    assert shown.places(shown.numbers[[3, 5]]) == [3, 5]
    missing = next(n for n in range(41) if n not in shown.numbers)
    assert shown.places([missing, int(shown.numbers[4])]) == [4]
    html = page_module.make_page(exploration, lambda text: None)
    assert "it shows 20 of 41 images" in html


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1200, "dark")])
def test_each_view_is_accessible(chromium: Any, path: Path, width: int, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with Tab(chromium, path, width=width, scheme=scheme) as tab:
        assert tab.views == ["groups", "embedding", "copies", "files"] or "outliers" in tab.views
        dialog = State("groups", "showImage(0)")
        for state in (*map(State, tab.views), dialog) if width == 360 else (dialog,):
            state.enter(tab)
            check(tab, axe, width, state)
        assert tab.errors == [] and len(tab.requests) == 1


def test_an_image_leads_to_similar_ones_and_to_the_map(chromium: Any, path: Path, exploration: Exploration) -> None:
    first = exploration.groups[0]
    with Tab(chromium, path) as tab:
        names = tab.page.locator(f"#sheet-{first.name} ul button")
        typical = [exploration.images.names[n] for n in first.members]
        assert names.nth(0).get_attribute("aria-label") == typical[0]
        names.nth(0).focus()
        tab.page.keyboard.press("Enter")
        assert tab.page.locator("dialog h3").inner_text() == typical[0]
        similar = tab.page.locator("dialog ul button")
        assert similar.count() == page_module.ALIKE
        second = similar.nth(0).get_attribute("aria-label")
        similar.nth(0).click()
        assert tab.page.locator("dialog h3").inner_text() == second
        tab.page.get_by_role("button", name="show on the map").click()
        assert tab.page.evaluate("page.state.view") == "embedding"
        assert tab.page.locator("#view-embedding h4").inner_text() == second
        assert first.name in tab.page.locator("#view-embedding").inner_text()


def test_hostile_names_are_text(chromium: Any, model: Model, tmp_path: Path) -> None:
    for number in range(5):
        drawn("disc", number).save(tmp_path / (HOSTILE_NAME if number == 0 else f"{number}.png"))
    opsin.explore(tmp_path, model=model, cache=False).save(tmp_path / "explore.html")
    with Tab(chromium, tmp_path / "explore.html") as tab:
        label = tab.page.locator("#view-groups ul button").evaluate_all("(all) => all.map((e) => e.ariaLabel)")
        assert HOSTILE_NAME in label and tab.page.locator("#view-groups img").count() == 0
        assert tab.errors == []
