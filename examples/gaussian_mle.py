"""Fit a Gaussian by gradient descent on its likelihood, and compare it with the closed form.

    loss      -1/N sum_n log N(x_n; m, S)
    minimum   m = mean of the x_n,  S = their covariance,  loss = 1 + log 2 pi + 1/2 log det S      (two dimensions)

The data are the 272 eruptions of the Old Faithful geyser: how long each lasted, and how long one waited for the next (Azzalini & Bowman
1990). Since the best mean and covariance are known exactly, this tests the loop that trains every likelihood model.

    python examples/gaussian_mle.py
    python examples/gaussian_mle.py --batch-size 32 --out runs/gaussian-32      # stochastic gradients end near the minimum, not at it
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import minigen as mg
from minigen import lessons, plots
from minigen.data import Batches, load_geyser
from minigen.lessons import Count, Positive
from minigen.models import Gaussian
from minigen.optim import Adam, cosine
from minigen.training import fit_likelihood, save_state


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.TrainingSettings):
    steps: Count = 2000  # steps of Adam
    batch_size: Count = 272  # eruptions in a step; 272 are all of them
    learning_rate: Positive = 0.1  # Adam's at the start; it falls to 0 along half a cosine
    run: lessons.SamplingOptions = lessons.SamplingOptions()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size > 272:
            raise ValueError(f"--batch-size: {self.batch_size} is more than the 272 eruptions")


class Lesson(lessons.TrainingLesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        geyser = load_geyser()
        self.data = np.stack([geyser.duration, geyser.waiting / 10], axis=1).astype(np.float32)  # (272, 2)
        self.model = Gaussian(2).to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(s.learning_rate, steps=s.steps))
        self.batches = Batches(self.data, batch_size=s.batch_size, rng=self.order)
        parts = {"model": self.model, "optimizer": self.optimizer, "batches": self.batches}
        self.run = self.new_run("Gaussian", rows=200, monitor=self.monitor, parts=parts)

    def train(self) -> None:
        batches = (mg.tensor(x, device=self.device) for x in self.batches)
        fit_likelihood(self.model, batches, self.optimizer, self.run, rng=self.rng)

    def monitor(self) -> dict[str, float]:
        """Return the loss over all eruptions."""
        with mg.no_grad():
            return {"all_data": self.model.loss(mg.tensor(self.data, device=self.device))[0].item()}

    def fitted(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean, (2,), and the covariance, (2, 2), that were learned."""
        return self.model.mean.detach().to("cpu").numpy(), self.model.covariance().to("cpu").numpy()

    def exact(self) -> tuple[np.ndarray, np.ndarray]:
        """Return those in closed form."""
        return self.data.mean(axis=0), np.cov(self.data.T, bias=True)

    def measure(self) -> dict[str, Any]:
        (mean, covariance), (exact_mean, exact_covariance) = self.fitted(), self.exact()
        return {
            "negative_log_likelihood": self.run.history.column("all_data")[-1],
            "negative_log_likelihood_minimum": float(
                1 + np.log(2 * np.pi) + 0.5 * np.log(np.linalg.det(exact_covariance))
            ),
            "mean": mean.tolist(),
            "mean_exact": exact_mean.tolist(),
            "covariance": covariance.tolist(),
            "covariance_exact": exact_covariance.tolist(),
            "largest_difference": float(max(abs(mean - exact_mean).max(), abs(covariance - exact_covariance).max())),
        }

    def keep(self) -> None:
        save_state(self.out / "weights.safetensors", model=self.model)

    def samples(self, n: int) -> lessons.Samples:
        drawn = self.model.sample(n, rng=self.evaluation_rng()).to("cpu").numpy()
        return lessons.Samples({"eruptions": drawn}, self.picture(drawn, f"{n:,} samples of the fitted Gaussian"))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield "fit", self.picture(self.data, "Old Faithful: a Gaussian by maximum likelihood")

    def picture(self, points: np.ndarray, title: str) -> lessons.Picture:
        """Draw points with both ellipses, and the course of the loss."""
        (mean, covariance), (exact_mean, exact_covariance) = self.fitted(), self.exact()
        return plots.gaussian_fit(
            points,
            mean=mean,
            covariance=covariance,
            exact_mean=exact_mean,
            exact_covariance=exact_covariance,
            steps=self.run.history.column("step"),
            history=self.run.history.column("all_data"),
            labels=("duration (min)", "waiting time (10 min)"),
            title=title,
        )

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        def numbers(name: str) -> str:
            values = np.array(figures[name])
            return " ".join(f"{v:.4f}" for v in (values if values.ndim == 1 else values[np.triu_indices(2)]))

        s = self.settings
        yield (
            f"Gaussian by maximum likelihood, {s.steps} steps, batches of {s.batch_size}",
            [
                ("negative log-likelihood (nats)", f"{figures['negative_log_likelihood']:.6f}"),
                ("  its minimum, in closed form", f"{figures['negative_log_likelihood_minimum']:.6f}"),
                ("mean", numbers("mean")),
                ("  closed form", numbers("mean_exact")),
                ("covariance (11, 12, 22)", numbers("covariance")),
                ("  closed form", numbers("covariance_exact")),
                ("largest difference", f"{figures['largest_difference']:.2e}"),
            ],
        )


if __name__ == "__main__":
    lessons.teach(Lesson, Settings, __doc__)
