"""Two ways to differentiate an expectation, and why one of them trains variational autoencoders.

For z ~ N(m, s^2) and f(z) = z^2 the gradient of E[f(z)] with respect to m is 2m. Both of these estimate it without bias:

    score function      f(z) d/dm log p(z; m)          f is only evaluated (Williams 1992, REINFORCE)
    reparameterized     f'(z) dz/dm, z = m + s e       the gradient flows through the sample (Kingma & Welling 2014)

The script draws many estimates of each, side by side, and compares their means and standard deviations with the closed forms:

    score function      sqrt(m^4 + 14 m^2 s^2 + 15 s^4) / s,     reparameterized     2 s.

    python examples/reparameterization.py

It writes estimators.png and metrics.json into the folder `--out`.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

import minigen as mg
from minigen import plots
from minigen.distributions import Normal
from minigen.random import Generator
from minigen.training import at_least, device, positive, table, versions, write_metrics

MEANS = np.linspace(-2, 2, 17)
SAMPLES = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])


def main() -> None:
    arguments = parse_arguments()
    rng = Generator(arguments.seed, device=arguments.device)
    scale, at = arguments.scale, arguments.mean
    estimators = {"score function": score_function, "reparameterized": reparameterized}

    estimates, deviations = {}, {}
    for label, estimator in tqdm(estimators.items(), desc="estimators"):
        estimates[label] = np.array([estimator(m, scale, arguments.repetitions, rng) for m in MEANS])
        single = estimator(at, scale, arguments.repetitions * SAMPLES.max(), rng).reshape(arguments.repetitions, -1)
        deviations[label] = np.array([single[:, :n].mean(axis=1).std() for n in SAMPLES])

    figure = plots.estimator_spread(
        MEANS,
        estimates=estimates,
        exact=2 * MEANS,
        samples=SAMPLES,
        deviations=deviations,
        parameter_label="$m$",
        title=f"Estimates of $d/dm\\ E[z^2] = 2m$,  $z \\sim N(m, {scale:g}^2)$",
    )
    plots.save(figure, arguments.out / "estimators.png")

    rows, figures = [], {}
    for label, estimator in estimators.items():
        drawn = estimator(at, scale, 256 * arguments.repetitions, rng)
        error = drawn.std() / len(drawn) ** 0.5
        exact = exact_deviation(label, at, scale)
        rows += [
            (label, f"{drawn.mean():.4f} +- {error:.4f}"),
            ("  standard deviation, one sample", f"{drawn.std():.4f}"),
            ("  in closed form", f"{exact:.4f}"),
        ]
        figures[label.replace(" ", "_")] = {
            "mean": float(drawn.mean()),
            "standard_error": float(error),
            "standard_deviation": float(drawn.std()),
            "standard_deviation_exact": exact,
        }
    ratio = (exact_deviation("score function", at, scale) / exact_deviation("reparameterized", at, scale)) ** 2
    rows.append(("samples that equal one reparameterized", f"{ratio:.1f}"))
    settings = {"mean": at, "scale": scale, "exact_gradient": 2 * at, "seed": arguments.seed, "versions": versions()}
    write_metrics(arguments.out / "metrics.json", {**figures, **settings})
    print(table(rows, f"d/dm E[z^2] at m = {at:g}, s = {scale:g}; exactly {2 * at:g}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


def score_function(mean: float, scale: float, count: int, rng: Generator) -> np.ndarray:
    """Return `count` single-sample estimates, (count,)."""
    m = mg.full(count, mean, device=rng.device)
    m = mg.tensor(m, requires_grad=True)  # a copy of m for each sample, so that each has a gradient of its own
    p = Normal(m, scale=scale)
    z = p.sample(rng=rng)
    return mg.grad(mg.sum(z * z * p.log_prob(z)), m).to("cpu").numpy()


def reparameterized(mean: float, scale: float, count: int, rng: Generator) -> np.ndarray:
    """Return `count` single-sample estimates, (count,)."""
    m = mg.tensor(mg.full(count, mean, device=rng.device), requires_grad=True)
    z = Normal(m, scale=scale).rsample(rng=rng)
    return mg.grad(mg.sum(z * z), m).to("cpu").numpy()


def exact_deviation(label: str, m: float, s: float) -> float:
    """Return the standard deviation of one estimate."""
    return 2 * s if label == "reparameterized" else (m**4 + 14 * m**2 * s**2 + 15 * s**4) ** 0.5 / s


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--mean", type=float, default=1.0, help="m, at which the table is made (1)")
    options.add_argument("--scale", type=positive, default=1.0, help="s (1)")
    options.add_argument(
        "--repetitions", type=at_least(2), default=2000, help="estimates for each point of the picture (2000)"
    )
    options.add_argument("--seed", type=at_least(0), default=0, help="of the samples (0)")
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/reparameterization"), help="folder (runs/reparameterization)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
