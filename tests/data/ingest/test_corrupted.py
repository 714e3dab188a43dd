"""A folder of 200 files as the world delivers them: each is named, nothing is changed, and training goes on."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from tests.data.corrupted import GOOD, OVERSIZED, write_corrupted

MOST_MEMORY = 1_000_000
"""Kilobytes that the intake and the training may need at their peak."""

PROGRAM = """
import json, sys
import opsin
from opsin.planning.measurement import process_bytes  # a child's ru_maxrss would count what its parent had
data = opsin.data.load(sys.argv[1], size=32)
model = opsin.train("lenet5", data, epochs=1, batch=16)
print(json.dumps({
    "receipt": data.receipt.to_data(),
    "used": [name for name in data.all_images().names],
    "measured": model.evaluate(data.test).images,
    "kilobytes": process_bytes() // 1024,
}))
"""


def state(folder: Path) -> dict[str, tuple[object, ...]]:
    """Everything about every entry that reading must not change."""
    actual: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        whole = stat.S_ISREG(status.st_mode) and status.st_size < OVERSIZED and os.access(path, os.R_OK)
        content = sha256(path.read_bytes()).hexdigest() if whole else ""
        actual[os.fsencode(path).hex()] = (status.st_mtime_ns, status.st_mode, status.st_size, status.st_ino, content)
    return actual


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes, sockets and links")
def test_every_bad_file_is_named_and_the_rest_is_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    truth = write_corrupted(folder)
    before = state(folder)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    arguments = [sys.executable, "-W", "error", "-c", PROGRAM, str(folder)]
    process_result = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=300)
    assert process_result.returncode == 0, process_result.stderr
    assert process_result.stderr == ""
    result = json.loads(process_result.stdout)
    actual = {problem["name"]: problem["kind"] for problem in result["receipt"]["problems"]}
    assert actual == {made.name: made.kind for made in truth if made.kind != GOOD}
    assert len(actual) == len(result["receipt"]["problems"])
    assert set(result["used"]) == {made.name for made in truth if made.kind == GOOD}
    assert result["measured"] > 0
    assert result["kilobytes"] <= MOST_MEMORY
    assert state(folder) == before
