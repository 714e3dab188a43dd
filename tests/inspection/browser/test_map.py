"""The map of the data, the replay, and what channels react to, in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from opsin.inspection.api import Inspection
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.views.embedding.view import EmbeddingView
from tests.inspection.browser.conftest import Tab

FRAMES_PER_SECOND, SCRUB_SECONDS, SLOW_MACHINE = 30, 0.05, 3
"""What is promised, and how much slower a busy machine may be."""

PAN = """async () => {
  const box = document.querySelector('.map-canvas');
  const begin = performance.now();
  for (let n = 0; n < 40; n += 1) {
    box.dispatchEvent(new KeyboardEvent('keydown', { key: n % 2 ? 'ArrowLeft' : 'ArrowRight' }));
    await new Promise(requestAnimationFrame);
  }
  return 40000 / (performance.now() - begin);
}"""

SCRUB = """() => {
  const slider = document.querySelector('#view-replay input[type=range]');
  const times = [];
  for (let n = 0; n <= Number(slider.max); n += 1) {
    const begin = performance.now();
    slider.value = n;
    slider.dispatchEvent(new Event('input'));
    document.body.getBoundingClientRect();
    times.push(performance.now() - begin);
  }
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] / 1000;
}"""


def wrong_points(digits: Inspection) -> list[str]:
    """Return the names of the points with wrong answers, the most doubtful first."""
    data = EmbeddingView().data(digits.subject, arrays := Arrays())
    assert data is not None
    labels, answers, doubt = (
        np.frombuffer(arrays.parts[data[name]], np.uint8).reshape(4, -1).T.copy().view(kind).ravel()
        for name, kind in (("labels", np.int32), ("answers", np.int32), ("doubt", np.float32))
    )
    wrong = np.flatnonzero(labels != answers)
    return [data["names"][n] for n in wrong[np.argsort(-doubt[wrong], kind="stable")]]


def test_the_list_finds_wrong_answers(chromium: Any, digits: Inspection, digits_page: Path) -> None:
    expected = wrong_points(digits)
    with Tab(chromium, digits_page, "#embedding") as tab:
        tab.page.get_by_label("wrong (").check()
        assert tab.page.locator(".map-list td button").all_inner_texts() == expected[:50]
        first = tab.page.locator(".map-list td button").first
        first.focus()
        tab.page.keyboard.press("Enter")
        assert tab.page.locator("#view-embedding h4").inner_text() == expected[0]
        assert "(wrong)" in tab.page.locator("#view-embedding").inner_text()
        assert tab.page.evaluate("page.state.point") >= 0
        tab.page.get_by_label("find").fill("no such name")
        assert tab.page.locator(".map-list td button").count() == 0


def test_an_area_is_selected_by_pointer_and_by_keyboard(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#embedding") as tab:
        total = tab.page.evaluate("page.subject.views.embedding.count")
        tab.page.get_by_role("button", name="select an area").click()
        tab.page.locator(".map-canvas").evaluate("(box) => box.scrollIntoView()")
        box = tab.page.locator(".map-canvas").bounding_box()
        tab.page.mouse.move(box["x"] + 2, box["y"] + 2)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
        tab.page.mouse.up()
        count = int(tab.page.locator("#view-embedding .note[aria-live]").inner_text().split()[0].replace(",", ""))
        assert 0 < count < total
        tab.page.get_by_role("button", name="file names").click()
        names = tab.page.locator("dialog textarea").input_value().split("\n")
        assert len(set(names)) == count
        assert set(names) <= set(tab.page.evaluate("page.subject.views.embedding.names"))
        tab.page.keyboard.press("Escape")
        tab.page.locator("dialog").wait_for(state="detached")
        tab.page.locator(".map-canvas").focus()
        for _ in range(12):
            tab.page.keyboard.press("+")
        tab.page.get_by_role("button", name="list what is in view").click()
        seen = int(tab.page.locator("#view-embedding .note[aria-live]").inner_text().split()[0].replace(",", ""))
        assert seen < total
        assert tab.errors == []


def test_the_map_moves_smoothly(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#embedding") as tab:
        assert tab.page.evaluate(PAN) > FRAMES_PER_SECOND / SLOW_MACHINE


def test_the_map_says_what_it_does_not_mean(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#embedding") as tab:
        text = tab.page.locator("#view-embedding").inner_text()
        assert "distances between them" in text
        assert "Trustworthiness 0." in text
        tab.page.get_by_label("PCA").check()
        assert "of the variance" in tab.page.locator("#view-embedding").inner_text()


def test_scrubbing_shows_the_weights_of_each_snapshot(chromium: Any, digits: Inspection, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#replay") as tab:
        assert tab.page.evaluate(SCRUB) < SLOW_MACHINE * SCRUB_SECONDS
        tab.open("replay?frame=0")
        tab.page.get_by_role("button", name="numbers of filter 0 of conv1.weight").click()
        cells = tab.page.locator("dialog .number").evaluate_all("(spans) => spans.map((span) => span.dataset.bits)")
        first = digits.page.views["replay"]["kernels"][0]["values"]
        expected = tab.page.evaluate(f"Array.from(page.array({first}).data.subarray(0, 25), bitsOf)")
        assert cells == expected
        tab.page.keyboard.press("Escape")
        play = tab.page.get_by_role("button", name="next snapshot")  # the browser prefers reduced motion
        play.click()
        assert tab.page.evaluate("page.state.frame") == 1
        tab.page.wait_for_timeout(400)
        assert tab.page.evaluate("page.state.frame") == 1
        assert tab.errors == []


def test_channels_show_what_they_react_to(chromium: Any, digits_page: Path) -> None:
    with Tab(chromium, digits_page, "#network?stage=1&channel=2&step=1") as tab:
        assert tab.page.locator(".excited").count() > 2
        assert "reacts to most in the data" in tab.page.locator(".detail").inner_text()
        tab.open("network?stage=2&channel=2")
        assert tab.page.locator(".excited").count() == 0
