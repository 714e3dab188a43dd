"""Groups by sample divided into groups by blocks, for more threads than the batch has chunks.

In a group by sample a thread takes whole chunks of samples, so that 64 threads find no more than 16 pieces of work in a
batch of 16. If that takes longer than a barrier after each of its calls, the group becomes a sequence of groups by
blocks. Blocks are computed alike in both, so the results are bit-identical, although this depends on the number of
threads. The order of calls and the places of buffers stay the same.
"""

from __future__ import annotations

from opsin.compiler.calls import KernelCall, Partition
from opsin.compiler.schedule import CallGroup, dependencies
from opsin.compiler.views import WORD_BYTES

MACS_PER_SECOND = 5e10
"""Multiply-accumulate operations of one core: an estimate that only decides how a group is divided."""
BYTES_PER_SECOND = 1e10
"""The same for memory."""
BARRIER_SECONDS = 1e-7
"""A barrier's time for each thread: a cache line that all of them write passes from core to core."""
MIN_GAIN = 1.2
"""Minimum ratio of the times by sample and by blocks: data that a thread wrote may then be in another core's cache."""


def divide_groups(groups: list[CallGroup], batch: int, chunk: int, threads: int) -> list[CallGroup]:
    """Return `groups` for `threads` threads, those by sample divided where that is faster."""
    chunks = -(-batch // chunk)
    if chunks % threads == 0:
        return groups
    result: list[CallGroup] = []
    for group in groups:
        divided = _independent_runs(group.calls) if group.by_sample else [group]
        by_blocks = sum(_by_blocks(part, batch, threads) for part in divided)
        by_sample = sum(map(_seconds, group.calls)) * -(-chunks // threads) / chunks
        result += divided if by_sample >= MIN_GAIN * by_blocks else [group]
    return result


def blocks(call: KernelCall, batch: int) -> int:
    """Return the number of blocks of a whole batch."""
    return call.blocks * (batch if call.partition is Partition.PER_SAMPLE else 1)


def _independent_runs(calls: list[KernelCall]) -> list[CallGroup]:
    """Return `calls` in groups by blocks: successive calls that do not depend on each other share one."""
    groups, first = [CallGroup(False)], 0
    for number, (call, before) in enumerate(zip(calls, dependencies(calls), strict=True)):
        if any(earlier >= first for earlier in before):
            groups.append(CallGroup(False))
            first = number
        groups[-1].calls.append(call)
    return groups


def _by_blocks(group: CallGroup, batch: int, threads: int) -> float:
    """Return the seconds of a group by blocks."""
    seconds = 0.0
    for call in group.calls:
        count = max(1, blocks(call, batch))
        seconds += _seconds(call) * -(-count // threads) / count
    return seconds + BARRIER_SECONDS * threads


def _seconds(call: KernelCall) -> float:
    """Return an estimate of a call's seconds on one thread."""
    words = sum(buffer.words for buffer in {*call.reads, *call.writes})
    return max(call.macs / MACS_PER_SECOND, WORD_BYTES * words / BYTES_PER_SECOND)
