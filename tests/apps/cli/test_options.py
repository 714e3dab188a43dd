"""The options of training are declared once: help, estimator, plan and docs follow from their fields."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from opsin.apps.cli.arguments.renamed import RENAMED
from opsin.apps.cli.arguments.shared import CACHE_SIZE
from opsin.apps.cli.arguments.table import option_table
from opsin.apps.cli.arguments.train import CommandOptions
from opsin.apps.cli.main import GROUPS
from opsin.base.option_fields import OptionFields, declared_options
from opsin.base.units import parse_bytes, parse_seconds
from opsin.data import store
from opsin.planning.options import DEFAULT_BUDGET_SECONDS, TrainOptions

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
BEGIN, END = "<!-- options: begin -->\n", "<!-- options: end -->"


def test_every_field_is_an_option() -> None:
    for options in (OptionFields, TrainOptions, CommandOptions):
        assert [name for name, _, _ in declared_options(options)] == [field.name for field in fields(options)]
    for _, _, option in declared_options(CommandOptions):
        assert option.help[0].isupper() or option.help.startswith("gd ")
        assert option.help.endswith(".")


def test_the_help_shows_every_option(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    out = cli("train", "--help").out
    for name, _, option in declared_options(CommandOptions):
        assert f" --{name.replace('_', '-')} " in out, name
        assert option.help.split(",")[0].split(":")[0] in out
        assert f" {option.group} ─" in out


def test_the_docs_have_the_table_of_options() -> None:
    """The expected table is what `opsin.apps.cli.arguments.table.option_table()` returns: paste it into the docs."""
    assert DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0] == option_table()


def test_shown_defaults_are_those_that_are_used() -> None:
    shown = {name: option.shown_default for name, _, option in declared_options(CommandOptions)}
    assert parse_seconds(str(shown["budget"])) == DEFAULT_BUDGET_SECONDS
    assert shown["cache_size"] == CACHE_SIZE
    assert parse_bytes(CACHE_SIZE) == store.CACHE_SIZE


def test_empty_values_are_refused(cli: Any) -> None:
    """In every command: an empty path would be the current folder."""
    for arguments, text in {
        ("ship", "a.opsin", "--to", "c", "--out", ""): "--out is empty; give one, or leave it out",
        ("train", "digits", "--run", ""): "--run is empty; give one, or leave it out",
        ("predict", "a.opsin", "a.png", ""): "IMAGE is empty; give one",
        ("gallery", "add", "", "Ann", "a.png"): "GALLERY is empty; give one",
    }.items():
        result = cli(*arguments)
        assert result.code == 2 and text in result.err


def test_values_are_parsed_and_bounded(cli: Any) -> None:
    assert cli("train", "digits", "--budget", "soon").err == (
        "Error: 'soon' is not a duration; write 90s, 10min or 1h30min\n"
    )
    assert cli("train", "digits", "--memory", "much").err.startswith("Error: 'much' is not an amount of memory; write")
    assert cli("train", "digits", "--cache-size", "x").err.startswith("Error: 'x' is not an amount of memory; write")
    for option in ("--size", "--epochs", "--patience", "--threads"):
        assert f"Invalid value for '{option}': 0 is not in the range" in cli("train", "digits", option, 0).err


@pytest.mark.parametrize("columns", [80, 120])
def test_commands_come_in_groups(cli: Any, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = cli("--help").out.splitlines()
    heads = [match[1] for line in lines if (match := re.match(r"╭─ (\w+) ─", line))]
    assert heads == ["Options", "Data", *GROUPS]
    names = [match[1] for line in lines if (match := re.match(r"│ (\w+) ", line))]
    groups = {group: [function.__name__ for function in functions] for group, functions in GROUPS.items()}
    groups["Use"].append("gallery")
    assert names == ["data", *(name for group in groups.values() for name in group)]


def test_help_starts_without_numpy() -> None:
    code = (
        "import sys; from opsin.apps.cli.main import run\n"
        "for command in ([], ['train'], ['describe'], ['bench'], ['data', 'check']): run([*command, '--help'])\n"
        "print(sorted({'numpy', 'llvmlite', 'PIL', 'opsin.data', 'opsin.training'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"


OLD = [
    (("train", "digits", "--plan-only", "--mirrored", "--exact", "--smoothing", "7"), "the label smoothing must be"),
    (("train", "digits", "--smoothing=7"), "the label smoothing must be"),
    (("describe", "lenet5", "--plan", "--exact"), ""),
    (("profile", "lenet5", "--exact", "--by", "size"), "--by takes layer or kernel, not 'size'"),
    (("tune", "lenet5", "--batch", "1", "--forget"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "error"), OLD)
def test_old_names_are_accepted_with_a_note(cli: Any, arguments: tuple[str, ...], error: str) -> None:
    old = [name for argument in arguments if (name := argument.partition("=")[0]) in RENAMED]
    notes = [f"Note: {name} is now {RENAMED[name]}; the old name will be removed in the next release." for name in old]
    code, out, err = cli(*arguments)
    lines = err.splitlines()
    assert lines[: len(old)] == notes and old
    assert (code, len(lines) - len(old)) == ((2, 1) if error else (0, 0))
    assert error in err
    current = [
        f"{RENAMED.get(name, name)}{equals}{value}" for name, equals, value in (a.partition("=") for a in arguments)
    ]
    assert cli(*current) == (code, out, "".join(f"{line}\n" for line in lines[len(old) :]))


def test_old_names_belong_to_the_commands_that_have_the_new_ones(cli: Any) -> None:
    for arguments in (("predict", "m", "i", "--exact"), ("runs", "--forget"), ("describe", "lenet5", "--smoothing", 1)):
        code, _, err = cli(*arguments)
        assert code == 2 and err.startswith("Error: No such option: ")
    assert "Note:" not in cli("predict", "nothing.opsin", "--", "--exact").err


def test_old_names_are_hidden(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in ("train", "describe", "profile", "tune"):
        assert not [name for name in RENAMED if f"{name} " in cli(command, "--help").out]
