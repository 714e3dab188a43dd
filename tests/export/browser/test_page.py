"""The page of `--to web` in Chromium: no network, pixels and answers of portable prediction, refusals, access."""

from __future__ import annotations

import base64
import contextlib
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import opsin
from opsin.export.web.document import WAITING
from opsin.model import Model
from tests.export.browser.conftest import Tab
from tests.export.models import classifier, images, make, models

MAX_BYTES = 60_000
"""The size of a page, but for its weights."""


ENCODE = "(array) => btoa(Array.from(array, (octet) => String.fromCharCode(octet)).join(''))"


def test_the_page_asks_for_nothing_else(chromium: Any, pages: dict[str, Path]) -> None:
    text = pages["grey"].read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy and re.fullmatch(
        r"default-src 'none'; script-src 'sha256-\S{44}' 'sha256-\S{44}' 'wasm-unsafe-eval'; "
        r"style-src 'sha256-\S{44}'; base-uri 'none'; form-action 'none'",
        policy[1],
    )
    weights = re.search(r'id="weights">([^<]*)<', text)
    assert weights and len(text) - len(weights[1]) < MAX_BYTES
    with Tab(chromium, pages["grey"]) as tab:
        assert (tab.state, tab.errors, tab.requests) == ("ready", [], [pages["grey"].as_uri()])


@pytest.mark.parametrize("name", list(models()))
def test_a_chosen_image_gets_the_answer_of_portable_prediction(
    name: str, chromium: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    model = models()[name]
    model.portable = True
    with Tab(chromium, pages[name]) as tab:
        first = None
        for number, image in enumerate(images()[2:5]):
            path = tmp_path / f"{number}.png"
            Image.fromarray(image).save(path)
            text = tab.choose(path)
            seen = tab.page.evaluate(f"""() => {{
                const canvas = document.querySelector('.seen')
                return ({ENCODE})(pixelsOf(canvas))
            }}""")
            height, width = model.preprocessing.size
            shown = np.frombuffer(base64.b64decode(seen), np.uint8).reshape(height, width, 4)[..., :3]
            expected = model.reader.read(path, path.name)
            np.testing.assert_array_equal(shown.transpose(2, 0, 1), np.broadcast_to(expected, (3, height, width)))
            (answer,) = model.predict(path)
            if name == "vectors":
                _compare_images(text, answer, first, model)
                first = first or answer
            else:
                _compare(text, answer, name)
        assert tab.errors == []


def test_a_page_in_8_bit_integers_answers_as_prediction_in_int8(
    chromium: Any, digits_for_int8: Model, tmp_path: Path
) -> None:
    model = digits_for_int8
    opsin.ship(model, "web", tmp_path / "page.html", precision="int8")
    model.precision, model.portable = "int8", True
    with Tab(chromium, tmp_path / "page.html") as tab:
        assert "in 8-bit integers. Self-test passed" in tab.page.locator("body").inner_text()
        for number, pixels in enumerate(opsin.data.load("digits").test.pixels[:4]):
            path = tmp_path / f"{number}.png"
            Image.fromarray(pixels[0]).save(path)
            text = tab.choose(path)
            (answer,) = model.predict(path)
            _compare(text, answer, "grey")
            found = tab.page.evaluate(
                f"([...octets]) => ({ENCODE})(new Uint8Array(model.outputs(Uint8Array.from(octets)).logits.buffer))",
                model.reader.read(path, path.name).reshape(-1).tolist(),
            )
            expected = model.outputs(model.reader.read(path, path.name)[None])["logits"]
            assert base64.b64decode(found) == expected.tobytes()
        assert tab.errors == []


def _compare_images(text: str, answer: Any, first: Any, model: Model) -> None:
    if first is None:
        assert text.startswith("first image")
        return
    comparison = model.task.compare(first, answer, model.calibration)
    verdict = "the same" if comparison.same else "different"
    assert text.startswith(f"{verdict}\nsimilarity {comparison.similarity:.3f}; ") and "Compared with 0.png" in text


def _compare(text: str, answer: Any, name: str) -> None:
    if name == "grey":
        assert text.startswith(answer.label if answer.reliable else f"don\u2019t know\nperhaps {answer.label},")
    elif name in ("cropped", "stretched"):
        assert text.startswith(answer.label)
    elif name == "labels":
        assert text.startswith(", ".join(answer.labels) or "no label")
    elif name == "numbers":
        first = answer.quantities[0]
        assert text.startswith(f"{float(f'{first.value:.4g}'):g} m") and "between" in text
    else:
        assert text.startswith(answer.classes[int(np.argmax(answer.shares))])


def test_frames_of_a_film_are_compared_in_the_order_of_their_names(chromium: Any, tmp_path: Path) -> None:
    numbers = models()["numbers"]
    preprocessing = replace(numbers.preprocessing, frames=3)
    model = make(classifier(2), preprocessing, numbers.task, calibration=numbers.calibration)
    model.portable = True
    opsin.ship(model, "web", tmp_path / "page.html")
    paths = [tmp_path / f"{number}.png" for number in (2, 10, 9, 1)]
    for path, image in zip(paths, images()[2:6], strict=True):
        Image.fromarray(image).save(path)
    film = sorted(paths, key=lambda path: int(path.stem))
    with Tab(chromium, tmp_path / "page.html", width=360) as tab:
        assert "Choose frames" in tab.page.locator("main").inner_text()
        tab.page.set_input_files("#file", paths)
        tab.page.wait_for_selector('.preview[aria-label="The image: 10.png"]')
        _compare(tab.answer(), model.predict(film)[-1], "numbers")
        _compare(tab.choose(film[0]), model.predict(film[0])[0], "numbers")  # the next film
        assert "and the 2 before" in tab.page.locator("details").text_content()
        assert tab.errors == [] and tab.page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photographs_are_turned_upright(
    orientation: int, chromium: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    model = models()["stretched"]
    model.portable = True
    image = Image.new("RGB", (64, 48), (200, 60, 60))
    image.paste((40, 40, 220), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    image.save(path, quality=95, exif=exif)
    with Tab(chromium, pages["stretched"]) as tab:
        tab.choose(path)
        seen = tab.page.evaluate(f"({ENCODE})(pixelsOf(document.querySelector('.seen')))")
    shown = np.frombuffer(base64.b64decode(seen), np.uint8).reshape(17, 21, 4)[..., :3].transpose(2, 0, 1)
    assert np.abs(shown.astype(int) - model.reader.read(path, "turned.jpg").astype(int)).max() <= 4


def test_transparent_pixels_are_white(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    with Tab(chromium, pages["stretched"]) as tab:
        tab.choose(tmp_path / "clear.png")
        assert tab.page.evaluate("pixelsOf(document.querySelector('.seen')).every((value) => value === 255)")


def test_something_else_is_refused_in_words(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    with Tab(chromium, pages["grey"]) as tab:
        tab.page.set_input_files("#file", tmp_path / "text.png")
        tab.page.wait_for_selector("[role=alert]:not(:empty)")
        assert tab.page.locator("[role=alert]").inner_text() == (
            "Text.png is no image that this browser reads; choose a JPEG or PNG file."
        )


def test_drawing_gets_an_answer(chromium: Any, pages: dict[str, Path]) -> None:
    with Tab(chromium, pages["grey"], width=360) as tab:
        tab.page.click("text=Draw")
        box = tab.page.locator(".pad").bounding_box()
        tab.page.mouse.move(box["x"] + 40, box["y"] + 40)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + 200, box["y"] + 220, steps=5)
        tab.page.mouse.up()
        assert "the drawing" in tab.answer()
        assert tab.page.evaluate(
            "pixelsOf(document.querySelector('.seen')).some((value) => value > 100 && value < 255)"
        )
        tab.page.click("text=Clear")
        assert tab.page.evaluate("pixelsOf(document.querySelector('.pad')).every((value) => value === 255)")
    with Tab(chromium, pages["stretched"]) as tab:
        assert not tab.page.locator("text=Draw").count()


def test_a_comparison_can_be_started_again(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    for number in range(2):
        Image.fromarray(images()[2 + number]).save(tmp_path / f"{number}.png")
    with Tab(chromium, pages["vectors"], width=360) as tab:
        assert "Says whether two images show the same." in tab.page.locator("header").inner_text()
        assert tab.choose(tmp_path / "0.png").startswith("first image")
        assert tab.choose(tmp_path / "1.png").startswith(("the same", "different"))
        tab.page.click("text=Start again")
        assert tab.choose(tmp_path / "0.png").startswith("first image")
        assert tab.errors == []


def test_the_camera_is_answered_until_it_is_stopped(chromium: Any, pages: dict[str, Path]) -> None:
    with Tab(chromium, pages["cropped"]) as tab:
        tab.context.grant_permissions(["camera"])
        tab.page.click("text=Camera")
        assert "the camera" in tab.answer()
        assert tab.page.get_attribute("button[data-source=camera]", "aria-pressed") == "true"
        tab.page.click("text=Camera")
        assert tab.page.get_attribute("button[data-source=camera]", "aria-pressed") == "false"
        assert tab.page.evaluate("camera.stream") is None


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1280, "light")])
@pytest.mark.parametrize("name", ["grey", "pixels", "numbers"])
def test_the_page_is_accessible_and_fits(
    name: str, width: int, scheme: str, chromium: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed: make browser")
    Image.fromarray(images()[4]).save(tmp_path / "image.png")
    with Tab(chromium, pages[name], width, scheme) as tab:
        tab.choose(tmp_path / "image.png")
        tab.page.evaluate("document.querySelector('details').open = true")
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
        results = axe.Axe().run(tab.page)
        assert not results.response["violations"], results.generate_report()


def test_the_file_button_works_with_the_keyboard(chromium: Any, pages: dict[str, Path]) -> None:
    with Tab(chromium, pages["grey"]) as tab:
        order = []
        for _ in range(4):
            tab.page.keyboard.press("Tab")
            order.append(tab.page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        assert order == ["file", "Camera", "Draw", "What the network sees"]


def test_flipped_bits_are_refused(chromium: Any, pages: dict[str, Path], tmp_path: Path) -> None:
    """Of the whole file, any bit, and in each part that a browser treats in its own way."""
    content = pages["grey"].read_bytes()
    starts = [
        content.index(text) for text in (b"<html", b"default-src", b"<title", b'id="page"', b'id="module">', b"PARTS")
    ]
    rng = random.Random(1)
    bits = [rng.randrange(8 * len(content)) for _ in range(12)] + [
        8 * start + 8 * 12 + rng.randrange(64) for start in starts
    ]
    bits += [8 * content.index(b"<!DOCTYPE") + 8 * 11, 8 * content.index(b'lang="en"') + 48]
    copy = tmp_path / "flipped.html"
    for bit in bits:
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        copy.write_bytes(changed)
        with Tab(chromium, copy, wait=False) as tab:
            with contextlib.suppress(Exception):  # a page whose script does not run never has a state
                tab.page.wait_for_selector("html[data-state]", timeout=2000)
            assert tab.state != "ready", content[bit // 8 - 10 : bit // 8 + 10]
            if bit >= 8 * content.index(b'id="script">') + 100:  # elsewhere the page may have lost its text
                text = tab.page.locator("body").inner_text()
                assert text.startswith(("This copy of the page was changed", WAITING)), text[:200]


def test_a_failed_self_test_is_refused_in_words(chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opsin.export.runtime.parts.golden_digests", lambda *_: ["0" * 64])
    opsin.ship(models()["grey"], "web", tmp_path / "page.html")
    with Tab(chromium, tmp_path / "page.html") as tab:
        assert tab.state == "refused"
        assert (
            tab.page.locator("[role=alert]").inner_text().startswith("The self-test failed: golden image 1 gives other")
        )


def test_names_that_attack_the_page_are_text(chromium: Any, tmp_path: Path) -> None:
    model = models()["stretched"]
    model.network = "</title><script>window.pwned = 1</script>\u2028\u202egnp.\u202c<b>😀</b>&amp;\udce4"
    model.labels = tuple(f"{label}</script><img src=x onerror=pwned=1>" for label in model.labels)
    opsin.ship(model, "web", tmp_path / "page.html")
    Image.fromarray(images()[3]).save(tmp_path / "image.png")
    with Tab(chromium, tmp_path / "page.html") as tab:
        tab.choose(tmp_path / "image.png")
        assert (tab.state, tab.errors) == ("ready", [])
        assert tab.page.evaluate("window.pwned") is None
        assert tab.page.locator("h1").inner_text().startswith("</title><script>window.pwned = 1")


def test_without_scripts_the_page_says_what_is_wrong(chromium: Any, pages: dict[str, Path]) -> None:
    context = chromium.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto(pages["grey"].as_uri())
    assert page.locator("body").inner_text() == WAITING
    context.close()
