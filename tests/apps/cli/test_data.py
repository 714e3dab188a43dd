"""`opsin data`: the receipt in the terminal, as JSON and in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opsin.apps.cli.main import run
from opsin.base.errors import UsageError
from opsin.base.legacy import renamed
from opsin.base.units import parse_bytes
from tests.data.files import write_stripes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of five images, and a file that is none."""
    made = write_stripes(tmp_path / "stripes", 5)
    (made / "lying" / "notes.png").write_text("text")
    return made


def test_check_prints_the_receipt(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(folder)]) == 0
    out, err = capfd.readouterr()
    assert err == ""
    assert out.startswith("stripes: 10 images of 2 classes, in ")
    assert "Used as 12 × 12, grey." in out
    assert "1 file that cannot be used, left out\n  lying/notes.png: not an image" in out


def test_check_as_json_and_in_a_file(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["data", "check", str(folder), "--size", "20", "--cache-size", "0"]
    assert run([*arguments, "--json", "--out", str(tmp_path / "receipt.json")]) == 0
    shown = json.loads(capfd.readouterr().out)
    assert renamed(shown) == json.loads((tmp_path / "receipt.json").read_text())
    assert (shown["images"], shown["shape"]) == (10, [1, 20, 20])
    assert [problem["name"] for problem in shown["problems"]] == ["lying/notes.png"]
    assert run([*arguments, "--out", str(tmp_path / "receipt.txt")]) == 0
    assert capfd.readouterr().out.endswith(f"{tmp_path / 'receipt.txt'} lists every file by name.\n")
    assert "lying/notes.png: not an image" in (tmp_path / "receipt.txt").read_text()


def test_check_refuses_invalid_requests(tmp_path: Path, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(tmp_path / "nowhere")]) == 1
    assert "there is no such folder or file" in capfd.readouterr().err
    assert run(["data", "check", str(folder), "--cache-size", "much"]) == 2
    assert capfd.readouterr().err == "Error: 'much' is not an amount of memory; write 500MB, 5GB or 0\n"
    assert run(["data", "check", str(folder), "--out", str(tmp_path / "no" / "file")]) == 2
    assert "cannot be written: No such file or directory; name another file" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "amount"), [("0", 0), ("500MB", 500_000_000), ("5 GB", 5 * 10**9), ("1.5g", 1_500_000_000), ("2k", 2000)]
)
def test_amounts(text: str, amount: int) -> None:
    assert parse_bytes(text) == amount


@pytest.mark.parametrize("text", ["", "GB", "-1", "5 apples", "1e9"])
def test_invalid_amounts(text: str) -> None:
    with pytest.raises(UsageError, match="is not an amount of memory; write 500MB, 5GB or 0"):
        parse_bytes(text)
