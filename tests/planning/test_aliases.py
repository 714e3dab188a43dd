"""The names that the documentation of Opsin 0.1.0 gave for automatic plans still work, with a warning."""

from __future__ import annotations

import subprocess
import sys

import pytest

OLD = """
from opsin.training import choose, networks
from opsin.training.facts import Facts
from opsin.training.wishes import Wishes
import opsin

digits = opsin.data.load("digits")
wishes = Wishes(budget=60, epochs=2, threads=1)
choice = choose.choose(networks.outline(Facts.of(digits), wishes), digits, wishes)
print(choice.plan.network, choice.plan.stages[0].epochs)
"""


def test_the_example_of_the_old_documentation_runs() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", OLD], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout == "lenet5 2\n"
    for new in ("planning.autoconfig", "planning.networks", "planning.dataset_summary", "planning.options"):
        assert f"is now opsin.{new}; the old name goes with the next release" in run.stderr
    for new in ("networks.choose_network", "dataset_summary.DatasetSummary", "options.TrainOptions"):
        assert f"is now opsin.planning.{new}" in run.stderr


def test_other_names_are_unknown() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'opsin\.training\.guesses'"):
        __import__("opsin.training.guesses")
