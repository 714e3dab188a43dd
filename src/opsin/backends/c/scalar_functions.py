"""Functions of the prelude on single numbers.

Square roots are rounded correctly, by an instruction or by whole-number arithmetic; `f_floor` and conversions are
defined for all numbers.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CFunction:
    """The text of a function, and the functions that it calls."""

    text: str
    calls: tuple[str, ...] = ()


def _function(head: str, body: str) -> str:
    return f"INLINE {head} {{ {body} }}"


_BITS = "union { float f; uint32_t u; } x;"

SQRT_BITS = """\
/* The root of a float by whole numbers, one bit after the other, and rounded to nearest: no tie is possible. */
static float f_sqrt_bits(float a)
{
  uint32_t bits = f_to_bits(a), root = 0, bit;
  uint32_t m = bits & 0x7fffffu;
  int32_t e = (int32_t)(bits >> 23);
  uint64_t left;
  if (bits == 0 || bits == 0x80000000u || bits == 0x7f800000u) return a;
  if (bits > 0x7f800000u) return f_from_bits(0x7fc00000u);
  if (e == 0) {
    for (e = 1; !(m & 0x800000u); e--) m <<= 1;
  }
  m |= 0x800000u;
  e -= 127;
  left = (uint64_t)m << ((e & 1) ? 26 : 25);
  e = (e & 1) ? (e - 1) / 2 : e / 2;
  for (bit = 1u << 24; bit; bit >>= 1) {
    uint64_t next = (uint64_t)(root | bit) * (root | bit);
    if (next <= left) root |= bit;
  }
  return f_from_bits(((uint32_t)(e + 127) << 23) + ((root + 1) >> 1) - 0x800000u);
}
"""

SQRT = """\
INLINE float f_sqrt(float a)
{
#if defined(__GNUC__) && defined(__SSE2__)
  float r;
  __asm__("sqrtss %1, %0" : "=x"(r) : "x"(a));
  return r;
#elif defined(__GNUC__) && defined(__aarch64__)
  float r;
  __asm__("fsqrt %s0, %s1" : "=w"(r) : "w"(a));
  return r;
#elif defined(__GNUC__) && defined(__ARM_FP) && (__ARM_FP & 4) && !defined(__SOFTFP__)
  float r;
  __asm__("vsqrt.f32 %0, %1" : "=t"(r) : "t"(a));
  return r;
#else
  return f_sqrt_bits(a);
#endif
}
"""

SQRT_NEEDED = (
    "#if !defined(__GNUC__) || !(defined(__SSE2__) || defined(__aarch64__) || "
    "(defined(__ARM_FP) && (__ARM_FP & 4) && !defined(__SOFTFP__)))\n"
)

_WRAPPED = {"add": "+", "sub": "-", "mul": "*", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>"}

SCALAR_FUNCTIONS: dict[str, CFunction] = {
    "idx_min": CFunction(_function("idx idx_min(idx a, idx b)", "return a < b ? a : b;")),
    "idx_max": CFunction(_function("idx idx_max(idx a, idx b)", "return a > b ? a : b;")),
    "f_from_bits": CFunction(_function("float f_from_bits(uint32_t a)", f"{_BITS} x.u = a; return x.f;")),
    "f_to_bits": CFunction(_function("uint32_t f_to_bits(float a)", f"{_BITS} x.f = a; return x.u;")),
    "i_as_float": CFunction(
        _function("float i_as_float(int32_t a)", "return f_from_bits((uint32_t)a);"), ("f_from_bits",)
    ),
    "f_as_int": CFunction(_function("int32_t f_as_int(float a)", "return (int32_t)f_to_bits(a);"), ("f_to_bits",)),
    "i_to_float": CFunction(_function("float i_to_float(int32_t a)", "return (float)a;")),
    "f_to_int": CFunction(
        _function(
            "int32_t f_to_int(float a)",
            "return a >= -2147483648.0f && a < 2147483648.0f ? (int32_t)a : -2147483647 - 1;",
        )
    ),
    "f_min": CFunction(_function("float f_min(float a, float b)", "return a < b ? a : b;")),
    "f_max": CFunction(_function("float f_max(float a, float b)", "return a > b ? a : b;")),
    "i_min": CFunction(_function("int32_t i_min(int32_t a, int32_t b)", "return a < b ? a : b;")),
    "i_max": CFunction(_function("int32_t i_max(int32_t a, int32_t b)", "return a > b ? a : b;")),
    "i_div": CFunction(_function("int32_t i_div(int32_t a, int32_t b)", "return a / b;")),
    "i_rem": CFunction(_function("int32_t i_rem(int32_t a, int32_t b)", "return a % b;")),
    "f_fma": CFunction(_function("float f_fma(float a, float b, float c)", "float p = a * b; return p + c;")),
    "f_abs": CFunction(
        _function("float f_abs(float a)", "return f_from_bits(f_to_bits(a) & 0x7fffffffu);"),
        ("f_from_bits", "f_to_bits"),
    ),
    "f_floor": CFunction(
        "/* From 2^23 on, every float is whole. */\n"
        + _function(
            "float f_floor(float a)",
            "float t; if (!(a > -8388608.0f && a < 8388608.0f)) return a; t = (float)(int32_t)a;"
            " return t == a ? a : t > a ? t - 1.0f : t;",
        )
    ),
    "f_sqrt_bits": CFunction(SQRT_NEEDED + SQRT_BITS + "#endif\n", ("f_from_bits", "f_to_bits")),
    "f_sqrt": CFunction(SQRT, ("f_sqrt_bits",)),
}  # fmt: skip
SCALAR_FUNCTIONS |= {
    f"i_{name}": CFunction(
        _function(f"int32_t i_{name}(int32_t a, int32_t b)", f"return (int32_t)((uint32_t)a {operator} (uint32_t)b);")
    )
    for name, operator in _WRAPPED.items()
}
