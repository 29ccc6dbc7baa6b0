"""Train a variational autoencoder on images, and look at what it has learnt.

A code z ~ N(0, I) gives an image x by p(x|z), the decoder. The encoder q(z|x), a normal distribution, says which codes an
image may have come from. Both learn by raising a bound on log p(x), of one draw of z or of k draws:

    ELBO   E_q[log p(x|z)] - KL(q(z|x) || N(0, I))                              Kingma & Welling 2014, equation 3
    L_k    E_q[log 1/k sum_i p(x|z_i) p(z_i) / q(z_i|x)],  ELBO = L_1 <= L_k     Burda et al. 2016, equation 8

    python examples/vae.py                                                      # 8 x 8 digits, 8 latents
    python examples/vae.py --latent 2 --out runs/vae-plane                      # the plane of codes, beside an autoencoder's
    python examples/vae.py --data mnist --out runs/vae-mnist                    # network and protocol of Burda et al. 2016
    python examples/vae.py --data mnist --k 5 --out runs/iwae-mnist
    python examples/vae.py --data fashion --conv --likelihood gaussian-learned --latent 16 --out runs/vae-fashion
    python examples/vae.py --evaluate runs/vae --evaluation-k 5000              # a finished run again, more exactly
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

import minigen as mg
from minigen import lessons, nn, plots
from minigen.data import BINARIZATIONS, Batches, BinaryBatches, DequantizedBatches, Images, binarize, dequantize
from minigen.lessons import Count, NonNegative, Positive, Whole
from minigen.models import LIKELIHOODS, Autoencoder, conv_autoencoder, conv_vae, mlp_autoencoder, mlp_vae
from minigen.optim import linear_warmup
from minigen.random import Generator
from minigen.training import fit_likelihood


@dataclass(frozen=True, kw_only=True)
class Options(lessons.LatentOptions):
    evaluation_k: Count = 100  # draws of z that estimate log p(x) of a test image


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.LatentSettings):
    binarization: Literal["none", *BINARIZATIONS] = "none"  # how pixels become bits, for the Bernoulli likelihood
    likelihood: Literal[*LIKELIHOODS] = "gaussian-learned"  # p(x|z) of a pixel
    latent: Count = 8  # dimension of z
    hidden: tuple[Count, ...] = (128, 128)  # units of the encoder's hidden layers; the decoder has them in reverse
    conv: bool = False  # strided and transposed convolutions in place of these layers
    full_covariance: bool = False  # of q(z|x), in place of a diagonal one
    k: Count = 1  # draws of z in the bound that is raised; 1: the ELBO
    beta: Positive = 1.0  # weight of the KL term
    free_bits: NonNegative = 0.0  # nats of KL that cost nothing, for each latent
    warm_up: Whole = 0  # steps in which beta rises from 0
    steps: Count = 6000  # steps of Adam
    learning_rate: Positive = 3e-3  # Adam's at the start; it falls to 0 along half a cosine
    run: Options = Options()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > 1 and (self.beta != 1 or self.free_bits or self.warm_up):
            raise ValueError("--k above 1 has no KL term of its own: --beta, --free-bits and --warm-up are for --k 1")
        if self.conv and self.hidden:
            raise ValueError("--hidden is about fully connected layers, but --conv is given")
        if (self.binarization == "none") == (self.likelihood == "bernoulli"):
            raise ValueError(
                f"--binarization makes bits, which are for --likelihood bernoulli: {self.binarization} does not go with {self.likelihood}"
            )


class Lesson(lessons.LatentLesson[Settings]):
    evaluation_seed = 20131220

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{f'IWAE, k = {s.k}' if s.k > 1 else 'VAE'}, {self.training.name}"
        q = {"latent": s.latent, "full_covariance": s.full_covariance}
        objective = {"samples": s.k, "beta": s.beta, "free_bits": s.free_bits}
        family = {"size": self.size, "likelihood": s.likelihood, "rng": self.rng, **q, **objective}
        self.model = (conv_vae(**family) if s.conv else mlp_vae(hidden=s.hidden, **family)).to(self.device)
        self.optimizer = self.adam(self.model)
        self.batches = batches(self.training, s, self.order)
        z = self.prior_codes(lessons.SHOWN)
        self.snapshots = lessons.Snapshots(lambda: self.decode(z), (len(z), *self.size))
        self.run = self.new_run(
            self.title, rows=200, monitor=self.monitor,
            parts={"model": self.model, "optimizer": self.optimizer, "batches": self.batches, "snapshots": self.snapshots},
        )  # fmt: skip
        self.seen = self.observe(self.test)
        self.beside = AutoencoderBeside(s) if s.latent == 2 else None
        self.runs += self.beside.runs if self.beside else []

    def train(self) -> None:
        """Raise the bound, one batch of images after the other."""
        s, images = self.settings, self.on_device(self.batches)
        beta = linear_warmup(s.beta, steps=s.warm_up) if s.warm_up else None
        for step in self.run:
            self.snapshots.look(step / self.steps_per_epoch)
            if beta:
                self.model.beta = beta(step)
            x = next(images)  # (batch_size, H, W, C)
            self.optimizer.zero_grad()
            loss, terms = self.model.loss(x, rng=self.rng)
            self.run.stop_if_diverged(step, loss, terms)
            loss.backward()
            self.optimizer.step()
            self.run.log(step, terms)
        if self.beside:
            self.beside.train()

    # ------------------------------------------------------------------------------- what is measured and shown

    def observe(self, images: Images) -> np.ndarray:
        """Return images as the model sees them, (N, H, W, C); the same at each call."""
        rng, protocol = Generator(self.evaluation_seed), self.settings.binarization
        if protocol == "none":
            return dequantize(images, rng=rng)
        return binarize(images.unit(), protocol=protocol, rng=rng)

    def monitor(self) -> dict[str, float]:
        """Return the ELBO of some test images."""
        with mg.no_grad():
            bound = self.model.bound(mg.tensor(self.seen[:1000], device=self.device), rng=self.evaluation_rng())
        return {"test_elbo": mg.mean(bound.log_likelihood - bound.divergence).item()}

    def measure(self) -> dict[str, Any]:
        s, levels = self.settings, self.test.levels if self.settings.binarization == "none" else 1
        figures = self.bound_figures(draws=10, k=s.run.evaluation_k, levels=levels) | self.code_figures()
        if self.beside:
            self.planes = self.judged_planes(self.beside.model)
            figures["latent_space"] = {name: plane.figures for name, plane in self.planes.items()}
        return figures

    def samples(self, n: int) -> lessons.Samples:
        z, rng = self.prior_codes(n), self.evaluation_rng()
        drawn = nn.in_batches(lambda z: self.model.decode(z).sample(rng=rng), z, device=self.device)
        means = self.decode(z)
        picture = plots.image_grid(means[:400], title=f"{self.title}: E[x|z], z from the prior")
        return lessons.Samples({"z": z, "means": means, "samples": drawn}, picture)

    def judged_planes(self, autoencoder: Autoencoder) -> dict[str, lessons.Plane]:
        """Judge the autoencoder's codes and the VAE's."""

        def observer() -> Callable[[np.ndarray], np.ndarray]:
            protocol, noise = self.settings.binarization, Generator(self.evaluation_seed)
            return lambda images: images if protocol == "none" else binarize(images, protocol=protocol, rng=noise)

        def decode(z: np.ndarray) -> np.ndarray:
            return nn.in_batches(autoencoder.mean_images, z, device=self.device)

        return {
            "autoencoder": self.plane(observer(), autoencoder.codes, decode, has_prior=False),
            "VAE": self.plane(observer(), self.codes, self.decode, has_prior=True),
        }

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        history, k = self.run.history, self.settings.k
        bounds = {"ELBO, batches": history.column("elbo"), "ELBO, test images": history.column("test_elbo")}
        if k > 1:
            bounds[f"$L_{{{k}}}$, batches"] = [-loss for loss in history.column("loss")]
        levels = {f"$L_{{{figures['evaluation_k']}}}$, test images": figures["log_likelihood"]}
        yield "training", plots.bound_curves(history.column("step"), bounds=bounds, levels=levels, title=self.title)
        yield "samples-by-epoch", plots.image_rows(self.snapshots.rows(), title=f"{self.title}: samples by epoch")
        yield "inpainting", self.inpainting()
        yield from self.code_pictures(figures, as_bits=self.settings.binarization != "none")
        if self.settings.latent == 2:
            yield "manifold", self.manifold()
            yield "codes", self.codes_of_planes(self.planes)
            rows = [(name, plane.drawn) for name, plane in self.planes.items()]
            yield "new-codes", plots.image_rows(rows, title="Images of new codes")

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s = self.settings
        yield f"VAE on {s.data}, {s.steps} steps, seed {s.seed}", self.rows(figures)


class AutoencoderBeside(lessons.ImageLesson[Settings]):
    """An autoencoder with the VAE's networks, but no noise on its codes and no prior, trained on the same images as long."""

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        family = {"size": self.size, "likelihood": s.likelihood, "code": s.latent, "rng": self.rng}
        build = conv_autoencoder if s.conv else partial(mlp_autoencoder, hidden=s.hidden, activation=nn.Tanh)
        self.model = build(**family).to(self.device)
        self.optimizer = self.adam(self.model)
        self.batches = batches(self.training, s, self.order)
        parts = {"model": self.model, "optimizer": self.optimizer, "batches": self.batches}
        self.run = self.new_run(
            f"autoencoder, {self.training.name}", rows=200, file="autoencoder.safetensors", parts=parts
        )

    def train(self) -> None:
        fit_likelihood(self.model, self.on_device(self.batches), self.optimizer, self.run, rng=self.rng)


def batches(training: Images, s: Settings, order: Generator) -> Batches:
    """Return what a model learns from: bits by the protocol, or grey values with noise between their levels."""
    if s.binarization == "none":
        return DequantizedBatches(training, batch_size=s.batch_size, rng=order)
    return BinaryBatches(training.unit(), protocol=s.binarization, batch_size=s.batch_size, rng=order)


def defaults(
    data: lessons.ImageSet = "digits", conv: bool = False, likelihood: Literal[*LIKELIHOODS] | None = None
) -> Settings:
    """Return the settings for a data set: for MNIST those of Burda et al. 2016, 300 times through 60,000 images."""
    likelihood = likelihood or ("bernoulli" if data == "mnist" else "gaussian-learned")
    chosen = {"data": data, "conv": conv, "likelihood": likelihood}
    chosen["binarization"] = "dynamic" if likelihood == "bernoulli" else "none"
    if data != "digits":
        chosen |= {"hidden": (200, 200), "latent": 50, "batch_size": 100}
    if data == "mnist":
        chosen |= {"steps": 180_000, "run": Options(evaluation_k=100 if conv else 5000)}
    if data == "fashion":
        chosen |= {"steps": 60_000, "learning_rate": 1e-3}
    return Settings(**chosen | ({"hidden": ()} if conv else {}))


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
