"""Train a GAN on a one-dimensional density, and see how close it comes.

A generator G turns noise z ~ N(0, I) into numbers. A discriminator D tells them from the data's numbers x. Both learn by playing against
each other (Goodfellow et al. 2014):

    for each round:                                                             algorithm 1
        k times, D's turn:   raise   E[log D(x)] + E[log(1 - D(G(z)))]          equation 1
        G's turn:            raise   E[log D(G(z))]                             section 3, the non-saturating loss
    the best D:              D*(x) = p_data(x) / (p_data(x) + p_G(x))           proposition 1

On a line everything can be seen and measured: both densities, D beside D*, the map from z to G(z), the exact distance to the target.

    python examples/gan_1d.py                                                   # two Gaussians
    python examples/gan_1d.py --loss wasserstein-gp --out runs/wasserstein-gp
    python examples/gan_1d.py --loss minimax --show-saturation --out runs/minimax
    python examples/gan_1d.py --target faithful --latent 1 --out runs/faithful  # with the map from z to G(z)
    python examples/gan_1d.py --data my.csv --column height --out runs/height   # numbers of your own
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

import minigen as mg
from minigen import lessons, metrics, plots
from minigen.lessons import Count, NonNegative, Positive, Share
from minigen.losses import ADVERSARIAL, adversarial
from minigen.models import mlp_gan
from minigen.optim import EMA, Adam, cosine
from minigen.training import History, Run, fit_game, save_state, train_discriminator_alone

MONITORED, EVALUATED = 5_000, 50_000  # generated numbers that are compared with the target: during training, at the end
ROWS, FRAMES, FRAME_POINTS = 160, 60, 201  # rows of the history, frames of the animation, points of a curve in it


@dataclass(frozen=True, kw_only=True)
class Options(lessons.SamplingOptions):
    show_saturation: bool = False  # also draw the gradient that G gets from a strongly trained discriminator


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.LineSettings):
    loss: Literal[*ADVERSARIAL] = "nonsaturating"  # what the players minimise
    latent: Count = 4  # dimension of z; with 1, the whole map from z to G(z) is drawn
    width: Count = 64  # units in each of the two hidden layers of G and of D
    steps: Count = 8000  # turns of G
    critic_steps: Count = 1  # k: turns of D before each of G's
    discriminator_rate: Positive = 4e-3  # D's learning rate; both fall to 0 along half a cosine
    generator_rate: Positive = 2e-3  # G's learning rate
    beta1: Share = 0.5  # Adam's momentum; with 0.9 the players overshoot each other
    beta2: Share = 0.999  # Adam's average of squared gradients
    weight_bound: NonNegative = 0.0  # c: a Wasserstein critic's weights are clipped to [-c, c]; 0: not at all
    penalty: NonNegative = 0.0  # lambda, the weight of the penalty on slopes of a Wasserstein critic that are not 1
    run: Options = Options()


class Lesson(lessons.LineLesson[Settings]):
    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{self.density.name}, {s.loss} loss"
        loss = replace(adversarial(s.loss), weight_bound=s.weight_bound or None, penalty=s.penalty)
        sizes = {"latent": s.latent, "width": s.width, "critic_steps": s.critic_steps}
        self.gan = mlp_gan(features=1, **sizes, loss=loss, rng=self.rng)

        def adam(player: mg.nn.Module, rate: float, turns: int) -> Adam:
            return Adam(player, learning_rate=cosine(rate, steps=turns), beta1=s.beta1, beta2=s.beta2)

        self.optimizers = {
            "discriminator": adam(self.gan.discriminator, s.discriminator_rate, s.steps * s.critic_steps),
            "generator": adam(self.gan.generator, s.generator_rate, s.steps),
        }
        self.average = EMA(self.optimizers["generator"], decay=0.999)  # of G's weights: this generator is the result
        self.frames = History()
        trained = {f"{player}_optimizer": optimizer for player, optimizer in self.optimizers.items()}
        self.run = self.new_run(
            f"GAN, {self.density.name}", rows=ROWS, monitor=self.monitor,
            parts={"model": self.gan, **trained, "average": self.average, "frames": self.frames},
        )  # fmt: skip

    def train(self) -> None:
        """Let the two play in turns."""
        averages = {"generator": self.average}
        fit_game(self.gan, self.batches(self.order), self.optimizers, self.run, rng=self.rng, averages=averages)

    # --------------------------------------------------------------------------- what is measured, drawn and told

    def generate(self, z: mg.Tensor) -> np.ndarray:
        """Return the averaged generator's numbers in the data's units, (n, latent) -> (n,)."""
        with self.average.applied(), mg.no_grad():
            return self.from_network(self.gan.generator(z))

    def generated(self, n: int) -> np.ndarray:
        """Return n numbers, made of the same noise each time, (n,)."""
        return self.generate(self.evaluation_rng().normal((n, self.gan.latent)))

    def discriminator_at(self, x: np.ndarray) -> np.ndarray:
        """Return D at points of the data axis, (M,): a probability, or the score of a critic."""
        return mg.Tensor(self.gan.discriminator.discriminate(self.to_network(x))).to("cpu").numpy().ravel()

    def monitor(self) -> dict[str, float]:
        """Measure the distance to the target, and keep the curves for the animation."""
        generated, x = self.generated(MONITORED), self.axis(FRAME_POINTS)
        curves = {"p_generator": self.estimate(generated, x), "discriminator": self.discriminator_at(x)}
        self.frames.record(self.run.step, **{name: [float(f"{y:.4g}") for y in c] for name, c in curves.items()})
        return {"W1": metrics.wasserstein1_to_quantile(generated, self.density.quantile)}

    def measure(self) -> dict:
        d = self.discriminator_at if self.gan.discriminator.adversarial_loss.is_probability else None
        return metrics.compare_with_density(self.generated(EVALUATED), self.density, discriminator=d) | self.source()

    def keep(self) -> None:
        with self.average.applied():
            save_state(self.out / "weights.safetensors", model=self.gan)

    def samples(self, n: int) -> lessons.Samples:
        numbers = self.generated(n)
        return lessons.Samples({"numbers": numbers}, self.densities(numbers, f"{n:,} samples"))

    def pictures(self, figures: dict) -> Iterator[tuple[str, lessons.Picture]]:
        s, history, loss = self.settings, self.run.history, self.gan.discriminator.adversarial_loss
        yield "densities", self.densities(self.generated(EVALUATED), f"{s.steps:,} steps")
        figure = plots.training_curves(
            history.column("step"),
            losses={"D": history.column("discriminator"), "G": history.column("generator")},
            equilibrium=dict(zip("DG", loss.equilibrium, strict=True)),
            distance=history.column("W1"),
            floor=metrics.wasserstein1_floor(self.density, MONITORED, rng=self.evaluation_rng("cpu")),
            gradient_norm=history.column("generator_gradient"),
            title=self.title,
        )
        yield "training", figure
        rows, x = self.frames.evenly(FRAMES), self.axis(FRAME_POINTS)
        animation = plots.gan_animation(
            x,
            p_data=self.density.pdf(x),
            steps=[row["step"] for row in rows],
            p_generator=[row["p_generator"] for row in rows],
            discriminator=[row["discriminator"] for row in rows],
            is_probability=loss.is_probability,
            title=self.title,
        )
        yield "training", animation
        if s.run.show_saturation:
            yield "saturation", self.saturation()

    def densities(self, generated: np.ndarray, what: str) -> lessons.Picture:
        """Draw both densities, D beside D*, and the map from z to G(z)."""
        x, is_probability = self.axis(1001), self.gan.discriminator.adversarial_loss.is_probability
        p_data, p_generator = self.density.pdf(x), self.estimate(generated, x)
        z = np.zeros((301, self.gan.latent), np.float32)
        z[:, 0] = np.linspace(-3, 3, len(z))
        return plots.gan_densities(
            x,
            p_data=p_data,
            p_generator=p_generator,
            discriminator=self.discriminator_at(x),
            discriminator_label="$D(x)$" if is_probability else "$D(x)$, a score",
            optimal=metrics.optimal_discriminator(p_data, p_generator) if is_probability else None,
            latent=z[:, 0],
            generated=self.generate(mg.tensor(z, device=self.device)),
            latent_dimension=self.gan.latent,
            title=f"{self.title}, {what}",
        )

    def saturation(self) -> lessons.Picture:
        """Draw what reaches G from an ever stronger D, both as they were before the training."""
        s, gan = self.settings, copy.deepcopy(Lesson(self.settings).gan)
        optimizer = Adam(gan.discriminator, learning_rate=s.discriminator_rate, beta1=s.beta1)
        run = Run(steps=400, every=5, label="saturation")
        train_discriminator_alone(
            gan, self.batches(self.evaluation_rng("cpu")), optimizer, run, rng=self.evaluation_rng()
        )
        return plots.saturation(
            run.history.column("step"),
            norms={"minimax": run.history.column("minimax"), "non-saturating": run.history.column("nonsaturating")},
            discriminator_on_fake=run.history.column("discriminator_on_fake"),
            title="The generator's gradient against an ever stronger discriminator",
        )

    def tables(self, figures: dict) -> Iterator[tuple[str, lessons.Rows]]:
        s, gap = self.settings, figures["discriminator_gap"]
        rows = [*self.rows(figures), ("mean |D - D*|", "D is not a probability" if gap is None else f"{gap:.4f}")]
        rows.append(lessons.NO_LIKELIHOOD)
        yield f"GAN on {self.title}, {s.steps} steps, seed {s.seed}", rows


def defaults(loss: Literal[*ADVERSARIAL] = "nonsaturating") -> Settings:
    """Return the settings for a loss.

    A Wasserstein critic should be near its best at each of G's turns, and momentum harms it (Arjovsky et al. 2017, section 4). The usual
    penalty of 10 is a trap in one dimension: slopes of +1 and -1 are two wells, and a critic of the wrong sign can leave one only where
    E[l(x)] - E[l(G(z))] gains more than the penalty of slope 0. With 0.1 it can; the price is a slope above 1.
    """
    critic = {"steps": 2000, "critic_steps": 5, "discriminator_rate": 2e-3, "generator_rate": 1e-3, "beta1": 0.0}
    if loss == "wasserstein":
        return Settings(loss=loss, **critic, beta2=0.99, weight_bound=0.1)
    if loss == "wasserstein-gp":
        return Settings(loss=loss, **critic, beta2=0.9, penalty=0.1)
    return Settings(loss=loss)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
