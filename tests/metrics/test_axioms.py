"""Violations of the axioms of a distance, in cases where they are known."""

import numpy as np
import pytest

from minigen.metrics import axiom_violations

TRIPLES = np.random.default_rng(0).uniform(size=(40, 3, 2))


def euclidean(p, q):
    return float(np.linalg.norm(p - q))


def test_a_distance_violates_nothing():
    found = axiom_violations(euclidean, TRIPLES)
    assert (found.violates, found.to_itself, found.asymmetry) == ([], 0, 0)
    assert found.least == min(euclidean(p, q) for p, q, _ in TRIPLES)
    assert found.triangle <= 1e-15


@pytest.mark.parametrize(
    ("function", "axiom"),
    [
        (lambda p, q: 0.0, "identity"),  # different ones that are not apart
        (lambda p, q: 1 + euclidean(p, q), "identity"),  # one that is apart from itself
        (lambda p, q: euclidean(p, q) * (2 if p[0] > q[0] else 3), "symmetry"),
        (lambda p, q: euclidean(p, q) ** 2, "triangle"),
    ],
)
def test_each_violation_is_named(function, axiom):
    assert axiom in axiom_violations(function, TRIPLES).violates


def test_the_largest_violation_is_reported():
    triples = [[[0.0], [1.0], [2.0]], [[0.0], [1.0], [4.0]]]
    found = axiom_violations(lambda p, q: ((q - p) ** 2 + max(q - p, 0)).item(), triples)
    assert found.triangle == (16 + 4) - (1 + 1) - (9 + 3)
    assert (found.asymmetry, found.least, found.violates) == (1, 2, ["symmetry", "triangle"])


@pytest.mark.parametrize("shape", [(3, 2), (0, 3, 2), (5, 2, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(T, 3, K\)"):
        axiom_violations(euclidean, np.zeros(shape))
