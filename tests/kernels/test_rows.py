"""Adding rows into a matrix: the compiled kernel against the reference, and against a product with one-hot vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen import kernels
from minigen.kernels import threads
from minigen.kernels.rows import cpu, reference


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
