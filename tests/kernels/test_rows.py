"""Adding rows into a matrix: the compiled kernel against the reference, and against a product with one-hot vectors."""

import sys

import numpy as np
import pytest
from doubles import strict_cupy
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import threads
from minigen.kernels.rows import cpu, reference
from minigen.ops.index import ARRAY, put, take


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000), m=st.integers(0, 60), width=st.integers(0, 40), count=st.integers(1, 9),
    kind=st.sampled_from(["int64", "int32", "int8", "uint8", "uint64"]), layout=st.sampled_from(["C", "F", "reversed", "broadcast"]),
)  # fmt: skip
def test_rows_of_all_layouts_and_indices(seed, m, width, count, kind, layout):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((m, width)).astype(np.float32)
    values = {
        "C": values, "F": np.asfortranarray(values), "reversed": values[::-1, ::-1],
        "broadcast": np.broadcast_to(values[:1].sum(axis=0), values.shape),
    }[layout]  # fmt: skip
    indices = rng.integers(0 if kind.startswith("u") else -count, count, m).astype(kind)
    obtained = cpu.put_rows(values, indices, count=count)
    one_hot = np.arange(count)[:, None] == indices.astype(int) % count
    assert obtained.dtype == np.float32
    assert obtained.shape == (count, width)
    np.testing.assert_allclose(obtained, one_hot @ values.astype(np.float64), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        reference.put_rows(values.astype(np.float64), indices, count=count), one_hot @ values.astype(np.float64)
    )


def test_threads_share_out_the_columns():
    rng, before = np.random.default_rng(0), threads.get_threads()
    values, indices = rng.standard_normal((2000, 130)).astype(np.float32), rng.integers(0, 5, 2000)
    try:
        threads.set_threads(1)
        alone = cpu.put_rows(values, indices, count=5)
        for count in (2, 3):
            threads.set_threads(count)
            np.testing.assert_array_equal(cpu.put_rows(values, indices, count=5), alone)
    finally:
        threads.set_threads(before)


@pytest.mark.parametrize("index", [3, -4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_row_outside_is_written(index, dtype):
    with pytest.raises(IndexError):
        kernels.put_rows(np.ones((1, 2), dtype), np.array([index]), count=3)


@settings(max_examples=20)
@given(
    seed=st.integers(0, 1000), m=st.integers(0, 60), width=st.integers(0, 5), count=st.integers(1, 300),
    kind=st.sampled_from(["int64", "int32", "int8", "uint8", "uint64"]), dtype=st.sampled_from(["float16", "float64", "int64"]),
)  # fmt: skip
def test_rows_are_sorted_and_added_on_the_gpu(gpu_or_double, seed, m, width, count, kind, dtype):
    rng = np.random.default_rng(seed)
    values = rng.integers(-9, 10, (m, width)).astype(dtype)  # their sums are exact in any order
    most = min(count, 128 if kind.startswith("u") else 127)
    indices = rng.integers(0 if kind.startswith("u") else -most, most, m).astype(kind)
    cupy = sys.modules["cupy"]
    obtained = kernels.put_rows(cupy.asarray(values), cupy.asarray(indices), count=count)
    assert obtained.dtype == values.dtype
    np.testing.assert_array_equal(obtained.get(), reference.put_rows(values, indices, count=count))


def test_no_nan_comes_from_another_row(gpu_or_double):
    cupy = sys.modules["cupy"]
    values, indices = cupy.asarray([[1.0], [np.nan], [np.inf], [2.0]]), cupy.asarray([3, 1, 2, 3])
    np.testing.assert_array_equal(kernels.put_rows(values, indices, count=5).get().ravel(), [0, np.nan, np.inf, 3, 0])


KEYS = {
    "pairs": ((np.array([0, 2, 2, -1]), np.array([1, 0, 0, 3])), (ARRAY, ARRAY)),
    "broadcast": ((np.array([[0], [1]]), np.array([2, 2, 3])), (ARRAY, ARRAY, slice(None, None, 2))),
    "apart": ((np.array([0, 0]), np.array([1, 1])), (ARRAY, slice(None), ARRAY)),
    "a mask": ((np.eye(3, 4) > 0,), (ARRAY,)),
    "with a new axis": ((np.array([1, 1, 0]),), (Ellipsis, None, ARRAY)),
    "with an integer": ((np.array([1, 1, 0]),), (2, ARRAY)),
    "nothing": ((np.array([], int),), (slice(1), ARRAY)),
}


@pytest.mark.parametrize(("indices", "pattern"), KEYS.values(), ids=KEYS)
def test_elements_are_put_as_by_numpy_and_without_atomic_additions(indices, pattern, gpu_or_double, monkeypatch):
    cupy = sys.modules["cupy"]
    if cupy is strict_cupy.cupy:
        monkeypatch.setattr(strict_cupy.ufunc, "at", None)  # adds in whatever order the threads come
    shape = (3, 4, 5)
    values = np.random.default_rng(0).normal(size=take(np.zeros(shape), *indices, pattern=pattern).shape)
    there = [cupy.asarray(array) for array in (values, *indices)]
    expected = put(values, *indices, pattern=pattern, shape=shape)
    np.testing.assert_allclose(put(*there, pattern=pattern, shape=shape).get(), expected, atol=1e-14)
    key = iter(indices)
    exact = np.zeros(shape)
    np.add.at(exact, tuple(next(key) if item is ARRAY else item for item in pattern), values)
    np.testing.assert_array_equal(expected, exact)


@pytest.mark.gpu
def test_the_gradient_of_an_embedding_is_the_same_each_time():
    import cupy

    values, indices = cupy.random.standard_normal((100_000, 8), dtype="float32"), cupy.random.randint(0, 7, 100_000)
    first = kernels.put_rows(values, indices, count=7)
    assert all((kernels.put_rows(values, indices, count=7) == first).all() for _ in range(5))
