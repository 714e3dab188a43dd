"""Fixtures of this folder."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import generator


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """Random numbers that depend on the test's name alone."""
    return generator(request.node.nodeid)
