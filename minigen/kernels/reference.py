"""The kernels in plain array code: the readable definition of each, and the oracle for the fast ones.

Arrays in, arrays out, on NumPy and CuPy alike, for any float dtype, any strides, 0-d and empty. The outcome has the
dtype of the input. No formula overflows, so none warns: a large input is clipped where the function has long reached its
limit. NaN stays NaN.

In the gradients, `g` is the cotangent of the output, dL/dy, and the result is dL/dx = g * dy/dx. A gradient takes the
output `y` or the input `x`, whichever needs less work.
"""

import math
from collections.abc import Iterator
from types import ModuleType

import numpy as np

from minigen.backend import Array, array_module

# Where one factor has become 0, the other one, x, is cut off here, so that their product is 0 and not NaN for an infinite x.
SIGMOID_END = 1e4
"""sigmoid(x) is 0 below -1e4, and 1 above 1e4, in every dtype: in float64 from -746 and 37 on."""

BELL_END = 50.0
"""exp(-x^2 / 2), the normal distribution's tail and gelu_tanh's sigmoid(2u) are 0 or 1 beyond it in every dtype: in float64 beyond 39."""

# ------------------------------------------------------------------------------- sigmoid and its relatives


def sigmoid(x: Array) -> Array:
    """The logistic function 1 / (1 + exp(-x)).

    Example:
        >>> import numpy as np
        >>> float(sigmoid(np.array(0.0)))
        0.5
    """
    xp = array_module(x)
    decay = xp.exp(-abs(x))  # in (0, 1]: never overflows
    return xp.where(x >= 0, 1.0, decay) / (1.0 + decay)


def sigmoid_backward(g: Array, y: Array) -> Array:
    """g * y (1 - y), with y = sigmoid(x).

    Example:
        >>> import numpy as np
        >>> float(sigmoid_backward(np.array(1.0), np.array(0.5)))
        0.25
    """
    return g * y * (1.0 - y)


def tanh(x: Array) -> Array:
    """The hyperbolic tangent.

    Example:
        >>> import numpy as np
        >>> float(tanh(np.array(0.0)))
        0.0
    """
    return array_module(x).tanh(x)


def tanh_backward(g: Array, y: Array) -> Array:
    """g * (1 - y^2), with y = tanh(x).

    Example:
        >>> import numpy as np
        >>> float(tanh_backward(np.array(1.0), np.array(0.5)))
        0.75
    """
    return g * (1.0 - y) * (1.0 + y)


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)).

    Example:
        >>> import numpy as np
        >>> float(softplus(np.array(1e4)))
        10000.0
    """
    xp = array_module(x)
    return xp.maximum(x, 0.0) + xp.log1p(xp.exp(-abs(x)))


def softplus_backward(g: Array, x: Array) -> Array:
    """g * sigmoid(x).

    Example:
        >>> import numpy as np
        >>> float(softplus_backward(np.array(1.0), np.array(0.0)))
        0.5
    """
    return g * sigmoid(x)


def silu(x: Array) -> Array:
    """x * sigmoid(x), also called swish (Ramachandran et al. 2017, "Searching for activation functions").

    Example:
        >>> import numpy as np
        >>> float(silu(np.array(-np.inf)))
        -0.0
    """
    return array_module(x).maximum(x, -SIGMOID_END) * sigmoid(x)


def silu_backward(g: Array, x: Array) -> Array:
    """g * s (1 + x (1 - s)), with s = sigmoid(x).

    Example:
        >>> import numpy as np
        >>> float(silu_backward(np.array(1.0), np.array(0.0)))
        0.5
    """
    s = sigmoid(x)
    return g * s * (1.0 + array_module(x).clip(x, -SIGMOID_END, SIGMOID_END) * (1.0 - s))


# -------------------------------------------------------------------------------------------------- lengths


def norm(x: Array, *, axes: tuple[int, ...]) -> Array:
    """The Euclidean norm over the axes, which stay with length 1: m sqrt(sum of (x / m)^2), with m the largest |x|.

    No square of a number in [0, 1] overflows, and one that vanishes counts for nothing beside 1.

    Example:
        >>> import numpy as np
        >>> norm(np.array([3e200, 4e200]), axes=(0,))
        array([5.e+200])
    """
    xp = array_module(x)
    size = abs(x)
    largest = size.max(axis=axes, keepdims=True) if x.size else size.sum(axis=axes, keepdims=True)
    scale = xp.where(
        (largest > 0) & (largest < math.inf), largest, largest * 0.0 + 1.0
    )  # NaN and infinity come through
    size = size / scale
    length = xp.sqrt((size * size).sum(axis=axes, keepdims=True, dtype="float32" if x.dtype == "float16" else None))
    return (scale * length).astype(size.dtype, copy=False)


# ------------------------------------------------------------------------------------------------- windows
#
# Windows along the middle axis of x, (A, L, B): window o sees the places i = stride o + k - padding, k = 0 ... size - 1, that exist.
# Products with 0 and 1 and maxima stand where one expects `where`: on a pattern that cannot be guessed they are several times as fast.


def window_places(length: int, count: int, size: int, stride: int, padding: int) -> Iterator[tuple[int, slice, slice]]:
    """Yield each k with two slices: of those of the `count` windows whose place k lies inside, and of the places there.

    Example:
        >>> list(window_places(4, 2, 3, 2, 1))
        [(0, slice(1, 2, None), slice(1, 2, 2)), (1, slice(0, 2, None), slice(0, 3, 2)), (2, slice(0, 2, None), slice(1, 4, 2))]
    """
    for k in range(size):
        first = max(0, -((k - padding) // stride))  # the least o with s o + k - p >= 0
        stop = min(count, (length - 1 + padding - k) // stride + 1)
        if first < stop:
            start = stride * first + k - padding
            yield k, slice(first, stop), slice(start, start + stride * (stop - first - 1) + 1, stride)


def window_max(x: Array, *, size: int, stride: int, padding: int, count: int) -> tuple[Array, Array]:
    """The largest value of every window, (A, count, B), and its k: that of the first of equal ones, or of the last NaN.

    Example:
        >>> import numpy as np
        >>> largest, choice = window_max(np.array([[[1.0], [3.0], [2.0], [2.0]]]), size=2, stride=2, padding=0, count=2)
        >>> largest.ravel(), choice.ravel()
        (array([3., 2.]), array([1, 0], dtype=uint8))
    """
    module = array_module(x)
    shape = (x.shape[0], count, x.shape[2])
    out = module.full(shape, -module.inf, x.dtype)
    choice = module.zeros(shape, np.min_scalar_type(size - 1))
    choice += module.maximum(padding - stride * module.arange(count), 0).astype(choice.dtype)[
        :, None
    ]  # the first place inside
    for k, seers, places in window_places(x.shape[1], count, size, stride, padding):
        largest, chosen, candidate = out[:, seers], choice[:, seers], x[:, places]
        is_better = ((candidate > largest) | (candidate != candidate)).astype(choice.dtype)
        module.maximum(chosen, k * is_better, out=chosen)  # k rises, so the last one that was better stays
        module.maximum(largest, candidate, out=largest)
    return out, choice


def window_put(y: Array, choice: Array, *, size: int, stride: int, padding: int, length: int) -> Array:
    """An array (A, length, B), to which every window has added its value of y, (A, count, B), at the place that it chose.

    Example:
        >>> import numpy as np
        >>> window_put(np.array([[[5.0], [7.0]]]), np.array([[[1], [0]]]), size=2, stride=2, padding=0, length=4).ravel()
        array([0., 5., 7., 0.])
    """
    out = array_module(y).zeros((y.shape[0], length, y.shape[2]), y.dtype)
    for k, seers, places in window_places(length, y.shape[1], size, stride, padding):
        part = out[:, places]
        part += y[:, seers] * (choice[:, seers] == k)
    return out


# ----------------------------------------------------------------------------------- the normal distribution

_SERIES_TERMS = 40
_FRACTION_TERMS = 70


def _erf_series(z: Array) -> Array:
    """erf(z) for 0 <= z <= 2, by Abramowitz & Stegun 7.1.6, all terms positive:

    erf(z) = 2/sqrt(pi) exp(-z^2) sum_n 2^n z^(2n+1) / (1 * 3 * ... * (2n+1)),

    summed from its far end, Horner's way.
    """
    total = z * 0.0 + 1.0
    for n in range(_SERIES_TERMS, 0, -1):
        total = 1.0 + total * (z * z * (2.0 / (2 * n + 1)))
    return (2.0 / math.sqrt(math.pi)) * array_module(z).exp(-z * z) * z * total


def _erfc_fraction(z: Array) -> Array:
    """1 - erf(z) for z >= 2, by the continued fraction of Abramowitz & Stegun 7.1.14:

    sqrt(pi) exp(z^2) erfc(z) = 1 / (z + (1/2) / (z + 1 / (z + (3/2) / (z + 2 / (z + ...))))).
    """
    denominator = z
    for n in range(_FRACTION_TERMS, 0, -1):
        denominator = z + (0.5 * n) / denominator
    return array_module(z).exp(-z * z) / (math.sqrt(math.pi) * denominator)


def erf(x: Array) -> Array:
    """The error function 2/sqrt(pi) * integral of exp(-t^2) from 0 to x.

    Example:
        >>> import numpy as np
        >>> round(float(erf(np.array(1.0))), 12)
        0.84270079295
    """
    xp = array_module(x)
    z = abs(x)
    near = _erf_series(xp.minimum(z, 2.0))
    far = 1.0 - _erfc_fraction(xp.clip(z, 2.0, BELL_END))
    return xp.copysign(xp.where(z < 2.0, near, far), x)


def erf_backward(g: Array, x: Array) -> Array:
    """g * 2/sqrt(pi) exp(-x^2).

    Example:
        >>> import numpy as np
        >>> round(float(erf_backward(np.array(1.0), np.array(0.0))), 12)
        1.128379167096
    """
    xp = array_module(x)
    z = xp.clip(x, -BELL_END, BELL_END)
    return g * (2.0 / math.sqrt(math.pi)) * xp.exp(-z * z)


def _normal_cdf(x: Array) -> Array:
    """Phi(x), the standard normal distribution function; its left tail keeps its relative accuracy."""
    xp = array_module(x)
    z = abs(x) * math.sqrt(0.5)
    near = 1.0 - _erf_series(xp.minimum(z, 2.0))
    far = _erfc_fraction(xp.clip(z, 2.0, BELL_END))
    tail = 0.5 * xp.where(z < 2.0, near, far)
    return xp.where(x > 0, 1.0 - tail, tail)


def _normal_density(x: Array) -> Array:
    """phi(x) = exp(-x^2 / 2) / sqrt(2 pi), for |x| far below overflow."""
    return array_module(x).exp(-0.5 * x * x) * (1.0 / math.sqrt(2.0 * math.pi))


_EXCESS_TERMS = 90
_EXCESS_END = 1e8
"""From here on the product of the rate and its excess is 1, in every dtype."""


def _in_double(x: Array) -> tuple[Array, np.dtype]:
    """x in float64, and the dtype of the outcome, which is that of x if it holds floats."""
    wide = array_module(x).asarray(x, dtype="float64")
    dtype = getattr(x, "dtype", wide.dtype)
    return wide, dtype if dtype.kind == "f" else wide.dtype


def _excess(t: Array) -> Array:
    """phi(t) / Phi(-t) - t for t >= 0, which falls from 0.8 to 0 like 1/t; in float64.

    phi(t) / Phi(-t) is the rate at which the right tail of the normal distribution dies out, the inverse of Mills' ratio. From t = 2 on
    it is t + 1 / (t + 2 / (t + 3 / (t + ...))), the continued fraction of Abramowitz & Stegun 26.2.14.
    """
    xp = array_module(t)
    z = xp.minimum(t, 2.0)
    near = _normal_density(z) / (0.5 - 0.5 * _erf_series(z * math.sqrt(0.5))) - z
    z = xp.maximum(t, 2.0)
    denominator = z
    for n in range(_EXCESS_TERMS, 1, -1):
        denominator = z + n / denominator
    return xp.where(t < 2.0, near, 1.0 / denominator)


def log_ndtr(x: Array) -> Array:
    """log Phi(x), Phi the normal distribution function, computed in float64.

    With t = |x| and the rate r = phi(t) / Phi(-t) it is log Phi(-t) = -t^2 / 2 - log(sqrt(2 pi) r) on the left of 0, and
    log(1 - phi(t) / r) on the right.

    Example:
        >>> import numpy as np
        >>> round(float(log_ndtr(np.array(-40.0))), 9)
        -804.608442014
    """
    xp = array_module(x)
    x, dtype = _in_double(x)
    rate = abs(x) + _excess(abs(x))
    t = xp.maximum(-x, 0.0)
    left = -0.5 * t * t - xp.log(math.sqrt(2.0 * math.pi) * rate)
    right = xp.log1p(-_normal_density(xp.clip(x, 0.0, BELL_END)) / rate)
    return xp.where(x > 0, right, left).astype(dtype, copy=False)


def log_ndtr_backward(g: Array, x: Array) -> Array:
    """g * phi(x) / Phi(x), computed in float64.

    Example:
        >>> import numpy as np
        >>> round(float(log_ndtr_backward(np.array(1.0), np.array(-40.0))), 9)
        40.024968847
    """
    wide, dtype = _in_double(x)
    return (g * _log_ndtr_slope(wide)).astype(dtype, copy=False)


def log_ndtr_curvature(g: Array, x: Array) -> Array:
    """g * -s (x + s) with s = phi(x) / Phi(x), the second derivative of log Phi(x), computed in float64.

    On the left of 0 x + s is a small difference of large numbers, which is the excess of the rate s over -x.

    Example:
        >>> import numpy as np
        >>> round(float(log_ndtr_curvature(np.array(1.0), np.array(-40.0))), 9)
        -0.999377332
    """
    xp = array_module(x)
    x, dtype = _in_double(x)
    t = xp.clip(-x, 0.0, _EXCESS_END)
    excess = _excess(t)
    z = xp.clip(x, 0.0, BELL_END)
    slope = _log_ndtr_slope(z)
    return (g * -xp.where(x > 0, slope * (z + slope), (t + excess) * excess)).astype(dtype, copy=False)


def _log_ndtr_slope(x: Array) -> Array:
    xp = array_module(x)
    rate = abs(x) + _excess(abs(x))
    density = _normal_density(xp.clip(x, 0.0, BELL_END))
    return xp.where(x > 0, density / (1.0 - density / rate), rate)


def erfinv(x: Array) -> Array:
    """The y with erf(y) = x, computed in float64; infinite at -1 and 1, NaN beyond.

    Winitzki's closed form ("A handy approximation for the error function and its inverse", 2008), right to 0.2 %, and three of Halley's
    steps to a zero of f(y) = erf(y) - x, for which f'' = -2 y f'. Near 1, f is a difference of 1 - x and 1 - erf(y).

    Example:
        >>> import numpy as np
        >>> round(float(erfinv(np.array(0.5))), 12)
        0.476936276204
    """
    xp = array_module(x)
    x, dtype = _in_double(x)
    size = xp.where(abs(x) < 1.0, abs(x), 0.0)
    log, a = xp.log1p(-size * size), 0.147
    b = 2.0 / (math.pi * a) + 0.5 * log
    y = xp.sqrt(-log / (a * (xp.sqrt(b * b - log / a) + b)))
    for _ in range(3):
        near = _erf_series(xp.minimum(y, 2.0)) - size
        far = (1.0 - size) - _erfc_fraction(xp.maximum(y, 2.0))
        step = xp.where(y < 2.0, near, far) * (0.5 * math.sqrt(math.pi)) * xp.exp(y * y)
        y = y - step / (1.0 + y * step)
    beyond = xp.where(abs(x) == 1.0, math.inf, math.nan)
    return xp.copysign(xp.where(abs(x) < 1.0, y, beyond), x).astype(dtype, copy=False)


def gelu(x: Array) -> Array:
    """x * Phi(x), Phi the normal distribution function (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    Example:
        >>> import numpy as np
        >>> round(float(gelu(np.array(1.0))), 12)
        0.841344746069
    """
    return array_module(x).maximum(x, -BELL_END) * _normal_cdf(x)


def gelu_backward(g: Array, x: Array) -> Array:
    """g * (Phi(x) + x phi(x)), phi the normal density.

    Example:
        >>> import numpy as np
        >>> float(gelu_backward(np.array(1.0), np.array(0.0)))
        0.5
    """
    z = array_module(x).clip(x, -BELL_END, BELL_END)
    return g * (_normal_cdf(x) + z * _normal_density(z))


GELU_SCALE = math.sqrt(8.0 / math.pi)
GELU_CUBIC = 0.044715


def gelu_tanh(x: Array) -> Array:
    """The usual approximation of gelu, 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).

    Example:
        >>> import numpy as np
        >>> round(float(gelu_tanh(np.array(1.0))), 6)
        0.841192
    """
    xp = array_module(x)
    z = xp.clip(x, -BELL_END, BELL_END)
    return xp.maximum(x, -BELL_END) * sigmoid(GELU_SCALE * z * (1.0 + GELU_CUBIC * z * z))


def gelu_tanh_backward(g: Array, x: Array) -> Array:
    """g * (s + x s (1 - s) d(2u)/dx), with s = sigmoid(2u) and u as in `gelu_tanh`.

    Example:
        >>> import numpy as np
        >>> float(gelu_tanh_backward(np.array(1.0), np.array(0.0)))
        0.5
    """
    z = array_module(x).clip(x, -BELL_END, BELL_END)
    s = sigmoid(GELU_SCALE * z * (1.0 + GELU_CUBIC * z * z))
    slope = GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * z * z)
    return g * s * (1.0 + z * slope * (1.0 - s))


# --------------------------------------------------------------------------------------- rectifiers


def relu(x: Array) -> Array:
    """max(x, 0).

    Example:
        >>> import numpy as np
        >>> relu(np.array([-1.0, 2.0]))
        array([0., 2.])
    """
    return array_module(x).maximum(x, 0.0)


def relu_backward(g: Array, y: Array) -> Array:
    """0 where y = relu(x) <= 0, else g: the gradient at 0 is 0, and at NaN g.

    Example:
        >>> import numpy as np
        >>> relu_backward(np.array([5.0, 5.0]), np.array([0.0, 2.0]))
        array([0., 5.])
    """
    return array_module(g).where(y <= 0, 0.0, g)


def leaky_relu(x: Array, *, slope: float) -> Array:
    """x where x > 0, else slope * x.

    Example:
        >>> import numpy as np
        >>> leaky_relu(np.array([-1.0, 2.0]), slope=0.25)
        array([-0.25,  2.  ])
    """
    xp = array_module(x)
    return xp.maximum(x, 0.0) + slope * xp.minimum(x, 0.0)


def leaky_relu_backward(g: Array, x: Array, *, slope: float) -> Array:
    """g where x > 0, else slope * g: the gradient at 0 is `slope`.

    Example:
        >>> import numpy as np
        >>> leaky_relu_backward(np.array([4.0, 4.0]), np.array([0.0, 2.0]), slope=0.25)
        array([1., 4.])
    """
    return array_module(g).where(x > 0, g, slope * g)


def elu(x: Array, *, alpha: float) -> Array:
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016, arXiv 1511.07289).

    Example:
        >>> import numpy as np
        >>> elu(np.array([-np.inf, 2.0]), alpha=1.0)
        array([-1.,  2.])
    """
    xp = array_module(x)
    return xp.maximum(x, 0.0) + alpha * xp.expm1(xp.minimum(x, 0.0))


def elu_backward(g: Array, x: Array, *, alpha: float) -> Array:
    """g where x > 0, else g * alpha exp(x): the gradient at 0 is `alpha`.

    Example:
        >>> import numpy as np
        >>> elu_backward(np.array([4.0, 4.0]), np.array([0.0, 2.0]), alpha=0.5)
        array([2., 4.])
    """
    xp = array_module(g)
    return g * xp.where(x > 0, 1.0, alpha * xp.exp(xp.minimum(x, 0.0)))


# ------------------------------------------------------------------------- optimizer steps, in place
#
# A square that is too small for its dtype is 0 in them, whatever np.seterr says: an error halfway would leave a step half done.


@np.errstate(under="ignore")
def sgd_step(
    values: Array,
    gradients: Array,
    velocity: Array | None,
    *,
    learning_rate: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
    first: bool,
) -> None:
    """One step of stochastic gradient descent, with momentum if `velocity` is given.

    v <- momentum v + g, at the first step v <- g; then value <- value - learning_rate v. Nesterov's form
    steps along g + momentum v in place of v. `weight_decay` adds weight_decay * value to g.

    Args:
        values: flat vector, changed in place.
        gradients: same shape, only read.
        velocity: same shape, changed in place; None for plain descent.

    Example:
        >>> import numpy as np
        >>> value = np.array([1.0])
        >>> sgd_step(value, np.array([0.5]), None, learning_rate=0.5, momentum=0.0,
        ...     nesterov=False, weight_decay=0.0, first=True)
        >>> value
        array([0.75])
    """
    direction = gradients + weight_decay * values
    if velocity is not None:
        if first:
            velocity[...] = direction
        else:
            velocity *= momentum
            velocity += direction
        direction = direction + momentum * velocity if nesterov else velocity
    values -= learning_rate * direction


@np.errstate(under="ignore")
def rmsprop_step(
    values: Array,
    gradients: Array,
    square_average: Array,
    *,
    learning_rate: float,
    decay: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    """One step of RMSProp (Hinton 2012, "Neural networks for machine learning", lecture 6e).

    s <- decay s + (1 - decay) g^2; value <- value - learning_rate g / (sqrt(s) + epsilon).

    Args:
        values: flat vector, changed in place.
        gradients: same shape, only read.
        square_average: same shape, changed in place.

    Example:
        >>> import numpy as np
        >>> value, square = np.array([1.0]), np.array([0.0])
        >>> rmsprop_step(value, np.array([2.0]), square, learning_rate=0.25, decay=0.75,
        ...     epsilon=0.0, weight_decay=0.0)
        >>> value, square
        (array([0.5]), array([1.]))
    """
    gradients = gradients + weight_decay * values
    square_average *= decay
    square_average += (1.0 - decay) * gradients * gradients
    values -= learning_rate * gradients / (array_module(values).sqrt(square_average) + epsilon)


@np.errstate(under="ignore")
def adam_step(
    values: Array,
    gradients: Array,
    first_moment: Array,
    second_moment: Array,
    *,
    learning_rate: float,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
    decoupled: bool,
    step: int,
) -> None:
    """One step of Adam (Kingma & Ba 2015, algorithm 1), or of AdamW (Loshchilov & Hutter 2019, algorithm 2).

    m <- beta1 m + (1 - beta1) g;  v <- beta2 v + (1 - beta2) g^2;
    value <- value - learning_rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon).

    Args:
        values: flat vector, changed in place.
        gradients: same shape, only read.
        first_moment: m, same shape, changed in place.
        second_moment: v, same shape, changed in place.
        decoupled: True shrinks the values by 1 - learning_rate * weight_decay (AdamW); False adds
            weight_decay * value to g, so that the decay passes through the moments.
        step: t, counted from 1.

    Example:
        >>> import numpy as np
        >>> value, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
        >>> adam_step(value, np.array([3.0]), m, v, learning_rate=0.5, beta1=0.5, beta2=0.75,
        ...     epsilon=0.0, weight_decay=0.0, decoupled=False, step=1)
        >>> value
        array([0.5])
    """
    if decoupled:
        values *= 1.0 - learning_rate * weight_decay
    else:
        gradients = gradients + weight_decay * values
    first_moment += (1.0 - beta1) * (gradients - first_moment)
    second_moment *= beta2
    second_moment += (1.0 - beta2) * gradients * gradients
    root = array_module(values).sqrt(second_moment) / math.sqrt(1.0 - beta2**step)
    values -= learning_rate / (1.0 - beta1**step) * first_moment / (root + epsilon)


@np.errstate(under="ignore")
def lerp(average: Array, values: Array, *, weight: float) -> None:
    """average <- average + weight (values - average), in place: one step of a running average.

    Example:
        >>> import numpy as np
        >>> average = np.array([0.0])
        >>> lerp(average, np.array([4.0]), weight=0.25)
        >>> average
        array([1.])
    """
    average += weight * (values - average)


# ------------------------------------------------------------------------------ random words and numbers

_LOW = 0xFFFFFFFF


def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:
    """Random words as a function of a key and a counter: Philox4x32-10.

    (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".) A block is a bijection of its 128-bit counter
    (c0, c1, c2, c3), chosen by the key (k0, k1), the low word first. Each of ten rounds multiplies two of the four
    words, and mixes the high halves of the products with the other two words and with the key:

    (c0, c1, c2, c3) <- (high(M1 c2) ^ c1 ^ k0, low(M1 c2), high(M0 c0) ^ c3 ^ k1, low(M0 c0)).

    Args:
        xp: the array module to compute with, `numpy` or `cupy`.
        key: 64 bits, in [0, 2^64).
        counter: 128 bits, those of the first block. Only the low 64 bits count up, modulo 2^64.
        blocks: how many.

    Returns:
        uint32 array (blocks, 4), the same on every device.

    Example:
        >>> import numpy as np
        >>> [f"{word:08x}" for word in philox(np, key=0, counter=0, blocks=1)[0]]
        ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    count = xp.arange(blocks, dtype="uint64") + xp.uint64(counter % 2**64)
    c0, c1 = count & _LOW, count >> 32  # 32 bits each, in a uint64 that holds a product of two
    c2, c3 = xp.full_like(count, (counter >> 64) & _LOW), xp.full_like(count, counter >> 96)
    k0, k1 = key & _LOW, key >> 32
    for _ in range(10):
        product0, product1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57
        c0, c2 = (product1 >> 32) ^ c1 ^ k0, (product0 >> 32) ^ c3 ^ k1
        c1, c3 = product1 & _LOW, product0 & _LOW
        k0, k1 = (k0 + 0x9E3779B9) & _LOW, (k1 + 0xBB67AE85) & _LOW
    return xp.stack([c0, c1, c2, c3], axis=1).astype("uint32")


def uniform32(words: Array) -> Array:
    """float32 multiples of 2^-24 in [0, 1), one per word, from its upper 24 bits.

    Example:
        >>> import numpy as np
        >>> float(uniform32(np.array(2**31, dtype=np.uint32)))
        0.5
    """
    return (words >> 8).astype("float32") * 2.0**-24


def open_uniform32(words: Array) -> Array:
    """float32 odd multiples of 2^-24, so in (0, 1) without its ends: a logarithm may be taken.

    Example:
        >>> import numpy as np
        >>> float(open_uniform32(np.array(0, dtype=np.uint32))) == 2.0**-24
        True
    """
    return ((words >> 8) | 1).astype("float32") * 2.0**-24


def uniform64(words: Array) -> Array:
    """float64 multiples of 2^-53 in [0, 1), one per two words (the low one first): (..., 4) -> (..., 2).

    Example:
        >>> import numpy as np
        >>> uniform64(np.array([0, 2**31, 0, 2**30], dtype=np.uint32))
        array([0.5 , 0.25])
    """
    return (words.view("uint64") >> 11).astype("float64") * 2.0**-53


def open_uniform64(words: Array) -> Array:
    """float64 odd multiples of 2^-53 in (0, 1), one per two words: (..., 4) -> (..., 2).

    Example:
        >>> import numpy as np
        >>> bool(open_uniform64(np.zeros(4, dtype=np.uint32)).all())
        True
    """
    return ((words.view("uint64") >> 11) | 1).astype("float64") * 2.0**-53


def normal32(words: Array) -> Array:
    """float32 standard normals, one per word, (blocks, 4): Box & Muller 1958, "A note on the generation
    of random normal deviates".

    Two independent uniforms u, v give two independent normals,

    sqrt(-2 log u) cos(2 pi v)  and  sqrt(-2 log u) sin(2 pi v),

    computed in float64 and rounded once. With 24 bits in u, no normal exceeds sqrt(48 log 2) = 5.77; beyond
    that lies a probability of 8e-9.

    Example:
        >>> import numpy as np
        >>> normal32(np.array([[2**31, 0, 2**31, 2**30]], dtype=np.uint32)).round(3)
        array([[1.177, 0.   , 0.   , 1.177]], dtype=float32)
    """
    u = open_uniform32(words[:, 0::2]).astype("float64")
    v = uniform32(words[:, 1::2]).astype("float64")
    return _box_muller(u, v).astype("float32")


def normal64(words: Array) -> Array:
    """float64 standard normals, one per two words, (blocks, 4) -> (blocks, 2): see `normal32`.

    Example:
        >>> import numpy as np
        >>> normal64(np.array([[0, 2**31, 0, 0]], dtype=np.uint32)).round(3)
        array([[1.177, 0.   ]])
    """
    u = open_uniform64(words)[:, 0:1]
    v = uniform64(words)[:, 1:2]
    return _box_muller(u, v)


def _box_muller(u: Array, v: Array) -> Array:
    """(blocks, pairs) uniforms, twice -> (blocks, 2 * pairs) normals."""
    xp = array_module(u)
    radius = xp.sqrt(-2.0 * xp.log(u))
    angle = (2.0 * math.pi) * v
    return xp.stack([radius * xp.cos(angle), radius * xp.sin(angle)], axis=2).reshape(len(u), 2 * u.shape[1])
