"""The script that runs a model: the files of this package, joined and without their comments."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

CHECKS = ("error.js", "sha256.js")
"""What checks the parts of a model before they are used."""

RUNTIME = ("frame.js", "network.js", "answers.js", "detection.js", "model.js")
"""What runs a model: the class `Model`, and what it needs besides the checks."""


def runtime_script(names: Sequence[str]) -> str:
    """Return the declarations of files of this package."""
    return scripts("opsin.export.runtime", names)


def scripts(package: str, names: Sequence[str]) -> str:
    """Return scripts in the folder `assets` of a package, joined and compact."""
    return "".join(compact(text(files(package) / "assets" / name)) for name in names)


def text(file: Traversable) -> str:
    """Return the text of a file of a package."""
    return file.read_text(encoding="utf-8")


def compact(script: str) -> str:
    """Return a script without comments that fill lines, indentation and empty lines.

    No template string of the scripts runs over a line end.
    """
    without_comments = re.sub(r"^[ \t]*/\*.*?\*/[ \t]*\n", "", script, flags=re.MULTILINE | re.DOTALL)
    lines = (line.strip() for line in without_comments.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
