# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
"""exp, log, erf, tanh, sine and cosine in float32, for compiled loops: polynomials without branches, which become vector instructions.

Each polynomial, or quotient of two, was fitted in float64, by least squares of the relative error on 400 Chebyshev
nodes, reweighted until the error was level. The error stated beside it is the fit's; rounding adds to it.
"""

import math

import numba
import numpy as np
from numba.extending import intrinsic

from minigen.kernels.compiler import inner

ZERO, HALF, ONE, TWO = (np.float32(number) for number in (0, 0.5, 1, 2))


@intrinsic
def select(typing_context, condition, a, b):
    """`a if condition else b` as one instruction. Numba would compile the Python words to a branch."""

    def generate(context, builder, signature, arguments):
        return builder.select(*arguments)

    return a(numba.types.boolean, a, a), generate


@inner
def above(x, end):
    """x, but not below end; NaN comes through."""
    return select(x < end, end, x)


@inner
def below(x, end):
    """x, but not above end; NaN comes through."""
    return select(x > end, end, x)


@inner
def clip(x, end):
    """x, but between -end and end; NaN comes through."""
    return below(above(x, -end), end)


def _float32(*numbers: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(number) for number in numbers)


@inner
def polynomial(x, coefficients):
    """coefficients[0] + coefficients[1] x + ..., Horner's way."""
    total = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        total = total * x + coefficients[i]
    return total


# exp(r) = 1 + r + r^2 P(r) for |r| <= log(2) / 2; relative error of exp(r) - 1: 1.3e-8
_EXP = _float32(0.4999999816, 0.1666654367, 0.0416671997, 0.0083665140, 0.0013882522)
_LOG2_E = np.float32(1 / math.log(2))
_LOG_2_HIGH = np.float32(355 / 512)  # nine bits: its products with whole numbers are exact
_LOG_2_LOW = np.float32(math.log(2) - 355 / 512)
_EXP_START, _EXP_END = np.float32(-88), np.float32(89)
_ROUNDER = np.float32(1.5 * 2**23)  # the float32 numbers near it are the whole numbers: adding it rounds


@inner
def _split_exp(x):
    """exp(x) = scale (1 + q), with scale = 2^k and q = exp(x - k log 2) - 1: return scale and q.

    The whole number k is rounded into the low bits of one float and shifted from there into the exponent of another.
    At -88 and below the scale is 0, at 89 and above infinite.
    """
    x = below(above(x, _EXP_START), _EXP_END)
    shifted = np.float32(x * _LOG2_E + _ROUNDER)
    k = shifted - _ROUNDER
    r = (x - k * _LOG_2_HIGH) - k * _LOG_2_LOW
    scale = np.int32((shifted.view(np.int32) << 23) + 0x3F800000).view(np.float32)
    return scale, r + r * r * polynomial(r, _EXP)


@inner
def exp(x):
    scale, q = _split_exp(x)
    return scale * (ONE + q)


@inner
def expm1(x):
    """exp(x) - 1 for x < 88, with no cancellation near 0."""
    scale, q = _split_exp(x)
    return scale * q + (scale - ONE)


# log(1 + f) = 2 atanh(s) = 2 s + s^3 P(s^2), s = f / (2 + f), for s^2 <= 1/9; relative error 4.5e-9
_ATANH = _float32(0.6666641628, 0.4002152727, 0.2800180487, 0.2801198847)


@inner
def log1p(f):
    """log(1 + f) for -1/2 <= f <= 1."""
    s = f / (TWO + f)
    z = s * s
    return TWO * s + s * z * polynomial(z, _ATANH)


_SQRT_HALF_BITS = np.float32(math.sqrt(0.5)).view(np.int32)


@inner
def log(u):
    """log(u) for a positive, normal u = 2^k m, with m in [sqrt(1/2), sqrt(2))."""
    bits = np.float32(u).view(np.int32)
    k = np.int32((bits - _SQRT_HALF_BITS) >> 23)
    m = np.int32(bits - (k << 23)).view(np.float32)
    k = np.float32(k)
    return k * _LOG_2_HIGH + (k * _LOG_2_LOW + log1p(m - ONE))


# erf(x) = x P(x^2) / Q(x^2) for |x| <= 3.92; relative error 1.9e-8
ERF = (
    np.float32(3.92),
    _float32(1.12837915, 0.190405915, 0.0527486568, 0.00376559462, 2.84882446e-4, 2.05009471e-6),
    _float32(1.0, 0.50207559, 0.114108889, 0.0149691724, 0.00116253047, 3.80917767e-5),
)
# tanh(x) = x P(x^2) / Q(x^2) for |x| <= 9.01, from where the quotient passes 1; relative error 2.1e-8
TANH = (
    np.float32(9.5),
    _float32(0.999999979, 0.133803785, 0.00349481904, 2.05963967e-5, 1.33370021e-8),
    _float32(1.0, 0.467136939, 0.0258740577, 3.28437592e-4, 7.76934945e-7),
)


@inner
def saturating(x, fit):
    """x P(x^2) / Q(x^2), an odd function that climbs to 1 and has come to it in float32 at the end."""
    end, numerator, denominator = fit
    x = clip(x, end)
    z = x * x
    return clip(x * polynomial(z, numerator) / polynomial(z, denominator), ONE)


# phi(t) / Phi(-t) - t = P(t) / Q(t) for t >= 0, phi and Phi the normal density and distribution function; relative error 2.3e-9. No term
# is negative, so nothing cancels. From 1e6 on it is 1 / t to rounding, and taken at 1e6, where the sixth power does not overflow.
EXCESS_END = np.float32(1e6)
EXCESS = (
    _float32(0.797884559, 0.699689818, 0.307173686, 0.0805210345, 0.0125817842, 9.76733553e-4),
    _float32(1.0, 1.33236057, 0.855163314, 0.33232567, 0.0824747366, 0.0125817824, 9.76733555e-4),
)

# erf^-1(x) = x P(w - 5/2) for w = -log(1 - x^2) < 5, else x P(sqrt(w) - 3); relative error 2e-7 (Giles 2010, "Approximating the erfinv
# function", single precision).
ERFINV_NEAR = _float32(
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 2.1858087e-4, -4.39150654e-6, -3.5233877e-6, 3.43273939e-7,
    2.81022636e-8,
)  # fmt: skip
ERFINV_FAR = _float32(
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 1.00950558e-4,
    -2.00214257e-4,
)  # fmt: skip

TO_UNIT = np.float32(2.0**-24)

# sin(2 pi f) = f P(f^2) and cos(2 pi f) = P(f^2) for |f| <= 1/8; relative errors 3.2e-9 and 3.3e-8
_SIN = _float32(6.2831852868, -41.3416614549, 81.5923535542, -75.3935627945)
_COS = _float32(0.9999999674, -19.7391465977, 64.9203063516, -83.5525909039)


@inner
def cos_sin(turns24):
    """cos and sin of 2 pi v for v = turns24 / 2^24 in [0, 1): the nearest quarter turn, and the rest f."""
    quarter = np.int32((turns24 + (1 << 21)) >> 22)
    f = np.float32(np.int32(turns24 - (quarter << 22))) * TO_UNIT
    z = f * f
    cos, sin = polynomial(z, _COS), f * polynomial(z, _SIN)
    odd = quarter & 1 == 1
    x, y = select(odd, sin, cos), select(odd, cos, sin)
    return select((quarter + 1) & 2 == 2, -x, x), select(quarter & 2 == 2, -y, y)


@inner
def logistic(x):
    return ONE / (ONE + exp(-x))
