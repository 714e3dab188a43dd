"""The page as one text. Its policy admits its own script and style by their digests, and nothing else."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).parent


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _page() -> tuple[str, str]:
    """Return the page and its content security policy."""
    html, style, script = ((FOLDER / f"page.{kind}").read_text("utf-8") for kind in ("html", "css", "js"))
    policy = (
        f"default-src 'none'; script-src {_digest(script)}; style-src {_digest(style)}; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html.replace("/*style*/", style).replace("/*script*/", script), policy


PAGE, POLICY = _page()

PAGE_HEADERS = {
    "content-type": "text/html; charset=utf-8", "content-security-policy": POLICY, "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}  # fmt: skip
