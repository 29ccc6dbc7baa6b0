"""Fit a Gaussian by gradient descent on its likelihood, and compare with the closed form.

The data are the 272 eruptions of the Old Faithful geyser: how long each lasted, and how long one waited for the next
(Azzalini & Bowman 1990). The best mean and covariance are known exactly, so this is a test of the training loop, which is the one
that trains every likelihood model.

    python examples/gaussian_mle.py
    python examples/gaussian_mle.py --batch-size 32       # stochastic gradients: near the optimum, not at it

It writes fit.png, metrics.json and the weights into the folder `--out`.
"""

import argparse
import time
from pathlib import Path

import numpy as np

import minigen as mg
from minigen import plots
from minigen.data import Batches, load_geyser
from minigen.models import Gaussian
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import Run, at_least, device, fit_likelihood, save_state, table, versions, write_metrics


def main() -> None:
    arguments = parse_arguments()
    started = time.perf_counter()
    geyser = load_geyser()
    data = np.stack([geyser.duration, geyser.waiting / 10], axis=1).astype(
        np.float32
    )  # (272, 2): minutes, tens of minutes
    batch_size = min(arguments.batch_size, len(data))

    model = Gaussian(2)
    model.to(arguments.device)
    whole = mg.tensor(data, device=arguments.device)
    rng = Generator(arguments.seed)
    batches = (mg.tensor(x, device=arguments.device) for x in Batches(data, batch_size=batch_size, rng=rng))
    optimizer = Adam(model, learning_rate=cosine(0.1, steps=arguments.steps))

    def monitor() -> dict[str, float]:
        with mg.no_grad():
            return {"all_data": model.loss(whole)[0].item()}

    run = Run(steps=arguments.steps, every=max(1, arguments.steps // 200), label="Gaussian", monitor=monitor)
    fit_likelihood(model, batches, optimizer, run, rng=rng)

    mean, covariance = model.mean.detach().to("cpu").numpy(), model.covariance().to("cpu").numpy()
    exact_mean, exact_covariance = data.mean(axis=0), np.cov(data.T, bias=True)
    history = run.history.column("all_data")
    minimum = 1 + np.log(2 * np.pi) + 0.5 * np.log(np.linalg.det(exact_covariance))
    figures = {
        "negative_log_likelihood": history[-1],
        "negative_log_likelihood_minimum": float(minimum),
        "mean": mean.tolist(),
        "mean_exact": exact_mean.tolist(),
        "covariance": covariance.tolist(),
        "covariance_exact": exact_covariance.tolist(),
        "largest_difference": float(max(abs(mean - exact_mean).max(), abs(covariance - exact_covariance).max())),
        "steps": arguments.steps,
        "batch_size": batch_size,
        "seed": arguments.seed,
        "device": arguments.device,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": versions(),
    }
    figure = plots.gaussian_fit(
        data,
        mean=mean,
        covariance=covariance,
        exact_mean=exact_mean,
        exact_covariance=exact_covariance,
        steps=run.history.column("step"),
        history=history,
        labels=("duration (min)", "waiting time (10 min)"),
        title="Old Faithful: a Gaussian by maximum likelihood",
    )
    plots.save(figure, arguments.out / "fit.png")
    write_metrics(arguments.out / "metrics.json", figures)
    save_state(arguments.out / "weights.safetensors", model=model)

    rows = [
        ("negative log-likelihood (nats)", f"{history[-1]:.6f}"),
        ("  its minimum, in closed form", f"{minimum:.6f}"),
        ("mean", " ".join(f"{m:.4f}" for m in mean)),
        ("  closed form", " ".join(f"{m:.4f}" for m in exact_mean)),
        ("covariance (11, 12, 22)", " ".join(f"{c:.4f}" for c in covariance[np.triu_indices(2)])),
        ("  closed form", " ".join(f"{c:.4f}" for c in exact_covariance[np.triu_indices(2)])),
        ("largest difference", f"{figures['largest_difference']:.2e}"),
        ("seconds", f"{figures['seconds']:.1f}"),
    ]
    print(table(rows, f"Gaussian by maximum likelihood, {arguments.steps} steps, batches of {batch_size}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--steps", type=at_least(1), default=2000, help="steps of Adam (2000)")
    options.add_argument(
        "--batch-size", type=at_least(1), default=272, help="eruptions per step; 272 is all of them (272)"
    )
    options.add_argument("--seed", type=at_least(0), default=0, help="of the order of the batches (0)")
    options.add_argument("--device", type=device, default="cpu", help="cpu or gpu: where to compute (cpu)")
    options.add_argument(
        "--out", type=Path, default=Path("runs/gaussian_mle"), help="folder for results (runs/gaussian_mle)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
