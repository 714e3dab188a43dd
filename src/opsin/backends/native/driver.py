"""The machine code that runs a whole program, called once for each run by every thread.

A program is a table, so this code is the same for all of them: about 350 lines of LLVM text, in named snippets.
Words have 64 bits:

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

WORK_ENTRY = """\
define internal void @work(ptr %control, i64 %thread) nounwind noinline {{
entry:
  %saved = alloca i32
  %set = alloca i32
{enter}  %version_at = getelementptr i64, ptr %control, i64 8
  %version = load atomic i64, ptr %version_at acquire, align 8
  %groups_at = getelementptr i64, ptr %control, i64 9
  %groups = load atomic ptr, ptr %groups_at acquire, align 8
  %calls_at = getelementptr i64, ptr %control, i64 10
  %calls = load atomic ptr, ptr %calls_at acquire, align 8
  %sizes_at = getelementptr i64, ptr %control, i64 11
  %sizes = load atomic ptr, ptr %sizes_at acquire, align 8
  %scratch_table_at = getelementptr i64, ptr %control, i64 12
  %scratch_table = load atomic ptr, ptr %scratch_table_at acquire, align 8
  %base_at = getelementptr i64, ptr %control, i64 13
  %base = load atomic i64, ptr %base_at acquire, align 8
  %version_again = load atomic i64, ptr %version_at acquire, align 8
  %odd = and i64 %version, 1
  %changed = sub i64 %version_again, %version
  %unsure = or i64 %odd, %changed
  %stable = icmp eq i64 %unsure, 0
  br i1 %stable, label %begin_run, label %leave

begin_run:
  %done_at = getelementptr i64, ptr %control, i64 16
  %yield_at = getelementptr i64, ptr %control, i64 3
  %yield = load ptr, ptr %yield_at
  %threads_at = getelementptr i64, ptr %control, i64 4
  %threads = load i64, ptr %threads_at
  %states = mul i64 %threads, 8
  %claims_word = add i64 %states, 24
  %claims = getelementptr i64, ptr %control, i64 %claims_word
  %alone = icmp eq i64 %threads, 1
  %pieces = select i1 %alone, i64 1, i64 {pieces}
  %scratch_at = getelementptr i64, ptr %scratch_table, i64 %thread
  %scratch = load ptr, ptr %scratch_at
  %group_count = load i64, ptr %sizes
  %batch_at = getelementptr i64, ptr %sizes, i64 1
  %batch = load i64, ptr %batch_at
  %chunk_at = getelementptr i64, ptr %sizes, i64 2
  %chunk = load i64, ptr %chunk_at
  %chunks_at = getelementptr i64, ptr %sizes, i64 3
  %chunks = load i64, ptr %chunks_at
  %some_groups = icmp ne i64 %group_count, 0
  br i1 %some_groups, label %group, label %leave

"""
"""A thread's part of a run: flush denormals to zero, and load the program's addresses, unless they are changing."""

GROUP_LOOP = """\
group:
  %g = phi i64 [ 0, %begin_run ], [ %g_next, %group_end ]
  %target_before = phi i64 [ 0, %begin_run ], [ %target, %group_end ]
  %group_at = getelementptr [3 x i64], ptr %groups, i64 %g
  %kind = load i64, ptr %group_at
  %first_at = getelementptr i64, ptr %group_at, i64 1
  %first = load i64, ptr %first_at
  %last_at = getelementptr i64, ptr %group_at, i64 2
  %last = load i64, ptr %last_at
  %by_image = icmp eq i64 %kind, 1
  %call_count = sub i64 %last, %first
  %call_units = mul i64 %call_count, %pieces
  %all_call_units = mul i64 %call_units, %threads
  %all_units = select i1 %by_image, i64 %chunks, i64 %all_call_units
  %target = add i64 %target_before, %all_units
  %sequence = add i64 %base, %g
  %tag = shl i64 %sequence, {claim_bits}
  br label %victim

"""
"""Each group in turn: the number of its units, and of those that are finished at its end."""

VICTIM_LOOP = """\
victim:
  %distance = phi i64 [ 0, %group ], [ %distance_next, %victim_end ]
  %finished_before = phi i64 [ 0, %group ], [ %finished, %victim_end ]
  %owner_sum = add i64 %thread, %distance
  %wraps = icmp uge i64 %owner_sum, %threads
  %owner_wrapped = sub i64 %owner_sum, %threads
  %owner = select i1 %wraps, i64 %owner_wrapped, i64 %owner_sum
  %following = add i64 %owner, 1
  %c0 = mul i64 %chunks, %owner
  %first_chunk = udiv i64 %c0, %threads
  %c1 = mul i64 %chunks, %following
  %last_chunk = udiv i64 %c1, %threads
  %own_chunks = sub i64 %last_chunk, %first_chunk
  %limit = select i1 %by_image, i64 %own_chunks, i64 %call_units
  %claim_word = mul i64 %owner, 8
  %claim_at = getelementptr i64, ptr %claims, i64 %claim_word
  br label %claim

claim:
  %finished = phi i64 [ %finished_before, %victim ], [ %finished, %take ], [ %finished_next, %unit_end ]
  %word = load atomic i64, ptr %claim_at acquire, align 8
  %word_sequence = lshr i64 %word, {claim_bits}
  %is_later = icmp ugt i64 %word_sequence, %sequence
  %is_same = icmp eq i64 %word_sequence, %sequence
  %claimed = and i64 %word, {claim_mask}
  %n = select i1 %is_same, i64 %claimed, i64 0
  %none_left = icmp uge i64 %n, %limit
  %nothing = or i1 %is_later, %none_left
  br i1 %nothing, label %victim_end, label %take

take:
  %n_next = add i64 %n, 1
  %word_next = or i64 %tag, %n_next
  %exchanged = cmpxchg ptr %claim_at, i64 %word, i64 %word_next acq_rel acquire
  %taken = extractvalue {{ i64, i1 }} %exchanged, 1
  br i1 %taken, label %unit, label %claim

victim_end:
  %distance_next = add i64 %distance, 1
  %more_victims = icmp ult i64 %distance_next, %threads
  br i1 %more_victims, label %victim, label %finish

"""
"""Claim units: those of this thread's own share, and then those of the others'."""

UNIT = """\
unit:
  %finished_next = add i64 %finished, 1
  %chunk_number = add i64 %first_chunk, %n
  %chunk_number_next = add i64 %chunk_number, 1
  %image0 = mul i64 %chunk_number, %chunk
  %image1_all = add i64 %image0, %chunk
  %full = icmp ult i64 %image1_all, %batch
  %image1 = select i1 %full, i64 %image1_all, i64 %batch
  %call_of_unit = udiv i64 %n, %pieces
  %piece = urem i64 %n, %pieces
  %piece_next = add i64 %piece, 1
  %one_call = add i64 %first, %call_of_unit
  %after_one_call = add i64 %one_call, 1
  %from = select i1 %by_image, i64 %first, i64 %one_call
  %to = select i1 %by_image, i64 %last, i64 %after_one_call
  %some = icmp ult i64 %from, %to
  br i1 %some, label %call, label %unit_end

"""
"""A unit: the samples of a chunk and all calls, or a piece of one call."""

CALL_LOOP = """\
call:
  %c = phi i64 [ %from, %unit ], [ %c_next, %call_end ]
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
  %own0 = select i1 %is_image, i64 %i0, i64 %chunk_number
  %own1 = select i1 %is_image, i64 %i1, i64 %chunk_number_next
  %per = select i1 %is_image, i64 %batch, i64 1
  %total = mul i64 %blocks, %per
  %t0 = mul i64 %total, %owner
  %share0 = udiv i64 %t0, %threads
  %t1 = mul i64 %total, %following
  %share1 = udiv i64 %t1, %threads
  %share = sub i64 %share1, %share0
  %p0 = mul i64 %share, %piece
  %offset0 = udiv i64 %p0, %pieces
  %p1 = mul i64 %share, %piece_next
  %offset1 = udiv i64 %p1, %pieces
  %block0 = add i64 %share0, %offset0
  %block1 = add i64 %share0, %offset1
  %begin = select i1 %by_image, i64 %own0, i64 %block0
  %end = select i1 %by_image, i64 %own1, i64 %block1
  %work = icmp ult i64 %begin, %end
  br i1 %work, label %run, label %call_end

"""
"""Each call in turn: the blocks of this chunk by sample, or else of this piece."""

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
  %more_calls = icmp ult i64 %c_next, %to
  br i1 %more_calls, label %call, label %unit_end

unit_end:
  br label %claim

"""
"""The ends of the loops over calls and units."""

BARRIER = """\
finish:
  %has_finished = icmp ne i64 %finished, 0
  br i1 %has_finished, label %report, label %wait

report:
  %ignored_sum = atomicrmw add ptr %done_at, i64 %finished acq_rel
  br label %wait

wait:
  br label %spin

spin:
  %turn = phi i64 [ 0, %wait ], [ %turn_next, %spin_on ]
  %done = load atomic i64, ptr %done_at acquire, align 8
  %passed = icmp uge i64 %done, %target
  br i1 %passed, label %group_end, label %spin_wait

spin_wait:
{pause}  %version_now = load atomic i64, ptr %version_at acquire, align 8
  %is_over = icmp ne i64 %version_now, %version
  br i1 %is_over, label %leave, label %spin_more

spin_more:
  %turn_up = add i64 %turn, 1
  %tired = icmp ugt i64 %turn_up, {spins}
  br i1 %tired, label %rest, label %spin_on

rest:
  %ignored = call i32 %yield()
  br label %spin_on

spin_on:
  %turn_next = phi i64 [ %turn_up, %spin_more ], [ 0, %rest ]
  br label %spin

"""
"""Report the finished units, and wait until all those of the group are finished, or until another run has begun."""

WORK_EXIT = """\
group_end:
  %g_next = add i64 %g, 1
  %more_groups = icmp ult i64 %g_next, %group_count
  br i1 %more_groups, label %group, label %leave

leave:
{leave}  ret void
}}

"""
"""The end of the loop over groups, and of the thread's part; restore the treatment of denormals."""

RUN_FUNCTION = """\
define i64 @{run}(ptr %control) nounwind {{
entry:
  %version_at = getelementptr i64, ptr %control, i64 8
  %version = load i64, ptr %version_at
  %version_odd = add i64 %version, 1
  %version_next = add i64 %version, 2
  %groups = load ptr, ptr %control
  %calls_at = getelementptr i64, ptr %control, i64 1
  %calls = load ptr, ptr %calls_at
  %sizes_at = getelementptr i64, ptr %control, i64 2
  %sizes = load ptr, ptr %sizes_at
  %scratch_at = getelementptr i64, ptr %control, i64 5
  %scratch = load ptr, ptr %scratch_at
  %live_groups = getelementptr i64, ptr %control, i64 9
  %live_calls = getelementptr i64, ptr %control, i64 10
  %live_sizes = getelementptr i64, ptr %control, i64 11
  %live_scratch = getelementptr i64, ptr %control, i64 12
  %live_base = getelementptr i64, ptr %control, i64 13
  %next_base_at = getelementptr i64, ptr %control, i64 14
  %done_at = getelementptr i64, ptr %control, i64 16
  %base = load i64, ptr %next_base_at
  %group_count = load i64, ptr %sizes
  %next_base = add i64 %base, %group_count
  %ignored_version = atomicrmw xchg ptr %version_at, i64 %version_odd seq_cst
  store atomic ptr %groups, ptr %live_groups release, align 8
  store atomic ptr %calls, ptr %live_calls release, align 8
  store atomic ptr %sizes, ptr %live_sizes release, align 8
  store atomic ptr %scratch, ptr %live_scratch release, align 8
  store atomic i64 %base, ptr %live_base release, align 8
  store i64 %next_base, ptr %next_base_at
  store atomic i64 0, ptr %done_at release, align 8
  store atomic i64 %version_next, ptr %version_at release, align 8
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
  br label %ask

ask:
  %helper = phi i64 [ 1, %go ], [ %helper_next, %asked ]
  %busy = phi i64 [ 0, %go ], [ %busy_next, %asked ]
  %turn_before = phi i64 [ 0, %go ], [ %turn, %asked ]
  %more = icmp ult i64 %helper, %threads
  br i1 %more, label %recall, label %return

recall:
  %helper_line = mul i64 %helper, 8
  %helper_place = add i64 %helper_line, 24
  %helper_state = getelementptr i64, ptr %control, i64 %helper_place
  %recalled = cmpxchg ptr %helper_state, i64 {running}, i64 {waiting} acq_rel acquire
  %inside_at = getelementptr i64, ptr %helper_state, i64 1
  br label %look

look:
  %turn = phi i64 [ %turn_before, %recall ], [ %turn_up, %look_again ]
  %inside = load atomic i64, ptr %inside_at acquire, align 8
  %is_out = icmp eq i64 %inside, 0
  %tired = icmp ugt i64 %turn, {exit_spins}
  %settled = or i1 %is_out, %tired
  br i1 %settled, label %asked, label %look_again

look_again:
{pause}  %turn_up = add i64 %turn, 1
  br label %look

asked:
  %busy_next = add i64 %busy, %inside
  %helper_next = add i64 %helper, 1
  br label %ask

return:
  ret i64 %busy
}}

"""
"""`opsin_run`: publish the run, call every helper, wake those that are parked, and do the caller's own part.

At the end, helpers that have not come yet are told to stay away. Returns how many helpers are still inside.
"""

SERVE_FUNCTION = """\
define void @{serve}(ptr %control, i64 %thread) nounwind {{
entry:
  %line = mul i64 %thread, 8
  %place = add i64 %line, 24
  %state_at = getelementptr i64, ptr %control, i64 %place
  %inside_at = getelementptr i64, ptr %state_at, i64 1
  %awake_at = getelementptr i64, ptr %state_at, i64 2
  %yield_at = getelementptr i64, ptr %control, i64 3
  store atomic i64 1, ptr %awake_at release, align 8
  br label %idle

run:
  ; Entering is visible before the call is accepted: the caller sees one of both.
  %entered = atomicrmw xchg ptr %inside_at, i64 1 seq_cst
  %accepted = cmpxchg ptr %state_at, i64 {running}, i64 {waiting} acq_rel acquire
  %is_called = extractvalue {{ i64, i1 }} %accepted, 1
  br i1 %is_called, label %do_work, label %left

do_work:
  call void @work(ptr %control, i64 %thread)
  br label %left

left:
  store atomic i64 0, ptr %inside_at release, align 8
  br label %idle

idle:
  br label %spin

spin:
  %turn = phi i64 [ 0, %idle ], [ %turn_next, %spin_on ]
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
  store atomic i64 0, ptr %awake_at release, align 8
  %exchange = cmpxchg ptr %state_at, i64 {waiting}, i64 {parked} acq_rel acquire
  %success = extractvalue {{ i64, i1 }} %exchange, 1
  br i1 %success, label %leave, label %stay

stay:
  store atomic i64 1, ptr %awake_at release, align 8
  br label %run

leave:
  ret void
}}
"""
"""`opsin_serve`: a helper's parts of runs, waiting for the next a while after each, until it parks."""

SNIPPETS = (
    DECLARATIONS, WORK_ENTRY, GROUP_LOOP, VICTIM_LOOP, UNIT, CALL_LOOP, KERNEL_CALL, LOOP_ENDS, BARRIER, WORK_EXIT,
    RUN_FUNCTION, SERVE_FUNCTION,
)  # fmt: skip


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
    return "".join(SNIPPETS).format(
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
