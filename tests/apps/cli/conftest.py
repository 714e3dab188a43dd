"""What the tests of the commands share: calling them in this process, and a folder to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from opsin.apps.cli.main import run
from tests.data.files import write_stripes


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Any:
    """Calls `opsin` with arguments."""

    def call(*arguments: object) -> Result:
        code = run([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Result(code, out, err)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes of 28×28 images, 20 each."""
    return write_stripes(tmp_path_factory.mktemp("data") / "stripes", 20, side=28)
