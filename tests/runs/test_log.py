"""The log: a line a record, cut to what is sure."""

from __future__ import annotations

from pathlib import Path

from opsin.runs.log import Log, read_log


def test_lines_are_there_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl")
    log.write({"event": "epoch", "name": "größe"})
    assert list(read_log(tmp_path / "log.jsonl")) == [{"event": "epoch", "name": "größe"}]
    assert log.size == (tmp_path / "log.jsonl").stat().st_size
    log.close()
    assert list(read_log(tmp_path / "none")) == []


def test_a_torn_line_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n{"a":')
    assert list(read_log(path)) == [{"a": 1}, {"a": 2}]
    log = Log(path)
    log.write({"a": 3})
    log.close()
    assert path.read_bytes() == b'{"a": 1}\n{"a": 2}\n{"a": 3}\n'


def test_what_came_after_a_checkpoint_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    for at, left in {9: [1], 12: [1], 18: [1, 2], 0: [], 99: [1, 2]}.items():
        path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
        Log(path, at).close()
        assert [record["a"] for record in read_log(path)] == left


def test_a_line_that_is_no_record_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \xff\n7\n{"a": 4}\n')
    assert list(read_log(path)) == [{"a": 1}, {"a": 4}]
