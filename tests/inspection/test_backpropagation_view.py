"""The view of backpropagation: the page adds the terms and updates the weights as the engine does, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from opsin import nn
from opsin.inspection.api import see
from opsin.inspection.page.arrays import Arrays
from opsin.inspection.views.backpropagation.selection import channels_within
from opsin.inspection.views.backpropagation.view import BackpropagationView
from opsin.model import Model
from tests.explain.backpropagation.support import CLASSES, NETWORKS, model_of
from tests.inspection.node import INSPECTION, needs_node, run

FOLDER = INSPECTION / "views" / "backpropagation"
SCRIPT = f"""
const fs = require('fs');
const arithmetic = require({str(INSPECTION / "assets" / "arithmetic.js")!r});
const opsin = {{}};
for (const name of ['picker.js', 'terms.js', 'update.js']) {{
  new Function('opsin', 'arithmetic', fs.readFileSync({str(FOLDER)!r} + '/' + name, 'utf8'))(opsin, arithmetic);
}}
const page = {{
  array: (n) => {{
    const {{ shape, bits }} = data.arrays[n];
    return {{ shape, data: new Float32Array(Uint32Array.from(bits).buffer) }};
  }},
}};
const {{ addUses, compute, offset }} = opsin.backpropagation;
return data.view.images[0].parameters.map((parameter) => {{
  const weights = page.array(parameter.weights).data;
  const gradients = page.array(parameter.gradients).data;
  const result = {{ name: parameter.name, kind: parameter.kind, sums: [0, 0], updates: [0, 0], gap: 0 }};
  const every = Math.max(1, Math.floor(weights.length / 40));
  for (let n = 0; n < weights.length; n += every) {{
    const position = [];
    for (let axis = parameter.axes.length - 1, rest = n; axis >= 0; axis -= 1) {{
      position.unshift(rest % parameter.axes[axis].length);
      rest = Math.floor(rest / parameter.axes[axis].length);
    }}
    if (offset(parameter, position) !== n) throw new Error('offset');
    const {{ total }} = addUses(parameter, position, page);
    result.sums[0] += 1;
    if (arithmetic.isSame(total, gradients[n])) result.sums[1] += 1;
    result.gap = Math.max(result.gap, Math.abs(total - gradients[n]));
    for (const rule of data.view.rules) {{
      const engine = parameter.updates[rule.key];
      const first = compute(rule, weights[n], gradients[n], rule.rate, {{}});
      const state = Object.fromEntries(rule.state.map((symbol) => [symbol, first[`${{symbol}} new`]]));
      const second = compute(rule, first['w new'], page.array(engine.gradients).data[n], rule.rate, state);
      result.updates[0] += 2;
      result.updates[1] += arithmetic.isSame(first['w new'], page.array(engine.first).data[n]);
      result.updates[1] += arithmetic.isSame(second['w new'], page.array(engine.second).data[n]);
    }}
  }}
  return result;
}});
"""


def view_of(model: Model, images: int = 1) -> tuple[dict[str, Any], Arrays, Any]:
    shape = (images, *model.preprocessing.input_shape)
    pixels = np.random.default_rng(8).integers(0, 256, shape, dtype=np.uint8)
    subject, arrays = see(model, pixels).subject, Arrays()
    data = BackpropagationView().data(subject, arrays)
    assert data is not None
    return data, arrays, subject


def array_of(arrays: Arrays, number: int) -> dict[str, Any]:
    """Return the shape and the bits of a float32 array of the page."""
    planes = np.frombuffer(arrays.parts[number], np.uint8).reshape(4, -1)
    bits = np.ascontiguousarray(planes.T).view(np.uint32).ravel()
    return {"shape": arrays.entries[number]["shape"], "bits": bits.tolist()}


def network(name: str) -> Model:
    create, shape = NETWORKS[name]
    return model_of(create(), shape, 10 if name in ("lenet5", "resnet20") else CLASSES)


@needs_node
@pytest.mark.parametrize("name", ["lenet5", "mixed", "twice"])
def test_the_page_adds_and_updates_like_the_engine(name: str) -> None:
    view, arrays, _ = view_of(network(name))
    every = [array_of(arrays, number) for number in range(len(arrays.entries))]
    rows = run(SCRIPT, {"view": view, "arrays": every})
    orders = {parameter["name"]: parameter["order"] for parameter in view["images"][0]["parameters"]}
    assert {row["name"] for row in rows} == orders.keys()
    for row in rows:
        assert row["updates"][0] == row["updates"][1] > 0, row
        assert orders[row["name"]] or row["kind"] in ("scale", "shift")
        if orders[row["name"]]:
            assert row["sums"][0] == row["sums"][1] > 0, row
        assert row["gap"] < 1e-4, row


@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_the_view_stays_within_its_share(name: str) -> None:
    view, arrays, subject = view_of(network(name), images=3)
    assert arrays.size < 0.17 * subject.budget
    assert len(view["images"]) == 2
    assert "gradients of" in view["left_out"] and "the first 2 images" in view["left_out"]
    for parameter in view["images"][0]["parameters"]:
        assert parameter["path"][0] == 0
    assert any(parameter["differences"] for parameter in view["images"][0]["parameters"])


def test_a_network_without_parameters_has_no_such_view() -> None:
    model = model_of(nn.Sequential(("mean", nn.AvgPool2d(2)), ("flat", nn.Flatten())), (1, 4, 4), 4)
    subject = see(model, np.zeros((1, 1, 4, 4), np.uint8)).subject
    assert BackpropagationView().data(subject, Arrays()) is None


def test_channels_within_a_budget() -> None:
    assert channels_within([100, 100], 4 * 200 * 3) == 3
    assert channels_within([100, 100], 10) == 0
