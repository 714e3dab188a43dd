"""How names are shown: one line each, nothing that a terminal obeys, and different ones different."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opsin.data.items import printable


def test_sound_names_stay_as_they_are() -> None:
    for name in (
        "a/b.jpg",
        "фото.png",
        "صورة.png",
        "نیم\u200cفاصله.png",
        "\U0001f468\u200d\U0001f469.png",
        "e\u0301 [b].x",
    ):
        assert printable(name) == name
    assert printable(Path("a") / "b.jpg") == "a/b.jpg"


def test_what_could_mislead_is_escaped() -> None:
    assert printable("line\nend\t.png") == r"line\nend\t.png"
    assert printable("\x1b[31mred") == r"\x1b[31mred"
    assert printable("back\\nslash") == r"back\\nslash"
    assert printable(os.fsdecode(b"\xff\xe9a")) == r"\xff\xe9a"
    assert printable("gnp\u202egpj") == r"gnp\u202egpj"
    assert printable("\ud800") == r"\ud800"


@given(st.lists(st.text(st.sampled_from("a\\nx\n\udcff\u202ef")), unique=True, max_size=20))
def test_different_names_stay_different(names: list[str]) -> None:
    assert all(printable(a) != printable(b) for a, b in combinations(names, 2))
    assert all(printable(name).encode() and "\n" not in printable(name) for name in names if name)
