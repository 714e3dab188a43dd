"""Random numbers that depend on the test alone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import generator


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    return generator(request.node.name)
