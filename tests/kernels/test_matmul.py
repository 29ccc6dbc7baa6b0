"""Products: every way of computing one gives NumPy's result, and the limit on BLAS ends with its block."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minigen import kernels
from minigen.kernels import threads

SHAPES = [((4, 3), (3, 5)), ((7, 1), (1, 6)), ((2, 7, 1), (1, 6)), ((0, 3), (3, 2)), ((3, 0), (0, 2)), ((2, 4, 3), (2, 3, 5)),
          ((700, 129), (129, 257)), ((3, 2000), (2000, 3000))]  # fmt: skip


@pytest.fixture
def two_threads():
    before = threads.get_threads()
    threads.set_threads(2)
    yield
    threads.set_threads(before)


@pytest.mark.parametrize(("a_shape", "b_shape"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_equal_numpys_inside_and_outside_the_block(a_shape, b_shape, dtype, two_threads):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a_shape).astype(dtype), rng.standard_normal(b_shape).astype(dtype)
    expected = a.astype("float64") @ b.astype("float64")
    bound = 20 * np.finfo(dtype).eps * np.sqrt(max(1, a_shape[-1])) * max(1.0, np.abs(expected).max(initial=0.0))
    with threads.one_blas_thread():
        inside = kernels.matmul(a, b)
        flipped = kernels.matmul(a[..., ::-1, :], b)
    for product in (inside, kernels.matmul(a, b)):
        assert product.dtype == dtype
        np.testing.assert_allclose(product, expected, rtol=0, atol=bound)
    np.testing.assert_allclose(flipped, expected[..., ::-1, :], rtol=0, atol=bound)


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_the_limit_holds_inside_the_block_only_also_after_an_error():
    def failing():
        with threads.one_blas_thread():
            assert threads.blas_is_limited()
            assert set(blas_threads()) <= {1}
            raise KeyError

    with threadpool_limits(2, "blas"):
        before = blas_threads()
        with pytest.raises(KeyError):
            failing()
        assert not threads.blas_is_limited()
        assert blas_threads() == before


@pytest.mark.parametrize("shape", [(), (5,), (7, 1), (1, 5)])
def test_broadcast_factors(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    spread = np.broadcast_to(x, (7, 5))
    other = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(kernels.matmul(spread, other), spread.astype(float) @ other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        kernels.matmul(other.T, spread.T), other.T @ spread.T.astype(float), rtol=1e-5, atol=1e-6
    )
