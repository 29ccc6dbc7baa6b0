# ruff: noqa: D103
# mypy: disallow-untyped-defs=False, check-untyped-defs=False
# The docstrings are the reference's, the types of scalars and pointers Numba's.
"""The kernels for CuPy arrays, compiled for the GPU by Numba; `reference.py` says what each one computes.

A kernel is a scalar formula and one thread for each element of flat, contiguous vectors: thread i computes element i. So
the 32 threads of a warp, which run together, read 32 neighbours: whole cache lines, each of them once. So few operations
meet a byte that the memory moved is the cost (but for normal numbers):

    kernel                        reads + writes, bytes a thread    computes, a thread
    forward, x -> y               4 + 4                             the formula once
    backward, (g, x or y) -> dx   8 + 4                             the formula once
    sgd_step                      8 + 4, with momentum 12 + 8       2 or 3 products and sums
    rmsprop_step                  12 + 8                            5 products and sums, a root, a quotient
    adam_step                     16 + 12                           8 products and sums, a root, a quotient
    lerp                          8 + 4                             1 product and sum
    philox                        0 + 16                            20 products of 32 bits for 4 words
    uniform and open uniform      4 + 4 (float64: 8 + 8)            a shift, a conversion, a product
    normal                        8 + 8 (float64: 16 + 16)          log, root, sine and cosine for 2 numbers, in float64

Array code moves 8 or 12 bytes for each operator of a formula, and launches a kernel for each; here it is one pass and one
launch, with no array between. Nothing waits for the GPU: a launch is queued on CuPy's current stream.

A Python number would widen float32 to float64, which many GPUs compute 64 times slower: hence the named constants. Only
normal numbers are computed in float64, as in the reference. exp, log1p, erf and the like are those of CUDA's library,
within 4 units in the last place. A product and a sum may share one rounding; nothing else is relaxed, and comparisons
are turned so that NaN comes through.

A kernel gets bare addresses, since Numba would examine and describe each array anew at each launch. What an address does
not say, `_Kernel.launch` checks.

Each process compiles the kernels that it launches, at their first launch; none is kept on disk.

This needs the package numba-cuda and the compiler in NVIDIA's toolkit; `toolkit.py` finds them. To step through a
kernel in Python, without a GPU, start with NUMBA_ENABLE_CUDASIM=1 and call the functions of this file on small NumPy
arrays; `tests/kernels/cuda_simulator.py` does. Each simulated thread is one of Python's: take few (`_THREADS`, `_BLOCKS`).
"""

import functools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.types import CPointer, UniTuple, boolean, float32, float64, int64, uint32, uint64, void

from minigen.backend import Array, array_module
from minigen.kernels import reference, toolkit
from minigen.kernels.approximations import ERFINV_FAR, ERFINV_NEAR, EXCESS, EXCESS_END

toolkit.prepare()  # before the first import of numba.cuda

from numba import cuda  # noqa: E402

# ------------------------------------------------------------------------------------------- launching

_THREADS = 256
"""Threads in a block. Only the walk over images shares anything within one, so any multiple of a warp's 32 would do."""

_BLOCKS = 128
"""Blocks in the smallest launch: below it Numba warns of idle processors. Threads without an element end at once."""

_SIMULATED = bool(numba.config.ENABLE_CUDASIM)  # type: ignore[attr-defined]

KERNELS: "dict[str, _Kernel]" = {}
"""All kernels by name, to see what the compiler makes of them; those of the folders, too, once imported."""

_device = cuda.jit(device=True)
"""For functions that only kernels call."""


@_device
def _split(number, by):
    """Return quotient and remainder."""
    quotient = np.uint32(np.uint32(number) // np.uint32(by))
    return np.int32(quotient), np.int32(np.uint32(number) - quotient * np.uint32(by))


class _Kernel:
    """What one thread does, with one signature; compiled at the first launch.

    Args:
        body: takes an address for each vector, the number of threads that have work, and the settings.
        vectors: Numba's types of the elements, one for each vector.
        settings: Numba's types of the other arguments.
    """

    def __init__(self, body: Callable[..., None], vectors: tuple, settings: tuple) -> None:
        self.body = body
        self.signature = void(*(CPointer(element) for element in vectors), int64, *settings)
        self._dtypes = [np.dtype(element.name) for element in vectors]
        KERNELS[body.__name__] = self

    def launch(self, threads: int, vectors: list[Array], *settings: Any) -> None:
        """Queue the work of `threads` threads on flat, contiguous vectors of one size on CuPy's current stream."""
        size = vectors[0].size
        for vector, dtype in zip(vectors, self._dtypes, strict=True):
            if vector.size != size or vector.dtype != dtype:  # threads would read beyond its end
                given = ", ".join(f"{v.size} {v.dtype}" for v in vectors)
                expected = ", ".join(map(str, self._dtypes))
                raise ValueError(f"{self.body.__name__}: arrays of {given}; expected {expected} of one size")
        self.queue(threads, vectors, *settings)

    def queue(self, threads: int, vectors: list[Array], *settings: Any) -> None:
        """The same for vectors whose sizes and dtypes the caller answers for."""
        if threads == 0:
            return
        if _SIMULATED:
            stream, addresses = 0, vectors
        else:
            stream = _stream(array_module(vectors[0]).cuda.get_current_stream().ptr)
            addresses = [vector.data.ptr for vector in vectors]
        blocks = max(_BLOCKS, -(-threads // _THREADS))
        self._compiled[blocks, _THREADS, stream](*addresses, threads, *settings)

    @functools.cached_property
    def _compiled(self) -> Any:
        return cuda.jit(self.signature)(self.body)


def compile_one() -> None:
    """Compile a kernel, one with functions of CUDA's library: it raises what will keep all the others from being compiled."""
    KERNELS["softplus"]._compiled  # noqa: B018


@functools.cache
def _stream(handle: int) -> Any:
    """Numba's name for a stream of CuPy's; 0 is the default stream for both."""
    return cuda.external_stream(handle) if handle else 0


def _kernel(vectors: tuple, *settings: Any) -> Callable[[Callable[..., None]], _Kernel]:
    return lambda body: _Kernel(body, vectors, settings)


def _elementwise(*inputs: Any, output: Any = float32) -> Callable[[Callable[..., Any]], Callable[..., Array]]:
    """Make a function of arrays from a scalar formula, which takes an element of each input and then settings, float32."""

    def of_formula(formula: Callable[..., Any]) -> Callable[..., Array]:
        scalar = _device(formula)

        def unary(out, x, size, settings):
            i = cuda.grid(1)
            if i < size:
                out[i] = scalar(x[i], *settings)

        def binary(out, g, x, size, settings):
            i = cuda.grid(1)
            if i < size:
                out[i] = scalar(g[i], x[i], *settings)

        body: Any = unary if len(inputs) == 1 else binary
        body.__name__ = body.__qualname__ = formula.__name__  # as a profiler shows it
        settings_type = UniTuple(float32, formula.__code__.co_argcount - len(inputs))
        kernel = _Kernel(body, (output, *inputs), (settings_type,))

        def function(*arrays: Array, **settings: float) -> Array:
            out = array_module(*arrays).empty(arrays[0].shape, output.name)
            vectors = [out.ravel(), *(array.ravel() for array in arrays)]  # copies what is not contiguous
            kernel.launch(out.size, vectors, tuple(settings.values()))
            return out

        return function

    return of_formula


# ------------------------------------------------------------------------------------ elementwise kernels

ZERO, HALF, ONE = (np.float32(number) for number in (0, 0.5, 1))


@_device
def _above(x, end):
    return end if x < end else x


@_device
def _clip(x, end):
    x = _above(x, -end)
    return end if x > end else x


@_device
def _logistic(x):
    decay = math.exp(-abs(x))  # in (0, 1]: never overflows
    return (ONE if x >= ZERO else decay) / (ONE + decay)


@_elementwise(float32)
def sigmoid(x):
    return _logistic(x)


@_elementwise(float32, float32)
def sigmoid_backward(g, y):
    return g * y * (ONE - y)


@_elementwise(float32)
def tanh(x):
    return math.tanh(x)


@_elementwise(float32, float32)
def tanh_backward(g, y):
    return g * (ONE - y) * (ONE + y)


@_elementwise(float32)
def softplus(x):
    return _above(x, ZERO) + math.log1p(math.exp(-abs(x)))


@_elementwise(float32, float32)
def softplus_backward(g, x):
    return g * _logistic(x)


_SIGMOID_END = np.float32(reference.SIGMOID_END)


@_elementwise(float32)
def silu(x):
    return _above(x, -_SIGMOID_END) * _logistic(x)


@_elementwise(float32, float32)
def silu_backward(g, x):
    s = _logistic(x)
    return g * s * (ONE + _clip(x, _SIGMOID_END) * (ONE - s))


_TWO_OVER_SQRT_PI = np.float32(2 / math.sqrt(math.pi))
_BELL_END = np.float32(reference.BELL_END)


@_elementwise(float32)
def erf(x):
    return math.erf(x)


@_elementwise(float32, float32)
def erf_backward(g, x):
    z = _clip(x, _BELL_END)
    return g * _TWO_OVER_SQRT_PI * math.exp(-z * z)


_SQRT_HALF = np.float32(math.sqrt(0.5))
_NORMAL_PEAK = np.float32(1 / math.sqrt(2 * math.pi))


@_device
def _normal_cdf(x):
    return HALF * math.erfc(-_SQRT_HALF * x)


_SQRT_2_PI = np.float32(math.sqrt(2 * math.pi))
_TO_SIXTEENTHS = np.float32(1.5 * 2**19)  # the float32 numbers near it are multiples of 1/16: adding it rounds to them


@_device
def _polynomial(x, coefficients):
    total = coefficients[-1]
    for i in range(len(coefficients) - 2, -1, -1):
        total = total * x + coefficients[i]
    return total


@_device
def _normal_density(t):
    """exp(-t^2 / 2) / sqrt(2 pi) for t >= 0, to a few ulp in the far tail too: the square of the nearest sixteenth is exact."""
    t = _clip(t, _BELL_END)
    near = (t + _TO_SIXTEENTHS) - _TO_SIXTEENTHS
    return _NORMAL_PEAK * math.exp(-HALF * near * near) * math.exp(-HALF * (t - near) * (t + near))


@_device
def _excess(t):
    t = _clip(t, EXCESS_END)
    return _polynomial(t, EXCESS[0]) / _polynomial(t, EXCESS[1])


@_device
def _log_ndtr_slope(x):
    t = abs(x)
    rate = t + _excess(t)
    density = _normal_density(t)
    return density / (ONE - density / rate) if x > ZERO else rate


@_elementwise(float32)
def log_ndtr(x):
    t = abs(x)
    rate = t + _excess(t)
    if x > ZERO:
        return math.log1p(-_normal_density(t) / rate)
    return -(HALF * t) * t - math.log(_SQRT_2_PI * rate)


@_elementwise(float32, float32)
def log_ndtr_backward(g, x):
    return g * _log_ndtr_slope(x)


@_elementwise(float32, float32)
def log_ndtr_curvature(g, x):
    t = _clip(x, EXCESS_END)
    slope = _log_ndtr_slope(t)
    return -g * slope * (t + slope if t > ZERO else _excess(abs(t)))


_FIVE, _FIVE_HALVES, _THREE = (np.float32(number) for number in (5, 2.5, 3))
_INFINITY, _NAN = np.float32(np.inf), np.float32(np.nan)


@_elementwise(float32)
def erfinv(x):
    size = abs(x)
    if not size < ONE:
        return x * (_INFINITY if size == ONE else _NAN)
    w = -math.log((ONE - x) * (ONE + x))
    if w < _FIVE:
        return x * _polynomial(w - _FIVE_HALVES, ERFINV_NEAR)
    return x * _polynomial(math.sqrt(w) - _THREE, ERFINV_FAR)


@_elementwise(float32)
def gelu(x):
    return _above(x, -_BELL_END) * _normal_cdf(x)


@_elementwise(float32, float32)
def gelu_backward(g, x):
    z = _clip(x, _BELL_END)
    return g * (_normal_cdf(x) + z * _NORMAL_PEAK * math.exp(-HALF * z * z))


_GELU_SCALE = np.float32(reference.GELU_SCALE)
_GELU_CUBIC = np.float32(reference.GELU_CUBIC)
_GELU_SLOPE = np.float32(3 * reference.GELU_CUBIC)


@_elementwise(float32)
def gelu_tanh(x):
    z = _clip(x, _BELL_END)
    return _above(x, -_BELL_END) * _logistic(_GELU_SCALE * z * (ONE + _GELU_CUBIC * z * z))


@_elementwise(float32, float32)
def gelu_tanh_backward(g, x):
    z = _clip(x, _BELL_END)
    s = _logistic(_GELU_SCALE * z * (ONE + _GELU_CUBIC * z * z))
    slope = _GELU_SCALE * (ONE + _GELU_SLOPE * z * z)
    return g * s * (ONE + z * slope * (ONE - s))


@_elementwise(float32)
def relu(x):
    return _above(x, ZERO)


@_elementwise(float32, float32)
def relu_backward(g, y):
    return ZERO if y <= ZERO else g


@_elementwise(float32)
def leaky_relu(x, slope):
    return x if x > ZERO else slope * x


@_elementwise(float32, float32)
def leaky_relu_backward(g, x, slope):
    return g if x > ZERO else slope * g


@_elementwise(float32)
def elu(x, alpha):
    return x if x > ZERO else alpha * math.expm1(x)


@_elementwise(float32, float32)
def elu_backward(g, x, alpha):
    return g if x > ZERO else g * alpha * math.exp(x)


# ------------------------------------------------------------------------- optimizer steps, in place


def _in_place(kernel: _Kernel, changed: list[Array], read: Array, *settings: Any) -> None:
    """Launch a kernel of the vectors `changed`, and after them the one that it only reads."""
    vectors = [array.ravel() for array in changed]  # views of what is contiguous, as an optimizer's vectors are
    kernel.launch(read.size, [*vectors, read.ravel()], *settings)
    for array, vector in zip(changed, vectors, strict=True):
        if not array.flags.c_contiguous:
            array[...] = vector.reshape(array.shape)


@_kernel((float32, float32), float32, float32)
def _sgd(values, gradients, size, learning_rate, weight_decay):
    i = cuda.grid(1)
    if i < size:
        values[i] -= learning_rate * (gradients[i] + weight_decay * values[i])


@_kernel((float32, float32, float32), float32, float32, boolean, float32, boolean)
def _momentum_sgd(values, velocity, gradients, size, learning_rate, momentum, nesterov, weight_decay, first):
    i = cuda.grid(1)
    if i < size:
        direction = gradients[i] + weight_decay * values[i]
        v = direction if first else momentum * velocity[i] + direction
        velocity[i] = v
        values[i] -= learning_rate * (direction + momentum * v if nesterov else v)


def sgd_step(values, gradients, velocity, *, learning_rate, momentum, nesterov, weight_decay, first):
    if velocity is None:
        _in_place(_sgd, [values], gradients, learning_rate, weight_decay)
    else:
        settings = (learning_rate, momentum, nesterov, weight_decay, first)
        _in_place(_momentum_sgd, [values, velocity], gradients, *settings)


@_kernel((float32, float32, float32), float32, float32, float32, float32, float32)
def _rmsprop(values, square_average, gradients, size, learning_rate, decay, new_share, epsilon, weight_decay):
    i = cuda.grid(1)
    if i < size:
        gradient = gradients[i] + weight_decay * values[i]
        square = decay * square_average[i] + new_share * gradient * gradient
        square_average[i] = square
        values[i] -= learning_rate * gradient / (math.sqrt(square) + epsilon)


def rmsprop_step(values, gradients, square_average, *, learning_rate, decay, epsilon, weight_decay):
    settings = (learning_rate, decay, 1.0 - decay, epsilon, weight_decay)
    _in_place(_rmsprop, [values, square_average], gradients, *settings)


@_kernel((float32, float32, float32, float32), *(float32,) * 8)
def _adam(
    values, first, second, gradients, size, step_size, new_share1, beta2, new_share2, root_scale, epsilon, l2, shrink
):
    i = cuda.grid(1)
    if i < size:
        gradient = gradients[i] + l2 * values[i]
        m = first[i] + new_share1 * (gradient - first[i])
        v = beta2 * second[i] + new_share2 * gradient * gradient
        first[i] = m
        second[i] = v
        values[i] = shrink * values[i] - step_size * m / (root_scale * math.sqrt(v) + epsilon)


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
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        1.0 / math.sqrt(1.0 - beta2**step),
        epsilon,
        0.0 if decoupled else weight_decay,
        1.0 - learning_rate * weight_decay if decoupled else 1.0,
    )
    _in_place(_adam, [values, first_moment, second_moment], gradients, *settings)


@_kernel((float32, float32), float32)
def _lerp(average, values, size, weight):
    i = cuda.grid(1)
    if i < size:
        average[i] += weight * (values[i] - average[i])


def lerp(average, values, *, weight):
    _in_place(_lerp, [average], values, weight)


# ------------------------------------------------------------------------------ random words and numbers

_LOW, _WORD = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLIER0, _MULTIPLIER1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_STEP0, _KEY_STEP1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@_kernel((uint32,), uint64, uint64, uint64)
def _philox(words, blocks, key, low, high):
    i = cuda.grid(1)
    if i < blocks:
        count = np.uint64(low) + np.uint64(i)
        c0, c1 = count & _LOW, count >> _WORD
        c2, c3 = np.uint64(high) & _LOW, np.uint64(high) >> _WORD
        k0, k1 = np.uint64(key) & _LOW, np.uint64(key) >> _WORD
        for _ in range(10):
            product0, product1 = c0 * _MULTIPLIER0, c2 * _MULTIPLIER1
            c0, c2 = (product1 >> _WORD) ^ c1 ^ k0, (product0 >> _WORD) ^ c3 ^ k1
            c1, c3 = product1 & _LOW, product0 & _LOW
            k0, k1 = (k0 + _KEY_STEP0) & _LOW, (k1 + _KEY_STEP1) & _LOW
        words[4 * i], words[4 * i + 1] = np.uint32(c0), np.uint32(c1)
        words[4 * i + 2], words[4 * i + 3] = np.uint32(c2), np.uint32(c3)


def philox(xp: ModuleType, *, key: int, counter: int, blocks: int) -> Array:
    words = xp.empty((blocks, 4), "uint32")
    _philox.launch(blocks, [words.ravel()], key, counter % 2**64, counter >> 64)
    return words


_TO_UNIT32, _TO_UNIT64 = np.float32(2.0**-24), np.float64(2.0**-53)
_ONE_BIT, _DROPPED = np.uint64(1), np.uint64(11)


@_device
def _uniform32(word):
    return np.float32(np.int32(word >> 8)) * _TO_UNIT32


@_device
def _open_uniform32(word):
    return np.float32(np.int32((word >> 8) | 1)) * _TO_UNIT32


@_device
def _uniform64(pair):
    return np.float64(np.int64(pair >> _DROPPED)) * _TO_UNIT64


@_device
def _open_uniform64(pair):
    return np.float64(np.int64((pair >> _DROPPED) | _ONE_BIT)) * _TO_UNIT64


def _pairs(words: Array) -> Array:
    """Two words as one of 64 bits, the low one first."""
    return array_module(words).ascontiguousarray(words).view("uint64")


@_elementwise(uint32)
def uniform32(word):
    return _uniform32(word)


@_elementwise(uint32)
def open_uniform32(word):
    return _open_uniform32(word)


@_elementwise(uint64, output=float64)
def _uniforms64(pair):
    return _uniform64(pair)


def uniform64(words: Array) -> Array:
    return _uniforms64(_pairs(words))


@_elementwise(uint64, output=float64)
def _open_uniforms64(pair):
    return _open_uniform64(pair)


def open_uniform64(words: Array) -> Array:
    return _open_uniforms64(_pairs(words))


@_device
def _box_muller(u, v):
    radius, angle = math.sqrt(-2.0 * math.log(u)), (2.0 * math.pi) * v
    return radius * math.cos(angle), radius * math.sin(angle)


@_kernel((float32, uint32))
def _normals32(normals, words, pairs):
    i = cuda.grid(1)
    if i < pairs:
        x, y = _box_muller(np.float64(_open_uniform32(words[2 * i])), np.float64(_uniform32(words[2 * i + 1])))
        normals[2 * i], normals[2 * i + 1] = np.float32(x), np.float32(y)


def normal32(words: Array) -> Array:
    normals = array_module(words).empty(words.shape, "float32")
    _normals32.launch(words.size // 2, [normals.ravel(), words.ravel()])
    return normals


@_kernel((float64, uint64))
def _normals64(normals, words, pairs):
    i = cuda.grid(1)
    if i < pairs:
        x, y = _box_muller(_open_uniform64(words[2 * i]), _uniform64(words[2 * i + 1]))
        normals[2 * i], normals[2 * i + 1] = x, y


def normal64(words: Array) -> Array:
    pairs = _pairs(words)
    normals = array_module(words).empty(pairs.shape, "float64")
    _normals64.launch(pairs.size // 2, [normals.ravel(), pairs.ravel()])
    return normals
