"""Two ways to differentiate an expectation, and why one of them trains variational autoencoders.

For z ~ N(m, s^2) and f(z) = z^2 the gradient of E[f(z)] with respect to m is 2m. Both of these estimate it without bias:

    score function      f(z) d/dm log p(z; m)          f is only evaluated (Williams 1992, REINFORCE)
    reparameterized     f'(z) dz/dm, z = m + s e       the gradient flows through the sample (Kingma & Welling 2014)

Many estimates of each are drawn side by side, and their means and standard deviations compared with the closed forms:

    score function      sqrt(m^4 + 14 m^2 s^2 + 15 s^4) / s
    reparameterized     2 s

    python examples/reparameterization.py
    python examples/reparameterization.py --mean 0 --scale 3 --out runs/reparameterization-wide
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from tqdm import tqdm

import minigen as mg
from minigen import lessons, plots
from minigen.distributions import Normal
from minigen.lessons import Range
from minigen.random import Generator

MEANS = np.linspace(-2, 2, 17)
SAMPLES = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])


def score_function(m: mg.Tensor, s: float, rng: Generator) -> mg.Tensor:
    """Return an estimate for each copy of m, (N,) -> (N,)."""
    p = Normal(m, scale=s)
    z = p.sample(rng=rng)
    return mg.grad(mg.sum(z * z * p.log_prob(z)), m)


def reparameterized(m: mg.Tensor, s: float, rng: Generator) -> mg.Tensor:
    """Return an estimate for each copy of m, (N,) -> (N,)."""
    z = Normal(m, scale=s).rsample(rng=rng)  # z = m + s e
    return mg.grad(mg.sum(z * z), m)


ESTIMATORS: dict[str, Callable[..., mg.Tensor]] = {"score function": score_function, "reparameterized": reparameterized}


def exact_deviation(label: str, m: float, s: float) -> float:
    """Return the standard deviation of one estimate."""
    return 2 * s if label == "reparameterized" else (m**4 + 14 * m**2 * s**2 + 15 * s**4) ** 0.5 / s


@dataclass(frozen=True, kw_only=True)
class Options(lessons.OutputOptions):
    device: lessons.Device = "cpu"  # cpu or gpu: where to compute


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.Settings):
    mean: Annotated[float, Range(-1e3, 1e3)] = 1.0  # m, at which the table is made
    scale: Annotated[float, Range(1e-3, 1e3)] = 1.0  # s
    repetitions: Annotated[int, Range(2)] = 2000  # estimates for each point of the picture
    run: Options = Options()


class Lesson(lessons.Lesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.rng = Generator(s.seed, device=s.run.device)
        self.estimates: dict[str, np.ndarray] = {}  # at each of MEANS, (17, repetitions)
        self.deviations: dict[str, np.ndarray] = {}  # of the mean of 1, 2, 4 ... estimates, (9,)

    def estimate(self, label: str, mean: float, count: int) -> np.ndarray:
        """Return so many estimates, each of one sample, (count,)."""
        m = mg.tensor(mg.full(count, mean, device=self.rng.device), requires_grad=True)  # copies: each has its gradient
        return ESTIMATORS[label](m, self.settings.scale, self.rng).to("cpu").numpy()

    def measure(self) -> dict[str, Any]:
        s, figures = self.settings, {}
        for label in tqdm(ESTIMATORS, desc="estimators"):
            self.estimates[label] = np.array([self.estimate(label, m, s.repetitions) for m in MEANS])
            single = self.estimate(label, s.mean, s.repetitions * SAMPLES.max()).reshape(s.repetitions, -1)
            self.deviations[label] = np.array([single[:, :n].mean(axis=1).std() for n in SAMPLES])
        for label in ESTIMATORS:
            drawn = self.estimate(label, s.mean, 256 * s.repetitions)
            figures[label.replace(" ", "_")] = {
                "mean": float(drawn.mean()),
                "standard_error": float(drawn.std() / len(drawn) ** 0.5),
                "standard_deviation": float(drawn.std()),
                "standard_deviation_exact": exact_deviation(label, s.mean, s.scale),
            }
        return figures | {"exact_gradient": 2 * s.mean}

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        yield (
            "estimators",
            plots.estimator_spread(
                MEANS,
                estimates=self.estimates,
                exact=2 * MEANS,
                samples=SAMPLES,
                deviations=self.deviations,
                parameter_label="$m$",
                title=f"Estimates of d/dm E[z²] = 2m,  z ~ N(m, {self.settings.scale:g}²)",
            ),
        )

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        m, s, rows = self.settings.mean, self.settings.scale, []
        for label in ESTIMATORS:
            found = figures[label.replace(" ", "_")]
            rows += [
                (label, f"{found['mean']:.4f} +- {found['standard_error']:.4f}"),
                ("  standard deviation, one sample", f"{found['standard_deviation']:.4f}"),
                ("  in closed form", f"{found['standard_deviation_exact']:.4f}"),
            ]
        ratio = (exact_deviation("score function", m, s) / exact_deviation("reparameterized", m, s)) ** 2
        rows.append(("samples that equal one reparameterized", f"{ratio:.1f}"))
        yield f"d/dm E[z^2] at m = {m:g}, s = {s:g}; exactly {2 * m:g}", rows


if __name__ == "__main__":
    lessons.teach(Lesson, Settings, __doc__)
