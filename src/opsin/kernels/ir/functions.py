"""Transcendental functions in the kernel IR.

They do not call the C library, so the results are bit-identical on all operating systems and on all processors with
the same rounding of MACs. The polynomials are those of the Cephes library for single precision
(S. L. Moshier, netlib.org/cephes), with errors of about one unit in the last place. erf uses formula 7.1.26 of
Abramowitz & Stegun (absolute error 1.5e-7), and its Taylor series near zero.
"""

from __future__ import annotations

from opsin.kernels.ir.builder import Builder
from opsin.kernels.ir.values import Value


def polynomial(k: Builder, x: Value, coefficients: tuple[float, ...]) -> Value:
    """Evaluate a polynomial by Horner's rule; the coefficient of the highest power comes first."""
    result = k.constant(coefficients[0], x.kind)
    for coefficient in coefficients[1:]:
        result = k.fma(result, x, k.constant(coefficient, x.kind))
    return result


def exp(k: Builder, x: Value) -> Value:
    """Return e^x: with x = n·ln 2 + r, a polynomial in r, multiplied by 2^n through the exponent bits.

    The result is 0 below −87.3 (no denormals), infinite above 88.7, and NaN for NaN.
    """
    # The order of operands propagates a NaN: `minimum` and `maximum` return their second operand then.
    argument = k.maximum(-88.0, k.minimum(88.8, x))
    n = k.unary("floor", k.fma(argument, k.constant(1.44269504088896341, x.kind), k.constant(0.5, x.kind)))
    r = k.fma(n, k.constant(-0.693359375, x.kind), argument)
    r = k.fma(n, k.constant(2.12194440e-4, x.kind), r)
    p = polynomial(
        k, r, (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
    )
    y = k.fma(p, r * r, r) + 1.0
    # 2^n as two factors, because n may be 128.
    exponent = k.convert("int", n)
    half_exponent = k.convert("int", n * 0.5)
    result = y * _power_of_two(k, half_exponent) * _power_of_two(k, exponent - half_exponent)
    return k.select(x < -87.3, 0.0, k.select(k.constant(88.72284, x.kind) < x, float("inf"), result))


def _power_of_two(k: Builder, n: Value) -> Value:
    return k.convert("float_bits", (n + 127) << 23)


def log(k: Builder, x: Value) -> Value:
    """Return the natural logarithm: −∞ for 0 and denormals, NaN for negative numbers."""
    bits = k.convert("int_bits", x)
    exponent = k.convert("float", (bits >> 23) - 126)
    mantissa = k.convert("float_bits", (bits & 0x7FFFFF) | 0x3F000000)  # in [0.5, 1)
    is_low = mantissa < 0.707106781186547524
    e = k.select(is_low, exponent - 1.0, exponent)
    m = k.select(is_low, mantissa + mantissa, mantissa) - 1.0
    z = m * m
    p = polynomial(
        k,
        m,
        (7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1)
        + (2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
    )
    y = k.fma(e, k.constant(-2.12194440e-4, x.kind), p * m * z) - 0.5 * z
    result = k.fma(e, k.constant(0.693359375, x.kind), m + y)
    infinity = float("inf")
    result = k.select(k.constant(infinity, x.kind) <= x, infinity, result)
    result = k.select(x < 1.17549435e-38, -infinity, result)
    # A NaN is neither below zero nor at least zero.
    return k.select(k.constant(0.0, x.kind) <= x, result, float("nan"))


def tanh(k: Builder, x: Value) -> Value:
    """Return tanh x: an odd polynomial near 0, elsewhere 1 − 2 / (e^{2|x|} + 1) with the sign of x."""
    size = k.unary("abs", x)
    z = x * x
    p = polynomial(k, z, (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1))
    small_result = k.fma(p * z, x, x)
    large_result = 1.0 - 2.0 / (exp(k, size + size) + 1.0)
    return k.select(size < 0.625, small_result, k.select(x < 0.0, -large_result, large_result))


def sigmoid(k: Builder, x: Value) -> Value:
    """Return 1 / (1 + e^{−x})."""
    return 1.0 / (exp(k, -x) + 1.0)


def erf(k: Builder, x: Value) -> Value:
    """Return the error function of x."""
    size = k.unary("abs", x)
    z = x * x
    series: tuple[float, ...] = (-1.492565036e-05, 1.205533298e-04, -8.548327023e-04, 5.223977625e-03)
    series += (-2.686617065e-02, 1.128379167e-01, -3.761263890e-01, 1.128379167e00)
    small_result = x * polynomial(k, z, series)
    t = 1.0 / k.fma(size, k.constant(0.3275911, x.kind), k.constant(1.0, x.kind))
    p = polynomial(k, t, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592))
    large_result = 1.0 - p * t * exp(k, -z)
    return k.select(size < 0.75, small_result, k.select(x < 0.0, -large_result, large_result))
