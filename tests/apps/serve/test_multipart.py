"""Forms: what is read, and that nothing else breaks the parser."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apps.serve.servers import form

from opsin.apps.serve.limits import Refusal  # isort: skip
from opsin.apps.serve.multipart import MAX_PART_HEAD, MAX_PARTS, Part, parse_form  # isort: skip


def test_files_fields_and_odd_names_are_read() -> None:
    body = (
        b"preamble\r\n--b\r\ncontent-disposition: form-data; name=top\r\n\r\n3\r\n"
        b"--b\r\nContent-Type: image/png\r\nContent-Disposition: form-data; "
        b'filename="../a \\"b\\".png"; name="i"\r\n\r\n'
        b"\r\n--c\r\nbytes\r\n--b--\r\nepilogue"
    )
    assert parse_form(body, 'multipart/form-data; charset=x; boundary="b"') == [
        Part("", None, b"3"), Part("i", '../a "b".png', b"\r\n--c\r\nbytes"),
    ]  # fmt: skip
    body, kind = form(("grün.png", b""), ("b", b"\r\n"))
    assert [(part.filename, part.content) for part in parse_form(body, kind)] == [("grün.png", b""), ("b", b"\r\n")]


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        (b"", "multipart/form-data", "no boundary"),
        (b"", f"multipart/form-data; boundary={'x' * 71}", "no boundary"),
        (b"", "multipart/form-data; boundary=x", "does not occur"),
        (b"--y--", "multipart/form-data; boundary=x", "does not occur"),
        (b"--x--", "multipart/form-data; boundary=x", "no fields"),
        (b"--x\r\n\r\n\r\n", "multipart/form-data; boundary=x", "ends before its last boundary"),
        (b"--x\r\nhead\r\n--x--", "multipart/form-data; boundary=x", "a field has no headers"),
        (b"--x\r\nhead\r\n\r\n\r\n--x--", "multipart/form-data; boundary=x", "a field has no name"),
        (b"--xy\r\n\r\n\r\n--xy--", "multipart/form-data; boundary=x", "something else after a boundary"),
        (b"--x\r\n" + b"h" * MAX_PART_HEAD + b"\r\n\r\n\r\n--x--", "x; boundary=x", "a field has no headers"),
        (b"--x\r\nA:\r\n\r\n\r\n" * (MAX_PARTS + 1) + b"--x--", "x; boundary=x", "a field has no name|more than"),
    ],
)
def test_broken_forms_are_refused(body: bytes, kind: str, text: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse_form(body, kind)
    assert caught.value.status == 400 and any(each in caught.value.text for each in text.split("|"))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([b"--x", b"\r\n", b"--", b":", b"a", b'; name="a"', b"content-disposition: form-data"]))
)
def test_any_bytes_give_parts_or_a_refusal(pieces: list[bytes]) -> None:
    try:
        parts = parse_form(b"".join(pieces), "multipart/form-data; boundary=x")
    except Refusal as refusal:
        assert refusal.status == 400
    else:
        assert parts and all(isinstance(part, Part) for part in parts)
