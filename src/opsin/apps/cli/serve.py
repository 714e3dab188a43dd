"""`opsin serve`: models behind HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import typer

from opsin.apps.cli.arithmetic import Arithmetic, ArithmeticOptions
from opsin.apps.cli.open_model import open_model
from opsin.apps.cli.output import print_warning
from opsin.base.errors import UsageError
from opsin.base.optional import require
from opsin.model import Model

LIBRARIES = ("starlette", "uvicorn", "httptools")

MISSING = "`opsin serve` needs Starlette, uvicorn and httptools; install them with: pip install 'opsin[serve]'"

TOKEN_VARIABLE = "OPSIN_TOKEN"

MIN_TOKEN = 16
"""Characters of a token, so that it cannot be guessed."""


def run(
    names: Sequence[str], host: str, port: int, token_file: str | None, arithmetic_options: ArithmeticOptions,
    limits: dict[str, Any],
) -> int:  # fmt: skip
    """Serve models until Ctrl-C or SIGTERM; `limits` are fields of `Limits` that were given, the others are None."""
    arithmetic = Arithmetic(*arithmetic_options).checked()
    for library in LIBRARIES:
        require(library, UsageError, MISSING)
    process: Any = require("opsin.apps.serve.process", UsageError, MISSING)
    given = {key: value for key, value in limits.items() if value is not None}
    token = read_token(token_file)
    if token is None and not _is_local(host):
        print_warning(f"everyone who reaches {host} may use the server; set {TOKEN_VARIABLE} or --token-file")

    def open_with_arithmetic(name: str) -> Model:
        model = open_model(name)
        arithmetic.apply(model)
        return model

    process.run(
        names, open_with_arithmetic, process.Address(host, port), process.Limits(**given), token, report=typer.echo
    )
    return 0


def read_token(file: str | None) -> str | None:
    """Return the token in a file or in the environment; None if there is none. It is no argument, which others see."""
    text, source = os.environ.get(TOKEN_VARIABLE), TOKEN_VARIABLE
    if file is not None:
        try:
            text, source = Path(file).read_text("ascii"), file
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not ASCII text"
            raise UsageError(f"--token-file {file} cannot be read: {reason}; put the token into it alone") from None
    if text is None:
        return None
    token = text.strip()
    if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError(
            f"{source}: a token has at least {MIN_TOKEN} characters and no spaces; `openssl rand -hex 32` makes one"
        )
    return token


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
