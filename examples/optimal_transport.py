"""Compare five distances between two distributions as they move apart, and see why Wasserstein GANs were made.

A generator learns by moving its distribution q towards the data's p, along the gradient of some distance between the two:

    KL(p || q) = E_p[log p/q],    JS = KL(p || m)/2 + KL(q || m)/2,  m = (p + q)/2,    TV = 1/2 sum |p - q|
    W1         = min E|x - y| over all plans that move p to q: the least mean distance that mass travels

Where p and q do not overlap, and thin sets in many dimensions hardly ever do, the Jensen-Shannon divergence (JS) and the total variation
(TV) are constant and the Kullback-Leibler divergences (KL) infinite: there is no gradient. The Wasserstein distance W1 still falls with
every step in the right direction (Arjovsky et al. 2017, "Wasserstein Generative Adversarial Networks", Example 1). The pictures show

    divergences        the five and their gradients against a shift theta: segments side by side, intervals, Gaussians
    plans              two ways to move boxes along a line, which differ but cost the same
    ground_distances   mass in the plane, where the best plan depends on whether distance is straight or along the axes

The last table shows which of them are distances at all. Among random triples of distributions the lesson searches for violations of
d(p, q) = 0 only where p = q, of the symmetry d(p, q) = d(q, p), and of the triangle inequality d(p, r) <= d(p, q) + d(q, r).

    python examples/optimal_transport.py
    python examples/optimal_transport.py --format pdf --shift 0.5      # intervals that overlap
    python examples/optimal_transport.py --no-plots --triples 20000
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from tqdm import tqdm

from minigen import lessons, metrics, plots
from minigen.lessons import Count, Positive, Range, Seed
from minigen.random import Generator

Curves = dict[str, np.ndarray]  # by the distance's name: (T,)

THETA = np.arange(-120, 121) / 40
SCALE = 0.5  # of the shifted Gaussian; with 1, the scale of the other, both KL would be theta^2 / 2

# Boxes on the line: 3, 2 and 1 are at the places X; 1, 2 and 3 are wanted at Y.
X, BOXES_X = np.array([1, 2, 3]), np.array([3, 2, 1])
Y, BOXES_Y = np.array([5, 6, 7]), np.array([1, 2, 3])

# Mass in the plane.
PLANE_X, MASS_X = np.array([[3, 0], [0, 6], [0, 1]]), np.array([3, 2, 1])
PLANE_Y, MASS_Y = np.array([[0, 4], [3, 3], [9, 6]]), np.array([2, 3, 1])


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.Settings):
    shift: Positive = 2.0  # theta in the tables, up to 100
    triples: Count = 2000  # triples of distributions that are searched for violations
    outcomes: Annotated[int, Range(2)] = 4  # outcomes of the distributions in these triples
    seed: Seed = 0  # of the triples; the same seed gives the same result

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shift > 100:
            raise ValueError(f"--shift: {self.shift:g} is above 100")


def segments(theta: np.ndarray) -> tuple[Curves, Curves]:
    """Return the distances and their gradients for p uniform on {0} x [0, 1], and q on {theta} x [0, 1].

    They share no point unless theta = 0. There all five are 0. NaN marks where a curve jumps, and a gradient that does not exist.
    """
    outside = np.where(theta == 0, np.nan, 1.0)
    return uniform(theta, outside, 0 * outside)


def intervals(theta: np.ndarray) -> tuple[Curves, Curves]:
    """Return the same for p uniform on [0, 1], and q on [theta, theta + 1], which overlap while |theta| < 1."""
    outside = np.minimum(np.abs(theta), 1.0)
    kinks = (theta == 0) | (np.abs(theta) == 1)
    return uniform(theta, outside, np.where(kinks, np.nan, np.sign(theta) * (outside < 1)))


def uniform(theta: np.ndarray, outside: np.ndarray, slope: np.ndarray) -> tuple[Curves, Curves]:
    """Return the same for any set and its shifted copy, given the share of q that lies outside p's set, and the slope of that share."""
    infinite, none = np.where(outside > 0, math.inf, outside), np.full_like(theta, np.nan)
    values = {"W1": np.abs(theta), "JS": math.log(2) * outside, "TV": outside}
    gradients = {"W1": np.where(theta == 0, np.nan, np.sign(theta)), "JS": math.log(2) * slope, "TV": slope}
    kl = ("KL(p || q)", "KL(q || p)")
    return values | dict.fromkeys(kl, infinite), gradients | dict.fromkeys(kl, none)


PAIRS = {
    "segments side by side": segments,
    "intervals on the line": intervals,
    f"Gaussians, std 1 and {SCALE}": partial(metrics.gaussian_distances, scale=SCALE),  # they overlap everywhere
}
DISTANCES = {  # of distributions over the outcomes 0, 1, 2 and so on
    "KL": metrics.kullback_leibler,
    "JS": metrics.jensen_shannon,
    "sqrt(JS)": lambda p, q: math.sqrt(metrics.jensen_shannon(p, q)),
    "TV": metrics.total_variation,
    "W1": lambda p, q: metrics.wasserstein1(np.arange(len(p)), np.arange(len(q)), a=p, b=q),
}


class Lesson(lessons.Lesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        # Each box goes to the right, so all plans have the same total distance, sum y - sum x.
        boxes = {"a": BOXES_X, "b": BOXES_Y}
        self.box_plans = {"sorted": metrics.sorted_plan(X, Y, **boxes), "reversed": metrics.sorted_plan(X, -Y, **boxes)}
        kinds = ("euclidean", "manhattan")
        self.plane_costs = {kind: metrics.ground_cost(PLANE_X, PLANE_Y, metric=kind) for kind in kinds}
        self.plane_plans = {k: metrics.transport_plan(MASS_X, MASS_Y, c).plan for k, c in self.plane_costs.items()}

    def measure(self) -> dict[str, Any]:
        s, started = self.settings, time.perf_counter()
        at_shift = {name: pair(np.array([s.shift])) for name, pair in PAIRS.items()}
        distance = metrics.ground_cost(X, Y)
        box_costs = {"distance": distance, "squared": distance**2}
        cheapest = metrics.transport_plan(BOXES_X, BOXES_Y, distance)
        height = np.linspace(0, 1, 20)
        left, right = (np.column_stack([np.full(20, place), height]) for place in (0, s.shift))
        triples = Generator(s.seed).exponential((s.triples, 3, s.outcomes), dtype="float64")
        triples /= triples.sum(axis=-1, keepdims=True)  # uniform among all distributions
        return {
            "at_shift": {
                name: {key: [number(values[key][0]), number(gradients[key][0])] for key in values}
                for name, (values, gradients) in at_shift.items()
            },
            "segments_by_linear_program": metrics.earth_mover_distance(left, right),  # straight across is cheapest
            "boxes": {
                name: {key: metrics.plan_cost(plan, c, a=BOXES_X, b=BOXES_Y) for key, c in box_costs.items()}
                for name, plan in self.box_plans.items()
            },
            "boxes_least_cost": cheapest.cost,
            "boxes_dual": float(BOXES_X @ cheapest.f + BOXES_Y @ cheapest.g),
            "plane": {
                name: {key: metrics.plan_cost(plan, c, a=MASS_X, b=MASS_Y) for key, c in self.plane_costs.items()}
                for name, plan in self.plane_plans.items()
            },
            "axioms": {
                name: metrics.axiom_violations(d, triples)._asdict()
                for name, d in tqdm(DISTANCES.items(), desc="distances")
            },
            "seconds": round(time.perf_counter() - started, 1),
        }

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        curves = {name: pair(THETA) for name, pair in PAIRS.items()}
        figure = plots.divergence_curves(
            THETA,
            values={name: values for name, (values, _) in curves.items()},
            gradients={name: gradients for name, (_, gradients) in curves.items()},
            limits=(2.6, 1.6),
            dots={"segments side by side": [(0.0, 0.0)]},
            title="p, and q that is shifted by θ: how far apart, and which way back",
        )
        yield "divergences", figure
        title = r"{}:  $\Sigma\,\gamma\,|x-y| = {distance:g}$,   $\Sigma\,\gamma\,(x-y)^2 = {squared:g}$"
        plans = {title.format(name, **figures["boxes"][name]): plan for name, plan in self.box_plans.items()}
        yield "plans", plots.transport_plans(X, Y, plans=plans, title="Two plans, one cost")
        title = "cheapest in {} distance\neuclidean cost {euclidean:.2f}, manhattan cost {manhattan:.2f}"
        plans = {title.format(name, **figures["plane"][name]): plan for name, plan in self.plane_plans.items()}
        title = "How distance is measured decides who gives to whom"
        yield "ground_distances", plots.planar_plans(PLANE_X, PLANE_Y, a=MASS_X, b=MASS_Y, plans=plans, title=title)

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s = self.settings
        for name, found in figures["at_shift"].items():
            rows = [("", f"{'value':>10}{'gradient':>10}")]
            rows += [(key, "".join(words(x).rjust(10) for x in pair)) for key, pair in found.items()]
            yield f"{name}, shifted by {s.shift:g}", rows
        by_program, boxes, plane = figures["segments_by_linear_program"], figures["boxes"], figures["plane"]
        rows = [("segments: W1 of 20 points on each, by linear programming", f"{by_program:.4f}")]
        rows += [(f"boxes: cost of the {name} plan", f"{costs['distance']:g}") for name, costs in boxes.items()]
        rows += [
            ("  least cost by linear programming", f"{figures['boxes_least_cost']:g}"),
            ("  the same by the dual program", f"{figures['boxes_dual']:g}"),
        ]
        rows += [(f"plane: {name} distance, its cheapest plan", f"{costs[name]:.2f}") for name, costs in plane.items()]
        rows += [
            ("  euclidean distance, the manhattan plan", f"{plane['manhattan']['euclidean']:.2f}"),
            ("  manhattan distance, the euclidean plan", f"{plane['euclidean']['manhattan']:.2f}"),
        ]
        yield "Transport", rows
        rows = [("", f"{'least d(p, q)':>14}{'asymmetry':>11}{'triangle':>10}  {'violates':<18}")]
        line = "{least:14.1e}{asymmetry:11.1e}{triangle:10.1e}  "
        for name, found in figures["axioms"].items():
            rows.append((name, line.format(**found) + f"{', '.join(found['violates']) or 'nothing':<18}"))
        yield f"Largest violations in {s.triples} triples over {s.outcomes} outcomes", rows


def number(value: float) -> float | str | None:
    """Return what JSON can say of a value: None for NaN, a word for infinity."""
    return None if math.isnan(value) else "infinite" if math.isinf(value) else float(value)


def words(value: float | str | None) -> str:
    """Return a value for a table; a gradient may not exist."""
    return "none" if value is None else value if isinstance(value, str) else f"{value:.4f}"


if __name__ == "__main__":
    lessons.teach(Lesson, Settings, __doc__)
