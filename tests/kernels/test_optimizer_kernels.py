"""The optimizer steps: closed forms in float64, and the compiled float32 steps against the reference."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import cpu, reference, threads

SGD = {"learning_rate": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
ADAM = {"learning_rate": 0.1, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0, "decoupled": False}


# ---------------------------------------------------------------------------------------- closed forms


def test_sgd_with_a_constant_gradient() -> None:
    # v_t = g (1 - m^t) / (1 - m), so the value falls by lr g times their sum.
    g, m = np.array([2.0, -3.0]), 0.8
    values, velocity = np.array([1.0, 1.0]), np.full(2, np.nan)  # the first step reads no velocity
    for step in range(20):
        kernels.sgd_step(values, g, velocity, **(SGD | {"momentum": m, "first": step == 0}))
    travelled = sum((1 - m**t) / (1 - m) for t in range(1, 21))
    np.testing.assert_allclose(velocity, g * (1 - m**20) / (1 - m), rtol=1e-13)
    np.testing.assert_allclose(values, 1 - 0.1 * g * travelled, rtol=1e-13)


def test_sgd_nesterov_steps_one_momentum_further() -> None:
    g, values, velocity = np.array([2.0]), np.array([1.0]), np.array([5.0])
    kernels.sgd_step(values, g, velocity, **(SGD | {"momentum": 0.5, "nesterov": True, "first": False}))
    np.testing.assert_allclose(velocity, 0.5 * 5 + 2)
    np.testing.assert_allclose(values, 1 - 0.1 * (2 + 0.5 * 4.5))


def test_sgd_weight_decay_is_exponential_decay() -> None:
    values = np.array([3.0, -4.0])
    for _ in range(10):
        kernels.sgd_step(values, np.zeros(2), None, **(SGD | {"weight_decay": 0.5, "first": False}))
    np.testing.assert_allclose(values, np.array([3.0, -4.0]) * (1 - 0.1 * 0.5) ** 10, rtol=1e-14)


def test_rmsprop_with_a_constant_gradient() -> None:
    # s_t = (1 - d^t) g^2, so step t has the length lr / sqrt(1 - d^t), whatever the gradient's size.
    g, values, square = np.array([1e-3, -1e3]), np.zeros(2), np.zeros(2)
    for _ in range(7):
        kernels.rmsprop_step(values, g, square, learning_rate=0.1, decay=0.9, epsilon=0.0, weight_decay=0.0)
    np.testing.assert_allclose(square, (1 - 0.9**7) * g**2, rtol=1e-13)
    np.testing.assert_allclose(values, -0.1 * np.sign(g) * sum((1 - 0.9**t) ** -0.5 for t in range(1, 8)), rtol=1e-13)


def test_adam_with_a_constant_gradient_steps_by_the_learning_rate() -> None:
    g, values, m, v = np.array([1e-4, -1e4]), np.zeros(2), np.zeros(2), np.zeros(2)
    for step in range(1, 21):
        kernels.adam_step(values, g, m, v, **(ADAM | {"epsilon": 0.0, "step": step}))
    np.testing.assert_allclose(values, -0.1 * 20 * np.sign(g), rtol=1e-12)
    np.testing.assert_allclose(m, (1 - 0.9**20) * g, rtol=1e-13)
    np.testing.assert_allclose(v, (1 - 0.999**20) * g**2, rtol=1e-11)


def test_decoupled_weight_decay_is_exponential_decay() -> None:
    values, m, v = np.array([4.0]), np.zeros(1), np.zeros(1)
    for step in range(1, 6):
        kernels.adam_step(values, np.zeros(1), m, v, **(ADAM | {"weight_decay": 0.5, "decoupled": True, "step": step}))
    np.testing.assert_allclose(values, 4.0 * (1 - 0.1 * 0.5) ** 5, rtol=1e-14)
    assert m == v == 0


def test_coupled_weight_decay_passes_through_the_moments() -> None:
    values, m, v = np.array([4.0]), np.zeros(1), np.zeros(1)
    for step in range(1, 6):
        gradients = 2.0 - 0.5 * values  # with the decay's share, the gradient is always 2
        kernels.adam_step(values, gradients, m, v, **(ADAM | {"weight_decay": 0.5, "epsilon": 0.0, "step": step}))
    np.testing.assert_allclose(values, 4.0 - 5 * 0.1, rtol=1e-12)
    np.testing.assert_allclose(m, (1 - 0.9**5) * 2.0, rtol=1e-13)


def test_lerp_approaches_geometrically() -> None:
    average, values = np.array([1.0, -2.0]), np.array([5.0, 5.0])
    for _ in range(12):
        kernels.lerp(average, values, weight=0.25)
    np.testing.assert_allclose(average, 5.0 + np.array([-4.0, -7.0]) * 0.75**12, rtol=1e-14)


# ---------------------------------------------------------------------------- compiled against reference

VECTORS = {"sgd": 2, "momentum first": 3, "momentum": 3, "nesterov": 3, "rmsprop": 3, "adam": 4, "adamw": 4, "lerp": 2}


def step_of(module: Any, name: str) -> Callable[..., None]:
    decay = {"weight_decay": 0.3}
    return {
        "sgd": lambda x, g: module.sgd_step(x, g, None, **(SGD | decay | {"first": False})),
        "momentum first": partial(module.sgd_step, **(SGD | {"momentum": 0.9, "first": True})),
        "momentum": partial(module.sgd_step, **(SGD | decay | {"momentum": 0.9, "first": False})),
        "nesterov": partial(module.sgd_step, **(SGD | {"momentum": 0.9, "nesterov": True, "first": False})),
        "rmsprop": partial(module.rmsprop_step, learning_rate=0.1, decay=0.99, epsilon=1e-3, weight_decay=0.3),
        "adam": partial(module.adam_step, **(ADAM | decay | {"epsilon": 1e-3, "step": 3})),
        "adamw": partial(module.adam_step, **(ADAM | decay | {"epsilon": 1e-3, "step": 3, "decoupled": True})),
        "lerp": partial(module.lerp, weight=0.01),
    }[name]


def vectors_for(name: str, size: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    vectors = [rng.normal(size=size).astype("float32") for _ in range(VECTORS[name])]
    if name in ("rmsprop", "adam", "adamw"):
        vectors[-1] **= 2  # a running mean of squares
    return vectors


@pytest.mark.parametrize("name", VECTORS)
@given(size=st.integers(0, 70), seed=st.integers(0, 2**32))
def test_compiled_steps_follow_the_reference_in_float64(name: str, size: int, seed: int) -> None:
    vectors = vectors_for(name, size, seed)
    exact = [vector.astype("float64") for vector in vectors]
    step_of(kernels, name)(*vectors)
    step_of(reference, name)(*exact)
    for vector, reference_vector in zip(vectors, exact, strict=True):
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, reference_vector, rtol=5e-7, atol=2e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VECTORS)
def test_gradients_are_only_read(name: str, dtype: str) -> None:
    vectors = [vector.astype(dtype) for vector in vectors_for(name, 50, 0)]
    before = [vector.copy() for vector in vectors]
    step_of(kernels, name)(*vectors)
    np.testing.assert_array_equal(vectors[1], before[1])
    assert not np.array_equal(vectors[0], before[0])


@pytest.mark.parametrize("name", VECTORS)
def test_threads_change_no_bit(name: str) -> None:
    before = threads.get_threads()
    outcomes = []
    try:
        for count in (1, 3):
            threads.set_threads(count)
            vectors = vectors_for(name, 150_001, 0)
            step_of(kernels, name)(*vectors)
            outcomes.append(vectors)
    finally:
        threads.set_threads(before)
    for one, several in zip(*outcomes, strict=True):
        np.testing.assert_array_equal(one, several)


def test_vectors_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"_lerp: arrays of \[3, 4\] elements"):
        cpu.lerp(np.ones(3, np.float32), np.ones(4, np.float32), weight=0.5)


def test_a_nan_gradient_reaches_its_own_value_only() -> None:
    values, m, v = np.ones(40, np.float32), np.zeros(40, np.float32), np.zeros(40, np.float32)
    gradients = np.ones(40, np.float32)
    gradients[7] = math.nan
    kernels.adam_step(values, gradients, m, v, **(ADAM | {"step": 1}))
    assert np.flatnonzero(np.isnan(values)).tolist() == [7]
