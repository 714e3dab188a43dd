"""What holds for all tests: none depends on what was timed on this machine before, and nothing is timed unasked.

`pytest --target avx2` runs them as on a processor of that row of the target table, which must run here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from opsin.backends.native import codegen
from opsin.kernels.ir import TARGETS, Target
from opsin.training.saving import ModelWriter

RECORD = ModelWriter.quantize
"""What trainings record for int8."""

ORACLES = {
    "torch": "PyTorch",
    "onnx": "onnx",
    "onnxruntime": "ONNX Runtime",
    "sklearn": "scikit-learn",
    "onnxscript": "onnxscript",
}
"""Libraries that many tests compare with, if they are installed; `make oracle` installs them."""
OTHERS = {"keras": "Keras", "pyarrow": "pyarrow", "tensorboardX": "tensorboardX", "av": "PyAV"}
"""Other libraries without which some tests are skipped."""


def pytest_addoption(parser: pytest.Parser) -> None:
    names = [row.name for row in TARGETS]
    parser.addoption("--target", choices=names, help="the row of the target table to compile for, not the widest")


def pytest_configure(config: pytest.Config) -> None:
    name = config.getoption("--target")
    if name:
        rows = {row.name: row for row in codegen.host().targets}
        if name not in rows:
            raise pytest.UsageError(f"this processor cannot run {name}; it runs {', '.join(rows)}")
        codegen.Host.target = rows[name]  # type: ignore[assignment, method-assign]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line which comparisons were skipped."""
    for libraries, hint in ((ORACLES, " (`make oracle` installs them)"), (OTHERS, "")):
        missing = [name for module, name in libraries.items() if find_spec(module) is None]
        if missing:
            terminalreporter.write_line(f"not tested with {', '.join(missing)}: not installed{hint}", yellow=True)


@pytest.fixture(scope="session", autouse=True)
def nothing_timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("timed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.backends.native.tuning_cache.cache_folder", lambda: folder)
        patch.setattr("opsin.planning.budget.CONV_TUNING_SHARE", 0.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def nothing_quantized() -> Iterator[None]:
    """Trainings record nothing for int8, which takes time in each; tests of it set `RECORD` again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ModelWriter, "quantize", lambda *_: None)
        yield


@pytest.fixture(params=TARGETS, ids=lambda row: row.name)
def any_target(request: pytest.FixtureRequest) -> Target:
    """Every row of the target table: plans need no processor that could run them."""
    row: Target = request.param
    return row


@pytest.fixture(params=codegen.host().targets, ids=lambda row: row.name)
def target(request: pytest.FixtureRequest) -> Target:
    """Every row that runs here."""
    row: Target = request.param
    return row


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, with a camera that shows a test pattern; skips the test if it is not installed."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make browser")
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("Chromium is not installed: make browser")
    options = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()
