"""Optimal transport between discrete distributions: the cheapest way to turn one into the other.

Mass a_i lies at each of n places, mass b_j is wanted at each of m, and a unit costs c_ij from i to j. A plan gamma says how much goes from
where to where (Kantorovich 1942, "On the translocation of masses"):

    gamma_ij >= 0,    sum_j gamma_ij = a_i,    sum_i gamma_ij = b_j,    cost = sum_ij gamma_ij c_ij

The cheapest plan is the solution of a linear program. Its dual program has the same optimum,

    max_{f, g}  sum_i a_i f_i + sum_j b_j g_j    with f_i + g_j <= c_ij,    and f_i + g_j = c_ij wherever gamma_ij > 0,

so a plan proves itself optimal. With c a distance the optimum is the Wasserstein-1 or earth mover's distance, and g is -f where a place of
one is a place of the other: then f is the critic of a Wasserstein GAN, which may not rise faster than the distance (Arjovsky et al. 2017,
"Wasserstein Generative Adversarial Networks", equation 2).

On the line no program is needed: for every convex function of x - y the plan that pairs equal quantiles, and so never crosses, is
optimal. Both, and more, in Peyre & Cuturi 2019, "Computational Optimal Transport", sections 2.3 to 2.6.
"""

import difflib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigen.data.checks import check_finite, scalar_samples

METRICS = {"euclidean": 2, "manhattan": 1}
"""Ground distances by name, each as the p of its norm (sum_k |x_k - y_k|^p)^(1/p)."""

ROUNDING = 1e-8
"""Sums of masses that differ by less, relative to the whole, are taken as equal."""


class Transport(NamedTuple):
    """The cheapest way to move a distribution, and the proof that none is cheaper.

    Attributes:
        plan: (n, m), gamma: the mass that goes from i to j.
        cost: its cost, sum_ij gamma_ij c_ij.
        f: (n,), the dual potential at the n places, in units of the cost.
        g: (m,), the same at the m places: f_i + g_j <= c_ij, and a . f + b . g = cost.
    """

    plan: NDArray[np.float64]
    cost: float
    f: NDArray[np.float64]
    g: NDArray[np.float64]


def ground_cost(x: ArrayLike, y: ArrayLike, *, metric: str = "euclidean") -> NDArray[np.float64]:
    """Return the distances between two sets of points.

    Args:
        x: (n, d) points, or (n,) on the line.
        y: (m, d) or (m,) points.
        metric: "euclidean", as the crow flies, or "manhattan", along the axes.

    Returns:
        (n, m), in the units of the points.

    Raises:
        ValueError: an unknown metric, points that are not finite, none at all, or of another dimension.

    Example:
        >>> ground_cost([[0.0, 0.0]], [[3.0, 4.0]]), ground_cost([[0.0, 0.0]], [[3.0, 4.0]], metric="manhattan")
        (array([[5.]]), array([[7.]]))
    """
    if metric not in METRICS:
        (nearest,) = difflib.get_close_matches(metric, METRICS, n=1, cutoff=0.0)
        raise ValueError(
            f"ground_cost: metric {metric!r} is unknown, did you mean {nearest!r}? The metrics are {', '.join(METRICS)}"
        )
    x, y = _points(x), _points(y)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or 0 in (*x.shape, *y.shape):
        raise ValueError(
            f"ground_cost: x has shape {x.shape} and y {y.shape}, expected (n, d) and (m, d) with n, m, d >= 1"
        )
    check_finite(x, "ground_cost: x")
    check_finite(y, "ground_cost: y")
    return np.linalg.norm(x[:, None] - y, ord=METRICS[metric], axis=-1)  # (n, 1, d) - (m, d) -> (n, m)


def transport_plan(a: ArrayLike, b: ArrayLike, cost: ArrayLike) -> Transport:
    """Return the cheapest plan and its cost, by linear programming.

    It is exact up to rounding: a vertex of the set of plans, with at most n + m - 1 entries above 0, which are whole numbers if all masses
    are. There may be other plans as cheap.
    With n m unknowns it suits a few hundred places on each side.

    Args:
        a: (n,), the masses to be moved.
        b: (m,), the masses wanted, of the same sum, such as 1 for probabilities.
        cost: (n, m), finite, per unit of mass, such as `ground_cost` returns.

    Returns:
        The plan, its cost, and the dual potentials, which are known up to a constant that is added to f and taken from g.

    Raises:
        ValueError: negative or non-finite masses, sums that differ, a cost of another shape or not finite.

    Example:
        >>> transport_plan([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [1.0, 0.0]])[:2]
        (array([[0.25, 0.25],
               [0.  , 0.5 ]]), 0.25)
    """
    from scipy.optimize import linprog
    from scipy.sparse import eye_array, kron, vstack

    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2:
        raise ValueError(f"transport_plan: cost has shape {cost.shape}, expected (n, m)")
    check_finite(cost, "transport_plan: cost")
    n, m = cost.shape
    a, b = check_masses(a, b, (n, m), "transport_plan")

    # The solver's tolerances are absolute, so it is given masses and costs of about 1; a power of 2 scales them without rounding.
    mass, unit = _power_of_2(a.sum()), _power_of_2(np.abs(cost).max())
    rows = kron(eye_array(n), np.ones((1, m)))  # (n, n*m): what leaves each i
    columns = kron(np.ones((1, n)), eye_array(m))  # (m, n*m): what arrives at each j
    solution = linprog(
        cost.ravel() / unit,
        A_eq=vstack([rows, columns]),
        b_eq=np.concatenate([a, b]) / mass,
        method="highs-ds",  # the simplex method, whose answer is a vertex
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if not solution.success:
        raise RuntimeError(f"transport_plan: the linear program of {n} by {m} places failed: {solution.message}")
    plan = mass * np.maximum(solution.x, 0.0).reshape(n, m)
    f, g = np.split(unit * solution.eqlin.marginals, [n])
    return Transport(plan, float((plan * cost).sum()), f, g)


def sorted_plan(
    x: ArrayLike, y: ArrayLike, *, a: ArrayLike | None = None, b: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Return the plan on the line that pairs equal quantiles: no two of its paths cross.

    Place i holds the levels from F(x_i) - a_i to F(x_i) of the one distribution function, place j those from G(y_j) - b_j to G(y_j) of
    the other, and the mass that goes from i to j is the length of the levels that they share. Filled in from the smallest places on, this
    is the north-west corner rule. The plan is optimal for each cost that is a convex function of x - y, such as |x - y| and its square.

    Args:
        x: (n,) places on the line, in any order.
        y: (m,) places.
        a: (n,), the masses at x; 1/n each where None.
        b: (m,), the masses at y, of the same sum; 1/m each where None.

    Returns:
        (n, m), in the order of x and y.

    Raises:
        ValueError: no places, values that are not finite, negative masses, or sums that differ.

    Example:
        >>> sorted_plan([3.0, 1.0], [5.0, 6.0, 7.0], a=[1, 2], b=[1, 1, 1])
        array([[0., 0., 1.],
               [1., 1., 0.]])
    """
    x, y = scalar_samples(x, "sorted_plan: x"), scalar_samples(y, "sorted_plan: y")
    a, b = check_masses(a, b, (x.size, y.size), "sorted_plan")
    by_x, by_y = np.argsort(x, kind="stable"), np.argsort(y, kind="stable")
    F, G = np.cumsum(a[by_x])[:, None], np.cumsum(b[by_y])  # (n, 1), (m,)
    shared = np.minimum(F, G) - np.maximum(F - a[by_x, None], G - b[by_y])  # (n, m)
    plan = np.empty_like(shared)
    plan[np.ix_(by_x, by_y)] = np.maximum(shared, 0.0)
    return plan


def plan_cost(plan: ArrayLike, cost: ArrayLike, *, a: ArrayLike, b: ArrayLike) -> float:
    """Return what a plan costs, once it is seen to be one: nowhere negative, and with the marginals a and b.

    Args:
        plan: (n, m), the mass that goes from i to j.
        cost: (n, m), per unit of mass.
        a: (n,), what each row of the plan should sum to.
        b: (m,), what each column should sum to.

    Returns:
        sum_ij plan_ij cost_ij.

    Raises:
        ValueError: shapes differ, an entry is negative or not finite, or a row or column has another sum.

    Example:
        >>> plan_cost([[1, 1], [0, 2]], [[0, 1], [1, 0]], a=[2, 2], b=[1, 3])
        1.0
        >>> plan_cost([[1, 1], [0, 2]], [[0, 1], [1, 0]], a=[2, 2], b=[2, 2])
        Traceback (most recent call last):
        ValueError: plan_cost: column 0 of the plan sums to 1.0, but b[0] is 2.0
    """
    plan, cost = np.asarray(plan, dtype=np.float64), np.asarray(cost, dtype=np.float64)
    if plan.ndim != 2 or plan.shape != cost.shape:
        raise ValueError(f"plan_cost: plan has shape {plan.shape} and cost {cost.shape}, expected (n, m) for both")
    check_finite(plan, "plan_cost: plan")
    check_finite(cost, "plan_cost: cost")
    a, b = check_masses(a, b, plan.shape, "plan_cost")
    tolerance = ROUNDING * a.sum()
    if plan.min() < -tolerance:
        i, j = map(int, np.unravel_index(plan.argmin(), plan.shape))
        raise ValueError(f"plan_cost: plan[{i}, {j}] is {plan[i, j]}, expected values >= 0")
    for axis, line, letter, wanted in ((1, "row", "a", a), (0, "column", "b", b)):
        sums = plan.sum(axis=axis)
        k = int(np.abs(sums - wanted).argmax())
        if abs(sums[k] - wanted[k]) > tolerance:
            raise ValueError(f"plan_cost: {line} {k} of the plan sums to {sums[k]}, but {letter}[{k}] is {wanted[k]}")
    return float((plan * cost).sum())


def earth_mover_distance(
    x: ArrayLike, y: ArrayLike, *, a: ArrayLike | None = None, b: ArrayLike | None = None, metric: str = "euclidean"
) -> float:
    """Return the Wasserstein-1 distance between two discrete distributions in any dimension.

    On the line it is that of `wasserstein1`, which needs no linear program.

    Args:
        x: (n, d) places, or (n,) on the line.
        y: (m, d) or (m,) places.
        a: (n,), the masses at x; 1/n each where None.
        b: (m,), the masses at y, of the same sum; 1/m each where None.
        metric: the ground distance, as in `ground_cost`.

    Returns:
        The cost of the cheapest plan: mass times distance.

    Raises:
        ValueError: as `ground_cost` and `transport_plan`.

    Example:
        >>> square = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
        >>> round(earth_mover_distance(square, [[0.5, 0.5]]), 4)
        0.7071
        >>> earth_mover_distance(square, [[0.5, 0.5]], metric="manhattan")
        1.0
    """
    cost = ground_cost(x, y, metric=metric)
    a, b = check_masses(a, b, cost.shape, "earth_mover_distance")
    return transport_plan(a, b, cost).cost


def check_masses(
    a: ArrayLike | None, b: ArrayLike | None, shape: tuple[int, ...], name: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the masses of two discrete distributions as float64 vectors of equal sums.

    Args:
        a: (n,), masses >= 0; None for 1/n each.
        b: (m,), the same; None for 1/m each.
        shape: (n, m).
        name: the caller; opens the messages.

    Returns:
        a, and b rescaled to the sum of a, from which it may differ by rounding.

    Raises:
        ValueError: another shape, a mass that is negative or not finite, sums that differ or are 0.

    Example:
        >>> check_masses([0.5, 0.5], [1.0, 1.0, 1.0], (2, 3), "transport_plan")
        Traceback (most recent call last):
        ValueError: transport_plan: a sums to 1.0 and b to 3.0, expected equal sums above 0
    """
    checked = []
    for letter, size_letter, masses, size in (("a", "n", a, shape[0]), ("b", "m", b, shape[1])):
        values = np.full(size, 1 / size) if masses is None else np.asarray(masses, dtype=np.float64)
        if values.shape != (size,):
            raise ValueError(f"{name}: {letter} has shape {values.shape}, expected ({size_letter},) = ({size},)")
        good = np.isfinite(values) & (values >= 0)
        if not good.all():
            index = int(np.argmin(good))
            raise ValueError(f"{name}: {letter}[{index}] is {values[index]}, expected finite masses >= 0")
        checked.append(values)
    first, second = checked
    mass, other = first.sum(), second.sum()
    if not (mass > 0 and abs(mass - other) <= ROUNDING * mass):
        raise ValueError(f"{name}: a sums to {mass} and b to {other}, expected equal sums above 0")
    return first, second * (mass / other)


def _power_of_2(value: float) -> float:
    """Return the power of 2 above a value; 1 for 0."""
    return math.ldexp(1.0, math.frexp(value)[1])


def _points(x: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(x, dtype=np.float64)
    return x[:, None] if x.ndim == 1 else x
