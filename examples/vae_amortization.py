"""What does a VAE's encoder save, and what does it cost?

A VAE's posterior q(z|x) is a normal distribution, and an encoder gives its mean and its variance for any image in one pass. Without an
encoder, each training image has a mean and a variance of its own, a row of a table, and all rows are learned together with the decoder.
This lesson trains both on the same images, in the same batches, with decoders that begin alike:

    encoder    raise the mean of ELBO(x_i; f(x_i)) over f and the decoder         Kingma & Welling 2014
    table      raise the mean of ELBO(x_i; lambda_i) over all rows lambda_i and the decoder

The table grows with the number of images, learns a row only when its image is in the batch, and knows nothing about new images: their rows
have to be fitted first, step by step, while the decoder is held fixed. Amortization saves all this. What it costs shows on new images
(Cremer, Li & Duvenaud 2018):

    log p(x) - ELBO(encoder's q)  =  [log p(x) - ELBO(fitted q)]  +  [ELBO(fitted q) - ELBO(encoder's q)]
                                      approximation gap               amortization gap

    python examples/vae_amortization.py
    python examples/vae_amortization.py --full-covariance --out runs/vae_amortization-full     # the approximation gap is smaller
    python examples/vae_amortization.py --images 300 --steps 1500 --out runs/vae_amortization-300     # the amortization gap is larger
    python examples/vae_amortization.py --data mnist --out runs/vae_amortization-mnist
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np

import minigen as mg
from minigen import lessons, metrics, plots
from minigen.data import Batches, binarize
from minigen.lessons import SHOWN, Count, Positive, Range
from minigen.models import VAE, Together, mlp_vae, posterior_table
from minigen.training import fit_likelihood

DRAWS = 32  # of z for each image, in an ELBO
MONITORED = 500  # images whose ELBO is recorded during training


@dataclass(frozen=True, kw_only=True)
class Options(lessons.ImageOptions):
    fit_steps: Count = 500  # steps of Adam that fit a new image's q
    evaluation_k: Count = 1000  # draws of z that estimate log p(x) of an image


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    data: lessons.ImageSet = "digits"  # what to learn, as fixed bits
    images: Annotated[int, Range(100)] = 1438  # images to learn from
    held_out: Annotated[int, Range(SHOWN)] = 359  # images whose gaps are measured, and as many of the training images
    hidden: tuple[Count, ...] = (100, 100)  # units of the encoder's hidden layers; the decoders have them in reverse
    latent: Count = 8  # dimension of z
    full_covariance: bool = False  # of q(z|x), in place of a diagonal one
    steps: Count = 5000  # steps of Adam
    batch_size: Count = 100  # images in a step
    learning_rate: Positive = 1e-2  # Adam's at the start; it falls to 0 along half a cosine
    run: Options = Options()


class Lesson(lessons.ImageLesson[Settings]):
    evaluation_seed = 20180110

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        self.title = f"{self.training.name}, {'full' if s.full_covariance else 'diagonal'} covariance"
        self.x, self.new = self.bits()
        q = {"latent": s.latent, "full_covariance": s.full_covariance, "rng": self.rng}
        amortized = mlp_vae(size=self.size, hidden=s.hidden, **q)
        free = copy.deepcopy(amortized)
        free.encoder = posterior_table(s.images, **q)
        self.together = Together(encoder=amortized, table=free).to(self.device)  # each learns as it would alone
        self.amortized, self.free = amortized, free
        self.optimizer = self.adam(self.together)
        self.batches = Batches((self.x, np.arange(s.images)), batch_size=s.batch_size, rng=self.order)
        self.run = self.new_run(
            f"VAEs, {self.title}", rows=60, monitor=self.monitor,
            parts={"models": self.together, "optimizer": self.optimizer, "batches": self.batches},
        )  # fmt: skip

    def train(self) -> None:
        """Raise the ELBO of both models on the same images; the table is asked for their numbers."""
        batches = ({"encoder": x, "table": (x, numbers)} for x, numbers in self.on_device(self.batches))
        fit_likelihood(self.together, batches, self.optimizer, self.run, rng=self.rng)

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def bits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return training images and held-out ones, (N, H, W, C).

        Their bits are fixed: a row of the table belongs to one image, and would not fit another draw of its pixels.
        """
        s, most = self.settings, min(len(self.test.images), self.settings.images)
        if s.images > len(self.training.images):
            raise ValueError(f"--images {s.images}: there are {len(self.training.images)} images")
        if s.held_out > most:
            raise ValueError(f"--held-out {s.held_out}: there are {most} images")
        training = binarize(self.training.unit()[: s.images], protocol="static", key=0)
        return training, binarize(self.test.unit()[: s.held_out], protocol="static", key=1)

    def monitor(self) -> dict[str, float]:
        """Return the ELBO of some images, by each model that has posteriors for them."""
        seen, new = (self.to_device(images[:MONITORED]) for images in (self.x, self.new))
        return {
            "encoder_training": metrics.elbo(self.amortized, seen, rng=self.evaluation_rng()).elbo,
            "encoder_held_out": metrics.elbo(self.amortized, new, rng=self.evaluation_rng()).elbo,
            "table_training": metrics.elbo(self.free, (seen, np.arange(len(seen))), rng=self.evaluation_rng()).elbo,
        }

    def measure(self) -> dict[str, Any]:
        """Judge the inference of both models on held-out images, and on as many of the training images."""
        n, options, encoder, table = self.settings.held_out, self.settings.run, self.amortized, self.free
        seen, new = (self.to_device(images[:n]) for images in (self.x, self.new))
        fit = {"steps": options.fit_steps, "full_covariance": self.settings.full_covariance}
        infer = partial(
            metrics.judge_inference, **fit, draws=DRAWS, k=options.evaluation_k, make_rng=self.evaluation_rng
        )
        self.found = {
            ("encoder", "training"): infer(encoder, seen, encoder_input=seen),
            ("encoder", "held-out"): infer(encoder, new, encoder_input=new),
            ("table", "training"): infer(table, seen, encoder_input=np.arange(n)),
            ("table", "held-out"): infer(table, new, encoder_input=None),
        }
        parts = {"encoder": encoder.encoder, "table": table.encoder, "decoder": encoder.decoder}
        return {
            "inference": {f"{how}, {which} images": one.figures() for (how, which), one in self.found.items()},
            "steps_to_equal_the_encoder": self.found["encoder", "held-out"].steps_to_equal,
            "parameters": {name: part.count_parameters() for name, part in parts.items()},
            "fit_steps": options.fit_steps,
            "evaluation_k": options.evaluation_k,
        }

    def samples(self, n: int) -> lessons.Samples:
        """Draw n images from each model's prior and decoder."""
        drawn = {
            name: self.to_cpu(model.mean_images(self.evaluation_rng().normal((n, model.latent))))
            for name, model in (("encoder", self.amortized), ("table", self.free))
        }
        rows = [(f"trained with the {name}", images[:SHOWN]) for name, images in drawn.items()]
        return lessons.Samples(drawn, plots.image_rows(rows, title=f"{self.title}: samples"))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        history, own = self.run.history, self.found["encoder", "held-out"]
        bounds = {
            "encoder, training": history.column("encoder_training"),
            "table, training": history.column("table_training"),
            "encoder, held out": history.column("encoder_held_out"),
        }
        label = "ELBO (nats per image)"
        yield "training", plots.bound_curves(history.column("step"), bounds=bounds, label=label, title=self.title)
        gaps = {f"encoder,\n{which} images": self.found["encoder", which].gaps for which in ("training", "held-out")}
        levels = {"encoder": own.elbo, "log_likelihood": own.log_likelihood}
        title = f"{self.title}: posteriors of held-out images"
        yield "gaps", plots.inference_gaps(own.fitted.elbos, **levels, gaps=gaps, title=title)
        new, few = self.new[:SHOWN], np.arange(SHOWN)
        rows = [
            ("held out", new),
            ("by the encoder", self.decoded(self.amortized, self.to_device(new))),
            ("encoder's decoder,\nq fitted", self.decoded(own.fitted.vae, few)),
            ("table's decoder,\nq fitted", self.decoded(self.found["table", "held-out"].fitted.vae, few)),
        ]
        yield "reconstructions", plots.image_rows(rows, title=f"{self.title}: reconstructions")

    def decoded(self, vae: VAE, encoder_input: Any) -> np.ndarray:
        """Return the images of the posteriors' means, on the CPU."""
        with mg.no_grad():
            return self.to_cpu(vae.mean_images(vae.encode(encoder_input)))

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        def pair(which: str, name: str) -> str:
            values = (figures["inference"][f"{how}, {which} images"].get(name) for how in ("encoder", "table"))
            return "  ".join("-".rjust(8) if value is None else f"{value:8.2f}" for value in values)

        s, sizes, k = self.settings, figures["parameters"], figures["evaluation_k"]
        rows = [
            ("", "encoder     table"),
            ("numbers that give q(z|x)", f"{sizes['encoder']:8,}  {sizes['table']:8,}"),
            ("training images: ELBO", pair("training", "elbo")),
            ("  q fitted to each", pair("training", "fitted_elbo")),
            (f"  log p(x), by L_{k}", pair("training", "log_likelihood")),
            ("held-out images: ELBO, in one pass", pair("held-out", "elbo")),
            (f"  q fitted to each, {figures['fit_steps']} steps", pair("held-out", "fitted_elbo")),
            (f"  log p(x), by L_{k}", pair("held-out", "log_likelihood")),
            ("approximation gap, held-out", pair("held-out", "approximation_gap")),
            ("amortization gap, held-out", pair("held-out", "amortization_gap")),
            ("amortization gap, training", pair("training", "amortization_gap")),
            ("steps until a fitted q is as good", f"{figures['steps_to_equal_the_encoder']}"),
        ]
        title = f"With and without an encoder: {s.images:,} images of {s.data}, {s.steps} steps, seed {s.seed}"
        yield f"{title}; nats per image", rows


def defaults(data: lessons.ImageSet = "digits") -> Settings:
    """Return the settings for a data set."""
    if data == "digits":
        return Settings()
    sizes = {"images": 10_000, "held_out": 500, "hidden": (200, 200), "latent": 20}
    return Settings(data=data, **sizes, steps=20_000, learning_rate=3e-3)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
