"""The elementwise kernels: the reference against the math module, the compiled ones against the reference."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from scipy import special

from minigen import kernels
from minigen.kernels import cpu, cuda, reference, threads

SETTINGS: dict[str, dict[str, float]] = {"leaky_relu": {"slope": 0.2}, "elu": {"alpha": 0.7}}
SMOOTH = ("sigmoid", "tanh", "softplus", "silu", "erf", "gelu", "gelu_tanh")
KERNELS = (*SMOOTH, "relu", "leaky_relu", "elu")
OF_OUTPUT = ("sigmoid", "tanh", "relu")  # their gradients take the output in place of the input


def call(module: Any, name: str, *arrays: np.ndarray) -> np.ndarray:
    return getattr(module, name)(*arrays, **SETTINGS.get(name.removesuffix("_backward"), {}))


def backward(module: Any, name: str, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    return call(module, name + "_backward", g, call(module, name, x) if name in OF_OUTPUT else x)


# ------------------------------------------------------------------------------------------ the reference


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))


SCALAR: dict[str, Callable[[float], float]] = {
    "sigmoid": logistic,
    "tanh": math.tanh,
    "softplus": lambda x: x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x)),
    "silu": lambda x: x * logistic(x),
    "erf": math.erf,
    "gelu": lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
    "gelu_tanh": lambda x: x * logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)),
    "relu": lambda x: max(x, 0.0),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else 0.7 * math.expm1(x),
}
# gelu's left tail: 1 - erf(z) loses digits as z nears 2, where the continued fraction takes over. gelu_tanh's: an error
# in the argument 2u of exp counts |2u| times, and 2u passes -600.
RELATIVE = dict.fromkeys(KERNELS, 2e-15) | {"gelu": 2e-13, "gelu_tanh": 2e-13}


@pytest.mark.parametrize("name", KERNELS)
def test_the_reference_is_the_function(name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 4001), np.geomspace(1e-300, 1, 50), -np.geomspace(1e-300, 1, 50)])
    expected = [SCALAR[name](value) for value in x.tolist()]
    np.testing.assert_allclose(call(reference, name, x), expected, rtol=RELATIVE[name], atol=0)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_backward_reference_is_the_derivative(name: str) -> None:
    x = np.linspace(-12, 12, 1201)
    h = 0.02  # the stencil of order 8 errs by h^8 f^(9) / 630, below 1e-12 here
    weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
    slope = (
        sum(w * (call(reference, name, x + k * h) - call(reference, name, x - k * h)) for k, w in weights.items()) / h
    )
    np.testing.assert_allclose(backward(reference, name, np.full_like(x, 3.0), x), 3.0 * slope, rtol=0, atol=3e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "slopes"), [("relu", [0, 0, 1]), ("leaky_relu", [0.2, 0.2, 1]), ("elu", [0.7 * math.exp(-2), 0.7, 1])]
)
def test_the_slopes_of_the_rectifiers_at_minus_two_zero_and_two(name: str, slopes: list[float], dtype: str) -> None:
    x = np.array([-2.0, 0.0, 2.0], dtype)
    np.testing.assert_allclose(backward(kernels, name, np.full_like(x, 5.0), x), 5 * np.array(slopes), rtol=3e-7)


# ----------------------------------------------------------------------------------- the compiled kernels

# The error of the compiled float32 kernels is at most RELATIVE32 |f(x)| + OF_INPUT |x|, that of the gradients
# OF_COTANGENT |g|; beside that, what is below TINY may be 0.
RELATIVE32 = {
    "sigmoid": 3e-7,
    "tanh": 4e-7,
    "softplus": 3e-7,
    "silu": 3e-7,
    "erf": 4e-7,
    "elu": 3e-7,
    "leaky_relu": 1e-7,
}
OF_INPUT = {"gelu": 3e-7, "gelu_tanh": 3e-7}
OF_COTANGENT = 2e-6
TINY = 1e-35

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.floats(-20, 20, width=32)
arrays = st_numpy.arrays(
    np.float32, st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=40), elements=numbers
)


@pytest.mark.parametrize("name", KERNELS)
@given(x=arrays)
def test_compiled_is_close_to_the_reference_in_float64(name: str, x: np.ndarray) -> None:
    y, exact = call(kernels, name, x), call(reference, name, x.astype("float64"))
    assert (y.shape, y.dtype, type(y)) == (x.shape, np.float32, np.ndarray)
    bound = RELATIVE32.get(name, 0) * abs(exact) + OF_INPUT.get(name, 0) * abs(x.astype("float64")) + TINY
    assert (abs(y - exact) <= bound).all()


@pytest.mark.parametrize("name", KERNELS)
@given(x=arrays, factor=st.floats(-8, 8, width=32))
def test_compiled_gradients_are_close_to_the_reference_in_float64(name: str, x: np.ndarray, factor: float) -> None:
    g = np.full_like(x, factor)
    second = call(kernels, name, x) if name in OF_OUTPUT else x
    dx = call(kernels, name + "_backward", g, second)
    exact = call(reference, name + "_backward", g.astype("float64"), second.astype("float64"))
    assert (dx.shape, dx.dtype, type(dx)) == (x.shape, np.float32, np.ndarray)
    assert (abs(dx - exact) <= OF_COTANGENT * abs(factor) + TINY).all()


def test_dense_comparison_near_the_joins_of_the_approximations() -> None:
    x = np.linspace(-20, 20, 400_001, dtype=np.float32)
    for name, relative in RELATIVE32.items():
        exact = call(reference, name, x.astype("float64"))
        assert (abs(call(cpu, name, x) - exact) <= relative * abs(exact)).all(), name


# What the docstrings of the operations and docs/conventions.md promise for float32: units in the last place, and the error of the slope.
ULPS = {"sigmoid": 3, "tanh": 6, "softplus": 3, "erf": 6, "elu": 2}
OF_X = 3e-7  # of gelu's two forms
SLOPE_ERRORS = {
    "sigmoid": 1e-7,
    "tanh": 7e-7,
    "erf": 2e-7,
    "gelu": 3e-7,
    "gelu_tanh": 2e-6,
    "silu": 1e-6,
    "softplus": 2e-7,
}


@pytest.mark.parametrize("name", [*ULPS, "gelu", "gelu_tanh"])
def test_the_stated_accuracy_of_float32(name: str) -> None:
    x = np.concatenate([np.linspace(-20, 20, 400_001), np.geomspace(1e-30, 1, 20_000), -np.geomspace(1e-30, 1, 20_000)])
    x = x.astype(np.float32)
    exact = call(reference, name, x.astype("float64"))
    error = abs(call(cpu, name, x) - exact)
    if name in ULPS:
        assert (error <= ULPS[name] * np.spacing(abs(exact).astype(np.float32))).all()
    else:
        assert (error <= OF_X * abs(x.astype("float64"))).all()


@pytest.mark.parametrize("name", SLOPE_ERRORS)
def test_the_stated_accuracy_of_slopes(name: str) -> None:
    x = np.linspace(-20, 20, 400_001, dtype=np.float32)
    exact = backward(reference, name, np.ones_like(x, np.float64), x.astype("float64"))
    assert abs(backward(cpu, name, np.ones_like(x), x) - exact).max() <= SLOPE_ERRORS[name]


# ---------------------------------------------------------------------------------------- both of them

LIMITS = {
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "softplus": (0, math.inf),
    "silu": (0, math.inf),
    "erf": (-1, 1),
    "gelu": (0, math.inf),
    "gelu_tanh": (0, math.inf),
    "relu": (0, math.inf),
    "leaky_relu": (-math.inf, math.inf),
    "elu": (-0.7, math.inf),
}
SLOPE_LIMITS = dict.fromkeys(KERNELS, (0, 1)) | {
    "sigmoid": (0, 0),
    "tanh": (0, 0),
    "erf": (0, 0),
    "leaky_relu": (0.2, 1),
}
float_dtypes = pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])


@float_dtypes
@pytest.mark.parametrize("name", KERNELS)
def test_limits_and_nan_without_a_warning(name: str, dtype: str) -> None:
    far = {"float16": 6e4, "float32": 3e38, "float64": 1e308}[dtype]
    for magnitude in (1e4, far, math.inf):
        x = np.array([-magnitude, magnitude] * 9 + [math.nan], dtype)
        y, dx = call(kernels, name, x), backward(kernels, name, np.ones_like(x), x)
        low, high = LIMITS[name]
        low, high = (max(low, -0.2 * magnitude) if name == "leaky_relu" else low), min(high, magnitude)
        np.testing.assert_allclose(
            y, np.array([low, high] * 9 + [math.nan], dtype), rtol=2e-3 if dtype == "float16" else 1e-6
        )
        np.testing.assert_allclose(
            dx[:-1], np.array([*SLOPE_LIMITS[name]] * 9, dtype), rtol=2e-3 if dtype == "float16" else 1e-6
        )


@float_dtypes
def test_where_a_factor_is_cut_off_the_other_has_come_to_its_limit(dtype: str) -> None:
    for end, function, low in (
        (reference.SIGMOID_END, reference.sigmoid, 0),
        (reference.BELL_END, reference._normal_cdf, 0),
        (reference.BELL_END, reference.erf, -1),
        (reference.BELL_END, lambda x: reference.gelu_tanh(x) / x, 0),
    ):
        np.testing.assert_array_equal(function(np.array([-end, end], dtype)), [low, 1])
    bell = np.array([-1, 1], dtype) * reference.BELL_END
    np.testing.assert_array_equal(reference._normal_density(bell), 0)
    np.testing.assert_array_equal(reference.erf_backward(np.ones_like(bell), bell), 0)
    for module in (cpu, cuda):
        assert (module._SIGMOID_END, module._BELL_END) == (reference.SIGMOID_END, reference.BELL_END)


@float_dtypes
@pytest.mark.parametrize("name", KERNELS)
def test_any_strides_give_what_a_contiguous_copy_gives(name: str, dtype: str) -> None:
    block = np.linspace(-6, 6, 4 * 6 * 10).reshape(4, 6, 10).astype(dtype)
    for x in (block.transpose(2, 0, 1), block[::-2, :, ::3], block[..., 3], np.broadcast_to(block[:, :1], block.shape)):
        g = np.broadcast_to(np.array(2.0, dtype), x.shape)  # as the gradient of a sum arrives
        copy, g_copy = np.ascontiguousarray(x), np.ascontiguousarray(g)
        y, dx = call(kernels, name, x), backward(kernels, name, g, x)
        assert y.dtype == dx.dtype == dtype
        np.testing.assert_array_equal(y, call(kernels, name, copy))
        np.testing.assert_array_equal(dx, backward(kernels, name, g_copy, copy))


@float_dtypes
@pytest.mark.parametrize("name", KERNELS)
def test_0d_and_empty_arrays_stay_arrays(name: str, dtype: str) -> None:
    for shape in ((), (0,), (3, 0, 2)):
        x = np.full(shape, 0.5, dtype)
        for outcome in (call(kernels, name, x), backward(kernels, name, np.ones_like(x), x)):
            assert (type(outcome), outcome.shape, outcome.dtype) == (np.ndarray, shape, dtype)


@pytest.mark.parametrize("name", KERNELS)
def test_threads_change_no_bit(name: str) -> None:
    x = np.linspace(-9, 9, 5 * 41_000, dtype=np.float32).reshape(5, -1)
    before = threads.get_threads()
    outcomes = []
    try:
        for count in (1, 2, 3):
            threads.set_threads(count)
            outcomes.append((call(kernels, name, x), backward(kernels, name, x, x)))
    finally:
        threads.set_threads(before)
    for y, dx in outcomes[1:]:
        np.testing.assert_array_equal(y, outcomes[0][0])
        np.testing.assert_array_equal(dx, outcomes[0][1])


# ------------------------------------------- the error function's inverse, and the log of the normal distribution function

LOG_NDTR: dict[str, Callable[[Any, np.ndarray], np.ndarray]] = {
    "log_ndtr": lambda module, x: module.log_ndtr(x),
    "slope": lambda module, x: module.log_ndtr_backward(np.ones_like(x), x),
    "curvature": lambda module, x: module.log_ndtr_curvature(np.ones_like(x), x),
}
LOG_NDTR_LIMITS = {"log_ndtr": (-math.inf, 0.0), "slope": (math.inf, 0.0), "curvature": (-1.0, 0.0)}
LOG_NDTR_ULPS = {"log_ndtr": 5, "slope": 5, "curvature": 7}
TAILS = np.concatenate(
    [np.linspace(-45, 12.8, 20_001), -np.geomspace(1e-30, 1e4, 5_000), np.geomspace(1e-30, 12.8, 5_000)]
)


def log_ndtr_exactly(name: str, x: np.ndarray) -> np.ndarray:
    """The function, its slope, or its curvature by SciPy; where the latter is a difference of large numbers, by its series in 1 / x^2."""
    if name == "log_ndtr":
        return special.log_ndtr(x)
    tail = special.erfcx(-np.minimum(x, 0.0) / math.sqrt(2)) / 2  # exp(x^2 / 2) Phi(x) on the left
    density = np.exp(-(x**2) / 2)
    slope = np.where(x < 0, 1.0 / tail, density / special.ndtr(np.maximum(x, -1.0))) / math.sqrt(2 * math.pi)
    if name == "slope":
        return slope
    u = np.minimum(x, -10.0) ** -2.0
    return np.where(
        x < -10, -1 + u - 6 * u**2 + 50 * u**3 - 518 * u**4 + 6354 * u**5 - 89782 * u**6, -slope * (x + slope)
    )


@pytest.mark.parametrize("name", LOG_NDTR)
def test_log_ndtr_in_both_tails(name: str) -> None:
    x = TAILS.astype(np.float32)
    exact = log_ndtr_exactly(name, x.astype("float64"))
    np.testing.assert_allclose(
        LOG_NDTR[name](reference, x.astype("float64")), exact, rtol=1e-7 if name == "curvature" else 1e-13
    )
    assert LOG_NDTR[name](reference, x).dtype == np.float32
    for y in (LOG_NDTR[name](kernels, x), LOG_NDTR[name](reference, x)):
        assert (abs(y - exact) <= LOG_NDTR_ULPS[name] * np.spacing(abs(exact).astype(np.float32))).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOG_NDTR)
def test_log_ndtr_at_infinity_on_the_way_there_and_at_nan(name: str, dtype: str) -> None:
    found = LOG_NDTR[name](kernels, np.array([-math.inf, math.inf, math.nan], dtype))
    np.testing.assert_array_equal(found, np.array([*LOG_NDTR_LIMITS[name], math.nan], dtype))
    far = LOG_NDTR[name](kernels, np.array([-1e15, 1e15], dtype))
    expected = {"log_ndtr": (-5e29, 0.0), "slope": (1e15, 0.0), "curvature": (-1.0, 0.0)}[name]
    np.testing.assert_allclose(far, np.array(expected, dtype), rtol=1e-6)


def test_erfinv_from_the_middle_to_both_ends() -> None:
    x = np.concatenate(
        [np.linspace(0, 1, 20_001)[:-1], np.geomspace(1e-37, 0.5, 5_000), 1 - np.geomspace(2.0**-24, 0.5, 5_000)]
    )
    x = np.concatenate([x, -x]).astype(np.float32)
    x = x[abs(x) < 1]
    exact = special.erfinv(x.astype("float64"))
    np.testing.assert_allclose(reference.erfinv(x.astype("float64")), exact, rtol=1e-13)
    for y in (kernels.erfinv(x), reference.erfinv(x)):
        assert y.dtype == np.float32
        assert (abs(y - exact) <= 4 * np.spacing(abs(exact).astype(np.float32))).all()
    near_one = 1 - np.geomspace(1e-16, 1e-3, 100)
    np.testing.assert_allclose(special.erf(reference.erfinv(near_one)), near_one, rtol=1e-15)
    np.testing.assert_allclose(special.erfc(reference.erfinv(near_one)), 1 - near_one, rtol=1e-12)


@float_dtypes
def test_erfinv_at_the_ends_and_beyond(dtype: str) -> None:
    x = np.array([-1, 1, -1.5, 2, math.inf, math.nan, 0.0, -0.0] * 3, dtype)
    y = kernels.erfinv(x)
    np.testing.assert_array_equal(y, np.array([-math.inf, math.inf, *[math.nan] * 4, 0.0, 0.0] * 3, dtype))
    assert np.signbit(y[-2:]).tolist() == [False, True]


@float_dtypes
@pytest.mark.parametrize("name", [*LOG_NDTR, "erfinv"])
def test_any_strides_and_sizes_will_do(name: str, dtype: str) -> None:
    function = LOG_NDTR.get(name, lambda module, x: module.erfinv(x))
    block = np.linspace(-0.9, 0.9, 4 * 6 * 10).reshape(4, 6, 10).astype(dtype)
    for x in (
        block.transpose(2, 0, 1),
        block[::-2, :, ::3],
        np.broadcast_to(block[:, :1], block.shape),
        block[0, 0, 0],
        block[:0],
    ):
        y = function(kernels, np.asarray(x))
        assert (type(y), y.shape, y.dtype) == (np.ndarray, x.shape, dtype)
        np.testing.assert_array_equal(y, function(kernels, np.array(x)))


# ------------------------------------------------------------------------------------------- machinery


def test_arrays_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"silu_backward: arrays of \[3, 3, 4\] elements, expected one size"):
        cpu.silu_backward(np.ones(3, np.float32), np.ones(4, np.float32))


def test_compiling_needs_no_folder_to_write_to() -> None:
    namespace: dict[str, Any] = {}
    # Numba finds no place for the machine code of a function without a source file.
    exec("def double(out, x):\n    for i in range(out.size):\n        out[i] = x[i] + x[i]", namespace)
    kernel = cpu._elementwise(namespace["double"])
    np.testing.assert_array_equal(kernel(np.ones(3, np.float32)), np.full(3, 2.0))


def run_python(code: str, **environment: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path), **environment})


def test_the_environment_turns_the_compiled_kernels_off() -> None:
    code = """
import sys
import numpy as np
from minigen import kernels
x = np.linspace(-3, 3, 7, dtype=np.float32)
assert (kernels.erf(x) == kernels.reference.erf(x)).all() and kernels.erf(x).dtype == np.float32
assert kernels.philox(np, key=0, counter=0, blocks=1)[0, 0] == 0x6627E8D5
assert "numba" not in sys.modules
"""
    run_python(code, MINIGEN_KERNELS="reference")


def test_a_forked_child_has_threads_of_its_own() -> None:
    code = """
import os
from minigen.kernels import threads
done = []
work = lambda start, stop: done.append(stop - start)
threads.in_pieces(work, 10**6)
child = os.fork()
threads.in_pieces(work, 10**6)
assert sum(done) == 2 * 10**6 and len(done) == 6, done
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
    run_python(code, MINIGEN_THREADS="3")


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def fail_late(start: int, stop: int) -> None:
        if start:
            raise ArithmeticError("in the second piece")

    before = threads.get_threads()
    threads.set_threads(2)
    try:
        with pytest.raises(ArithmeticError, match="in the second piece"):
            threads.in_pieces(fail_late, 10**6)
    finally:
        threads.set_threads(before)
    with pytest.raises(ValueError, match="count is 0"):
        threads.set_threads(0)
