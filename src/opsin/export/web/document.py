"""The HTML file of a model, which notices when any of it was changed.

The script knows the digests of the other elements, and the content security policy that of the script. A browser does
not run a script whose digest is another one; the text of the page then says so. The larger part of the script is
compressed, as weights and module are: the browser runs it because the policy has its digest, too. There is no module
without vectors, because browsers that can decompress have vectors. The source has no element, attribute or
space that a browser would add or leave out, so that the elements serialize to the text from which the digest is made.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from pathlib import Path

from opsin import __version__
from opsin.export.precision import FLOAT32
from opsin.export.runtime.parts import Parts
from opsin.export.runtime.script import CHECKS, RUNTIME, compact, runtime_script, scripts, text
from opsin.export.web.packing import Packed, pack
from opsin.model import Model
from opsin.viz.page_style import base_style

SCRIPTS = ("dom.js", "answer.js", "identity.js", "sources.js", "page.js")
WAITING = (
    "The model is being checked. If this text stays, the page was changed or damaged, or this browser runs no scripts: "
    "get the page again, or use another browser."
)
MAX_TITLE = 80


def document(model: Model, parts: Parts) -> str:
    """Return the page of a model."""
    code = "'use strict'\n" + runtime_script(RUNTIME) + scripts("opsin.export.web", SCRIPTS)
    packed = {
        "script": pack(code.encode("utf-8")),
        "description": pack(json.dumps(parts.description, ensure_ascii=True, separators=(",", ":")).encode("ascii")),
        "weights": pack(parts.data, planes=parts.description["precision"] == FLOAT32),
        "module": pack(parts.vector),
    }
    style = compact(base_style() + text(files("opsin.export.web") / "assets" / "page.css"))
    title = _plain(Path(model.name).stem if Path(model.name).suffix else model.network)
    policy = (
        f"default-src 'none'; script-src 'sha256-' 'sha256-{_digest(code)}' 'wasm-unsafe-eval'; "
        f"style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'"
    )
    head = [
        '<meta data-own="" charset="utf-8">',
        f'<meta data-own="" http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta data-own="" name="viewport" content="width=device-width, initial-scale=1">',
        f'<meta data-own="" name="generator" content="Made by Opsin {__version__}">',
        f'<title data-own="">{escape(title, quote=False)}</title>',
        f'<style data-own="">{style}</style>',
    ]
    body = [f'<div data-own="" id="page"><p class="warning">{WAITING}</p></div>']
    shells = [f'<script data-own="" type="text/plain" id="{name}"></script>' for name in packed]
    frame = "\n".join(["html", "", "", "en", "UTF-8", *head, *body, *shells, '<script data-own=""></script>'])
    script = _script(packed, hashlib.sha256(frame.encode("utf-8")).hexdigest())
    head[1] = head[1].replace("'sha256-'", f"'sha256-{_digest(script)}'", 1)
    filled = [shell.replace("></", f">{each.text}</") for shell, each in zip(shells, packed.values(), strict=True)]
    pieces = ['<!DOCTYPE html><html lang="en">', *head, *body, *filled, f'<script data-own="">{script}</script>']
    return "".join(pieces)


def _script(packed: dict[str, Packed], document_digest: str) -> str:
    table = {
        name: {"digest": each.digest, "deflated": each.deflated, "planes": each.planes} for name, each in packed.items()
    }
    constants = f"const PARTS = {json.dumps(table)}, DOCUMENT_DIGEST = '{document_digest}'\n"
    return "'use strict'\n" + constants + runtime_script(CHECKS) + scripts("opsin.export.web", ["load.js"])


def _digest(content: str) -> str:
    """Return the SHA-256 digest of a text in base 64."""
    return base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")


def _plain(name: str) -> str:
    """Return a name as text that a browser leaves as it is: without control characters, and not too long."""
    printable = "".join(character if character.isprintable() else " " for character in name)
    return " ".join(printable.encode("utf-8", "replace").decode("utf-8").split())[:MAX_TITLE] or "model"
