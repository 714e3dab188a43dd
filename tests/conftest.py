"""What holds for all tests: none depends on what was timed on this machine before, and nothing is timed unasked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def nothing_timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("timed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("opsin.engines.native.choices.cache_folder", lambda: folder)
        patch.setattr("opsin.training.budget.TUNING", 0.0)
        yield
