"""JSON as the server sends it."""

from __future__ import annotations

import json
from typing import Any

ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def dumps(data: Any) -> bytes:
    """Return JSON as UTF-8."""
    return ENCODER.encode(data).encode("utf-8", "replace")
