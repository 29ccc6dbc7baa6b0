"""Why Wasserstein GANs: what five distances between two distributions say as the two move apart.

A generator learns by moving its distribution q towards the data's p, along the gradient of some distance between the two. Where they do
not overlap, and thin sets in many dimensions hardly ever do, the Jensen-Shannon divergence (JS) and the total variation (TV) are
constant and the Kullback-Leibler divergences (KL) infinite: there is no gradient. The Wasserstein distance W1, the least mean way of
the mass from one to the other, still falls with every step in the right direction (Arjovsky et al. 2017, "Wasserstein Generative
Adversarial Networks", Example 1). The script shows

    divergences        the five and their gradients against a shift theta: segments side by side, intervals, Gaussians
    plans              two ways to move boxes on the line that differ and cost the same
    ground_distances   mass in the plane, where the way of measuring, straight or along the axes, decides who gives to whom

and searches random triples of distributions for violations of what makes a distance: d(p, q) = 0 only where p = q, symmetry
d(p, q) = d(q, p), and the triangle inequality d(p, r) <= d(p, q) + d(q, r).

    python examples/optimal_transport.py
    python examples/optimal_transport.py --format pdf --shift 0.5      # intervals that overlap
    python examples/optimal_transport.py --no-plots --triples 20000

It writes the three pictures and metrics.json into the folder `--out`.
"""

import argparse
import math
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from minigen import plots
from minigen.data import Gaussian
from minigen.metrics import (
    earth_mover_distance,
    ground_cost,
    jensen_shannon,
    kullback_leibler,
    plan_cost,
    sorted_plan,
    total_variation,
    transport_plan,
    wasserstein1,
)
from minigen.random import Generator
from minigen.training import at_least, positive, table, versions, write_metrics

Curves = dict[str, np.ndarray]  # by the distance's name: (T,)

THETA = np.arange(-120, 121) / 40
SCALE = 0.5  # of the Gaussian that is shifted; were it 1, as the other's, both KL would be theta^2 / 2

ROUNDING = 1e-12  # violations of less are none

# Boxes on the line: 3, 2 and 1 are at the places X; 1, 2 and 3 are wanted at Y.
X, BOXES_X = np.array([1, 2, 3]), np.array([3, 2, 1])
Y, BOXES_Y = np.array([5, 6, 7]), np.array([1, 2, 3])

# Mass in the plane.
PLANE_X, MASS_X = np.array([[3, 0], [0, 6], [0, 1]]), np.array([3, 2, 1])
PLANE_Y, MASS_Y = np.array([[0, 4], [3, 3], [9, 6]]), np.array([2, 3, 1])


def main() -> None:
    arguments = parse_arguments()
    started = time.perf_counter()
    at_shift = {name: pair(np.array([arguments.shift])) for name, pair in PAIRS.items()}
    boxes, plane = box_plans(), plane_plans()
    cheapest = transport_plan(BOXES_X, BOXES_Y, ground_cost(X, Y))
    segments_apart = segments_by_linear_program(arguments.shift)
    found = axioms(arguments.triples, arguments.outcomes, Generator(arguments.seed))
    if not arguments.no_plots:
        for name, figure in tqdm(pictures(boxes, plane).items(), desc="pictures"):
            plots.save(figure, arguments.out / f"{name}.{arguments.format}")

    figures = {
        "at_shift": {
            pair: {name: [number(values[name][0]), number(gradients[name][0])] for name in values}
            for pair, (values, gradients) in at_shift.items()
        },
        "segments_by_linear_program": segments_apart,
        "boxes": {name: {"distance": cost, "squared": squared} for name, (_, cost, squared) in boxes.items()},
        "boxes_least_cost": cheapest.cost,
        "boxes_dual": float(BOXES_X @ cheapest.f + BOXES_Y @ cheapest.g),
        "plane": {metric: costs for metric, (_, costs) in plane.items()},
        "axioms": found,
        "shift": arguments.shift,
        "triples": arguments.triples,
        "outcomes": arguments.outcomes,
        "seed": arguments.seed,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": versions(),
    }
    write_metrics(arguments.out / "metrics.json", figures)

    for pair, (values, gradients) in at_shift.items():
        rows = [("", f"{'value':>10}{'gradient':>10}")]
        rows += [(name, f"{values[name][0]:10.4f}{words(gradients[name][0]):>10}") for name in values]
        print(table(rows, f"{pair}, shifted by {arguments.shift:g}"), end="\n\n")
    rows = [
        ("segments: W1 of 20 points on each, by linear programming", f"{segments_apart:.4f}"),
        *((f"boxes: cost of the {name} plan", f"{cost:g}") for name, (_, cost, _) in boxes.items()),
        ("  least cost by linear programming", f"{cheapest.cost:g}"),
        ("  the dual program's", f"{figures['boxes_dual']:g}"),
        *(
            (f"plane: {metric} distance, its cheapest plan", f"{costs[metric]:.2f}")
            for metric, (_, costs) in plane.items()
        ),
        ("  euclidean distance, the manhattan plan", f"{plane['manhattan'][1]['euclidean']:.2f}"),
        ("  manhattan distance, the euclidean plan", f"{plane['euclidean'][1]['manhattan']:.2f}"),
    ]
    print(table(rows, "Transport"), end="\n\n")
    rows = [("", f"{'least d(p, q)':>14}{'asymmetry':>11}{'triangle':>10}  {'violates':<18}")]
    for name, row in found.items():
        violations = f"{row['asymmetry']:11.1e}{row['triangle']:10.1e}  {', '.join(row['violates']) or 'nothing':<18}"
        rows.append((name, f"{row['least']:14.1e}{violations}"))
    print(table(rows, f"Largest violations in {arguments.triples} triples over {arguments.outcomes} outcomes"))
    print(f"{figures['seconds']:.1f} seconds")
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


# ------------------------------------------------------------------------------------ two distributions that are moved apart


def segments(theta: np.ndarray) -> tuple[Curves, Curves]:
    """Return the distances and their gradients for p uniform on {0} x [0, 1], and q on {theta} x [0, 1].

    They share no point unless theta = 0. There all five are 0; NaN stands where a curve jumps, and for a gradient that does not exist.
    """
    apart = np.where(theta == 0, np.nan, 1.0)
    flat, none = 0 * apart, np.nan * apart
    values = {
        "W1": np.abs(theta),
        "JS": math.log(2) * apart,
        "TV": apart,
        "KL(p || q)": math.inf * apart,
        "KL(q || p)": math.inf * apart,
    }
    return values, {"W1": np.sign(theta) * apart, "JS": flat, "TV": flat, "KL(p || q)": none, "KL(q || p)": none}


def intervals(theta: np.ndarray) -> tuple[Curves, Curves]:
    """Return the same for p uniform on [0, 1], and q on [theta, theta + 1], which overlap while |theta| < 1."""
    moved = np.minimum(np.abs(theta), 1.0)  # the share of q that is not in [0, 1]
    infinite = np.where(theta == 0, 0.0, math.inf)
    values = {
        "W1": np.abs(theta),
        "JS": math.log(2) * moved,
        "TV": moved,
        "KL(p || q)": infinite,
        "KL(q || p)": infinite,
    }
    slope = np.where(theta == 0, np.nan, np.sign(theta))  # of |theta|
    slope_moved = np.select([moved < 1, np.abs(theta) > 1], [slope, 0.0], np.nan)
    none = np.full_like(theta, np.nan)
    gradients = {
        "W1": slope,
        "JS": math.log(2) * slope_moved,
        "TV": slope_moved,
        "KL(p || q)": none,
        "KL(q || p)": none,
    }
    return values, gradients


def gaussians(theta: np.ndarray) -> tuple[Curves, Curves]:
    """Return the same for p = N(0, 1) and q = N(theta, s^2), s < 1.

    W1 = E|theta + (1 - s) z|, since equal quantiles are paired. TV = Q(A) - P(A) for the interval A where q > p. Only JS has no closed
    form; it and its gradient,

        d JS / d theta = 1/2 integral dq/dtheta log(q / m) dx,    m = (p + q) / 2,

    are integrals on a grid. Where p is 0 the logarithm is log 2, a constant, and the integral of dq/dtheta is 0: no gradient.
    """
    normal, s, spread = Gaussian(mean=0.0, scale=1.0), SCALE, 1 - SCALE
    root = np.sqrt((theta / s) ** 2 - 2 * (1 / s**2 - 1) * math.log(s))
    low, high = ((theta / s**2 + sign * root) / (1 / s**2 - 1) for sign in (-1, 1))  # the ends of A
    z_low, z_high = (low - theta) / s, (high - theta) / s  # in standard deviations of q
    share_right = 2 * normal.cdf(theta / spread) - 1  # of the mass that has to move right, less that which moves left
    js, js_gradient = np.array([gaussian_jensen_shannon(t) for t in theta]).T
    values = {
        "W1": theta * share_right + 2 * spread * normal.pdf(theta / spread),
        "JS": js,
        "TV": normal.cdf(z_high) - normal.cdf(z_low) - normal.cdf(high) + normal.cdf(low),
        "KL(p || q)": math.log(s) + (1 + theta**2) / (2 * s**2) - 0.5,
        "KL(q || p)": -math.log(s) + (s**2 + theta**2) / 2 - 0.5,
    }
    gradients = {
        "W1": share_right,
        "JS": js_gradient,
        "TV": (normal.pdf(z_low) - normal.pdf(z_high)) / s,
        "KL(p || q)": theta / s**2,
        "KL(q || p)": theta,
    }
    return values, gradients


def gaussian_jensen_shannon(shift: float) -> tuple[float, float]:
    """Return JS of N(0, 1) and N(shift, s^2), and its gradient."""
    x, dx = np.linspace(min(0.0, shift) - 12, max(0.0, shift) + 12, 10_001, retstep=True)
    p, q = Gaussian(mean=0.0, scale=1.0).pdf(x), Gaussian(mean=shift, scale=SCALE).pdf(x)
    dq = q * (x - shift) / SCALE**2  # dq/dtheta
    some = q > 0
    log_ratio = np.log(2 * q[some] / (p[some] + q[some]))
    return jensen_shannon(p, q, dx), 0.5 * dx * float(dq[some] @ log_ratio)


PAIRS = {
    "segments side by side": segments,
    "intervals on the line": intervals,
    f"Gaussians, std 1 and {SCALE}": gaussians,
}


def segments_by_linear_program(shift: float) -> float:
    """Return W1 between 20 points on each segment: that no plan is cheaper than going straight across."""
    height = np.linspace(0, 1, 20)
    return earth_mover_distance(np.column_stack([np.zeros(20), height]), np.column_stack([np.full(20, shift), height]))


# -------------------------------------------------------------------------------------------------------------------- plans


def box_plans() -> dict[str, tuple[np.ndarray, float, float]]:
    """Return two plans for the boxes, each with its cost under |x - y| and under its square.

    Each box goes to the right. So the boxes' ways together are sum y - sum x, whoever goes where.
    """
    distance = ground_cost(X, Y)
    plans = {
        "sorted": sorted_plan(X, Y, a=BOXES_X, b=BOXES_Y),
        "reversed": sorted_plan(X, -Y, a=BOXES_X, b=BOXES_Y),
    }
    costs = {
        name: [plan_cost(plan, c, a=BOXES_X, b=BOXES_Y) for c in (distance, distance**2)]
        for name, plan in plans.items()
    }
    return {name: (plan, *costs[name]) for name, plan in plans.items()}


def plane_plans() -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """Return the cheapest plan under each ground distance, with what it costs under both."""
    distances = {metric: ground_cost(PLANE_X, PLANE_Y, metric=metric) for metric in ("euclidean", "manhattan")}
    plans = {metric: transport_plan(MASS_X, MASS_Y, distance).plan for metric, distance in distances.items()}
    return {
        metric: (plan, {name: plan_cost(plan, distance, a=MASS_X, b=MASS_Y) for name, distance in distances.items()})
        for metric, plan in plans.items()
    }


def pictures(boxes: dict, plane: dict) -> dict[str, Figure]:
    """Return the three pictures by name, for the plans of `box_plans` and `plane_plans`."""
    curves = {name: pair(THETA) for name, pair in PAIRS.items()}
    box_title = r"{}:  $\Sigma\,\gamma\,|x-y| = {:g}$,   $\Sigma\,\gamma\,(x-y)^2 = {:g}$"
    plane_title = "cheapest in {} distance\neuclidean cost {:.2f}, manhattan cost {:.2f}"
    return {
        "divergences": plots.divergence_curves(
            THETA,
            values={name: values for name, (values, _) in curves.items()},
            gradients={name: gradients for name, (_, gradients) in curves.items()},
            limits=(2.6, 1.6),
            dots={"segments side by side": [(0.0, 0.0)]},
            title=r"$p$, and $q$ that is shifted by $\theta$: how far apart, and which way back",
        ),
        "plans": plots.transport_plans(
            X,
            Y,
            plans={box_title.format(name, *costs): plan for name, (plan, *costs) in boxes.items()},
            title="Two plans, one cost",
        ),
        "ground_distances": plots.planar_plans(
            PLANE_X,
            PLANE_Y,
            a=MASS_X,
            b=MASS_Y,
            plans={plane_title.format(metric, *costs.values()): plan for metric, (plan, costs) in plane.items()},
            title="How distance is measured decides who gives to whom",
        ),
    }


# ------------------------------------------------------------------------------------------------------------ what a distance is


def axioms(triples: int, outcomes: int, rng: Generator) -> dict[str, dict]:
    """Return, by distance, the largest violations found among random distributions over the outcomes 0, 1, 2 and so on."""
    places = np.arange(outcomes)
    distances = {
        "KL": kullback_leibler,
        "JS": jensen_shannon,
        "sqrt(JS)": lambda p, q: math.sqrt(jensen_shannon(p, q)),
        "TV": total_variation,
        "W1": lambda p, q: wasserstein1(places, places, a=p, b=q),
    }
    drawn = rng.exponential((triples, 3, outcomes), dtype="float64")
    drawn /= drawn.sum(axis=-1, keepdims=True)  # uniform among all distributions
    found = {}
    for name, d in tqdm(distances.items(), desc="distances"):
        pq, qp, qr, pr = np.array([(d(p, q), d(q, p), d(q, r), d(p, r)) for p, q, r in drawn]).T
        asymmetry, triangle = float(np.abs(pq - qp).max()), float((pr - pq - qr).max())
        itself = max(abs(d(p, p)) for p, _, _ in drawn)
        violated = {
            "identity": itself > ROUNDING or pq.min() <= 0,
            "symmetry": asymmetry > ROUNDING,
            "triangle": triangle > ROUNDING,
        }
        found[name] = {
            "least": float(pq.min()),
            "to_itself": float(itself),
            "asymmetry": asymmetry,
            "triangle": triangle,
            "violates": [axiom for axiom, is_violated in violated.items() if is_violated],
        }
    return found


# ------------------------------------------------------------------------------------------------------------- command line


def words(value: float) -> str:
    """Return a gradient in words, where it may not exist."""
    return "none" if math.isnan(value) else f"{value:.4f}"


def number(value: float) -> float | str | None:
    """Return what JSON can say of a value: None for NaN, a word for infinity."""
    return None if math.isnan(value) else "infinite" if math.isinf(value) else float(value)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--shift", type=positive, default=2.0, help="theta for the tables, up to 100 (2)")
    options.add_argument("--triples", type=at_least(1), default=2000, help="triples to search for violations (2000)")
    options.add_argument("--outcomes", type=at_least(2), default=4, help="of the distributions in these triples (4)")
    options.add_argument("--seed", type=at_least(0), default=0, help="of the triples (0)")
    options.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="of the pictures (png)")
    options.add_argument("--no-plots", action="store_true", help="draw no pictures")
    options.add_argument(
        "--out", type=Path, default=Path("runs/optimal_transport"), help="folder (runs/optimal_transport)"
    )
    arguments = parser.parse_args()
    if arguments.shift > 100:
        parser.error(f"argument --shift: {arguments.shift:g} is above 100")
    return arguments


if __name__ == "__main__":
    main()
