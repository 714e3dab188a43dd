"""The SVG file: well-formed, the same every time, with text that is text."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import opsin
from opsin import nn, zoo
from opsin.seeing import diagram
from opsin.seeing.svg import COLOURS
from tests.seeing.networks import NETWORKS, chain, traced

SVG = "{http://www.w3.org/2000/svg}"


def parsed(network: nn.Layer, title: str = "a network") -> ET.Element:
    return ET.fromstring(diagram(*traced(network), title))


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_well_formed_and_holds_numbers_only(name: str) -> None:
    text = diagram(*traced(NETWORKS[name]()), name)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == name
    assert "nan" not in text
    assert "inf" not in text.replace("information", "")
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    assert root.attrib["viewBox"].split() == ["0", "0", *(f"{size:g}" for size in (width, height))]
    assert 0 < width <= 1200


def test_text_is_text_and_boxes_have_tooltips() -> None:
    root = parsed(chain())
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"a network", "2×2 max, /2", "8×16×16", "fully connected", "batch norm"} <= texts
    tips = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert "0.0\n3×3 conv, then batch norm, ReLU\nmakes 4×32×32\n116 parameters\n110,592 multiply-adds" in tips


def test_folded_boxes_tell_what_all_of_them_are() -> None:
    tips = "".join(title.text or "" for title in parsed(NETWORKS["dense"]()).iter(f"{SVG}title"))
    assert "1.layers.0.2–1.layers.3.2" in tips or "1.layers.0–3.2" in tips
    assert "makes 12–24×32×32" in tips
    assert "308–764 parameters" in tips


def test_it_is_the_same_every_time() -> None:
    texts = {diagram(*traced(NETWORKS["stages"]()), "same") for _ in range(3)}
    assert len(texts) == 1


def test_names_are_escaped() -> None:
    network = nn.Sequential(("<b>&", nn.Conv2d(2, 3)), ("bell\a", nn.Conv2d(2, 3)))
    texts = {text.text for text in parsed(network, "<&> \x00").iter(f"{SVG}text")}
    assert {"<&> \ufffd", "<b>&", "bell\ufffd"} <= texts


def test_every_kind_has_a_colour_of_its_own() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)
    text = diagram(*traced(NETWORKS["u-net"]()), "colours")
    for kind in COLOURS:
        assert f".{kind.replace(' ', '-')} .f {{" in text


def test_the_picture_in_the_documentation_is_what_is_drawn() -> None:
    path = Path(__file__).parents[2] / "docs" / "pictures" / "resnet18.svg"
    entry = zoo.find("resnet18")
    network = entry()
    drawn = opsin.seeing.diagram(nn.trace(network, entry.input_shape), nn.layer_kinds(network), "resnet18")
    assert path.read_text(encoding="utf-8") == drawn, (
        "draw it again: opsin describe resnet18 --diagram docs/pictures/resnet18.svg"
    )
