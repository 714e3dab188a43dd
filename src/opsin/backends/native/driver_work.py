"""A thread's part of a run as LLVM text: all groups, the units that it claims, and their calls (see `driver`)."""

from __future__ import annotations

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

WORK = (
    WORK_ENTRY, GROUP_LOOP, VICTIM_LOOP, UNIT, CALL_LOOP, KERNEL_CALL, LOOP_ENDS, BARRIER, WORK_EXIT
)  # fmt: skip
"""The function `work`, in the order of its text."""
