"""Icicle plots: every bar is within its parent, in order, and as wide as its time."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from opsin.viz.icicle import BORDER, WIDTH, IcicleBar, icicle

SVG = "{http://www.w3.org/2000/svg}"


def drawn() -> ET.Element:
    root = IcicleBar("step")
    first = root.child("forward", "forward")
    for name, seconds in (("conv <1>", 3.0), ("pool", 1.0)):
        first.child(name, "forward").seconds = seconds
    root.child("update", "update").seconds = 0.00001  # too narrow to be seen
    root.child("waiting", "waiting").seconds = 4.0
    return ET.fromstring(icicle(root, "A & B", "facts"))


def test_boxes_fill_their_parents() -> None:
    boxes = {}
    for group in drawn().iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert box is not None
        boxes[(title.text or "").split("\n")[0]] = tuple(float(box.attrib[key]) for key in ("x", "y", "width"))
    full = WIDTH - 2 * BORDER
    assert list(boxes) == ["step", "forward", "forward › conv <1>", "forward › pool", "waiting"]
    assert boxes["step"][2] == pytest.approx(full, abs=0.01)
    assert boxes["forward"][2] == pytest.approx(full / 2, abs=0.01)
    assert boxes["forward › conv <1>"][2] == pytest.approx(full * 3 / 8, abs=0.01)
    assert boxes["forward › pool"][0] == pytest.approx(BORDER + full * 3 / 8, abs=0.01)
    assert boxes["waiting"][0] == pytest.approx(BORDER + full / 2, abs=0.01)
    assert boxes["step"][1] < boxes["forward"][1] == boxes["waiting"][1] < boxes["forward › pool"][1]


def test_labels_are_shortened_and_tooltips_are_complete() -> None:
    root = IcicleBar("step")
    root.child("a name that is much too long for its box", "forward").seconds = 0.1
    root.child("rest", "waiting").seconds = 0.9
    image = icicle(root, "title", "facts")
    assert "<title>a name that is much too long for its box" in image
    assert "a name that is mu" in image.replace("<title>a name that is much", "")
    assert ">a name that is much too long for its box</text>" not in image


def test_a_step_without_time_has_no_bars() -> None:
    assert '<rect class="box' not in icicle(IcicleBar("nothing"), "title", "facts")
