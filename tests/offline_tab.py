"""A tab of Chromium that has no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self


class OfflineTab:
    """A tab that has opened a page by file://, with the network off; it records requests and errors."""

    def __init__(self, browser: Any, path: Path, address: str = "", width: int = 1200, scheme: str = "light") -> None:
        self.context = browser.new_context(
            offline=True, viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(path.as_uri() + address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()
