"""The functions of a program that takes its image row by row: what begins an image, and what a tick runs."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np

from opsin.backends.c.tables import Table
from opsin.backends.portable import Call, Stream

TEXT = """\
/* When the first row of an image has been written. */
static void begin_image(void)
{{
{begin}}}

static NOINLINE void run_step(idx number)
{{
  switch (number) {{
{cases}
  }}
}}

/* Run the steps that are due when a row of the image has been written, and at the ticks after all {rows} rows. */
#define TICKS {ticks}
/* The first tick of each step, how many ticks it waits, and how often it runs. */
static const uint16_t steps[{count}][3] = {{
{table}
}};

static void run_tick(idx tick)
{{
  idx number;
  for (number = 0; number < {count}; number++) {{
    const idx passed = tick - steps[number][0], period = steps[number][1];
    if (passed >= 0 && passed % period == 0 && passed / period < steps[number][2]) run_step(number);
  }}
}}
"""


def render_stream(stream: Stream, lines: Callable[[tuple[Call, ...]], list[str]]) -> str:
    """Return the functions `begin_image` and `run_tick`; `lines` writes calls as statements."""
    cases: list[str] = []
    for number, step in enumerate(stream.steps):
        label = f"  case {number}:" if number + 1 < len(stream.steps) else "  default:"
        cases += [label, textwrap.indent("\n".join(lines(step.calls)), "  "), "    break;"]
    table = [f"  {{{step.first}, {step.period}, {step.count}}}," for step in stream.steps]
    begin = "".join(f"{line}\n" for line in lines(stream.begin))
    return TEXT.format(
        begin=begin, cases="\n".join(cases), rows=stream.rows, ticks=stream.ticks, count=len(table),
        table="\n".join(table),
    )  # fmt: skip


def step_table(stream: Stream) -> Table:
    """Return the table of the steps."""
    return Table.of("steps", [(step.first, step.period, step.count) for step in stream.steps], np.uint16)
