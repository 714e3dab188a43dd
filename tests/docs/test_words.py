"""Words that CONTRIBUTING's writing guide retires stay out of the code and the documentation."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
RETIRED = {
    r"\brooms?\b": "package, or space",
    r"\bwish(es|ed)?\b": "options",
    r"\b(go|goes|going|went) on (with|after|from|to)\b": "continue, resume",
    r"\bat hand\b": "available",
    r"\bper cents?\b": "percent",
    r"\bleft the finite\b": "became NaN or infinite",
    r"\bGF/s\b": "GFLOP/s",
    r"\bmultiply-adds?\b": "MACs",
    r"\b(nobody|somebody|anybody)\b": "name the thing, or use the passive",
    r"\banew\b": "again",
    r"\bpictures?\b": "image",
    r"\bthe same bits\b": "bit-identical",
    r"\bbeside\b": "next to, in addition to",
    r"\bnormalis": "normaliz-",
}
ALLOWED = {
    "docs/README.md", "CONTRIBUTING.md",
}  # fmt: skip
"""Files that quote retired words."""

FILES = sorted(
    path
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "src/**/*.py")
    for path in ROOT.glob(pattern)
    if path.relative_to(ROOT).as_posix() not in ALLOWED
)
