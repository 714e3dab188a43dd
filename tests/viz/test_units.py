"""Units: the boxes of a diagram."""

from __future__ import annotations

from opsin import nn, ops
from opsin.ir import Graph, Tensor
from opsin.viz.units import Unit, find_units
from tests.nn.support import Of
from tests.viz.networks import NETWORKS, Dense, Shuffled, chain, conv, functional, traced


def of(network: nn.Layer) -> list[Unit]:
    return find_units(*traced(network))


def test_norms_and_activations_belong_to_what_they_follow() -> None:
    _, first, pool, second, _, hidden, last = of(chain())
    assert (first.kind, first.caption, first.after) == ("convolution", "3×3 conv", "batch norm, ReLU")
    assert first.path == "0.0"
    assert first.scopes == ("0.0", "0.1", "0.2")
    assert (first.shape, first.parameters, first.macs) == ((4, 32, 32), 4 * 27 + 8, 4 * 27 * 1024)
    assert (pool.kind, pool.caption, pool.after) == ("max pooling", "2×2 max, /2", "")
    assert second.sources == (pool,)
    assert (hidden.kind, hidden.before, hidden.shape) == ("fully connected", "flatten", (16,))
    assert (last.after, last.parameters) == ("", 170)


def test_norms_after_a_fork_belong_to_what_they_precede() -> None:
    actual = [unit for unit in of(nn.Sequential(conv(8), Dense(2))) if unit.path.startswith("1.layers")]
    assert [(unit.before, unit.caption, unit.after) for unit in actual] == [("batch norm, ReLU", "3×3 conv", "")] * 2


def test_captions() -> None:
    layers = nn.Sequential(
        nn.Conv2d(6, (5, 3), stride=(2, 1)), nn.Conv2d(6, 3, groups=6), nn.Conv2d(6, 3, groups=2, dilation=2),
        nn.ConvTranspose2d(6, 2, stride=2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(6), nn.MaxPool2d(3, 1),
        nn.Upsample(2), nn.LocalResponseNorm(3), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Linear(4), nn.Softmax(),
    )  # fmt: skip
    assert [unit.caption for unit in of(layers)[1:]] == [
        "5×3 conv, /2×1", "3×3 dw", "3×3 conv, 2 groups, dilated 2×2", "2×2 up-conv, /2", "2×2 avg, /2", "avg to 6×6",
        "3×3 max", "nearest to 8×8", "global avg", "linear",
    ]  # fmt: skip
    assert [unit.after for unit in of(layers)[-3:]] == ["local response norm", "flatten", "Softmax".lower()]


def test_functions_are_recognised_by_their_operations() -> None:
    first, second = of(functional())[1:]
    assert (first.before, first.caption, first.after) == ("hard swish", "3×3 conv", "SiLU")
    assert (second.kind, second.caption) == ("rearrangement", "flatten")
    graph, _ = traced(functional())
    assert [unit.before for unit in find_units(graph, {})] == ["", "hard swish", ""]  # as in a file without layer kinds


def test_gates_sums_and_joins() -> None:
    kinds = [unit.kind for unit in of(NETWORKS["gated"]())]
    assert kinds.count("multiplication") == 2
    *_, total, _, _ = of(NETWORKS["stages"]())
    assert (total.kind, total.caption, total.after) == ("addition", "add", "ReLU")
    joined = [unit for unit in of(NETWORKS["inception"]()) if unit.kind == "concatenation"]
    assert [len(unit.sources) for unit in joined] == [3, 3]


def test_splitting_and_shuffling_are_units() -> None:
    captions = [unit.caption for unit in of(nn.Sequential(conv(16), Shuffled()))]
    assert captions == ["input", "3×3 conv", "split", "split", "3×3 conv", "concat", "shuffle"]


def test_interleaving_is_part_of_the_join() -> None:
    def interleaved(self: nn.Layer, x: Tensor) -> Tensor:
        batch, channels, rows, columns = x.shape
        expanded = (batch, channels, 1, rows, columns)
        both = ops.concat([ops.reshape(x, expanded), ops.reshape(ops.relu(x), expanded)], axis=2)
        return ops.reshape(both, (batch, 6, rows, columns))

    join = of(Of(interleaved))[-1]
    assert (join.kind, join.caption, join.shape) == ("concatenation", "interleave", (6, 32, 32))


def test_densely_connected_layers_read_the_join_before_theirs() -> None:
    joins = [unit for unit in of(nn.Sequential(conv(8), Dense(3))) if unit.kind == "concatenation"]
    assert [unit.shape[0] for unit in joins] == [12, 16, 20]
    assert [joins[0] in joins[1].sources, joins[1] in joins[2].sources] == [True, True]
    assert all(len(unit.sources) == 2 for unit in joins)


def test_a_layer_used_twice_is_two_units_and_counts_once() -> None:
    shared = nn.Conv2d(3, 3, padding=1)
    *_, first, second = of(nn.Sequential(shared, nn.Sequential(shared)))
    assert [first.parameters, second.parameters] == [84, 0]


def test_only_what_leads_to_the_first_output_is_shown() -> None:
    graph, kinds = traced(chain())
    training = nn.trace(chain(), (3, 32, 32), training=True)
    assert len(find_units(training, kinds)) >= len(find_units(graph, kinds))
    inner = graph.nodes[-3].outputs[0]
    both = Graph(graph.inputs, graph.outputs | {"inner": inner})
    assert len(find_units(both, kinds)) == len(find_units(graph, kinds))
