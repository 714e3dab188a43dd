"""The part of a C program before its kernels: types, and the functions that its kernels call.

Vectors are the compiler's own where the processor has instructions for them that keep denormal numbers; elsewhere they
are structures, and each operation is written lane by lane. The results are bit-identical. Only functions that are
called are written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from opsin.backends.c.scalar_functions import SCALAR_FUNCTIONS
from opsin.backends.c.vector_functions import vector_function

CHECKS = """\
#include <stddef.h>
#include <stdint.h>

/* Bits are exact only if products and sums are rounded separately, and to float. */
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "compile without -ffast-math and -Ofast: results would differ"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "float arithmetic must be done in float; on 32-bit x86, compile with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__) || !defined(__GNUC__)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC optimize("fp-contract=off", "no-tree-loop-distribute-patterns") /* and no calls of memset */
#endif

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__) || __GNUC__ < 8
#define NOINLINE __attribute__((noinline))
#else /* GCC 12 drops stores through pointers that it knows to be of one array but computes from each other */
#define NOINLINE __attribute__((noipa))
#endif
#define ALIAS __attribute__((may_alias))
#define DATA __attribute__((unused))
#else
#define INLINE static inline
#define NOINLINE
#define ALIAS
#define DATA
#endif

#if defined(__SSE2__) || defined(__aarch64__)
#undef DATA
#define DATA __attribute__((unused, aligned(64)))
#endif

#if PTRDIFF_MAX < INT32_MAX
typedef int32_t idx;
#else
typedef ptrdiff_t idx; /* an index; 32 bits are enough */
#endif
typedef int32_t ALIAS word; /* a whole number where memory may also hold floats */
"""

VECTORS = """\
#if defined(__GNUC__) && !defined(SCALARS) && (defined(__SSE2__) || defined(__aarch64__))
#define VECTORS 1
typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef uint32_t i4_unsigned __attribute__((vector_size(16)));
typedef float f4_memory __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t i4_memory __attribute__((vector_size(16), aligned(4), may_alias));
#else
typedef struct { float a, b, c, d; } f4;
typedef struct { int32_t a, b, c, d; } i4;
#endif
"""

PAIRS = """\
typedef struct { float a, b; } f2;
typedef struct { int32_t a, b; } i2;
"""


def prelude(functions: Iterable[str]) -> str:
    """Return types and the definitions of `functions` and of those that they call in turn."""
    names = sorted(functions)
    scalars = {name for name in names if name in SCALAR_FUNCTIONS}
    fours, pairs = (
        [vector_function(n) for n in names if n not in SCALAR_FUNCTIONS and n[1] == lanes] for lanes in "42"
    )
    always = _closure(scalars.union(*(f.vector_calls for f in fours), *(f.scalar_calls for f in pairs)))
    by_lane = _closure(set().union(*(f.scalar_calls for f in fours))) - always
    parts = [CHECKS, *_definitions(always)]
    if fours:
        parts += [VECTORS]
    if pairs:
        parts += [PAIRS, *(function.scalar for function in pairs)]
    if fours:
        parts += ["#ifdef VECTORS", *(function.vector for function in fours)]
        parts += ["#else", *_definitions(by_lane), *(function.scalar for function in fours), "#endif", ""]
    return "\n".join(parts)


def _definitions(names: Collection[str]) -> list[str]:
    """Return the definitions of functions of single numbers, in the order in which they may call each other."""
    return [function.text for name, function in SCALAR_FUNCTIONS.items() if name in names]


def _closure(functions: Iterable[str]) -> set[str]:
    """Return functions of single numbers, and all that they call."""
    needed: set[str] = set()
    left = list(functions)
    while left:
        name = left.pop()
        if name not in needed:
            needed.add(name)
            left += SCALAR_FUNCTIONS[name].calls
    return needed
