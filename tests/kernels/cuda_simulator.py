"""The CUDA kernels against the reference in float64, on NumPy arrays in Numba's CUDA simulator.

    NUMBA_ENABLE_CUDASIM=1 python -W error tests/kernels/cuda_simulator.py

The simulator is chosen for a whole process, before Numba is imported, so it needs one of its own. `test_cuda.py` starts it, and makes the
same comparisons on CuPy arrays where there is a GPU: the functions of `COMPARISONS` take the array module. Those of convolution are in
`cuda_convolution.py`, those of the walk over an image in `cuda_raster.py`; here they get the double of CuPy.
"""

import itertools
import math
import sys
import traceback
import warnings
from functools import partial
from pathlib import Path

import cuda_convolution
import cuda_raster
import numpy as np
import pytest

from minigen.kernels import cuda, reference
from minigen.kernels.bits import cuda as bits_cuda
from minigen.kernels.bits import reference as bits
from minigen.kernels.gated import cuda as gated_cuda
from minigen.kernels.gated import reference as gated
from minigen.kernels.raster import cuda as raster

SETTINGS = {"leaky_relu": {"slope": 0.2}, "elu": {"alpha": 0.7}}
ELEMENTWISE = ("sigmoid", "tanh", "softplus", "silu", "erf", "gelu", "gelu_tanh", "relu", "leaky_relu", "elu")
OF_OUTPUT = ("sigmoid", "tanh", "relu")  # their gradients take the output in place of the input

# The error of f(x) is at most RELATIVE |f(x)|, for the functions OF_INPUT RELATIVE |x|, that of a gradient OF_COTANGENT |g|; what is below
# TINY may be 0. In gelu_tanh the rounding of the argument 2u of exp counts |2u| times.
RELATIVE = dict.fromkeys(ELEMENTWISE, 4e-7) | {"relu": 0, "leaky_relu": 1e-7}
OF_INPUT = ("gelu", "gelu_tanh")
OF_COTANGENT = dict.fromkeys(ELEMENTWISE, 2e-6) | {"gelu_tanh": 3e-6}
TINY = 1e-35

NUMBERS = np.concatenate(
    [
        np.linspace(-20, 20, 81),
        np.geomspace(1e-38, 1e4, 30),
        -np.geomspace(1e-38, 1e4, 30),
        [0.0, -0.0, 3e38, -3e38, np.inf, -np.inf, np.nan],
    ]
).astype("float32")
COTANGENTS = np.random.default_rng(0).uniform(-8, 8, NUMBERS.shape).astype("float32")


def on_cpu(array):
    return array if isinstance(array, np.ndarray) else array.get()


def call(module, name, *arrays):
    return getattr(module, name)(*arrays, **SETTINGS.get(name.removesuffix("_backward"), {}))


def assert_close(found, exact, bound):
    """Compare with the exact float64 values; NaN and infinity must be where they belong."""
    found, ordinary = on_cpu(found).astype("float64"), np.isfinite(exact)
    np.testing.assert_array_equal(found[~ordinary], exact[~ordinary])
    error = abs(found[ordinary] - exact[ordinary])
    np.testing.assert_array_less(error, np.broadcast_to(bound, exact.shape)[ordinary])


# ------------------------------------------------------------------------------------------ elementwise


def forward_is_close(xp, name):
    x = NUMBERS.astype("float64")
    exact = call(reference, name, x)
    y = call(cuda, name, xp.asarray(NUMBERS))
    assert (type(y), y.shape, y.dtype) == (xp.ndarray, NUMBERS.shape, np.float32)
    with np.errstate(invalid="ignore"):  # of relu's infinity
        bound = RELATIVE[name] * abs(x if name in OF_INPUT else exact) + TINY
    assert_close(y, exact, bound)


def backward_is_close(xp, name):
    g, x = xp.asarray(COTANGENTS), xp.asarray(NUMBERS)
    second = call(cuda, name, x) if name in OF_OUTPUT else x
    dx = call(cuda, name + "_backward", g, second)
    exact = call(reference, name + "_backward", COTANGENTS.astype("float64"), on_cpu(second).astype("float64"))
    assert (type(dx), dx.shape, dx.dtype) == (xp.ndarray, NUMBERS.shape, np.float32)
    assert_close(dx, exact, OF_COTANGENT[name] * abs(COTANGENTS) + TINY)


def any_size_is_filled(xp, name):
    """Each size leaves another number of threads without work; the element beyond the end must stay."""
    for size in (1, 16, 17, 31):
        x = xp.asarray(np.linspace(-3, 3, size, dtype="float32"))
        whole = call(cuda, name, xp.concatenate([x, x]))
        assert (call(cuda, name, x) == whole[:size]).all()
        assert (whole[size:] == whole[:size]).all()


def any_strides_will_do(xp, name):
    block = xp.asarray(np.linspace(-6, 6, 3 * 4 * 5, dtype="float32").reshape(3, 4, 5))
    for x in (block.transpose(2, 0, 1), block[::-2, :, ::3], block[..., 3], xp.broadcast_to(block[:, :1], block.shape)):
        g = xp.broadcast_to(xp.asarray(np.float32(2)), x.shape)  # as the gradient of a sum arrives
        copy, g_copy = xp.ascontiguousarray(x), xp.ascontiguousarray(g)
        assert (call(cuda, name, x) == call(cuda, name, copy)).all()
        assert (call(cuda, name + "_backward", g, x) == call(cuda, name + "_backward", g_copy, copy)).all()


def empty_and_0d_arrays_stay_arrays(xp, name):
    for shape in ((), (0,), (3, 0, 2)):
        x = xp.full(shape, 0.5, "float32")
        for outcome in (call(cuda, name, x), call(cuda, name + "_backward", xp.ones_like(x), x)):
            assert (type(outcome), outcome.shape, outcome.dtype) == (xp.ndarray, shape, np.float32)
    assert_close(call(cuda, name, xp.full((), 0.5, "float32")), call(reference, name, np.array(0.5)), 1e-6)


def wrong_arrays_are_refused(xp):
    single, longer, double = xp.ones(3, "float32"), xp.ones(4, "float32"), xp.ones(3, "float64")
    expected = "expected float32, float32, float32 of one size"
    with pytest.raises(ValueError, match=f"silu_backward: arrays of 3 float32, 3 float32, 4 float32; {expected}"):
        cuda.silu_backward(single, longer)
    with pytest.raises(ValueError, match=f"silu_backward: arrays of 3 float32, 3 float32, 3 float64; {expected}"):
        cuda.silu_backward(single, double)
    with pytest.raises(
        ValueError, match="_lerp: arrays of 3 float32, 4 float32; expected float32, float32 of one size"
    ):
        cuda.lerp(single, longer, weight=0.5)


def log_ndtr_follows_the_reference(xp, name):
    x = NUMBERS[
        (NUMBERS <= 12.8) & (abs(NUMBERS) != np.float32(3e38)) | np.isnan(NUMBERS)
    ]  # where float32 neither runs out nor overflows
    g = np.ones_like(x)
    arrays = (x,) if name == "log_ndtr" else (g, x)
    exact = getattr(reference, name)(*(array.astype("float64") for array in arrays))
    found = getattr(cuda, name)(*map(xp.asarray, arrays))
    assert (type(found), found.shape, found.dtype) == (xp.ndarray, x.shape, np.float32)
    np.testing.assert_allclose(on_cpu(found), exact, rtol=7e-7, atol=TINY)


def erfinv_follows_the_reference(xp):
    x = np.concatenate([NUMBERS, NUMBERS / 20, [1, -1]]).astype("float32")
    x = np.concatenate([x, 1 - np.geomspace(2.0**-24, 0.5, 50).astype("float32")])
    exact = reference.erfinv(x.astype("float64"))
    found = cuda.erfinv(xp.asarray(x))
    assert (type(found), found.shape, found.dtype) == (xp.ndarray, x.shape, np.float32)
    np.testing.assert_allclose(on_cpu(found), exact, rtol=5e-7, atol=TINY)


# ------------------------------------------------------------------------------------------ rows

RNG = np.random.default_rng(0)
ROWS = {  # the modules, and arrays for the function and its gradient
    "bits_log_prob": (bits_cuda, bits, (RNG.integers(0, 2, (5, 7)), 3 * RNG.normal(size=(2, 5, 7))), (2, 5)),
    "gated_tanh": (gated_cuda, gated, (3 * RNG.normal(size=(2, 5, 6)),), (2, 5, 3)),
}


def rows_follow_the_reference(xp, name):
    compiled, plain, arrays, outcome = ROWS[name]
    for function, exact in (
        (name, arrays),
        (f"{name}_backward", (RNG.normal(size=outcome), *arrays)),
        (name, [array[..., :0, :] for array in arrays]),
    ):
        single = [np.asarray(array, "float32") for array in exact]
        found = getattr(compiled, function)(*map(xp.asarray, single))
        assert (type(found), found.dtype) == (xp.ndarray, np.float32)
        expected = getattr(plain, function)(*(array.astype("float64") for array in single))
        np.testing.assert_allclose(on_cpu(found), expected, rtol=1e-6, atol=1e-6)


# -------------------------------------------------------------------------------------- optimizer steps

SGD = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.3, "first": False}
ADAM = {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-3, "weight_decay": 0.3, "step": 3}
STEPS = {  # the step, its settings, and the number of its vectors
    "sgd": ("sgd_step", SGD, 2),
    "momentum first": ("sgd_step", SGD | {"momentum": 0.9, "first": True}, 3),
    "momentum": ("sgd_step", SGD | {"momentum": 0.9}, 3),
    "nesterov first": ("sgd_step", SGD | {"momentum": 0.9, "nesterov": True, "first": True}, 3),
    "nesterov": ("sgd_step", SGD | {"momentum": 0.9, "nesterov": True}, 3),
    "rmsprop": ("rmsprop_step", {"learning_rate": 0.1, "decay": 0.99, "epsilon": 1e-3, "weight_decay": 0.3}, 3),
    "adam": ("adam_step", ADAM | {"decoupled": False}, 4),
    "adamw": ("adam_step", ADAM | {"decoupled": True}, 4),
    "lerp": ("lerp", {"weight": 0.01}, 2),
}


def vectors_for(name, size):
    rng = np.random.default_rng(size)
    vectors = [rng.normal(size=size).astype("float32") for _ in range(STEPS[name][2])]
    if name in ("rmsprop", "adam", "adamw"):
        vectors[-1] **= 2  # a running mean of squares
    if "first" in name:
        vectors[-1][:] = np.nan  # the first step reads no velocity
    return vectors


def step(module, name, vectors):
    function, settings, _ = STEPS[name]
    getattr(module, function)(*vectors, *([None] if name == "sgd" else []), **settings)


def steps_follow_the_reference(xp, name):
    for size in (0, 1, 16, 53):
        start = vectors_for(name, size)
        exact = [vector.astype("float64") for vector in start]
        vectors = [xp.asarray(vector) if xp is not np else vector.copy() for vector in start]
        step(cuda, name, vectors)
        step(reference, name, exact)
        for vector, exact_vector in zip(vectors, exact, strict=True):
            assert vector.dtype == np.float32
            np.testing.assert_allclose(on_cpu(vector), exact_vector, rtol=5e-7, atol=2e-6)
        np.testing.assert_array_equal(on_cpu(vectors[1]), start[1])  # only read
        assert size == 0 or not np.array_equal(on_cpu(vectors[0]), start[0])


def strided_vectors_are_changed_in_place(xp, name):
    vectors = [xp.asarray(vector) for vector in vectors_for(name, 20)]
    wide = [xp.stack([vector, vector], axis=1) for vector in vectors]
    step(cuda, name, [w[:, 0] for w in wide])
    step(cuda, name, vectors)
    for vector, w in zip(vectors, wide, strict=True):
        np.testing.assert_array_equal(on_cpu(w[:, 0]), on_cpu(vector))
    assert not np.array_equal(on_cpu(wide[0][:, 1]), on_cpu(vectors[0]))  # the other column is as before


def a_nan_gradient_reaches_its_own_value_only(xp, name):
    vectors = vectors_for(name, 40)
    vectors[1][7] = math.nan
    vectors = [xp.asarray(vector) for vector in vectors]
    step(cuda, name, vectors)
    assert np.flatnonzero(np.isnan(on_cpu(vectors[0]))).tolist() == [7]


# --------------------------------------------------------------------------------------- random numbers

# Known answers of the generator's authors (Random123, kat_vectors): key, counter, block, each with its low word first.
ONES = 0xFFFFFFFF
KNOWN_ANSWERS = (
    ((0, 0), (0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES), (ONES, ONES, ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0xA4093822, 0x299F31D0),
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)


def joined(words):
    return sum(word << (32 * i) for i, word in enumerate(words))


def philox_gives_the_known_answers(xp):
    for key, counter, block in KNOWN_ANSWERS:
        assert on_cpu(cuda.philox(xp, key=joined(key), counter=joined(counter), blocks=1)).tolist() == [list(block)]


def philox_gives_the_words_of_the_reference(xp):
    for key, counter in itertools.product((0, 5, 2**64 - 1), (0, 2**32 - 3, 2**64 - 2, 2**70 + 3, 2**128 - 1)):
        for blocks in (0, 1, 21):
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "overflow encountered in scalar add")  # the counter is modulo 2^64
                words = cuda.philox(xp, key=key, counter=counter, blocks=blocks)
            assert (words.dtype, words.shape) == (np.uint32, (blocks, 4))
            expected = reference.philox(np, key=key, counter=counter, blocks=blocks)
            np.testing.assert_array_equal(on_cpu(words), expected)


def some_words():
    words = reference.philox(np, key=1, counter=0, blocks=23)
    words[:3] = np.array([[0, ONES, ONES, 0], [1, 2**31, 2**30, ONES - 1], [255, 256, 2**29, 3 * 2**30]])
    return words


def uniforms_are_those_of_the_reference(xp, name):
    for part in (slice(None), slice(None, None, 2), slice(0)):
        expected = getattr(reference, name)(np.ascontiguousarray(some_words()[part]))
        found = getattr(cuda, name)(xp.asarray(some_words())[part])
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        np.testing.assert_array_equal(on_cpu(found), expected)


def normals_are_those_of_the_reference_to_rounding(xp, name):
    rounding = np.finfo(name.replace("normal", "float")).eps
    for part in (slice(None), slice(None, None, 2), slice(0)):
        expected = getattr(reference, name)(np.ascontiguousarray(some_words()[part]))
        found = getattr(cuda, name)(xp.asarray(some_words())[part])
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        # An angle's rounding, 2^-53 of up to 2 pi, moves a normal by up to its partner, of up to 9, times that.
        np.testing.assert_allclose(on_cpu(found), expected, rtol=4 * rounding, atol=2e-14)


COMPARISONS = {
    f"{comparison.__name__} {name}".strip(): partial(comparison, **({"name": name} if name else {}))
    for comparisons, names in (
        (
            (
                forward_is_close,
                backward_is_close,
                any_size_is_filled,
                any_strides_will_do,
                empty_and_0d_arrays_stay_arrays,
            ),
            ELEMENTWISE,
        ),
        (
            (
                steps_follow_the_reference,
                strided_vectors_are_changed_in_place,
                a_nan_gradient_reaches_its_own_value_only,
            ),
            STEPS,
        ),
        ((log_ndtr_follows_the_reference,), ("log_ndtr", "log_ndtr_backward", "log_ndtr_curvature")),
        ((erfinv_follows_the_reference,), ("",)),
        ((rows_follow_the_reference,), ROWS),
        ((uniforms_are_those_of_the_reference,), ("uniform32", "open_uniform32", "uniform64", "open_uniform64")),
        ((normals_are_those_of_the_reference_to_rounding,), ("normal32", "normal64")),
        (
            (wrong_arrays_are_refused, philox_gives_the_known_answers, philox_gives_the_words_of_the_reference),
            ("",),
        ),
    )
    for comparison in comparisons
    for name in names
}
CONVOLUTION = {
    **{
        f"convolution_follows_the_reference {name}": partial(
            cuda_convolution.convolution_follows_the_reference, name=name
        )
        for name in cuda_convolution.CASES
    },
    **{
        comparison.__name__: comparison
        for comparison in (
            cuda_convolution.any_convolution_follows_the_reference,
            cuda_convolution.only_what_is_read_is_packed,
            cuda_convolution.the_smaller_image_is_packed_for_the_gradient_of_a_weight,
            cuda_convolution.narrow_groups_are_not_packed,
            cuda_convolution.a_nan_reaches_those_that_see_it_only,
            cuda_convolution.arrays_of_other_sizes_are_refused,
        )
    },
}
ON_THE_DOUBLE = {
    "later_calls_wait_for_nothing": cuda_convolution.later_calls_wait_for_nothing,
    "a_walk_waits_for_nothing": cuda_raster.a_walk_waits_for_nothing,
}


def double_of_cupy():
    """Return the double in the place of CuPy; kernels get the NumPy arrays behind its arrays."""
    sys.path.append(str(Path(__file__).parents[1]))
    from doubles.strict_cupy import cupy

    queue = cuda._Kernel.queue

    def unwrapping(kernel, threads, vectors, *settings):
        queue(kernel, threads, [getattr(vector, "_values", vector) for vector in vectors], *settings)

    cuda._Kernel.queue = unwrapping
    sys.modules["cupy"] = cupy
    return cupy


def main():
    assert cuda._SIMULATED, "set NUMBA_ENABLE_CUDASIM=1"
    cuda._THREADS, cuda._BLOCKS = 16, 1
    raster._THREADS, raster._PARTS = 16, 4
    cupy = double_of_cupy()
    simulated = {name: partial(comparison, np) for name, comparison in COMPARISONS.items()}
    simulated |= {name: partial(comparison, cupy) for name, comparison in (CONVOLUTION | cuda_raster.WALK).items()}
    simulated |= ON_THE_DOUBLE
    failures = 0
    for name, comparison in simulated.items():
        try:
            comparison()
        except Exception:
            failures += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    print(f"{len(simulated)} comparisons, {failures} failed")
    raise SystemExit(failures > 0)


if __name__ == "__main__":
    main()
