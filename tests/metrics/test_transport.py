"""Optimal transport: brute force, sorting, duality, and the axioms of a distance."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import optimize, stats

from minigen.metrics import earth_mover_distance, ground_cost, plan_cost, sorted_plan, transport_plan, wasserstein1

METRICS = ("euclidean", "manhattan")
coordinates = st.floats(-10.0, 10.0, allow_subnormal=False)


def masses(size):
    """Probabilities; some are 0."""
    weights = arrays(np.float64, size, elements=st.floats(0.0, 1.0, allow_subnormal=False))
    return weights.filter(lambda w: w.sum() > 0.1).map(lambda w: w / w.sum())


def points(size, dimension=2):
    return arrays(np.float64, (size, dimension), elements=coordinates)


sizes = st.tuples(st.integers(1, 7), st.integers(1, 7))
problems = sizes.flatmap(
    lambda nm: st.tuples(masses(nm[0]), masses(nm[1]), arrays(np.float64, nm, elements=coordinates))
)
on_a_line = sizes.flatmap(
    lambda nm: st.tuples(points(nm[0], 1), points(nm[1], 1), masses(nm[0]), masses(nm[1]))
).map(lambda drawn: (drawn[0][:, 0], drawn[1][:, 0], *drawn[2:]))  # fmt: skip


# ------------------------------------------------------------------------------------------------------- the linear program


@given(problem=problems)
def test_the_plan_has_its_marginals_and_is_a_vertex(problem):
    a, b, cost = problem
    solved = transport_plan(a, b, cost)
    assert solved.plan.min() >= 0
    np.testing.assert_allclose(solved.plan.sum(axis=1), a, atol=1e-9)
    np.testing.assert_allclose(solved.plan.sum(axis=0), b, atol=1e-9)
    assert np.count_nonzero(solved.plan > 1e-9) <= a.size + b.size - 1
    assert solved.cost == pytest.approx(plan_cost(solved.plan, cost, a=a, b=b), rel=1e-9, abs=1e-12)


@given(problem=problems)
def test_the_potentials_prove_the_plan_optimal(problem):
    a, b, cost = problem
    solved = transport_plan(a, b, cost)
    assert (cost - solved.f[:, None] - solved.g).min() >= -1e-8  # feasible for the dual program,
    assert a @ solved.f + b @ solved.g == pytest.approx(solved.cost, abs=1e-8)  # whose value is the same


@given(cost=st.integers(1, 5).flatmap(lambda n: arrays(np.float64, (n, n), elements=coordinates)))
def test_equal_masses_are_moved_along_the_best_permutation(cost):
    # The vertices are the permutations (Birkhoff), so one of them is optimal.
    n = len(cost)
    best = min(cost[range(n), permutation].mean() for permutation in itertools.permutations(range(n)))
    uniform = np.full(n, 1 / n)
    assert transport_plan(uniform, uniform, cost).cost == pytest.approx(best, abs=1e-9)


def test_a_larger_problem_against_an_assignment_algorithm():
    x, y = np.random.default_rng(0).normal(size=(2, 60, 3))
    cost = ground_cost(x, y)
    rows, columns = optimize.linear_sum_assignment(cost)
    assert earth_mover_distance(x, y) == pytest.approx(cost[rows, columns].mean(), rel=1e-9)


def test_the_critic_of_a_distance_is_lipschitz():
    # Both distributions stand at the same places, where g = -f; f then rises no faster than the distance.
    places = np.random.default_rng(1).normal(size=(12, 2))
    a, b = np.random.default_rng(2).dirichlet(np.ones(12), size=2)
    cost = ground_cost(places, places)
    solved = transport_plan(a, b, cost)
    np.testing.assert_allclose(solved.g, -solved.f, atol=1e-9)
    assert (np.abs(solved.f[:, None] - solved.f) <= cost + 1e-9).all()
    assert solved.f @ (a - b) == pytest.approx(solved.cost, rel=1e-9)


@pytest.mark.parametrize("mass", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_no_unit_is_too_small_or_too_large(mass, unit):
    a, b = mass * np.array([0.5, 0.5]), mass * np.array([0.25, 0.75])
    solved = transport_plan(a, b, unit * np.array([[0.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(solved.plan, mass * np.array([[0.25, 0.25], [0.0, 0.5]]), rtol=1e-9)
    assert solved.cost == pytest.approx(0.25 * mass * unit, rel=1e-9)


def test_whole_masses_give_whole_plans():
    rng = np.random.default_rng(3)
    for _ in range(10):
        a = rng.multinomial(31, np.full(6, 1 / 6))
        b = rng.multinomial(31, np.full(5, 1 / 5))
        plan = transport_plan(a, b, rng.normal(size=(6, 5))).plan
        np.testing.assert_array_equal(plan, np.rint(plan))


def test_free_transport_costs_nothing():
    assert transport_plan([1.0, 2.0], [3.0], [[0.0], [0.0]]).cost == 0.0


# -------------------------------------------------------------------------------------------------------------- on the line


@settings(max_examples=20)
@given(line=on_a_line)
def test_sorting_solves_the_linear_program(line):
    x, y, a, b = line
    plan = sorted_plan(x, y, a=a, b=b)
    distance = np.abs(x[:, None] - y)
    for cost in (distance, distance**2, distance**3):  # any convex function of x - y
        assert plan_cost(plan, cost, a=a, b=b) == pytest.approx(transport_plan(a, b, cost).cost, rel=1e-7, abs=1e-7)


@given(line=on_a_line)
def test_the_cost_of_sorting_is_the_wasserstein_distance(line):
    x, y, a, b = line
    exact = pytest.approx(stats.wasserstein_distance(x, y, a, b), rel=1e-9, abs=1e-12)
    assert plan_cost(sorted_plan(x, y, a=a, b=b), ground_cost(x, y), a=a, b=b) == exact
    assert wasserstein1(x, y, a=a, b=b) == exact


@settings(max_examples=20)
@given(line=on_a_line)
def test_the_linear_program_gives_the_distance_on_the_line(line):
    x, y, a, b = line
    for metric in METRICS:
        found = earth_mover_distance(x, y[:, None], a=a, b=b, metric=metric)
        assert found == pytest.approx(wasserstein1(x, y, a=a, b=b), abs=1e-8)


@given(line=on_a_line)
def test_no_two_paths_of_the_sorted_plan_cross(line):
    x, y, a, b = line
    moves = [(x[i], y[j]) for i, j in np.argwhere(sorted_plan(x, y, a=a, b=b) > 1e-12)]
    for (x1, y1), (x2, y2) in itertools.combinations(moves, 2):
        assert (x1 - x2) * (y1 - y2) >= 0


def test_sorting_follows_the_north_west_corner_rule():
    a, b = [0.5, 0.25, 0.25], [0.125, 0.625, 0.25]
    expected = np.zeros((3, 3))
    left, wanted, i, j = list(a), list(b), 0, 0
    while i < 3 and j < 3:
        expected[i, j] = min(left[i], wanted[j])
        left[i] -= expected[i, j]
        wanted[j] -= expected[i, j]
        i, j = (i + 1, j) if left[i] == 0 else (i, j + 1)
    np.testing.assert_array_equal(sorted_plan([1, 2, 3], [4, 5, 6], a=a, b=b), expected)
    # Places in another order give the same plan in that order.
    shuffled = sorted_plan([3, 1, 2], [6, 5, 4], a=[a[2], a[0], a[1]], b=b[::-1])
    np.testing.assert_array_equal(shuffled, expected[[2, 0, 1]][:, ::-1])


def test_equal_sizes_are_paired_by_rank():
    plan = sorted_plan([0.3, 0.1, 0.2], [5.0, 7.0, 6.0])
    np.testing.assert_allclose(plan, np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]]) / 3, atol=1e-16)


def test_to_one_side_all_plans_on_the_line_cost_the_same():
    x, y = [1, 2, 3], [5, 6, 7]
    a, b = np.array([3, 2, 1]), np.array([1, 2, 3])
    distance = ground_cost(x, y)
    first, second = sorted_plan(x, y, a=a, b=b), sorted_plan(x, np.negative(y), a=a, b=b)
    assert not np.array_equal(first, second)
    assert plan_cost(first, distance, a=a, b=b) == plan_cost(second, distance, a=a, b=b) == y @ b - x @ a == 28
    assert plan_cost(first, distance**2, a=a, b=b) < plan_cost(second, distance**2, a=a, b=b)


# --------------------------------------------------------------------------------------------------------------- distances


@pytest.mark.parametrize("metric", METRICS)
@settings(max_examples=15)
@given(x=points(4), y=points(5), z=points(3), weights=st.tuples(masses(4), masses(5), masses(3)))
def test_the_distance_is_one(metric, x, y, z, weights):
    a, b, c = weights
    distance = lambda x, y, a, b: earth_mover_distance(x, y, a=a, b=b, metric=metric)
    assert distance(x, x, a, a) == pytest.approx(0.0, abs=1e-8)
    assert distance(x, y, a, b) == pytest.approx(distance(y, x, b, a), abs=1e-8)
    assert distance(x, z, a, c) <= distance(x, y, a, b) + distance(y, z, b, c) + 1e-8
    # The means are no farther apart than the mass has to move.
    assert distance(x, y, a, b) >= np.linalg.norm(a @ x - b @ y, ord={"euclidean": 2, "manhattan": 1}[metric]) - 1e-8


@pytest.mark.parametrize("metric", METRICS)
@given(x=points(5), shift=points(1), a=masses(5))
def test_a_shifted_distribution_is_as_far_as_the_shift(metric, x, shift, a):
    expected = np.abs(shift).sum() if metric == "manhattan" else np.hypot(*shift[0])
    assert earth_mover_distance(x, x + shift, a=a, b=a, metric=metric) == pytest.approx(expected, abs=1e-8)


def test_ground_costs():
    x, y = np.random.default_rng(0).normal(size=(2, 4, 3))
    for i, j in np.ndindex(4, 4):
        assert ground_cost(x, y)[i, j] == pytest.approx(((x[i] - y[j]) ** 2).sum() ** 0.5)
        assert ground_cost(x, y, metric="manhattan")[i, j] == pytest.approx(np.abs(x[i] - y[j]).sum())
    np.testing.assert_array_equal(ground_cost([1, 2], [4]), [[3], [2]])


# ------------------------------------------------------------------------------------------------------------------ refusals

HALVES, SQUARE = [0.5, 0.5], [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("a", "b", "cost", "message"),
    [
        ([0.5, 0.6], HALVES, SQUARE, r"a sums to 1.1 and b to 1.0, expected equal sums above 0"),
        ([0.0, 0.0], [0.0, 0.0], SQUARE, r"a sums to 0.0 and b to 0.0"),
        ([1.5, -0.5], HALVES, SQUARE, r"a\[1\] is -0.5, expected finite masses >= 0"),
        (HALVES, [np.nan, 0.5], SQUARE, r"b\[0\] is nan"),
        ([np.inf, 0.5], HALVES, SQUARE, r"a\[0\] is inf"),
        ([1.0], HALVES, SQUARE, r"a has shape \(1,\), expected \(n,\) = \(2,\)"),
        (HALVES, [[0.5, 0.5]], SQUARE, r"b has shape \(1, 2\), expected \(m,\) = \(2,\)"),
        (HALVES, HALVES, [0.0, 1.0], r"cost has shape \(2,\), expected \(n, m\)"),
        (HALVES, HALVES, [[0.0, np.inf], [1.0, 0.0]], r"cost: 1 of 4 values are not finite"),
    ],
)
def test_problems_without_a_plan_are_refused_with_words(a, b, cost, message):
    with pytest.raises(ValueError, match=f"transport_plan: {message}"):
        transport_plan(a, b, cost)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([[0.5, 0.0], [0.0, 0.4]], r"row 1 of the plan sums to 0.4, but a\[1\] is 0.5"),
        ([[0.4, 0.1], [0.0, 0.5]], r"column 0 of the plan sums to 0.4, but b\[0\] is 0.5"),
        ([[0.6, -0.1], [-0.1, 0.6]], r"plan\[0, 1\] is -0.1, expected values >= 0"),
        ([[0.5, np.nan], [0.0, 0.5]], r"plan: 1 of 4 values are not finite"),
        ([[0.5, 0.5]], r"plan has shape \(1, 2\) and cost \(2, 2\), expected \(n, m\) for both"),
    ],
)
def test_what_is_no_plan_has_no_cost(plan, message):
    with pytest.raises(ValueError, match=f"plan_cost: {message}"):
        plan_cost(plan, SQUARE, a=HALVES, b=HALVES)


def test_other_wrong_arguments_are_refused_with_words():
    with pytest.raises(
        ValueError, match=r"metric 'manhatten' is unknown, did you mean 'manhattan'.* euclidean, manhattan"
    ):
        earth_mover_distance([0.0], [1.0], metric="manhatten")
    with pytest.raises(ValueError, match=r"ground_cost: x has shape \(1, 2\) and y \(1, 3\), expected \(n, d\) and"):
        ground_cost([[0.0, 0.0]], [[0.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match=r"ground_cost: x has shape \(0, 1\)"):
        ground_cost([], [1.0])
    with pytest.raises(ValueError, match="ground_cost: y: 1 of 1 values are not finite"):
        ground_cost([0.0], [np.nan])
    with pytest.raises(ValueError, match=r"sorted_plan: x: shape \(2, 2\)"):
        sorted_plan(np.zeros((2, 2)), [1.0])
    with pytest.raises(ValueError, match=r"sorted_plan: a sums to 2.0 and b to 1.0"):
        sorted_plan([0.0, 1.0], [1.0], a=[1.0, 1.0])
    with pytest.raises(ValueError, match=r"earth_mover_distance: a sums to 1.0 and b to 2.0"):
        earth_mover_distance([0.0, 1.0], [1.0], b=[2.0])
