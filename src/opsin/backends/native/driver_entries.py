"""The functions of the driver that Python calls, as LLVM text: the caller's, and a helper thread's (see `driver`)."""

from __future__ import annotations

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
