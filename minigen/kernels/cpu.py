# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and vectors Numba's.
"""The kernels for float32 NumPy arrays, compiled by Numba; `reference.py` says what each one computes.

A kernel is a loop over flat vectors. It is fast if the compiler vectorises it, eight or sixteen numbers an instruction.
So its body has no branches and calls no library: exp, log, erf and the like are those of `approximations.py`, and a choice is a
`select` between two values, its comparison turned so that NaN comes through. A Python number would widen float32 to
float64, hence the named constants.
"""

import math
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np

from minigen.backend import Array
from minigen.kernels import reference
from minigen.kernels.approximations import (
    ERF,
    ERFINV_FAR,
    ERFINV_NEAR,
    EXCESS,
    EXCESS_END,
    HALF,
    ONE,
    TANH,
    TO_UNIT,
    TWO,
    ZERO,
    above,
    below,
    clip,
    cos_sin,
    exp,
    expm1,
    log,
    log1p,
    logistic,
    polynomial,
    saturating,
    select,
)
from minigen.kernels.compiler import inlined, inner, loop
from minigen.kernels.threads import SMALLEST_PIECE, in_pieces
from minigen.kernels.vectors import squares_of

# ------------------------------------------------------------------------------------------- compiling

_FLOAT32 = np.dtype(np.float32)


def _run(compiled: Callable[..., None], vectors: list[Array], settings: Iterable[Any]) -> None:
    """Run a loop over flat vectors of one length (or None in place of one), on several threads if they are long."""
    size = vectors[0].size
    for vector in vectors:
        if vector is not None and vector.size != size:  # the loop would read beyond its end
            sizes = [None if v is None else v.size for v in vectors]
            raise ValueError(f"{compiled.__name__}: arrays of {sizes} elements, expected one size")
    if size < 2 * SMALLEST_PIECE:
        compiled(*vectors, *settings)
        return

    def work(start: int, stop: int) -> None:
        compiled(*(None if vector is None else vector[start:stop] for vector in vectors), *settings)

    in_pieces(work, size)


def _elementwise(function: Callable[..., None]) -> Callable[..., Array]:
    """Make a kernel of a loop that fills its first vector, float32, from the others."""
    compiled = loop(function)

    def kernel(*arrays: Array, **settings: float) -> Array:
        out = np.empty(arrays[0].shape, _FLOAT32)
        vectors = [out.ravel()]  # a view
        for array in arrays:
            vectors.append(array.ravel())  # noqa: PERF401 -- half the time of a comprehension
        _run(compiled, vectors, settings.values())
        return out

    return kernel


# ------------------------------------------------------------------------------------ elementwise kernels


@_elementwise
def sigmoid(out, x):
    for i in range(out.size):
        out[i] = logistic(x[i])


@_elementwise
def sigmoid_backward(out, g, y):
    for i in range(out.size):
        out[i] = g[i] * y[i] * (ONE - y[i])


@_elementwise
def tanh(out, x):
    for i in range(out.size):
        out[i] = saturating(x[i], TANH)


@_elementwise
def tanh_backward(out, g, y):
    for i in range(out.size):
        out[i] = g[i] * (ONE - y[i]) * (ONE + y[i])


@_elementwise
def softplus(out, x):
    for i in range(out.size):
        out[i] = above(x[i], ZERO) + log1p(exp(-abs(x[i])))


@_elementwise
def softplus_backward(out, g, x):
    for i in range(out.size):
        out[i] = g[i] * logistic(x[i])


_SIGMOID_END = np.float32(reference.SIGMOID_END)


@_elementwise
def silu(out, x):
    for i in range(out.size):
        out[i] = above(x[i], -_SIGMOID_END) * logistic(x[i])


@_elementwise
def silu_backward(out, g, x):
    for i in range(out.size):
        s = logistic(x[i])
        out[i] = g[i] * s * (ONE + clip(x[i], _SIGMOID_END) * (ONE - s))


_TWO_OVER_SQRT_PI = np.float32(2 / math.sqrt(math.pi))
_BELL_END = np.float32(reference.BELL_END)


@_elementwise
def erf(out, x):
    for i in range(out.size):
        out[i] = saturating(x[i], ERF)


@_elementwise
def erf_backward(out, g, x):
    for i in range(out.size):
        z = clip(x[i], _BELL_END)
        out[i] = g[i] * _TWO_OVER_SQRT_PI * exp(-z * z)


_SQRT_HALF = np.float32(math.sqrt(0.5))
_NORMAL_PEAK = np.float32(1 / math.sqrt(2 * math.pi))


@inner
def _normal_cdf(x):
    return HALF + HALF * saturating(_SQRT_HALF * x, ERF)


_SQRT_2_PI = np.float32(math.sqrt(2 * math.pi))
_TO_SIXTEENTHS = np.float32(1.5 * 2**19)  # the float32 numbers near it are multiples of 1/16: adding it rounds to them


@inner
def _normal_density(t):
    """exp(-t^2 / 2) / sqrt(2 pi), to a few ulp in the far tail too: the square of the nearest sixteenth is exact."""
    t = clip(t, _BELL_END)
    near = np.float32(t + _TO_SIXTEENTHS) - _TO_SIXTEENTHS
    return _NORMAL_PEAK * exp(-HALF * near * near) * exp(-HALF * (t - near) * (t + near))


@inner
def _excess(t):
    t = below(t, EXCESS_END)
    return polynomial(t, EXCESS[0]) / polynomial(t, EXCESS[1])


@inlined  # or it stays a call, with which the loops do not vectorise
def _log_ndtr_slope(x):
    t = abs(x)
    rate = t + _excess(t)
    density = _normal_density(t)
    return select(x > ZERO, density, rate) / (ONE - select(x > ZERO, density / rate, ZERO))


@_elementwise
def log_ndtr(out, x):
    for i in range(out.size):
        t = abs(x[i])
        rate = t + _excess(t)
        left = -(HALF * t) * t - log(_SQRT_2_PI * rate)
        out[i] = select(x[i] > ZERO, log1p(-_normal_density(t) / rate), left)


@_elementwise
def log_ndtr_backward(out, g, x):
    for i in range(out.size):
        out[i] = g[i] * _log_ndtr_slope(x[i])


@_elementwise
def log_ndtr_curvature(out, g, x):
    for i in range(out.size):
        t = clip(x[i], EXCESS_END)
        slope, excess = _log_ndtr_slope(t), _excess(abs(t))
        out[i] = -g[i] * slope * select(t > ZERO, t + slope, excess)


_FIVE, _FIVE_HALVES, _THREE = (np.float32(number) for number in (5, 2.5, 3))
_INFINITY, _NAN = np.float32(np.inf), np.float32(np.nan)


@_elementwise
def erfinv(out, x):
    for i in range(out.size):
        w = -log((ONE - x[i]) * (ONE + x[i]))
        near = polynomial(w - _FIVE_HALVES, ERFINV_NEAR)
        far = polynomial(np.float32(math.sqrt(w)) - _THREE, ERFINV_FAR)
        inside = select(w < _FIVE, near, far)
        out[i] = x[i] * select(abs(x[i]) < ONE, inside, select(abs(x[i]) == ONE, _INFINITY, _NAN))


@_elementwise
def gelu(out, x):
    for i in range(out.size):
        out[i] = above(x[i], -_BELL_END) * _normal_cdf(x[i])


@_elementwise
def gelu_backward(out, g, x):
    for i in range(out.size):
        z = clip(x[i], _BELL_END)
        out[i] = g[i] * (_normal_cdf(x[i]) + z * _NORMAL_PEAK * exp(-HALF * z * z))


_GELU_SCALE = np.float32(reference.GELU_SCALE)
_GELU_CUBIC = np.float32(reference.GELU_CUBIC)
_GELU_SLOPE = np.float32(3 * reference.GELU_CUBIC)


@_elementwise
def gelu_tanh(out, x):
    for i in range(out.size):
        z = clip(x[i], _BELL_END)
        s = logistic(_GELU_SCALE * z * (ONE + _GELU_CUBIC * z * z))
        out[i] = above(x[i], -_BELL_END) * s


@_elementwise
def gelu_tanh_backward(out, g, x):
    for i in range(out.size):
        z = clip(x[i], _BELL_END)
        s = logistic(_GELU_SCALE * z * (ONE + _GELU_CUBIC * z * z))
        slope = _GELU_SCALE * (ONE + _GELU_SLOPE * z * z)
        out[i] = g[i] * s * (ONE + z * slope * (ONE - s))


@_elementwise
def relu(out, x):
    for i in range(out.size):
        out[i] = select(x[i] <= ZERO, ZERO, x[i])


@_elementwise
def relu_backward(out, g, y):
    for i in range(out.size):
        out[i] = select(y[i] <= ZERO, ZERO, g[i])


@_elementwise
def leaky_relu(out, x, slope):
    slope = np.float32(slope)
    for i in range(out.size):
        out[i] = select(x[i] > ZERO, x[i], slope * x[i])


@_elementwise
def leaky_relu_backward(out, g, x, slope):
    slope = np.float32(slope)
    for i in range(out.size):
        out[i] = select(x[i] > ZERO, g[i], slope * g[i])


@_elementwise
def elu(out, x, alpha):
    alpha = np.float32(alpha)
    for i in range(out.size):
        out[i] = select(x[i] > ZERO, x[i], alpha * expm1(x[i]))


@_elementwise
def elu_backward(out, g, x, alpha):
    alpha = np.float32(alpha)
    for i in range(out.size):
        out[i] = g[i] * select(x[i] > ZERO, ONE, alpha * exp(x[i]))


# -------------------------------------------------------------------------------------------------- lengths
#
# Arrays (A, R, B), of which the middle axis is summed over. The square of every float32 lies within float64's range.


@loop
def _norm_of_rows(out, x, first, last):
    for a in range(first, last):
        out[a] = math.sqrt(squares_of(x[a]))


@loop
def _norm_of_columns(out, x, first, last):
    totals = np.empty(x.shape[2])
    for a in range(first, last):
        totals[:] = 0.0
        for r in range(x.shape[1]):
            row = x[a, r]
            for b in range(row.size):
                number = np.float64(row[b])
                totals[b] += number * number
        to = out[a]
        for b in range(to.size):
            to[b] = math.sqrt(totals[b])


def norm(x: Array, *, axes: tuple[int, ...]) -> Array:
    if x.size == 0 or not axes:
        return reference.norm(x, axes=axes)
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    first, last = min(axes), max(axes) + 1
    if last - first > len(axes):  # other axes lie between them
        x = np.moveaxis(x, axes, range(-len(axes), 0))
        first, last = x.ndim - len(axes), x.ndim
    examples, length = math.prod(x.shape[:first]), math.prod(x.shape[first:last])
    x, out = np.ascontiguousarray(x).reshape(examples, length, -1), np.empty(kept, _FLOAT32)
    enough = -(-SMALLEST_PIECE // x[0].size)
    if x.shape[2] == 1:
        rows, flat = x[:, :, 0], out.ravel()  # views
        in_pieces(lambda a, b: _norm_of_rows(flat, rows, a, b), examples, enough)
    else:
        columns = out.reshape(examples, -1)
        in_pieces(lambda a, b: _norm_of_columns(columns, x, a, b), examples, enough)
    return out


# ------------------------------------------------------------------------------------------------- windows
#
# Arrays (A, L, B), of which B numbers lie side by side.


@loop
def _window_max(out, choice, x, size, stride, padding):
    length, count, width = x.shape[1], out.shape[1], x.shape[2]
    for a in range(len(x)):
        for o in range(count):
            largest, chosen = out[a, o], choice[a, o]
            first = max(0, padding - stride * o)
            for b in range(width):
                largest[b] = -np.inf
                chosen[b] = np.uint8(first)
            for k in range(first, min(size, length + padding - stride * o)):
                candidate, place = x[a, stride * o + k - padding], np.uint8(k)
                for b in range(width):
                    is_better = (candidate[b] > largest[b]) | (candidate[b] != candidate[b])  # NaN comes through
                    chosen[b] = select(is_better, place, chosen[b])
                    largest[b] = select(is_better, candidate[b], largest[b])


@loop
def _window_put(out, y, choice, size, stride, padding):
    length, count, width = out.shape[1], y.shape[1], y.shape[2]
    out[:] = 0
    for a in range(len(y)):
        for o in range(count):
            values, chosen = y[a, o], choice[a, o]
            for k in range(max(0, padding - stride * o), min(size, length + padding - stride * o)):
                to, place = out[a, stride * o + k - padding], np.uint8(k)
                for b in range(width):
                    to[b] += select(chosen[b] == place, values[b], ZERO)


@loop
def _halve(out, choice, x):
    """The usual case of a window of two, stride two and no padding, in which there is little to do for each window."""
    count, width = out.shape[1], x.shape[2]
    for a in range(len(x)):
        for o in range(count):
            for b in range(width):
                first, second = x[a, 2 * o, b], x[a, 2 * o + 1, b]
                is_better = (second > first) | (second != second)
                choice[a, o, b] = is_better
                out[a, o, b] = select(is_better, second, first)


def window_max(x: Array, *, size: int, stride: int, padding: int, count: int) -> tuple[Array, Array]:
    if size > 256:  # more than the numbers of a byte
        return reference.window_max(x, size=size, stride=stride, padding=padding, count=count)
    x, shape = np.ascontiguousarray(x), (x.shape[0], count, x.shape[2])
    out, choice = np.empty(shape, _FLOAT32), np.empty(shape, np.uint8)
    enough = -(-SMALLEST_PIECE // max(1, x[:1].size))
    if (size, stride, padding) == (2, 2, 0):
        in_pieces(lambda a, b: _halve(out[a:b], choice[a:b], x[a:b]), len(x), enough)
    else:
        in_pieces(lambda a, b: _window_max(out[a:b], choice[a:b], x[a:b], size, stride, padding), len(x), enough)
    return out, choice


def window_put(y: Array, choice: Array, *, size: int, stride: int, padding: int, length: int) -> Array:
    if choice.dtype != np.uint8:
        return reference.window_put(y, choice, size=size, stride=stride, padding=padding, length=length)
    y, choice, out = (
        np.ascontiguousarray(y),
        np.ascontiguousarray(choice),
        np.empty((len(y), length, y.shape[2]), _FLOAT32),
    )
    enough = -(-SMALLEST_PIECE // max(1, out[:1].size))
    in_pieces(lambda a, b: _window_put(out[a:b], y[a:b], choice[a:b], size, stride, padding), len(y), enough)
    return out


# ------------------------------------------------------------------------- optimizer steps, in place


@loop
def _sgd(values, gradients, velocity, learning_rate, momentum, nesterov, weight_decay, first):
    learning_rate, momentum = np.float32(learning_rate), np.float32(momentum)
    weight_decay = np.float32(weight_decay)
    for i in range(values.size):
        direction = gradients[i] + weight_decay * values[i]
        if velocity is not None:
            v = direction if first else momentum * velocity[i] + direction
            velocity[i] = v
            direction = direction + momentum * v if nesterov else v
        values[i] -= learning_rate * direction


def sgd_step(values, gradients, velocity, *, learning_rate, momentum, nesterov, weight_decay, first):
    _run(_sgd, [values, gradients, velocity], (learning_rate, momentum, nesterov, weight_decay, first))


@loop
def _rmsprop(values, gradients, square_average, learning_rate, decay, epsilon, weight_decay):
    new_share = np.float32(1.0 - decay)
    learning_rate, decay = np.float32(learning_rate), np.float32(decay)
    epsilon, weight_decay = np.float32(epsilon), np.float32(weight_decay)
    for i in range(values.size):
        gradient = gradients[i] + weight_decay * values[i]
        square = decay * square_average[i] + new_share * gradient * gradient
        square_average[i] = square
        values[i] -= learning_rate * gradient / (np.sqrt(square) + epsilon)


def rmsprop_step(values, gradients, square_average, *, learning_rate, decay, epsilon, weight_decay):
    _run(_rmsprop, [values, gradients, square_average], (learning_rate, decay, epsilon, weight_decay))


@loop
def _adam(values, gradients, first, second, step_size, beta1, beta2, root_scale, epsilon, l2, shrink):
    new_share1, new_share2 = np.float32(1.0 - beta1), np.float32(1.0 - beta2)
    step_size, beta2 = np.float32(step_size), np.float32(beta2)
    root_scale, epsilon = np.float32(root_scale), np.float32(epsilon)
    l2, shrink = np.float32(l2), np.float32(shrink)
    for i in range(values.size):
        gradient = gradients[i] + l2 * values[i]
        m = first[i] + new_share1 * (gradient - first[i])
        v = beta2 * second[i] + new_share2 * gradient * gradient
        first[i] = m
        second[i] = v
        values[i] = shrink * values[i] - step_size * m / (root_scale * np.sqrt(v) + epsilon)


def adam_step(
    values,
    gradients,
    first_moment,
    second_moment,
    *,
    learning_rate,
    beta1,
    beta2,
    epsilon,
    weight_decay,
    decoupled,
    step,
):
    settings = (
        learning_rate / (1.0 - beta1**step),
        beta1,
        beta2,
        1.0 / math.sqrt(1.0 - beta2**step),
        epsilon,
        0.0 if decoupled else weight_decay,
        1.0 - learning_rate * weight_decay if decoupled else 1.0,
    )
    _run(_adam, [values, gradients, first_moment, second_moment], settings)


@loop
def _lerp(average, values, weight):
    weight = np.float32(weight)
    for i in range(average.size):
        average[i] += weight * (values[i] - average[i])


def lerp(average, values, *, weight):
    _run(_lerp, [average, values], (weight,))


# ------------------------------------------------------------------------------ random words and numbers

_LOW, _WORD = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLIER0, _MULTIPLIER1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEP0, _KEY_STEP1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@loop
def _philox(words, key, low, high):
    for i in range(len(words)):
        count = low + np.uint64(i)
        c0, c1, c2, c3 = count & _LOW, count >> _WORD, high & _LOW, high >> _WORD
        k0, k1 = key & _LOW, key >> _WORD
        for _ in range(10):
            product0, product1 = c0 * _MULTIPLIER0, c2 * _MULTIPLIER1
            c0, c2 = (product1 >> _WORD) ^ c1 ^ k0, (product0 >> _WORD) ^ c3 ^ k1
            c1, c3 = product1 & _LOW, product0 & _LOW
            k0, k1 = (k0 + _KEY_STEP0) & _LOW, (k1 + _KEY_STEP1) & _LOW
        words[i, 0], words[i, 1], words[i, 2], words[i, 3] = c0, c1, c2, c3


def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:
    words = np.empty((blocks, 4), np.uint32)

    def work(start: int, stop: int) -> None:
        low = np.uint64((counter + start) % 2**64)
        _philox(words[start:stop], np.uint64(key), low, np.uint64(counter >> 64))

    in_pieces(work, blocks)
    return words


@_elementwise
def uniform32(out, words):
    for i in range(out.size):
        out[i] = np.float32(np.int32(words[i] >> 8)) * TO_UNIT


@inner
def _open_uniform(word):
    return np.float32(np.int32((word >> 8) | 1)) * TO_UNIT


@_elementwise
def open_uniform32(out, words):
    for i in range(out.size):
        out[i] = _open_uniform(words[i])


@loop
def _box_muller(words, normals):
    for i in range(words.size // 2):
        # Unsigned: a signed index may count from the end, and the test for that keeps the loop from vectorising.
        even, odd = np.uint64(2 * i), np.uint64(2 * i + 1)
        cos, sin = cos_sin(np.int32(words[odd] >> 8))
        radius = np.sqrt(-TWO * log(_open_uniform(words[even])))
        normals[even] = radius * cos
        normals[odd] = radius * sin


def normal32(words: Array) -> Array:
    normals = np.empty(words.shape, np.float32)
    flat_words, flat_normals = words.reshape(-1), normals.reshape(-1)

    def work(start: int, stop: int) -> None:
        _box_muller(flat_words[2 * start : 2 * stop], flat_normals[2 * start : 2 * stop])

    in_pieces(work, words.size // 2)
    return normals
