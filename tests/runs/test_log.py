"""The log: one record per line, truncated to complete lines."""

from __future__ import annotations

from pathlib import Path

from opsin.runs.log import Log, read_log


def test_lines_can_be_read_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    log.write({"event": "epoch", "name": "größe"})
    assert list(read_log(tmp_path / "log.jsonl")) == [{"event": "epoch", "name": "größe"}]
    assert log.size == (tmp_path / "log.jsonl").stat().st_size
    log.close()
    assert list(read_log(tmp_path / "none")) == []


def test_an_incomplete_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a":')
    assert list(read_log(path)) == [{"a": 1}, {"a": 2}]
    log = Log(path)
    log.write({"a": 3})
    log.close()
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n{"a": 3}\n'


def test_records_after_a_checkpoint_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for size, records in {9: [1], 12: [1], 18: [1, 2], 0: [], 99: [1, 2]}.items():
        path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
        Log(path, size).close()
        assert [record["a"] for record in read_log(path)] == records


def test_invalid_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \xff\n7\n{"a": 4}\n')
    assert list(read_log(path)) == [{"a": 1}, {"a": 4}]
