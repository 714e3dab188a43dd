"""The machine code that runs a whole program, called once for each run by every thread.

A program is a table, so this code is the same for all of them: about 250 lines of LLVM text, in named snippets.
Words have 64 bits:

    groups:  kind (1: by sample, 0: by blocks), first call, past the last call
    calls:   function, arguments, partition (0: per sample, 1: per chunk, 2: any), blocks, time stamps (or 0)
    sizes:   number of groups, batch, chunk, chunks
    control: groups, calls, sizes, yield, threads, scratch (an address for each thread), wake (a function for each
             thread), nothing; then cache lines of eight words: arrivals at the barrier, its generation, and the state
             of each thread

A helper may still be leaving the last barrier of a run when the caller has returned. The barrier therefore belongs to
the pool of threads and not to the program, which may have been freed.

Every thread goes through all groups. In a group by sample it takes an equal share of the chunks, and each chunk through
all calls; in any other group, an equal share of the blocks of every call. Then it waits for the others at a barrier
that counts generations. It spins for a while, and then yields the processor.

Between two runs a helper thread waits here for about a millisecond, so that a training loop wakes it without the
operating system or Python; then it parks (`opsin_serve` returns) until `wake`.

Denormal numbers are flushed to zero while a program runs: arithmetic on them is a hundred times slower, and trained
weights contain many of them.
"""

from __future__ import annotations

MAX_SPINS = 4000
"""Iterations of the barrier's loop before a thread yields its processor."""
MAX_IDLE_SPINS = 60_000
"""Iterations that a helper waits for the next run before it parks."""
WAITING, RUNNING, PARKED = 0, 1, 2
"""States of a helper thread."""
GROUP_WORDS, CALL_WORDS = 3, 5
"""Words of a row of each table."""
STATES_WORD, LINE_WORDS = 24, 8
"""The word of the control block at which the threads' states begin, and the words from one to the next."""

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

WORK_ENTRY = """\
define internal void @work(ptr %control, i64 %thread) nounwind noinline {{
entry:
  %saved = alloca i32
  %set = alloca i32
{enter}  %groups = load ptr, ptr %control
  %calls_at = getelementptr i64, ptr %control, i64 1
  %calls = load ptr, ptr %calls_at
  %sizes_at = getelementptr i64, ptr %control, i64 2
  %sizes = load ptr, ptr %sizes_at
  %barrier = getelementptr i64, ptr %control, i64 8
  %yield_at = getelementptr i64, ptr %control, i64 3
  %yield = load ptr, ptr %yield_at
  %threads_at = getelementptr i64, ptr %control, i64 4
  %threads = load i64, ptr %threads_at
  %scratch_table_at = getelementptr i64, ptr %control, i64 5
  %scratch_table = load ptr, ptr %scratch_table_at
  %scratch_at = getelementptr i64, ptr %scratch_table, i64 %thread
  %scratch = load ptr, ptr %scratch_at
  %group_count = load i64, ptr %sizes
  %batch_at = getelementptr i64, ptr %sizes, i64 1
  %batch = load i64, ptr %batch_at
  %chunk_at = getelementptr i64, ptr %sizes, i64 2
  %chunk = load i64, ptr %chunk_at
  %chunks_at = getelementptr i64, ptr %sizes, i64 3
  %chunks = load i64, ptr %chunks_at
  %following = add i64 %thread, 1
  %c0 = mul i64 %chunks, %thread
  %first_chunk = udiv i64 %c0, %threads
  %c1 = mul i64 %chunks, %following
  %last_chunk = udiv i64 %c1, %threads
  br label %group

"""
"""A thread's part of a run: flush denormals to zero, load the program's addresses, and find the thread's own chunks."""

GROUP_LOOP = """\
group:
  %g = phi i64 [ 0, %entry ], [ %g_next, %group_end ]
  %group_at = getelementptr [3 x i64], ptr %groups, i64 %g
  %kind = load i64, ptr %group_at
  %first_at = getelementptr i64, ptr %group_at, i64 1
  %first = load i64, ptr %first_at
  %last_at = getelementptr i64, ptr %group_at, i64 2
  %last = load i64, ptr %last_at
  %by_image = icmp eq i64 %kind, 1
  %from = select i1 %by_image, i64 %first_chunk, i64 0
  %to = select i1 %by_image, i64 %last_chunk, i64 1
  %some = icmp ult i64 %from, %to
  br i1 %some, label %unit, label %wait

"""
"""Each group in turn: its calls, and the chunks of this thread, or one unit if it is not by sample."""

CHUNK_LOOP = """\
unit:
  %u = phi i64 [ %from, %group ], [ %u_next, %unit_end ]
  %image0 = mul i64 %u, %chunk
  %image1_all = add i64 %image0, %chunk
  %full = icmp ult i64 %image1_all, %batch
  %image1 = select i1 %full, i64 %image1_all, i64 %batch
  %u_next = add i64 %u, 1
  br label %call

"""
"""Each chunk in turn: its first sample, and the one after its last."""

CALL_LOOP = """\
call:
  %c = phi i64 [ %first, %unit ], [ %c_next, %call_end ]
  %call_at = getelementptr [5 x i64], ptr %calls, i64 %c
  %function = load ptr, ptr %call_at
  %arguments_at = getelementptr i64, ptr %call_at, i64 1
  %arguments = load ptr, ptr %arguments_at
  %split_at = getelementptr i64, ptr %call_at, i64 2
  %split = load i64, ptr %split_at
  %blocks_at = getelementptr i64, ptr %call_at, i64 3
  %blocks = load i64, ptr %blocks_at
  %stamps_at = getelementptr i64, ptr %call_at, i64 4
  %stamps = load ptr, ptr %stamps_at
  %is_image = icmp eq i64 %split, 0
  %i0 = mul i64 %image0, %blocks
  %i1 = mul i64 %image1, %blocks
  %own0 = select i1 %is_image, i64 %i0, i64 %u
  %own1 = select i1 %is_image, i64 %i1, i64 %u_next
  %per = select i1 %is_image, i64 %batch, i64 1
  %total = mul i64 %blocks, %per
  %t0 = mul i64 %total, %thread
  %share0 = udiv i64 %t0, %threads
  %t1 = mul i64 %total, %following
  %share1 = udiv i64 %t1, %threads
  %begin = select i1 %by_image, i64 %own0, i64 %share0
  %end = select i1 %by_image, i64 %own1, i64 %share1
  %work = icmp ult i64 %begin, %end
  br i1 %work, label %run, label %call_end

"""
"""Each call in turn: the blocks of this chunk by sample, or else of this thread."""

KERNEL_CALL = """\
run:
  %timed = icmp ne ptr %stamps, null
  br i1 %timed, label %run_timed, label %run_plain

run_plain:
  call void %function(ptr %arguments, i64 %begin, i64 %end, ptr %scratch)
  br label %call_end

run_timed:
  %start = call i64 @llvm.readcyclecounter()
  call void %function(ptr %arguments, i64 %begin, i64 %end, ptr %scratch)
  %stop = call i64 @llvm.readcyclecounter()
  %took = sub i64 %stop, %start
  %stamp_at = getelementptr i64, ptr %stamps, i64 %thread
  %before = load i64, ptr %stamp_at
  %after = add i64 %before, %took
  store i64 %after, ptr %stamp_at
  br label %call_end

"""
"""Call the kernel, and add the ticks that it takes to the thread's time stamp if the call has any."""

LOOP_ENDS = """\
call_end:
  %c_next = add i64 %c, 1
  %more_calls = icmp ult i64 %c_next, %last
  br i1 %more_calls, label %call, label %unit_end

unit_end:
  %more_units = icmp ult i64 %u_next, %to
  br i1 %more_units, label %unit, label %wait

"""
"""The ends of the loops over calls and chunks."""

BARRIER = """\
wait:
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %group_end, label %meet

meet:
  %generation_at = getelementptr i64, ptr %barrier, i64 8
  %generation = load atomic i64, ptr %generation_at acquire, align 8
  %arrived = atomicrmw add ptr %barrier, i64 1 acq_rel
  %others = sub i64 %threads, 1
  %is_last = icmp eq i64 %arrived, %others
  br i1 %is_last, label %release, label %spin

release:
  store atomic i64 0, ptr %barrier monotonic, align 8
  %generation_next = add i64 %generation, 1
  store atomic i64 %generation_next, ptr %generation_at release, align 8
  br label %group_end

spin:
  %turn = phi i64 [ 0, %meet ], [ %turn_next, %spin_on ]
  %now = load atomic i64, ptr %generation_at acquire, align 8
  %passed = icmp ne i64 %now, %generation
  br i1 %passed, label %group_end, label %spin_wait

spin_wait:
{pause}  %turn_up = add i64 %turn, 1
  %tired = icmp ugt i64 %turn_up, {spins}
  br i1 %tired, label %rest, label %spin_on

rest:
  %ignored = call i32 %yield()
  br label %spin_on

spin_on:
  %turn_next = phi i64 [ %turn_up, %spin_wait ], [ 0, %rest ]
  br label %spin

"""
"""Wait until all threads have finished the group: the last to arrive starts a new generation, the others spin."""

WORK_EXIT = """\
group_end:
  %g_next = add i64 %g, 1
  %more_groups = icmp ult i64 %g_next, %group_count
  br i1 %more_groups, label %group, label %leave

leave:
{leave}  ret void
}}

"""
"""The end of the loop over groups; restore the treatment of denormals."""

RUN_FUNCTION = """\
define void @opsin_run(ptr %control) nounwind {{
entry:
  %threads_at = getelementptr i64, ptr %control, i64 4
  %threads = load i64, ptr %threads_at
  %wake_table_at = getelementptr i64, ptr %control, i64 6
  %wake_table = load ptr, ptr %wake_table_at
  br label %each

each:
  %thread = phi i64 [ 1, %entry ], [ %thread_next, %started ]
  %some = icmp ult i64 %thread, %threads
  br i1 %some, label %start, label %go

start:
  %line = mul i64 %thread, 8
  %place = add i64 %line, 24
  %state_at = getelementptr i64, ptr %control, i64 %place
  %was = atomicrmw xchg ptr %state_at, i64 {running} acq_rel
  %parked = icmp eq i64 %was, {parked}
  br i1 %parked, label %wake, label %started

wake:
  %wake_at = getelementptr i64, ptr %wake_table, i64 %thread
  %function = load ptr, ptr %wake_at
  call void %function()
  br label %started

started:
  %thread_next = add i64 %thread, 1
  br label %each

go:
  call void @work(ptr %control, i64 0)
  ret void
}}

"""
"""`opsin_run`: set every helper running, wake those that are parked, and do the caller's own part."""

SERVE_FUNCTION = """\
define void @opsin_serve(ptr %control, i64 %thread) nounwind {{
entry:
  %line = mul i64 %thread, 8
  %place = add i64 %line, 24
  %state_at = getelementptr i64, ptr %control, i64 %place
  %yield_at = getelementptr i64, ptr %control, i64 3
  br label %run

run:
  ; Set before the work, because its last barrier allows the next run to begin.
  store atomic i64 {waiting}, ptr %state_at release, align 8
  call void @work(ptr %control, i64 %thread)
  br label %spin

spin:
  %turn = phi i64 [ 0, %run ], [ %turn_next, %spin_on ]
  %state = load atomic i64, ptr %state_at acquire, align 8
  %called = icmp eq i64 %state, {running}
  br i1 %called, label %run, label %spin_wait

spin_wait:
{pause}  %turn_next = add i64 %turn, 1
  %low = and i64 %turn_next, 63
  %rests = icmp eq i64 %low, 0
  br i1 %rests, label %rest, label %spin_on

rest:
  %yield = load ptr, ptr %yield_at
  %ignored = call i32 %yield()
  br label %spin_on

spin_on:
  %tired = icmp ugt i64 %turn_next, {patience}
  br i1 %tired, label %park, label %spin

park:
  %exchange = cmpxchg ptr %state_at, i64 {waiting}, i64 {parked} acq_rel acquire
  %success = extractvalue {{ i64, i1 }} %exchange, 1
  br i1 %success, label %leave, label %run

leave:
  ret void
}}
"""
"""`opsin_serve`: a helper's parts of runs, waiting for the next a while after each, until it parks."""

SNIPPETS = (
    DECLARATIONS, WORK_ENTRY, GROUP_LOOP, CHUNK_LOOP, CALL_LOOP, KERNEL_CALL, LOOP_ENDS, BARRIER, WORK_EXIT,
    RUN_FUNCTION, SERVE_FUNCTION,
)  # fmt: skip


def architecture(triple: str) -> str:
    """Return the key of `FLUSH` for LLVM's name of a platform, such as `arm64-apple-darwin23.1.0`."""
    return "aarch64" if triple.startswith(("aarch64", "arm64")) else "x86"


def driver(triple: str) -> str:
    """Return the driver as LLVM text, for the architecture of `triple`."""
    declarations, enter, leave, pause, pause_declaration = FLUSH[architecture(triple)]
    return "".join(SNIPPETS).format(
        declarations=declarations,
        pause_declaration=pause_declaration,
        enter=enter,
        leave=leave,
        pause=pause,
        spins=MAX_SPINS,
        patience=MAX_IDLE_SPINS,
        waiting=WAITING,
        running=RUNNING,
        parked=PARKED,
    )
