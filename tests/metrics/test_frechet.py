import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.metrics import frechet_distance, frechet_score, gaussian_frechet
from minigen.random import Generator


def gaussian(rng, dimensions, rank):
    root = rng.normal(size=(dimensions, rank))
    return rng.normal(size=dimensions), root @ root.T


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), dimensions=st.integers(1, 6))
def test_it_is_the_formula_with_a_general_square_root(seed, dimensions):
    rng = np.random.default_rng(seed)
    (m1, S1), (m2, S2) = (gaussian(rng, dimensions, dimensions + 2) for _ in range(2))
    root = np.real(scipy.linalg.sqrtm(S1 @ S2))
    expected = ((m1 - m2) ** 2).sum() + np.trace(S1 + S2 - 2 * root)
    np.testing.assert_allclose(gaussian_frechet(m1, S1, m2, S2), expected, rtol=1e-6, atol=1e-8)


def test_covariances_with_common_axes_have_the_closed_form():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    a, b = np.array([4.0, 1.0, 9.0, 0.0, 0.25]), np.array([1.0, 0.0, 16.0, 4.0, 0.0])  # variances along them, some 0
    found = gaussian_frechet(np.zeros(5), axes * a @ axes.T, np.ones(5), axes * b @ axes.T)
    np.testing.assert_allclose(found, 5 + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum(), rtol=1e-7)


@given(seed=st.integers(0, 1000))
def test_it_is_symmetric_and_not_negative(seed):
    rng = np.random.default_rng(seed)
    first, second = gaussian(rng, 6, 2), gaussian(rng, 6, 3)  # singular
    there, back = gaussian_frechet(*first, *second), gaussian_frechet(*second, *first)
    np.testing.assert_allclose(there, back, rtol=1e-6)
    assert there > 0
    assert abs(gaussian_frechet(*first, *first)) < 1e-6


def test_the_distance_of_samples_takes_the_unbiased_covariance():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(60, 3)) + 1
    expected = gaussian_frechet(x.mean(axis=0), np.cov(x.T), y.mean(axis=0), np.cov(y.T))
    np.testing.assert_allclose(frechet_distance(x, y), expected)


def test_a_perfect_model_scores_what_real_images_score():
    rng = np.random.default_rng(2)
    scores = [
        frechet_score(rng.normal(size=(200, 4)), rng.normal(size=(300, 4)), extractor="none", rng=Generator(seed))
        for seed in range(20)
    ]
    assert {score.samples for score in scores} == {100}
    values, floors = np.array([(score.value, score.real_against_real) for score in scores]).T
    error = np.hypot(values.std(), floors.std()) / np.sqrt(20)
    assert values.min() > 0
    assert abs(values.mean() - floors.mean()) < 4 * error


def test_more_samples_lower_the_bias():
    rng = np.random.default_rng(3)
    small, large = (np.mean([frechet_distance(*rng.normal(size=(2, n, 4))) for _ in range(20)]) for n in (50, 500))
    assert 5 < small / large < 20  # about 1 / N


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: frechet_distance(np.zeros((5, 2)), np.zeros((5, 3))), "2 and 3 features"),
        (lambda: frechet_distance(np.zeros((1, 2)), np.zeros((5, 2))), r"shape \(1, 2\)"),
        (lambda: frechet_distance(np.full((5, 2), np.inf), np.zeros((5, 2))), "finite"),
        (lambda: gaussian_frechet(np.zeros(2), np.eye(3), np.zeros(2), np.eye(2)), r"\(3, 3\)"),
        (lambda: frechet_score(np.zeros((3, 2)), np.zeros((5, 2)), extractor="x", rng=Generator(0)), "3 real and 5"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
