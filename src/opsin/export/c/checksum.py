"""The checksum of all constants that an export's results depend on: weights, sizes of layers, tables, and labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from opsin.backends.c import Table

FACTOR = 0x01000193
"""An odd number: a bit that changes in any term changes the sum of terms times its powers."""
ADD = {
    "words": """\
static uint32_t add_words(uint32_t sum, const volatile void *table, size_t count)
{
  const volatile word *const words = table;
  size_t i;
  for (i = 0; i < count; i++) sum = sum * @factor@u + (uint32_t)words[i];
  return sum;
}
""",
    "halves": """\
static uint32_t add_halves(uint32_t sum, const volatile void *table, size_t count)
{
  const volatile uint16_t *const halves = table;
  size_t i;
  for (i = 0; i < count; i++) sum = sum * @factor@u + halves[i];
  return sum;
}
""",
    "doubles": """\
static uint32_t add_doubles(uint32_t sum, const volatile void *table, size_t count)
{
  const volatile word *const words = table; /* two of each double, in any order */
  size_t i;
  for (i = 0; i < count; i++) sum = sum * @factor@u + (uint32_t)words[2 * i] + (uint32_t)words[2 * i + 1];
  return sum;
}
""",
    "texts": """\
static uint32_t add_texts(uint32_t sum, const char *const volatile *texts, size_t count)
{
  size_t i;
  for (i = 0; i < count; i++) {
    const volatile char *at = texts[i];
    char c;
    do {
      c = *at++;
      sum = sum * @factor@u + (uint8_t)c;
    } while (c);
  }
  return sum;
}
""",
}
"""The functions that add tables of each kind."""


def checksum(weights: bytes, tables: Sequence[Table]) -> int:
    """Return the checksum of a program's weights and tables, as the function of `checksum_function` computes it."""
    terms = np.concatenate([np.frombuffer(weights, "<u4").astype(np.uint32), *(table.terms for table in tables)])
    powers = np.full(len(terms), FACTOR, np.uint32)
    powers[:1] = 1
    return int((terms * np.multiply.accumulate(powers)[::-1]).sum(dtype=np.uint32))


def checksum_function(tables: Sequence[Table]) -> tuple[str, str]:
    """Return the definitions of the functions that add tables, and the statements that add each in turn."""
    kinds = {"words", *(table.kind for table in tables)}
    functions = "\n".join(text.replace("@factor@", f"0x{FACTOR:08x}") for kind, text in ADD.items() if kind in kinds)
    sums = [f"  sum = add_{table.kind}(sum, {table.name}, {table.count});" for table in tables]
    return functions, "\n".join(sums)
