import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.metrics import (
    gaussian_kernel,
    kernel_distance,
    median_bandwidth,
    mmd,
    mmd_squared,
    polynomial_kernel,
)
from minigen.random import Generator

KERNELS = {"gaussian": gaussian_kernel(1.5), "polynomial": polynomial_kernel()}


@settings(max_examples=15)
@given(n=st.integers(2, 9), m=st.integers(2, 9), name=st.sampled_from(sorted(KERNELS)), seed=st.integers(0, 1000))
def test_it_is_the_sum_over_pairs_of_different_samples(n, m, name, seed):
    rng, k = np.random.default_rng(seed), KERNELS[name]
    x, y = rng.normal(size=(n, 3)), rng.normal(size=(m, 3)) + 1

    def value(a, b):
        return float(k(a[None], b[None])[0, 0])

    expected = (
        np.mean([value(x[i], x[j]) for i in range(n) for j in range(n) if i != j])
        + np.mean([value(y[i], y[j]) for i in range(m) for j in range(m) if i != j])
        - 2 * np.mean([value(a, b) for a in x for b in y])
    )
    np.testing.assert_allclose(mmd_squared(x, y, kernel=k), expected, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1.7e9, -1e12])  # 1.7e9 is a time in seconds since 1970
def test_distances_keep_their_digits_wherever_the_data_lie(offset):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 3)) + offset, rng.normal(size=(40, 3)) + offset
    y[:5] = x[:5] + 1e-3  # near to each other
    x[20:], y[20:] = x[20:] + 1e7, y[20:] + 1e7  # two groups far apart
    expected = ((x[:, None] - y) ** 2).sum(axis=2)
    np.testing.assert_allclose(mmd.squared_distances(x, y), expected, rtol=1e-9)
    np.testing.assert_array_equal(np.diag(mmd.squared_distances(x, x)), 0.0)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_the_discrepancy_does_not_depend_on_where_the_origin_is(offset):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 1
    assert median_bandwidth(x + offset, y + offset) == pytest.approx(median_bandwidth(x, y), rel=1e-6)
    assert mmd_squared(x + offset, y + offset) == pytest.approx(mmd_squared(x, y), rel=1e-5)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_discrepancy_does_not_depend_on_the_unit(scale):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2)) + 1
    assert median_bandwidth(scale * x, scale * y) / scale == pytest.approx(median_bandwidth(x, y))
    assert mmd_squared(scale * x, scale * y) == pytest.approx(mmd_squared(x, y))


def test_the_kernels_are_their_formulas():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 4))
    np.testing.assert_allclose(gaussian_kernel(0.7)(a[None], b[None]), np.exp(-((a - b) ** 2).sum() / (2 * 0.49)))
    np.testing.assert_allclose(polynomial_kernel(2)(a[None], b[None]), (a @ b / 4 + 1) ** 2)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_it_is_unbiased_at_any_sample_size(shift):
    """Of normal x and y, E exp(-(x - y)^2 / 2h^2) = h / r exp(-shift^2 / 2r^2) with r^2 = h^2 + 2."""
    rng, h = np.random.default_rng(1), 1.0
    r = np.sqrt(h**2 + 2)
    exact = 2 * h / r * (1 - np.exp(-(shift**2) / (2 * r**2)))
    values = np.array(
        [
            mmd_squared(rng.normal(size=(5, 1)), rng.normal(size=(8, 1)) + shift, kernel=gaussian_kernel(h))
            for _ in range(1000)
        ]
    )
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - exact) < 4 * error
    assert error < 0.008
    assert values.min() < 0  # and not cut off


def test_blocks_make_no_difference(monkeypatch):
    x, y = np.random.default_rng(2).normal(size=(2, 30, 2))
    whole = mmd_squared(x, y)
    monkeypatch.setattr(mmd, "BLOCK", 7)
    np.testing.assert_allclose(mmd_squared(x, y), whole, atol=1e-12)


def test_the_median_is_over_different_samples():
    x, y = np.random.default_rng(3).normal(size=(2, 12, 2))
    pooled = np.concatenate([x, y])
    distances = [np.linalg.norm(pooled[i] - pooled[j]) for i in range(24) for j in range(i)]
    np.testing.assert_allclose(median_bandwidth(x, y), np.median(distances))
    pooled = np.concatenate([x[::3], y[::3]])
    some = [np.linalg.norm(pooled[i] - pooled[j]) for i in range(8) for j in range(i)]
    np.testing.assert_allclose(median_bandwidth(x, y, most=4), np.median(some))


def test_the_mean_over_subsets_is_unbiased_and_its_error_honest():
    rng, values = np.random.default_rng(4), []
    for seed in range(60):
        real, generated = rng.normal(size=(2, 105, 4))
        found = kernel_distance(real, generated, extractor="none", subset_size=20, rng=Generator(seed))
        assert (found.subsets, found.subset_size) == (5, 20)
        values.append((found.value, found.standard_error))
    value, error = np.array(values).T
    assert abs(value.mean()) < 4 * value.std() / np.sqrt(60)
    assert 0.6 < np.sqrt((error**2).mean()) / value.std() < 1.6


def test_no_sample_is_in_two_subsets(monkeypatch):
    seen = []
    monkeypatch.setattr(mmd, "mmd_squared", lambda x, y, kernel: float(len(seen.append((x, y)) or seen)))
    real, generated = np.arange(21.0)[:, None], np.arange(100.0, 130)[:, None]
    kernel_distance(real, generated, extractor="none", subset_size=10, rng=Generator(0))
    for side, many in enumerate((21, 30)):
        used = np.concatenate([pair[side] for pair in seen]).ravel()
        assert len(set(used)) == 20
        assert set(used) <= set((real, generated)[side].ravel())
        assert many > 20


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mmd_squared(np.zeros((5, 2)), np.zeros((5, 3))), "2 and of 3"),
        (lambda: mmd_squared(np.zeros((1, 2)), np.zeros((5, 2))), r"shape \(1, 2\)"),
        (lambda: mmd_squared(np.zeros((3, 2)), np.zeros((3, 2))), "are all samples equal"),
        (
            lambda: kernel_distance(np.zeros((9, 2)), np.zeros((9, 2)), extractor="x", subset_size=5, rng=Generator(0)),
            "at least two subsets",
        ),
        (
            lambda: kernel_distance(np.zeros((9, 2)), np.zeros((9, 2)), extractor="x", subset_size=1, rng=Generator(0)),
            "of 2 or more",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
