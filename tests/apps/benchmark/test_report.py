"""Tables, Markdown, data and images of what was measured, and of how time grows."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from opsin.apps.benchmark import report
from opsin.apps.benchmark.cases import Case
from opsin.apps.benchmark.measure import Figures, Result
from opsin.apps.benchmark.peers import OPSIN, Competitor
from opsin.apps.benchmark.plot import bars, lines
from opsin.apps.benchmark.precision import PRECISIONS
from opsin.apps.benchmark.scaling import Sweep, measure_sweep, rows, sweeps

MACHINE: dict[str, Any] = {
    "cpu": "Some CPU", "kind": "avx2", "features": ["AVX2", "FMA"], "tuned_for": "znver3",
    "caches": {"l1d": None, "l2": 524288, "l3": None}, "cores": 2, "load": 0.5, "system": "Linux", "python": "3.11",
    "opsin": "9.9",
}  # fmt: skip


def figures(title: str, *seconds: float, **more: Any) -> Figures:
    return Figures(
        title, title.split()[0], 1e-3, **{"version": "1", "difference": 1e-6, "seconds": list(seconds), **more}
    )


@pytest.fixture
def result() -> Result:
    case = Case("resnet18", "train", 16, (3, 224, 224), 2)
    return Result(
        case,
        macs=16_000_000,
        figures=[
            figures("Opsin", 0.010, 0.011, 0.012, difference=0.0, memory=3e8),
            figures("Torch eager", 0.040, 0.033, 0.030, memory=6e8),
            figures("Torch late", 0.090, dropped=True),
            figures("Wrong", 0.001, difference=0.5, dropped=True),
            figures("Odd", 0.001, difference=float("inf"), dropped=True),
            Figures("Broken", "Broken", 1e-3, problem="Broken ended with signal 9"),
        ],
        peaks=[1e10, 1e10, 1e10],
        bandwidths=[2e10, 2.1e10, 1.9e10],
    )


def test_the_figures_of_a_case(result: Result) -> None:
    ours, eager, late, wrong, odd, broken = report.rows(result)
    assert ours == ("Opsin", "float32", "11 (10 to 12)", "1,455", "3.00 (2.50 to 4.00)", "", "300 MB")
    assert eager == ("Torch eager", "float32", "33 (30 to 40)", "485", "1.00 (1.00 to 1.00)", "1e-06", "600 MB")
    assert late == ("Torch late", "float32", "90", "178", "dropped", "1e-06", "")
    assert wrong[5] == "5e-01: differs" and odd[5] == "inf: differs"
    assert broken == ("Broken", "float32", "", "", "", "", "Broken ended with signal 9")
    assert result.share_of_peak == pytest.approx(2 * 16e6 / 0.011 / 1e10)
    assert "peak by FMA alone 10 GFLOP/s (10 to 10), memory 20.0 GB/s (19.0 to 21.0)" in report.limits_line(result)


def test_the_summary_and_its_markdown(result: Result) -> None:
    assert report.summary([result]) == [
        ("resnet18", "16", "1,455", "Torch eager", "485", "3.00 (2.50 to 4.00)", "29%"),
    ]
    text = report.markdown([result], MACHINE)
    assert "| resnet18 | 16 | 1,455 | Torch eager | 485 | 3.00 (2.50 to 4.00) | 29% |" in text
    assert (
        text.startswith("Some CPU (AVX2, FMA; code for znver3; L2 512 KiB), 2 cores, load 0.5; Opsin 9.9")
        and "Training steps" in text
    )
    assert "Inference" not in text and "Compared with Torch 1" in text


def test_reduced_precision_has_a_table_of_its_own(result: Result) -> None:
    peers = [*result.figures, figures("Torch half bf16", 0.010, 0.011, 0.010, precision="bf16")]
    both = Result(result.case, result.macs, peers, result.peaks, result.bandwidths)
    assert both.best is result.best and both.precisions == ("float32", "bf16")
    assert [title for title, _, _ in report.tables([result])] == ["Training steps, float32"]
    (_, _, first), (title, selected, second) = report.tables([both])
    assert title == "Training steps, each in its fastest precision" and selected == [both]
    assert report.summary([both], first)[0][3:6] == ("Torch eager", "485", "3.00 (2.50 to 4.00)")
    assert report.summary([both], second)[0][3:6] == ("Torch half bf16", "1,600", "1.00 (0.83 to 1.00)")
    data = report.to_data([both], MACHINE)["results"][0]
    assert data["best_peer"] == "Torch eager" and data["best_peer_any_precision"] == "Torch half bf16"
    assert data["ratio"]["median"] == pytest.approx(3) and data["ratio_any_precision"]["median"] == pytest.approx(1)
    assert [figure["precision"] for figure in data["figures"]] == ["float32"] * 6 + ["bf16"]
    text = report.markdown([both], MACHINE)
    assert "each in its fastest precision" in text and "| Torch half bf16 | 1,600 | 1.00 (0.83 to 1.00) |" in text


def test_opsin_is_compared_in_its_fastest_precision(result: Result) -> None:
    half = figures("Opsin bf16", 0.005, 0.006, 0.005, precision="bf16")
    both = Result(result.case, result.macs, [*result.figures, half], result.peaks, result.bandwidths)
    assert both.best is result.best and both.best_of(PRECISIONS) is result.best
    assert report.summary([both]) == report.summary([result])
    ours = report.summary([both], PRECISIONS)[0]
    assert ours[2] == "3,200 (bf16)" and ours[4:] == ("485", "6.00 (5.50 to 8.00)", "64%")
    data = report.to_data([both], MACHINE)["results"][0]
    assert data["opsin_any_precision"] == "Opsin bf16" and data["ratio_any_precision"]["median"] == pytest.approx(6)


def test_int8_has_a_table_of_its_own(result: Result) -> None:
    """It counts neither as the fastest precision, nor in the ratios in float32."""
    peers = [
        *result.figures,
        figures("Opsin int8", 0.004, 0.004, 0.004, precision="int8"),
        figures("Torch int8", 0.008, 0.012, 0.008, precision="int8"),
    ]
    whole = Result(result.case, result.macs, peers, result.peaks, result.bandwidths)
    assert [title for title, _, _ in report.tables([whole])] == ["Training steps, float32", "Training steps, int8"]
    _, (_, _, precisions) = report.tables([whole])
    assert report.summary([whole], precisions)[0][2:6] == ("4,000", "Torch int8", "2,000", "2.00 (2.00 to 3.00)")
    assert whole.best is result.best and whole.best_of(PRECISIONS) is result.best
    data = report.to_data([whole], MACHINE)["results"][0]
    assert data["best_peer_int8"] == "Torch int8" and data["ratio_int8"]["median"] == pytest.approx(2)
    assert report.to_data([result], MACHINE)["results"][0]["best_peer_int8"] is None


def test_without_peers_there_is_no_ratio(result: Result) -> None:
    alone = Result(result.case, result.macs, result.figures[:1], result.peaks, result.bandwidths)
    assert report.summary([alone])[0][3:6] == ("none", "", "")
    assert "No other library" in report.markdown([alone], MACHINE)
    ET.fromstring(bars([alone]))


def test_low_speeds_have_three_digits(result: Result) -> None:
    result.opsin.seconds = [1.3, 1.3, 1.3]
    assert report.rows(result)[0][3] == "12.3"


def test_the_json_data_is_complete(result: Result) -> None:
    data = json.loads(json.dumps(report.to_data([result], MACHINE), allow_nan=False))
    (actual,) = data["results"]
    assert actual["best_peer"] == "Torch eager"
    assert actual["ratio"] == pytest.approx({"minimum": 2.5, "median": 3, "maximum": 4, "least": 2.5, "most": 4})
    assert actual["figures"][4]["difference"] is None and actual["figures"][5]["problem"]
    assert actual["network"] == "resnet18" and actual["batch"] == 16 and data["machine"] == MACHINE


def test_the_length_of_bars_is_the_speed(result: Result) -> None:
    root = ET.fromstring(bars([result]))
    widths = [float(r.attrib["width"]) for r in root.iter() if r.attrib.get("class") in ("opsin", "best", "peer")]
    assert len(widths) == 3  # who computes something else has no bar
    assert widths[0] / widths[1] == pytest.approx(3.0, rel=0.01)
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "resnet18, batch 16" in texts and "1,455 images/s" in texts


def sweep(*seconds: float) -> Sweep:
    cases = [Case("lenet5", "infer", batch, (1, 28, 28), 1) for batch in (1, 2, 4)]
    return Sweep("LeNet-5", "images", [1, 2, 4], [1.0, 2.0, 4.0], cases, [[s, s] for s in seconds])


def test_growth_is_time_per_unit_of_work() -> None:
    better = sweep(0.01, 0.015, 0.03)
    assert better.growth == pytest.approx([1, 0.75, 0.75]) and better.linear
    worse = sweep(0.01, 0.015, 0.05)
    assert worse.growth[-1] == pytest.approx(1.25) and not worse.linear
    assert rows(worse)[1] == ("2", "15 (15 to 15)", "0.75")
    text = report.scaling_markdown([worse, better], MACHINE)
    assert "LeNet-5: time is proportional to the work to the power 1.16, with a step that is worse than linear" in text
    assert "LeNet-5: time is proportional to the work to the power 0.79, linear or better" in text
    root = ET.fromstring(lines([better, worse]))
    assert sum(element.attrib.get("class") == "line" for element in root.iter()) == 2


def test_the_speedup_by_threads_is_judged() -> None:
    cases = [Case("lenet5", "infer", 1, (1, 28, 28), threads) for threads in (1, 2)]
    actual = Sweep("LeNet-5", "threads", [1, 2], [1.0, 0.5], cases, [[0.019, 0.02], [0.01, 0.01]])
    assert actual.verdict == "2 threads are 1.95 (1.90 to 2.00) times as fast as 1"
    actual.seconds[1] = [0.012, 0.012]
    assert actual.verdict == "2 threads are 1.62 (1.58 to 1.67) times as fast as 1, less than 1.85"
    assert not actual.good


def test_a_sweep_is_measured() -> None:
    actual = sweep()
    measure_sweep(actual, Competitor(OPSIN, "", sys.executable), 2, 0.005, lambda text: None)
    assert [len(seconds) for seconds in actual.seconds] == [2, 2, 2]
    assert all(s > 0 for seconds in actual.seconds for s in seconds)


def test_the_standard_sweeps() -> None:
    actual = sweeps(2)
    assert [s.axis for s in actual].count("threads") == 4
    assert actual[0].values[-1] == 256 and actual[2].values == [32, 64, 112, 224, 448] and actual[3].values[-1] == 110
    assert actual[-1].works == [1.0, 0.5] and [case.threads for case in actual[-1].cases] == [1, 2]
