"""SVG: well-formed, deterministic, and escaped."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import opsin
from opsin import nn, zoo
from opsin.viz import diagram, svg
from opsin.viz.diagram_svg import COLOURS
from tests.viz.networks import NETWORKS, chain, traced

SVG = "{http://www.w3.org/2000/svg}"


def parsed(network: nn.Layer, title: str = "a network") -> ET.Element:
    return ET.fromstring(diagram(*traced(network), title))


@pytest.mark.parametrize("name", NETWORKS)
def test_diagrams_are_well_formed(name: str) -> None:
    text = diagram(*traced(NETWORKS[name]()), name)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert root.findtext(f"{SVG}title") == name
    assert "nan" not in text
    assert "inf" not in text.replace("information", "")
    width, height = (float(root.attrib[key]) for key in ("width", "height"))
    assert root.attrib["viewBox"].split() == ["0", "0", *(f"{size:g}" for size in (width, height))]
    assert 0 < width <= 1200


def test_diagrams_contain_text_and_tooltips() -> None:
    root = parsed(chain())
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert {"a network", "2×2 max, /2", "8×16×16", "fully connected", "batch norm"} <= texts
    tips = [group.findtext(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert "0.0\n3×3 conv, then batch norm, ReLU\noutput 4×32×32\n116 parameters\n110,592 MACs" in tips


def test_folded_boxes_describe_all_copies() -> None:
    tips = "".join(title.text or "" for title in parsed(NETWORKS["dense"]()).iter(f"{SVG}title"))
    assert "1.layers.0.2–1.layers.3.2" in tips or "1.layers.0–3.2" in tips
    assert "output 12–24×32×32" in tips
    assert "308–764 parameters" in tips


def test_diagrams_are_deterministic() -> None:
    texts = {diagram(*traced(NETWORKS["stages"]()), "same") for _ in range(3)}
    assert len(texts) == 1


def test_names_are_escaped() -> None:
    network = nn.Sequential(("<b>&", nn.Conv2d(2, 3)), ("bell\a", nn.Conv2d(2, 3)))
    texts = {text.text for text in parsed(network, "<&> \x00").iter(f"{SVG}text")}
    assert {"<&> \ufffd", "<b>&", "bell\ufffd"} <= texts


COLOUR_VISION = {
    "all colours": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}
"""How linear RGB looks without red, green or blue vision (Machado, Oliveira & Fernandes 2009)."""


def lab(colour: str, vision: str) -> NDArray[np.float64]:
    """Return CIE L*a*b* of an sRGB colour (IEC 61966-2-1) as it is perceived."""
    values = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    perceived = np.clip(np.array(COLOUR_VISION[vision]) @ linear, 0, 1)
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    xyz = np.array(to_xyz) @ perceived / np.array([0.95047, 1.0, 1.08883])
    x, y, z = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_colours_are_distinct_for_the_colour_blind(vision: str) -> None:
    for (kind, colour), (other, second) in combinations(COLOURS.items(), 2):
        distance = float(np.linalg.norm(lab(colour, vision) - lab(second, vision)))
        assert distance > 12, f"{kind} and {other}"  # a difference of 2.3 is just noticeable


def test_every_kind_has_a_colour() -> None:
    text = diagram(*traced(NETWORKS["u-net"]()), "colours")
    for kind in COLOURS:
        assert f".{kind.replace(' ', '-')} .f {{" in text


def test_the_diagram_in_the_documentation_is_current() -> None:
    path = Path(__file__).parents[2] / "docs" / "images" / "resnet18.svg"
    entry = zoo.find("resnet18")
    network = entry()
    drawn = opsin.viz.diagram(nn.trace(network, entry.input_shape), nn.layer_kinds(network), "resnet18")
    assert path.read_text(encoding="utf-8") == drawn, (
        "draw it again with opsin describe resnet18 --diagram docs/images/resnet18.svg"
    )


def test_attributes_are_escaped_and_numbers_are_short() -> None:
    text = svg.element("rect", class_="a", text_anchor=None, x=1.0, width=2.25, aria_label='"<b>" & more')
    assert text == '<rect class="a" x="1" width="2.2" aria-label=\'"&lt;b&gt;" &amp; more\'/>'
    assert ET.fromstring(text).attrib["aria-label"] == '"<b>" & more'


def test_text_keeps_what_xml_allows() -> None:
    assert svg.text_of("88\N{NO-BREAK SPACE}% 👩\N{ZERO WIDTH JOINER}🔬 <&>\n") == "88\xa0% 👩\u200d🔬 &lt;&amp;&gt;\n"
    assert svg.text_of("\x00\x1b\ufffe") == "\ufffd" * 3


def test_documents_have_a_dark_style() -> None:
    text = svg.document(10, 20, "A & B", svg.style_sheet(".a { fill: red }", ".a { fill: blue }"), [], zoom=2)
    root = ET.fromstring(text)
    assert (root.attrib["width"], root.attrib["viewBox"]) == ("20", "0 0 10 20")
    style = root.findtext(f"{SVG}style") or ""
    assert style.index(".a { fill: red }") < style.index("@media") < style.index(".a { fill: blue }")
