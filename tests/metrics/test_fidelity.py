"""Precision, recall, density and coverage: against brute force, exact expectations, themselves, and far from the origin."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigen.metrics import expected_coverage, precision_recall

FIGURES = ("precision", "recall", "density", "coverage")


def by_brute_force(x, y, k):
    def distances(a, b):
        return np.linalg.norm(a[:, None].astype(float) - b[None], axis=2)

    own, others = np.sort(distances(x, x), axis=1)[:, k], np.sort(distances(y, y), axis=1)[:, k]
    in_real = distances(y, x) <= own * (1 + 1e-9)  # (M, N)
    in_generated = distances(x, y) <= others * (1 + 1e-9)
    return in_real.any(1).mean(), in_generated.any(1).mean(), in_real.sum() / (k * len(y)), in_real.any(0).mean()


@settings(max_examples=30)
@given(
    n=st.integers(2, 30),
    k=st.integers(1, 29),
    seed=st.integers(0, 100),
    grid=st.booleans(),
    chunk=st.sampled_from([1, 50, 2**22]),
)
def test_they_are_those_of_brute_force_ties_included(n, k, seed, grid, chunk):
    k = min(k, n - 1)
    rng = np.random.default_rng(seed)
    x, y = (rng.integers(0, 3, (2, n, 2)) if grid else rng.normal(size=(2, n, 2))).astype(float)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minigen.metrics.fidelity.CHUNK", chunk)
        found = precision_recall(x, y, neighbours=k)
    np.testing.assert_allclose(found[:4], by_brute_force(x, y, k), rtol=1e-12)
    assert (found.neighbours, found.samples) == (k, n)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_a_set_against_itself_is_perfect(k):
    x = np.random.default_rng(0).normal(size=(200, 5))
    found = precision_recall(x, x.copy(), neighbours=k)
    assert (found.precision, found.recall, found.coverage) == (1, 1, 1)
    assert found.density == pytest.approx((k + 1) / k)  # each ball holds its k neighbours and its own centre


@pytest.mark.parametrize("k", [1, 5])
def test_equal_distributions_have_the_exact_expectations_of_density_and_coverage(k):
    rng, n = np.random.default_rng(0), 100
    found = [precision_recall(*rng.normal(size=(2, n, 3)), neighbours=k) for _ in range(150)]
    for name, exact in (("density", 1.0), ("coverage", expected_coverage(n, n, neighbours=k))):
        values = np.array([getattr(one, name) for one in found])
        assert abs(values.mean() - exact) < 4 * values.std() / np.sqrt(len(values)), name


def test_memory_does_not_grow_with_the_number_of_pairs(monkeypatch):
    monkeypatch.setattr("minigen.metrics.fidelity.CHUNK", 2**14)
    monkeypatch.setattr("minigen.metrics.nearest.CHUNK", 2**14)
    n = 2000
    x, y = np.random.default_rng(0).normal(size=(2, n, 2))
    tracemalloc.start()
    precision_recall(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * n * n / 8  # one number for each pair would take 32 MB


def test_numbers_and_neighbours_out_of_range_have_no_expected_coverage():
    with pytest.raises(ValueError, match="expected_coverage: neighbours is 3, expected fewer than the 3 real examples"):
        expected_coverage(3, 5, neighbours=3)
    with pytest.raises(ValueError, match=r"expected_coverage: .*generated 0"):
        expected_coverage(3, 0, neighbours=1)


@pytest.mark.parametrize(("n", "m", "k"), [(6, 6, 1), (6, 9, 2), (12, 4, 3)])
def test_expected_coverage_is_the_share_of_orders_with_a_generated_one_in_front(n, m, k):
    rng = np.random.default_rng(0)
    ranks = rng.permuted(
        np.tile(np.arange(n - 1 + m), (20_000, 1)), axis=1
    )  # seen from one real example; the last m are generated
    is_reached = (ranks[:, n - 1 :] < k).any(axis=1)
    exact = expected_coverage(n, m, neighbours=k)
    assert abs(is_reached.mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / len(ranks))


def test_expected_coverage_by_hand():
    # One neighbour: a ball stays empty if the nearest of N - 1 + M others is real.
    assert expected_coverage(5, 7, neighbours=1) == pytest.approx(7 / 11)
    # Two: if both of the two nearest are.
    assert expected_coverage(5, 7, neighbours=2) == pytest.approx(1 - (4 / 11) * (3 / 10))


def test_they_do_not_depend_on_where_the_data_lie_or_on_their_scale():
    x, y = np.random.default_rng(0).normal(size=(2, 150, 4))
    expected = precision_recall(x, y)
    assert precision_recall(x + 1e6, y + 1e6) == expected
    assert precision_recall(1e-12 * x, 1e-12 * y) == expected


def test_collapse_lowers_recall_and_coverage_noise_lowers_precision_and_density():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    collapsed, noisy = (
        precision_recall(x, 0.05 * rng.normal(size=(300, 2))),
        precision_recall(x, 5 * rng.normal(size=(300, 2))),
    )
    assert collapsed.precision > 0.9 > 0.1 > collapsed.recall
    assert collapsed.coverage < 0.1
    assert noisy.precision < 0.3
    assert noisy.density < 0.3


@pytest.mark.parametrize(
    ("x", "y", "k", "words"),
    [
        (
            (5, 2),
            (6, 2),
            3,
            r"shapes \(5, 2\) and \(6, 2\), expected finite numbers, \(N, F\) of each: as many generated as",
        ),
        ((5, 2), (5, 3), 3, r"shapes \(5, 2\) and \(5, 3\)"),
        ((5, 2), (5, 2), 5, "neighbours is 5, expected fewer than the 5 examples"),
        ((5, 2), (5, 2), 0, "neighbours is 0, expected a whole number of at least 1"),
    ],
)
def test_bad_input_is_refused(x, y, k, words):
    with pytest.raises(ValueError, match=f"precision_recall: .*{words}"):
        precision_recall(np.zeros(x), np.zeros(y), neighbours=k)
    with pytest.raises(ValueError, match="expected finite numbers"):
        precision_recall(np.full((5, 2), np.nan), np.zeros((5, 2)))
