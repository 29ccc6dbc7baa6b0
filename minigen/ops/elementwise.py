"""Elementwise operations: each forward with its vjps right below it.

The functions whose gradient costs as much as a training step's arithmetic (tanh, sigmoid, gelu, ...) call a fused kernel forward and a
fused `*_backward` primitive, which has vjps of its own; the others are one line of array code. Binary operations broadcast, and
the engine undoes it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from minigen import kernels
from minigen.backend import Array, array_module
from minigen.engine import primitive
from minigen.kernels.reference import BELL_END, SIGMOID_END

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Num, Shaped

SQRT_PI, SQRT_2_PI = math.sqrt(math.pi), math.sqrt(2 * math.pi)

# ---------------------------------------------------------------------------------- comparisons: no gradient flows


@primitive(broadcasts=True)
def equal(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a == b as booleans."""
    return array_module(a, b).equal(a, b)


@primitive(broadcasts=True)
def not_equal(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a != b as booleans."""
    return array_module(a, b).not_equal(a, b)


@primitive(broadcasts=True)
def less(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a < b as booleans."""
    return array_module(a, b).less(a, b)


@primitive(broadcasts=True)
def less_equal(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a <= b as booleans."""
    return array_module(a, b).less_equal(a, b)


@primitive(broadcasts=True)
def greater(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a > b as booleans."""
    return array_module(a, b).greater(a, b)


@primitive(broadcasts=True)
def greater_equal(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Bool[Array, "*shape"]:
    """Return a >= b as booleans."""
    return array_module(a, b).greater_equal(a, b)


# ------------------------------------------------------------------------------------------------- choices


@primitive(broadcasts=True)
def where(
    condition: Bool[Array, "*#shape"] | bool, a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float
) -> Shaped[Array, "*shape"]:
    """Return a where the condition holds and b elsewhere, broadcasting.

    The branch that is not taken gets a gradient of exactly 0, but if computing it gave NaN, its own vjp makes NaN of that 0: guard the
    argument (log(where(x > 0, x, 1))), not the result.

    Example:
        >>> where(True, 1.0, 2.0)
        array(1.)
    """
    return array_module(condition, a, b).where(condition, a, b)


where.vjp(
    condition=None,
    a=lambda g, condition: where(condition, g, 0.0),
    b=lambda g, condition: where(condition, 0.0, g),
)


@primitive(broadcasts=True)
def clip(
    x: Num[Array, "*#shape"] | float,
    low: Num[Array, "*#shape"] | float | None = None,
    high: Num[Array, "*#shape"] | float | None = None,
) -> Num[Array, "*shape"]:
    """Return x limited to [low, high], broadcasting. Where low > high it is high, as in NumPy.

    Each element comes from x, low or high, and this one gets its whole gradient: x inside and at both ends, a bound where x is outside.
    Where x or a bound is NaN nothing gets any, as in PyTorch.

    Args:
        x: any shape.
        low, high: the bounds, numbers or arrays; None for no bound.

    Example:
        >>> clip(3.0, low=0.0, high=1.0)
        array(1.)
    """
    module = array_module(x, low, high)
    if isinstance(low, int | float | None) and isinstance(high, int | float | None):
        return module.clip(x, low, high)
    raised = x if low is None else module.maximum(x, low)
    return raised if high is None else module.minimum(raised, high)


def _clip_vjp_high(g: Array, x: Array, low: Array | None, out: Array) -> Array:
    is_high = out < x if low is None else where(x < out, out < low, out < x)
    return where(is_high, g, 0.0)


clip.vjp(
    x=lambda g, x, out: where(x == out, g, 0.0),
    low=lambda g, x, low, out: where(where(x < out, low <= out, False), g, 0.0),
    high=_clip_vjp_high,
)


@primitive()
def nan_to_num(
    x: Num[Array, "*shape"], *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Num[Array, "*shape"]:
    """Return x with numbers in place of NaN and infinities. The gradient is 1 where x stays as it is, and 0 where it is replaced.

    Args:
        x: any shape.
        nan: what NaN becomes.
        posinf: what infinity becomes; by default the largest number of x's dtype.
        neginf: what minus infinity becomes; by default the lowest number of x's dtype.

    Example:
        >>> import numpy as np
        >>> nan_to_num(np.array([1.0, float("nan"), float("inf")]), posinf=9.0)
        array([1., 0., 9.])
    """
    if x.dtype.kind != "f":
        return x.copy()
    module = array_module(x)  # its own nan_to_num makes the CPU wait for the GPU
    ends = module.finfo(x.dtype)
    for place, number in (
        (x != x, nan),
        (x == float("inf"), ends.max if posinf is None else posinf),
        (x == float("-inf"), ends.min if neginf is None else neginf),
    ):
        x = module.where(place, float(number), x)
    return x


nan_to_num.vjp(x=lambda g, x, out: where(x == out, g, 0.0))


@primitive(broadcasts=True)
def maximum(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Shaped[Array, "*shape"]:
    """Return the larger of a and b, broadcasting; where they are equal each gets half of the gradient.

    If one of the two is NaN, so is the result, and both get the whole gradient, as in PyTorch.

    Example:
        >>> maximum(1.0, 2.0)
        array(2.)
    """
    return array_module(a, b).maximum(a, b)


@primitive(broadcasts=True)
def minimum(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Shaped[Array, "*shape"]:
    """Return the smaller of a and b, broadcasting; where they are equal each gets half of the gradient.

    If one of the two is NaN, so is the result, and both get the whole gradient, as in PyTorch.

    Example:
        >>> minimum(1.0, 2.0)
        array(1.)
    """
    return array_module(a, b).minimum(a, b)


def _share(g: Array, is_other: Array, is_tie: Array) -> Array:
    """Return 0 where the other argument is the output, half of g in a tie, else g. Comparisons with NaN are false."""
    return where(is_other, 0.0, where(is_tie, 0.5 * g, g))


maximum.vjp(a=lambda g, a, b: _share(g, a < b, a == b), b=lambda g, a, b: _share(g, b < a, a == b))
minimum.vjp(a=lambda g, a, b: _share(g, a > b, a == b), b=lambda g, a, b: _share(g, b > a, a == b))

# ---------------------------------------------------------------------------------------------------------- arithmetic


@primitive(broadcasts=True)
def subtract(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Num[Array, "*shape"]:
    """Return a - b, broadcasting.

    Example:
        >>> subtract(3.0, 1.0)
        array(2.)
    """
    return array_module(a, b).subtract(a, b)


subtract.vjp(a=lambda g: g, b=lambda g: -g)


@primitive(broadcasts=True)
def multiply(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Shaped[Array, "*shape"]:
    """Return a * b, broadcasting.

    Example:
        >>> multiply(3.0, 2.0)
        array(6.)
    """
    return array_module(a, b).multiply(a, b)


multiply.vjp(a=lambda g, b: g * b, b=lambda g, a: g * a)


@primitive(broadcasts=True)
def divide(a: Shaped[Array, "*#shape"] | float, b: Shaped[Array, "*#shape"] | float) -> Float[Array, "*shape"]:
    """Return a / b, broadcasting.

    Example:
        >>> divide(3.0, 2.0)
        array(1.5)
    """
    return array_module(a, b).divide(a, b)


divide.vjp(a=lambda g, b: g / b, b=lambda g, b, out: -g * out / b)


@primitive()
def negative(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return -x.

    Example:
        >>> negative(2.0)
        array(-2.)
    """
    return array_module(x).negative(x)


negative.vjp(x=lambda g: -g)


@primitive()
def sign(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return -1, 0 or 1; the sign of NaN is NaN. It is constant in pieces: no gradient flows through it.

    Example:
        >>> sign(-2.0)
        array(-1.)
    """
    return kernels.sign(x)


sign.vjp(x=None)


@primitive()
def abs(x: Num[Array, "*shape"] | float) -> Num[Array, "*shape"]:
    """Return |x|; the gradient at 0 is 0.

    Example:
        >>> abs(-2.0)
        array(2.)
    """
    return array_module(x).abs(x)


abs.vjp(x=lambda g, x: g * sign(x))

# ------------------------------------------------------------------------------------------- exponentials and logarithms


@primitive()
def exp(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return e^x.

    Example:
        >>> exp(0.0)
        array(1.)
    """
    return array_module(x).exp(x)


exp.vjp(x=lambda g, out: g * out)


@primitive()
def expm1(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return e^x - 1, accurate near 0.

    Example:
        >>> expm1(1e-20)
        array(1.e-20)
    """
    return array_module(x).expm1(x)


expm1.vjp(x=lambda g, out: g * (out + 1.0))


@primitive()
def log(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the natural logarithm; -inf at 0 and NaN below, as NumPy.

    Example:
        >>> log(1.0)
        array(0.)
    """
    return array_module(x).log(x)


log.vjp(x=lambda g, x: g / x)


@primitive()
def log1p(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return log(1 + x), accurate near 0.

    Example:
        >>> log1p(1e-20)
        array(1.e-20)
    """
    return array_module(x).log1p(x)


log1p.vjp(x=lambda g, x: g / (x + 1.0))


@primitive()
def sqrt(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the square root; its gradient at 0 is infinite.

    Example:
        >>> sqrt(9.0)
        array(3.)
    """
    return array_module(x).sqrt(x)


sqrt.vjp(x=lambda g, out: 0.5 * g / out)


@primitive(broadcasts=True)
def power(a: Num[Array, "*#shape"] | float, b: Num[Array, "*#shape"] | float) -> Num[Array, "*shape"]:
    """Return a ** b, broadcasting.

    The gradients are b a^(b - 1) and a^b log a. Where one of these products has no value, it is the limit: at a = 0 the second is 0 for
    b > 0 and -inf for b < 0, and at a = inf it is 0 for b < 0. At a = b = 0 both are taken as 0. For a negative a the second is NaN.

    Example:
        >>> power(3.0, 2.0)
        array(9.)
    """
    return array_module(a, b).power(a, b)


def _power_slope(a: Array, b: Array) -> Array:
    """d(a^b)/da = b a^(b-1); at a = b = 0 it is 0."""
    if isinstance(b, int | float):
        return b * a ** (b - 1) if b != 0 else 0.0
    is_both_zero = where(a == 0, b == 0, False)
    return b * a ** where(is_both_zero, 1.0, b - 1.0)


def _power_growth(g: Array, a: Array, b: Array, out: Array) -> Array:
    """g d(a^b)/db = g a^b log(a), where 0 times infinity is 0; at a = b = 0 it is 0."""
    if isinstance(a, int | float):
        if a > 0:
            return g * out * math.log(a)
        return where(b < 0, g * float("-inf"), 0.0) if a == 0 else g * float("nan")
    is_settled = where(out == 0, True, where(a == 0, b == 0, False))
    return g * out * log(where(is_settled, 1.0, a))


power.vjp(a=lambda g, a, b: g * _power_slope(a, b), b=_power_growth)


@primitive()
def erf(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x. In float32 on the CPU it is right to 6 ulp, 4e-7.

    Example:
        >>> erf(0.0)
        array(0.)
    """
    return kernels.erf(x)


@primitive()
def erf_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g 2/sqrt(pi) exp(-x^2), the vjp of erf(x)."""
    return kernels.erf_backward(g, x)


erf.vjp(x=lambda g, x: erf_backward(g, x))
erf_backward.vjp(
    g=lambda h, x: erf_backward(h, x),
    x=lambda h, g, x: -2.0 * clip(x, -BELL_END, BELL_END) * erf_backward(h * g, x),
)


@primitive()
def erfinv(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the inverse of the error function, the y with erf(y) = x; -inf at -1, inf at 1, and NaN beyond.

    The gradients at -1 and 1 are infinite. In float32 it is right to 4 ulp; its slope is sqrt(pi)/2 exp(y^2), which near -1 and 1 has an
    error of up to 4e-6 of itself.

    Example:
        >>> erfinv(0.5)
        array(0.47693628)
    """
    return kernels.erfinv(x)


erfinv.vjp(x=lambda g, out: g * (0.5 * SQRT_PI * exp(out * out)))


@primitive()
def log_ndtr(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return log Phi(x), Phi the distribution function of N(0, 1), which keeps its digits in both tails.

    For large -x it is about -x^2/2 - log(-x sqrt(2 pi)), for large x about -exp(-x^2/2) / (x sqrt(2 pi)). In float32 on the CPU, it and its
    slope are right to 5 ulp, and the second derivative to 7; beyond x = 12.8 they are so small that they may be 0.

    Example:
        >>> log_ndtr(-40.0)
        array(-804.60844201)
    """
    return kernels.log_ndtr(x)


@primitive()
def log_ndtr_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g phi(x) / Phi(x), the vjp of log_ndtr(x), with phi the density of N(0, 1); for large -x the quotient is about -x."""
    return kernels.log_ndtr_backward(g, x)


@primitive()
def log_ndtr_curvature(g: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g -s (x + s) with s = phi(x) / Phi(x), g times the second derivative of log_ndtr(x); for large -x the latter is about -1."""
    return kernels.log_ndtr_curvature(g, x)


def _log_ndtr_third(x: Array) -> Array:
    """The third derivative, by the product rule; for large -x, where it is about -2 / x^3, it has only its absolute accuracy."""
    one = x * 0.0 + 1.0
    slope, curvature = log_ndtr_backward(one, x), log_ndtr_curvature(one, x)
    return -(curvature * (x + slope) + slope * (1.0 + curvature))


log_ndtr.vjp(x=lambda g, x: log_ndtr_backward(g, x))
log_ndtr_backward.vjp(g=lambda h, x: log_ndtr_backward(h, x), x=lambda h, g, x: log_ndtr_curvature(h * g, x))
log_ndtr_curvature.vjp(g=lambda h, x: log_ndtr_curvature(h, x), x=lambda h, g, x: h * g * _log_ndtr_third(x))

# ------------------------------------------------------------------------------------------ trigonometry


@primitive()
def sin(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the sine of x radians.

    Example:
        >>> sin(0.0)
        array(0.)
    """
    return array_module(x).sin(x)


@primitive()
def cos(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the cosine of x radians.

    Example:
        >>> cos(0.0)
        array(1.)
    """
    return array_module(x).cos(x)


sin.vjp(x=lambda g, x: g * cos(x))
cos.vjp(x=lambda g, x: -g * sin(x))

# ------------------------------------------------------------------------------------------- activations, smooth


@primitive()
def tanh(x: Num[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the hyperbolic tangent. In float32 on the CPU it is right to 6 ulp, 4e-7, and its gradient to 7e-7.

    Example:
        >>> tanh(0.0)
        array(0.)
    """
    return kernels.tanh(x)


@primitive()
def tanh_backward(g: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g (1 - y^2), the vjp of y = tanh(x)."""
    return kernels.tanh_backward(g, y)


tanh.vjp(x=lambda g, out: tanh_backward(g, out))
tanh_backward.vjp(g=lambda h, y: tanh_backward(h, y), y=lambda h, g, y: -2.0 * h * g * y)


@primitive()
def sigmoid(x: Float[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return the logistic function 1 / (1 + e^-x).

    Example:
        >>> sigmoid(0.0)
        array(0.5)
    """
    return kernels.sigmoid(x)


@primitive()
def sigmoid_backward(g: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g y (1 - y), the vjp of y = sigmoid(x)."""
    return kernels.sigmoid_backward(g, y)


sigmoid.vjp(x=lambda g, out: sigmoid_backward(g, out))
sigmoid_backward.vjp(g=lambda h, y: sigmoid_backward(h, y), y=lambda h, g, y: h * g * (1.0 - 2.0 * y))


@primitive()
def softplus(x: Float[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return log(1 + e^x), without overflow: softplus(-l) is -log sigmoid(l), the cross-entropy of a logit l.

    Example:
        >>> softplus(1000.0)
        array(1000.)
    """
    return kernels.softplus(x)


@primitive()
def softplus_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g sigmoid(x), the vjp of softplus(x)."""
    return kernels.softplus_backward(g, x)


softplus.vjp(x=lambda g, x: softplus_backward(g, x))
softplus_backward.vjp(
    g=lambda h, x: softplus_backward(h, x),
    x=lambda h, g, x: sigmoid_backward(h * g, sigmoid(x)),
)


@primitive()
def silu(x: Float[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return x sigmoid(x), also called swish (Elfwing et al. 2018; Ramachandran et al. 2017).

    Example:
        >>> silu(0.0)
        array(0.)
    """
    return kernels.silu(x)


@primitive()
def silu_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return g s (1 + x (1 - s)) with s = sigmoid(x), the vjp of silu(x)."""
    return kernels.silu_backward(g, x)


def _silu_curvature(x: Array) -> Array:
    s = sigmoid(x)
    return s * (1.0 - s) * (2.0 + clip(x, -SIGMOID_END, SIGMOID_END) * (1.0 - 2.0 * s))


silu.vjp(x=lambda g, x: silu_backward(g, x))
silu_backward.vjp(g=lambda h, x: silu_backward(h, x), x=lambda h, g, x: h * g * _silu_curvature(x))

GELU_FORMS = ("exact", "tanh")


@primitive()
def gelu(x: Float[Array, "*shape"] | float, *, form: str = "exact") -> Float[Array, "*shape"]:
    """Return x Phi(x), Phi the distribution function of N(0, 1) (Hendrycks & Gimpel 2016).

    In float32 on the CPU the error is at most 3e-7 |x|, which leaves no digits in the left tail, where Phi is smaller than 3e-7.

    Args:
        x: any shape.
        form: "exact", by the error function, or "tanh", the approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).

    Example:
        >>> gelu(0.0)
        array(0.)
    """
    if form not in GELU_FORMS:
        raise ValueError(f"gelu: form {form!r} is unknown; it is one of {GELU_FORMS}")
    return kernels.gelu(x) if form == "exact" else kernels.gelu_tanh(x)


@primitive()
def gelu_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"], *, form: str) -> Float[Array, "*shape"]:
    """Return g (Phi(x) + x phi(x)), the vjp of gelu(x), or that of its tanh form."""
    return kernels.gelu_backward(g, x) if form == "exact" else kernels.gelu_tanh_backward(g, x)


def _gelu_curvature(x: Array, form: str) -> Array:
    x = clip(x, -BELL_END, BELL_END)
    if form == "exact":
        return (2.0 - x * x) * exp(-0.5 * x * x) / SQRT_2_PI
    c, a = math.sqrt(2 / math.pi), 0.044715
    t = tanh(c * (x + a * x * x * x))
    du, ddu = c * (1.0 + 3.0 * a * x * x), 6.0 * a * c * x  # the first two derivatives of tanh's argument
    return (1.0 - t * t) * (du + 0.5 * x * (ddu - 2.0 * t * du * du))


gelu.vjp(x=lambda g, x, form: gelu_backward(g, x, form=form))
gelu_backward.vjp(
    g=lambda h, x, form: gelu_backward(h, x, form=form),
    x=lambda h, g, x, form: h * g * _gelu_curvature(x, form),
)

# ------------------------------------------------------------------------------------------- activations, with a kink


@primitive()
def relu(x: Float[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """Return max(x, 0); the gradient is 0 at 0, and 1 at NaN.

    Example:
        >>> relu(-1.0)
        array(0.)
    """
    return kernels.relu(x)


@primitive()
def relu_backward(g: Float[Array, "*shape"], y: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 0 where y <= 0 and g elsewhere, the vjp of y = relu(x)."""
    return kernels.relu_backward(g, y)


relu.vjp(x=lambda g, out: relu_backward(g, out))
relu_backward.vjp(g=lambda h, y: relu_backward(h, y), y=None)


@primitive()
def leaky_relu(x: Float[Array, "*shape"] | float, *, slope: float = 0.01) -> Float[Array, "*shape"]:
    """Return x where x > 0 and slope * x elsewhere; the gradient at 0 is `slope`.

    Example:
        >>> leaky_relu(-1.0, slope=0.2)
        array(-0.2)
    """
    return kernels.leaky_relu(x, slope=slope)


@primitive()
def leaky_relu_backward(
    g: Float[Array, "*shape"], x: Float[Array, "*shape"], *, slope: float
) -> Float[Array, "*shape"]:
    """Return g where x > 0 and slope * g elsewhere, the vjp of leaky_relu(x)."""
    return kernels.leaky_relu_backward(g, x, slope=slope)


leaky_relu.vjp(x=lambda g, x, slope: leaky_relu_backward(g, x, slope=slope))
leaky_relu_backward.vjp(g=lambda h, x, slope: leaky_relu_backward(h, x, slope=slope), x=None)


@primitive()
def elu(x: Float[Array, "*shape"] | float, *, alpha: float = 1.0) -> Float[Array, "*shape"]:
    """Return x where x > 0 and alpha (e^x - 1) elsewhere; the gradient at 0 is `alpha` (Clevert et al. 2016).

    Example:
        >>> elu(2.0)
        array(2.)
    """
    return kernels.elu(x, alpha=alpha)


@primitive()
def elu_backward(g: Float[Array, "*shape"], x: Float[Array, "*shape"], *, alpha: float) -> Float[Array, "*shape"]:
    """Return g where x > 0 and g alpha e^x elsewhere, the vjp of elu(x)."""
    return kernels.elu_backward(g, x, alpha=alpha)


elu.vjp(x=lambda g, x, alpha: elu_backward(g, x, alpha=alpha))
elu_backward.vjp(
    g=lambda h, x, alpha: elu_backward(h, x, alpha=alpha),
    x=lambda h, g, x, alpha: where(x > 0, 0.0, h * g * alpha * exp(minimum(x, 0.0))),
)
