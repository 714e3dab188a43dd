"""Run JavaScript in Node.js, if it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

INSPECTION = Path(__file__).parents[2] / "src" / "opsin" / "inspection"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")


def run(script: str, data: Any) -> Any:
    """Return what `script`, the body of a function of `data` and `require`, returns."""
    program = (
        "const data = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
        f"const result = ((data, require) => {{ {script} }})(data, require);"
        "process.stdout.write(JSON.stringify(result));"
    )
    result = subprocess.run(
        ["node", "-e", program], input=json.dumps(data), capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
