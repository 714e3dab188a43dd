"""Every operation in PyTorch against its definition, and the engine's own promises."""

from __future__ import annotations

import numpy as np
import pytest

from opsin import ops
from opsin.engines.reference import Reference
from opsin.errors import CompileError, ShapeError
from opsin.graph import BATCH, Graph, Op, Type, input_tensor, variable
from opsin.ops import OPS
from tests.support import cases, feed, forward_graph, generator, relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed; it is an optional extra")
engine = pytest.importorskip("opsin.engines.torch", reason="PyTorch is not installed; it is an optional extra")
torch.set_num_threads(1)

COUNT = 60


def test_it_knows_every_operation() -> None:
    assert set(engine.MEANING) == set(OPS)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_operation_agrees_with_its_definition(name: str) -> None:
    for sample in cases(name, generator("torch", name), COUNT):
        graph = forward_graph(name, sample)
        found = engine.Torch(graph, 1, dtype=torch.float64).run(**feed(sample.inputs))["y"]
        expected = Reference(graph, 1, np.float64).run(**feed(sample.inputs))["y"]
        assert found.dtype == expected.dtype
        assert relative_error(found, expected) < 1e-12, sample.attrs
