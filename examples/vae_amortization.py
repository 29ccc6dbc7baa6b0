"""What does a VAE's encoder save, and what does it cost?

A VAE's posterior q(z|x) is normal; an encoder says its mean and its variance for any image in one pass. Without an encoder each training
image has a mean and a variance of its own, a row of a table, and all rows are learnt together with the decoder. This program trains both on
the same images, in the same batches, with decoders that begin alike.

The table needs as many numbers as there are images, learns a row only when its image comes by, and knows nothing of new images: their rows
are fitted first, step by step, while the decoder stands still. So much does amortization save. What it costs shows on new images
(Cremer, Li & Duvenaud 2018):

    log p(x) - ELBO(encoder's q)  =  [log p(x) - ELBO(fitted q)]  +  [ELBO(fitted q) - ELBO(encoder's q)]
                                      approximation gap               amortization gap

    python examples/vae_amortization.py
    python examples/vae_amortization.py --full-covariance --out runs/vae_amortization-full     # the approximation gap is smaller
    python examples/vae_amortization.py --images 300 --steps 1500 --out runs/vae_amortization-300     # the amortization gap is larger
    python examples/vae_amortization.py --data mnist --out runs/vae_amortization-mnist

It writes pictures, metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same
command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import minigen as mg
from minigen import metrics, nn, plots
from minigen.data import IMAGE_SETS, Batches, Images, binarize, load_images
from minigen.engine import Tensor
from minigen.models import VAE, fit_posteriors, mlp_vae, posterior_table
from minigen.optim import Adam, cosine
from minigen.random import Generator
from minigen.training import (
    CHECKPOINT,
    Run,
    add_run_options,
    at_least,
    fit_likelihood,
    plain_errors,
    positive,
    recall,
    run_program,
    table,
    versions,
    write_arrays,
    write_metrics,
)

EVALUATION_SEED = 20180110
DRAWS = 32  # of z for each image, in an ELBO
MONITORED = 500  # images whose ELBO is recorded during training
ROWS = 60  # of the history
SHOWN = 12  # images in a row

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = ("data", "images", "held_out", "hidden", "latent", "full_covariance", "batch_size", "learning_rate", "seed")
DIGITS = {"images": 1438, "held_out": 359, "hidden": [100, 100], "latent": 8, "steps": 5000, "learning_rate": 1e-2}
LARGE = {"images": 10_000, "held_out": 500, "hidden": [200, 200], "latent": 20, "steps": 20_000, "learning_rate": 3e-3}
DEFAULTS: dict[str, dict[str, Any]] = {"digits": DIGITS, "mnist": LARGE, "fashion": LARGE}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        lesson = Lesson(*load_images(arguments.data, folder=arguments.data_dir), arguments)
        lesson.run.begin(resume=is_trained or arguments.resume, overwrite=arguments.overwrite)
    if arguments.sample:
        write_samples(lesson, arguments.sample)
        return
    if not is_trained:
        lesson.learn()
    found = measure(lesson)
    figures = summarize(lesson, found)
    if not arguments.no_plots:
        draw(lesson, found, figures)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to learn, as fixed bits (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument(
        "--images", type=at_least(100), metavar="N", help="to learn from (1,438, all; mnist and fashion: 10,000)"
    )
    options.add_argument(
        "--held-out",
        type=at_least(SHOWN),
        metavar="N",
        help="images whose gaps are measured, and as many of the training images (359, all; mnist and fashion: 500)",
    )
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the encoder's hidden layers; decoders have them in reverse (100 100; mnist and fashion: 200 200)",
    )
    options.add_argument("--latent", type=at_least(1), metavar="D", help="dimension of z (8; mnist and fashion: 20)")
    options.add_argument("--full-covariance", action="store_true", help="of q(z|x) (diagonal)")
    options.add_argument("--steps", type=at_least(1), help="of Adam (5,000; mnist and fashion: 20,000)")
    options.add_argument("--batch-size", type=at_least(1), default=100, help="images per step (100)")
    options.add_argument(
        "--learning-rate",
        type=positive,
        help="at first; it falls to 0 along half a cosine (0.01; mnist and fashion: 0.003)",
    )
    options.add_argument(
        "--fit-steps", type=at_least(1), default=500, metavar="STEPS", help="of Adam for a new image's q (500)"
    )
    options.add_argument(
        "--evaluation-k", type=at_least(1), default=1000, metavar="K", help="draws that estimate log p(x) (1,000)"
    )
    add_run_options(parser, out="runs/vae_amortization")
    arguments = parser.parse_args()
    for name, value in DEFAULTS[arguments.data].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


class Pair(nn.Module):
    """A VAE with an encoder and one with a table. They share nothing, so Adam trains each as if it were alone."""

    def __init__(self, amortized: VAE, free: VAE) -> None:
        self.amortized, self.free = amortized, free

    def loss(self, batch: tuple[Tensor, Tensor], *, rng: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the sum of both losses on the same images, with their numbers, and both ELBOs."""
        images, numbers = batch
        amortized, encoder_terms = self.amortized.loss(images, rng=rng)
        free, table_terms = self.free.loss((images, numbers), rng=rng)
        return amortized + free, {"encoder": encoder_terms["elbo"], "table": table_terms["elbo"]}


class Lesson:
    """Both models, what trains them, the run that counts the steps, and the images."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        for name, wanted, there in (
            ("--images", arguments.images, len(training.images)),
            ("--held-out", arguments.held_out, min(len(test.images), arguments.images)),
        ):
            if wanted > there:
                raise ValueError(f"{name} {wanted}: there are {there} images")
        self.arguments, self.device = arguments, arguments.device
        # Fixed bits: a row of the table is about one image, and would not fit another draw of its pixels.
        self.x = binarize(training.unit()[: arguments.images], protocol="static", key=0)
        self.held_out = binarize(test.unit()[: arguments.held_out], protocol="static", key=1)
        self.name = f"{training.name}, {'full' if arguments.full_covariance else 'diagonal'} covariance"

        self.rng = Generator(arguments.seed, device=self.device)
        family = {"latent": arguments.latent, "full_covariance": arguments.full_covariance}
        _, height, width, channels = training.images.shape
        amortized = mlp_vae(size=(height, width, channels), hidden=tuple(arguments.hidden), rng=self.rng, **family)
        free = copy.deepcopy(amortized)
        free.encoder = posterior_table(arguments.images, rng=self.rng, **family)
        self.models = Pair(amortized, free)
        self.models.to(self.device)
        self.optimizer = Adam(self.models, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        order = Generator(arguments.seed + 2**32)
        self.batches = Batches((self.x, np.arange(arguments.images)), batch_size=arguments.batch_size, rng=order)
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"VAEs, {self.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "models": self.models,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )

    def learn(self) -> None:
        """Train until the run's last step."""
        fit_likelihood(self.models, self.on_device(), self.optimizer, self.run, rng=self.rng)

    def on_device(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images, (batch_size, H, W, C), with their numbers, (batch_size,)."""
        for images, numbers in self.batches:
            yield mg.tensor(images, device=self.device), mg.tensor(numbers, device=self.device)

    def judge(self) -> Generator:
        """Return what draws in measuring and drawing: the same numbers each time, however training ended."""
        return Generator(EVALUATION_SEED, device=self.device)

    def monitor(self) -> dict[str, float]:
        """Return the ELBO of some images, by each model that has a posterior of them."""
        seen, new = (mg.tensor(images[:MONITORED], device=self.device) for images in (self.x, self.held_out))
        return {
            "encoder_training": metrics.elbo(self.models.amortized, seen, rng=self.judge()).elbo,
            "encoder_held_out": metrics.elbo(self.models.amortized, new, rng=self.judge()).elbo,
            "table_training": metrics.elbo(self.models.free, (seen, np.arange(len(seen))), rng=self.judge()).elbo,
        }


class Inference(NamedTuple):
    """What one model's inference makes of some images, in nats per image.

    Attributes:
        elbo: by the posterior that the model has of them, or None.
        fitted_elbo: by the posteriors fitted to them.
        log_likelihood: L_k, its draws from the fitted posteriors.
        elbos: the mean ELBO before each step of the fit.
        reconstructions: of the first few images, from the fitted posteriors' means.
    """

    elbo: float | None
    fitted_elbo: float
    log_likelihood: float
    elbos: list[float]
    reconstructions: NDArray[np.float32]

    @property
    def gaps(self) -> dict[str, float]:
        """What is lost to the family of q, and to the way in which q is found."""
        gaps = {"approximation gap": self.log_likelihood - self.fitted_elbo}
        return gaps if self.elbo is None else gaps | {"amortization gap": self.fitted_elbo - self.elbo}


def measure(lesson: Lesson) -> dict[tuple[str, str], Inference]:
    """Measure both models on held-out images, and on as many of the training images."""
    n, models = lesson.arguments.held_out, lesson.models
    seen, new = (mg.tensor(images[:n], device=lesson.device) for images in (lesson.x, lesson.held_out))
    return {
        ("encoder", "training"): infer(lesson, models.amortized, seen, clue=seen),
        ("encoder", "held-out"): infer(lesson, models.amortized, new, clue=new),
        ("table", "training"): infer(lesson, models.free, seen, clue=np.arange(n)),
        ("table", "held-out"): infer(lesson, models.free, new, clue=None),
    }


def infer(lesson: Lesson, vae: VAE, images: Tensor, clue: Any) -> Inference:
    """Fit posteriors to the images, and compare them with what the model says by itself, where there is a clue to ask it with."""
    arguments, rows = lesson.arguments, np.arange(len(images))
    own = None if clue is None else metrics.elbo(vae, (images, clue), draws=DRAWS, rng=lesson.judge()).elbo
    fitted = fit_posteriors(
        vae,
        images.data,
        steps=arguments.fit_steps,
        full_covariance=arguments.full_covariance,
        rng=lesson.judge(),
    )
    likelihood = metrics.importance_log_likelihood(
        fitted.vae, (images, rows), samples=arguments.evaluation_k, rng=lesson.judge()
    )
    return Inference(
        own,
        metrics.elbo(fitted.vae, (images, rows), draws=DRAWS, rng=lesson.judge()).elbo,
        likelihood.mean,
        fitted.elbos,
        decoded(fitted.vae, rows[:SHOWN]),
    )


def decoded(vae: VAE, clue: Any) -> NDArray[np.float32]:
    """Return the images of the posteriors' means, on the CPU."""
    with mg.no_grad():
        return mg.tensor(vae.mean_images(vae.encode(clue))).to("cpu").numpy()


def summarize(lesson: Lesson, found: dict[tuple[str, str], Inference]) -> dict[str, Any]:
    """Return all figures, with the settings."""
    arguments, models = lesson.arguments, lesson.models
    own = found["encoder", "held-out"]
    sizes = {
        "encoder": models.amortized.encoder,
        "table": models.free.encoder,
        "decoder": models.amortized.decoder,
    }
    return lesson.run.configuration | {
        "inference": {
            f"{how}, {which} images": {
                "elbo": one.elbo,
                "fitted_elbo": one.fitted_elbo,
                "log_likelihood": one.log_likelihood,
                **{name.replace(" ", "_"): gap for name, gap in one.gaps.items()},
            }
            for (how, which), one in found.items()
        },
        # After how many steps a new image's own q is as good as the encoder's.
        "steps_to_equal_the_encoder": next((i for i, elbo in enumerate(own.elbos) if elbo >= (own.elbo or 0)), None),
        "parameters": {name: sum(p.size for p in part.parameters()) for name, part in sizes.items()},
        "steps": arguments.steps,
        "fit_steps": arguments.fit_steps,
        "evaluation_k": arguments.evaluation_k,
        "device": arguments.device,
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def draw(lesson: Lesson, found: dict[tuple[str, str], Inference], figures: dict[str, Any]) -> None:
    """Write the course of the training, the gaps, and reconstructions."""
    arguments, history = lesson.arguments, lesson.run.history
    own = found["encoder", "held-out"]
    bounds = {
        "encoder, training": "encoder_training",
        "table, training": "table_training",
        "encoder, held out": "encoder_held_out",
    }
    new = mg.tensor(lesson.held_out[:SHOWN], device=lesson.device)
    pictures = {
        "training": plots.bound_curves(
            history.column("step"),
            bounds={label: history.column(name) for label, name in bounds.items()},
            label="ELBO (nats per image)",
            title=lesson.name,
        ),
        "gaps": plots.inference_gaps(
            own.elbos,
            encoder=own.elbo or 0.0,
            log_likelihood=own.log_likelihood,
            gaps={f"encoder,\n{which} images": found["encoder", which].gaps for which in ("training", "held-out")},
            title=f"{lesson.name}: posteriors of held-out images",
        ),
        "reconstructions": plots.image_rows(
            [
                ("held out", lesson.held_out[:SHOWN]),
                ("by the encoder", decoded(lesson.models.amortized, new)),
                ("encoder's decoder,\nq fitted", own.reconstructions),
                ("table's decoder,\nq fitted", found["table", "held-out"].reconstructions),
            ],
            title=f"{lesson.name}: reconstructions",
        ),
    }
    for name, figure in pictures.items():
        plots.save(figure, arguments.out / f"{name}.{arguments.format}")


def write_samples(lesson: Lesson, n: int) -> None:
    """Draw n images from each model's prior and decoder."""
    arguments = lesson.arguments
    drawn = {
        name: mg.tensor(model.mean_images(lesson.judge().normal((n, model.latent)))).to("cpu").numpy()
        for name, model in (("encoder", lesson.models.amortized), ("table", lesson.models.free))
    }
    write_arrays(arguments.out / "samples.npz", **drawn)
    figure = plots.image_rows(
        [(f"trained with the {name}", images[:SHOWN]) for name, images in drawn.items()],
        title=f"{lesson.name}: samples",
    )
    plots.save(figure, arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    def pair(which: str, name: str) -> str:
        by_model = (figures["inference"][f"{how}, {which} images"].get(name) for how in ("encoder", "table"))
        return "  ".join("-".rjust(8) if value is None else f"{value:8.2f}" for value in by_model)

    parameters, k = figures["parameters"], figures["evaluation_k"]
    rows = [
        ("", "encoder     table"),
        ("numbers that say q(z|x)", f"{parameters['encoder']:8,}  {parameters['table']:8,}"),
        ("training images: ELBO", pair("training", "elbo")),
        ("  q fitted to each", pair("training", "fitted_elbo")),
        (f"  log p(x), by L_{k}", pair("training", "log_likelihood")),
        ("held-out images: ELBO, at once", pair("held-out", "elbo")),
        (f"  q fitted to each, {figures['fit_steps']} steps", pair("held-out", "fitted_elbo")),
        (f"  log p(x), by L_{k}", pair("held-out", "log_likelihood")),
        ("approximation gap, held-out", pair("held-out", "approximation_gap")),
        ("amortization gap, held-out", pair("held-out", "amortization_gap")),
        ("amortization gap, training", pair("training", "amortization_gap")),
        ("steps until a fitted q is as good", f"{figures['steps_to_equal_the_encoder']}"),
        ("seconds of training both", f"{figures['seconds']:.1f}"),
    ]
    title = f"With and without an encoder: {arguments.images:,} images of {arguments.data}, {arguments.steps} steps"
    print(table(rows, f"{title}, seed {arguments.seed}; nats per image"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
