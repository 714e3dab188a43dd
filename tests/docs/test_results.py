"""The tables of figures in the documentation are those of recorded results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import ROOT
from tests.scripts import script

WRITE_NO_RESULTS = {
    "cifar10_torch.py": "imported by cifar10.py",
    "http_clients.py": "clients for serve_load.py",
    "untrained.py": "models for ship_page.py and ship_mcu.py",
    "fixed_recipe.py": "run by small_sets.py",
    "onnx_test_files.py": "collects files for see_zoo.py",
    "material.py": "what other scripts share",
    "mnist_torch.py": "run by mnist_command.py",
    "peers.py": "networks for other scripts",
    "record.py": "writes the record",
    "wasm_engines.py": "engines for ship_bits.py",
    "similar_classes.py": "makes data sets",
    "small_images.py": "makes data sets",
}


tables = script("tools/tables.py")


def check_record(record: dict[str, Any]) -> None:
    assert {"machine", "date", "command"} <= record.keys()
    assert {"cpu", "cores", "python"} <= record["machine"].keys()
    assert all(len(row) == len(record["columns"]) for row in record["rows"])


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_tables_are_as_recorded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert tables.updated(text) == text, "run python tools/tables.py"


@pytest.mark.parametrize("path", sorted(tables.RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path: Path) -> None:
    check_record(json.loads(path.read_text(encoding="utf-8")))
    shown = [page for page in tables.PAGES if f"<!-- table {path.stem}" in page.read_text(encoding="utf-8")]
    assert shown, "no page has this table"


def test_scripts_write_such_results(tmp_path: Path) -> None:
    common = script("bench/common.py")
    options = common.parser("").parse_args(["--json", str(tmp_path / "result.json")])
    common.finish(options, common.begin(options) | common.print_table(("a", "b"), [("1", "2")]))
    record = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    check_record(record)
    assert "commit" in record and record["rows"] == [["1", "2"]]


def test_every_script_that_measures_writes_them() -> None:
    for path in sorted((ROOT / "bench").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        writes = any(call in text for call in ("finish(", "records.write(", "from small_runs import"))
        assert writes or path.name in WRITE_NO_RESULTS, f"{path.name} writes no record; take begin and finish of common"


def test_results_of_opsin_bench_are_converted() -> None:
    case: dict[str, Any] = {
        "network": "lenet5", "task": "train", "batch": 64, "best_peer": "PyTorch eager channels_last",
        "ratio": {"minimum": 4.13, "median": 4.42, "maximum": 4.58}, "share_of_peak": 0.55,
        "figures": [
            {"title": "Opsin", "library": "Opsin", "seconds": [0.0014, 0.0013, 0.0015]},
            {"title": "PyTorch eager channels_last", "library": "PyTorch", "seconds": [0.006]},
        ],
    }  # fmt: skip
    machine = {"cpu": "Some CPU", "cores": 2, "python": "3.11"}
    data = {"machine": machine, "date": "2026-01-01", "command": "opsin bench", "results": [case]}
    record = script("bench/speed_record.py").convert(data, "train")
    check_record(record)
    row = ["LeNet-5", "64", "45,714", "eager, channels_last", "10,667", "4.42 (4.13 to 4.58)", "55%"]
    assert record["rows"] == [row]
    case["figures"] += [
        {"title": "PyTorch compile bf16", "library": "PyTorch", "seconds": [0.002]},
        {"title": "Opsin bf16", "library": "Opsin", "precision": "bf16", "seconds": [0.001]},
    ]
    case |= {"best_peer_any_precision": "PyTorch compile bf16", "ratio_any_precision": case["ratio"]}
    case |= {"opsin_any_precision": "Opsin bf16", "share_of_peak_any_precision": 0.77}
    fastest = script("bench/speed_record.py").convert(data, "train", any_precision=True)["rows"]
    assert fastest[0][2:5] == ["64,000 (bf16)", "compile, bf16", "32,000"] and fastest[0][-1] == "77%"
    recorded = json.loads((tables.RESULTS / "training_speed.json").read_text(encoding="utf-8"))
    assert record["columns"] == recorded["columns"]


def test_columns_have_different_names() -> None:
    rows = [["VGG-16", "2.1", "2.2"]]
    with pytest.raises(ValueError, match="two columns are named 'direct'"):
        tables.markdown(["network", "direct", "direct"], rows, ["network", "direct", "direct"])
    assert tables.markdown(["a", "b"], [["1", "2"]], ["b"]) == "| b |\n| --- |\n| 2 |\n"


def test_a_changed_figure_is_noticed() -> None:
    text = "<!-- table compile_time -->\n| changed |\n<!-- end -->"
    assert "ResNet-50 | 3.4 s | 0.34 s" in tables.updated(text) != text
