"""The machine code that runs a whole program, called once for each run by every thread.

A program is a table, so this code is the same for all of them: LLVM text in named snippets. `driver_work` has a
thread's part of a run, `driver_entries` the functions that Python calls. Words have 64 bits:

    groups:  kind (1: by sample, 0: by blocks), first call, past the last call
    calls:   function, arguments, partition (0: per sample, 1: per chunk, 2: any), blocks, time stamps (or 0)
    sizes:   number of groups, batch, chunk, chunks
    control: lines of eight words:
             the next run: groups, calls, sizes, yield, threads, scratch (an address for each thread), wake (a function
             for each thread), nothing
             this run: version (odd while it changes), groups, calls, sizes, scratch, number of the first group, number
             of the next run's first group, nothing
             the units of this run that are finished, nothing
             for each thread: its state, whether it is inside a run, whether it is awake, nothing
             for each thread: its claim, nothing

Every thread goes through all groups. In a group by sample a unit of work is a chunk of samples, which goes through all
calls; in any other group it is a piece of a call's blocks. Each thread has an equal share of the units. It claims them
one by one, and then those that other threads have not claimed: on a busy machine, the others do the work of a thread
that has no processor. A claim is a compare-and-exchange of a word that holds the number of a group
and of the next unit, which both only grow. A group is finished when as many units are finished as there were up to its
end. A waiting thread spins for a while, and then yields the processor.

A helper that comes late finds every unit claimed, and leaves when it sees the next version. It may still read the
tables of a run that has finished, so the caller is told how many helpers are inside, and keeps the tables
(`pool.Pool`).

Between two runs a helper thread waits here for about a millisecond, so that a training loop wakes it without the
operating system or Python; then it parks (`opsin_serve` returns) until `wake`.

Denormal numbers are flushed to zero while a program runs, unless the target keeps them: arithmetic on them is a hundred
times slower, and trained weights contain many of them.
"""

from __future__ import annotations

from opsin.backends.native.driver_entries import RUN_FUNCTION, SERVE_FUNCTION
from opsin.backends.native.driver_work import WORK

MAX_SPINS = 4000
"""Iterations of the barrier's loop before a thread yields its processor."""
MAX_IDLE_SPINS = 60_000
"""Iterations that a helper waits for the next run before it parks."""
WAITING, RUNNING, PARKED = 0, 1, 2
"""States of a helper thread."""
MAX_EXIT_SPINS = 2000
"""Iterations that the caller waits for helpers to leave a run."""
FIRST_GROUP_WORD = 14
"""The word of the control block with the number of the next run's first group."""
PIECES = 4
"""Pieces that a thread's share of a call is divided into."""
CLAIM_BITS = 20
"""Bits of a claim that count units; the others count groups."""
GROUP_WORDS, CALL_WORDS = 3, 5
"""Words of a row of each table."""
STATES_WORD, LINE_WORDS = 24, 8
"""The word of the control block at which the threads' states begin, and the words of a line."""

FLUSH = {
    "x86": (
        "declare void @llvm.x86.sse.stmxcsr(ptr)\ndeclare void @llvm.x86.sse.ldmxcsr(ptr)\n",
        """  call void @llvm.x86.sse.stmxcsr(ptr %saved)
  %mode = load i32, ptr %saved
  %flush = or i32 %mode, 32832
  store i32 %flush, ptr %set
  call void @llvm.x86.sse.ldmxcsr(ptr %set)
""",
        "  call void @llvm.x86.sse.ldmxcsr(ptr %saved)\n",
        "  call void @llvm.x86.sse2.pause()\n",
        "declare void @llvm.x86.sse2.pause()\n",
    ),
    "aarch64": (
        "declare i64 @llvm.aarch64.get.fpcr()\ndeclare void @llvm.aarch64.set.fpcr(i64)\n",
        """  %mode = call i64 @llvm.aarch64.get.fpcr()
  %flush = or i64 %mode, 16777216
  call void @llvm.aarch64.set.fpcr(i64 %flush)
""",
        "  call void @llvm.aarch64.set.fpcr(i64 %mode)\n",
        "  call void @llvm.aarch64.hint(i32 1)\n",
        "declare void @llvm.aarch64.hint(i32)\n",
    ),
}
"""By architecture: declarations, the code on entry and on exit, the pause of a spinning thread, and its declaration."""

DECLARATIONS = """\
declare i64 @llvm.readcyclecounter()
{declarations}{pause_declaration}
"""
"""Declarations of LLVM's functions: the time-stamp counter, and those that `FLUSH` and the pause need."""


def architecture(triple: str) -> str:
    """Return the key of `FLUSH` for LLVM's name of a platform, such as `arm64-apple-darwin23.1.0`."""
    return "aarch64" if triple.startswith(("aarch64", "arm64")) else "x86"


def entry_points(flush_denormals: bool) -> tuple[str, str]:
    """Return the names of the functions that run a program and that serve as a helper."""
    return ("opsin_run", "opsin_serve") if flush_denormals else ("opsin_run_ieee", "opsin_serve_ieee")


def driver(triple: str, flush_denormals: bool = True) -> str:
    """Return the driver as LLVM text, for the architecture of `triple`."""
    declarations, enter, leave, pause, pause_declaration = FLUSH[architecture(triple)]
    if not flush_denormals:
        declarations = enter = leave = ""
    run, serve = entry_points(flush_denormals)
    return "".join((DECLARATIONS, *WORK, RUN_FUNCTION, SERVE_FUNCTION)).format(
        run=run,
        serve=serve,
        declarations=declarations,
        pause_declaration=pause_declaration,
        enter=enter,
        leave=leave,
        pause=pause,
        spins=MAX_SPINS,
        patience=MAX_IDLE_SPINS,
        exit_spins=MAX_EXIT_SPINS,
        pieces=PIECES,
        claim_bits=CLAIM_BITS,
        claim_mask=2**CLAIM_BITS - 1,
        waiting=WAITING,
        running=RUNNING,
        parked=PARKED,
    )
