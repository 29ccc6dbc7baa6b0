"""Train a variational autoencoder on images, and look at what it has learnt.

An encoder says of each image x which codes z it may have come from, a normal q(z|x); a decoder says which images a code may give, p(x|z).
Both learn by raising the ELBO, a bound on log p(x) (Kingma & Welling 2014); with --k above 1, the tighter bound of k weighted draws (Burda
et al. 2016). Codes drawn from N(0, I) then give new images.

    python examples/vae.py                                             # 8 x 8 digits, 8 latents
    python examples/vae.py --latent 2 --out runs/vae-plane             # draws the plane of codes, and compares an autoencoder's
    python examples/vae.py --data mnist --out runs/vae-mnist           # the network and the protocol of Burda et al. 2016
    python examples/vae.py --data mnist --k 5 --out runs/iwae-mnist
    python examples/vae.py --data fashion --conv --likelihood gaussian-learned --latent 16 --out runs/vae-fashion
    python examples/vae.py --evaluate runs/vae --evaluation-k 5000     # the figures of a finished run again, more exactly

It writes pictures, metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same
command with --resume goes on from there, to the same result bit by bit. With --resume, --steps may also grow: the learning rate, which
falls to 0, is then that of the longer run from there on.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import minigen as mg
from minigen import metrics, nn, plots
from minigen.data import (
    BINARIZATIONS,
    IMAGE_SETS,
    Batches,
    BinaryBatches,
    DequantizedBatches,
    Images,
    binarize,
    dequantize,
    load_images,
)
from minigen.models import (
    LIKELIHOODS,
    VAE,
    Autoencoder,
    ConvClassifier,
    conv_autoencoder,
    conv_vae,
    inpaint,
    interpolate,
    mlp_autoencoder,
    mlp_vae,
)
from minigen.optim import Adam, cosine, linear_warmup
from minigen.random import Generator
from minigen.training import (
    CHECKPOINT,
    Run,
    add_run_options,
    at_least,
    fit_likelihood,
    load_classifier,
    plain_errors,
    positive,
    recall,
    run_program,
    table,
    versions,
    write_arrays,
    write_metrics,
)

EVALUATION_SEED = 20131220
MONITORED = 1000  # test images whose ELBO is recorded during training
ROWS = 200  # of the history
DRAWS = 10  # of z for each test image, in the ELBO
COMPARED = 1000  # samples and test images whose nearest training images are looked for
JUDGED = (10_000, 2_000)  # training and test images by whose codes the plane of two latents is judged
EPOCHS_SHOWN = (0, 1, 3, 10, 30, 100, 300, 1000)  # after how many of them samples are drawn
SHOWN = 12  # images in a row
LATTICE = 20  # codes along each axis of the plane
PAIRS = ((4, 9), (3, 8), (7, 1), (5, 6))  # classes between which codes are moved

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = (
    "data", "binarization", "likelihood", "conv", "hidden", "latent", "full_covariance", "k", "beta", "free_bits", "warm_up", "batch_size",
    "learning_rate", "seed",
)  # fmt: skip
BINARY = {"likelihood": "bernoulli", "hidden": [200, 200], "latent": 50, "batch_size": 100, "learning_rate": 3e-3}
GREY = {"likelihood": "gaussian-learned", "hidden": [128, 128], "latent": 8, "batch_size": 64, "learning_rate": 3e-3}
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": GREY | {"steps": 6000},
    "mnist": BINARY | {"steps": 180_000},  # 300 times through 60,000 images
    "fashion": BINARY | {"likelihood": "gaussian-learned", "steps": 60_000, "learning_rate": 1e-3},
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        lesson = Lesson(training, test, arguments)
        extractor = load_extractor(arguments, lesson.model)
        lesson.run.begin(resume=is_trained or arguments.resume, overwrite=arguments.overwrite)
    if arguments.sample:
        write_samples(lesson, arguments.sample)
        return
    if not is_trained:
        lesson.learn()
    judged = planes(lesson, is_trained) if arguments.latent == 2 else {}
    figures = measure(lesson, extractor)
    if judged:
        figures["latent_space"] = {name: found.figures for name, found in judged.items()}
    if not arguments.no_plots:
        draw(lesson, judged, figures)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("images (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to learn (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument(
        "--binarization",
        choices=BINARIZATIONS,
        help="how grey pixels become bits, for the Bernoulli likelihood (dynamic); Gaussian ones take grey pixels",
    )
    options = parser.add_argument_group("model (default)")
    options.add_argument(
        "--likelihood", choices=LIKELIHOODS, help="p(x|z) of a pixel (gaussian-learned; mnist: bernoulli)"
    )
    options.add_argument("--latent", type=at_least(1), metavar="D", help="dimension of z (8; mnist and fashion: 50)")
    options.add_argument("--conv", action="store_true", help="strided and transposed convolutions (fully connected)")
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the encoder's hidden layers; the decoder has them in reverse (128 128; mnist and fashion: 200 200)",
    )
    options.add_argument("--full-covariance", action="store_true", help="of q(z|x) (diagonal)")
    options = parser.add_argument_group("objective (default)")
    options.add_argument("--k", type=at_least(1), default=1, help="draws in the bound that is trained on (1: the ELBO)")
    options.add_argument("--beta", type=positive, default=1.0, help="weight of the KL term (1)")
    options.add_argument(
        "--free-bits",
        type=positive,
        default=0.0,
        metavar="NATS",
        help="of KL that cost nothing, for each latent (none)",
    )
    options.add_argument(
        "--warm-up", type=at_least(0), default=0, metavar="STEPS", help="in which beta rises from 0 (0)"
    )
    options = parser.add_argument_group("training (default)")
    options.add_argument("--steps", type=at_least(1), help="of Adam (6,000; mnist: 180,000; fashion: 60,000)")
    options.add_argument("--batch-size", type=at_least(1), help="images per step (64; mnist and fashion: 100)")
    options.add_argument(
        "--learning-rate",
        type=positive,
        help="at first; it falls to 0 along half a cosine (0.003; fashion: 0.001)",
    )
    options = parser.add_argument_group("evaluation (default)")
    options.add_argument(
        "--evaluation-k",
        type=at_least(1),
        metavar="K",
        help="draws for each test image that estimate log p(x) (100; mnist: 5,000 without --conv, which takes minutes)",
    )
    options.add_argument(
        "--extractor",
        type=Path,
        metavar="FILE",
        help="the classifier that examples/digits_conv.py left, for the Fréchet distance of samples to test images (none)",
    )
    add_run_options(parser, out="runs/vae")
    arguments = parser.parse_args()
    if arguments.k > 1 and (arguments.beta != 1 or arguments.free_bits or arguments.warm_up):
        parser.error("--k above 1 has no KL term of its own: --beta, --free-bits and --warm-up are for --k 1")
    if arguments.conv and arguments.hidden:
        parser.error("--hidden is about fully connected layers, but --conv is given")
    arguments.hidden = [] if arguments.conv else arguments.hidden
    for name, value in DEFAULTS[arguments.data].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    if arguments.likelihood == "bernoulli":
        arguments.binarization = arguments.binarization or "dynamic"
    elif arguments.binarization:
        parser.error(f"--binarization makes bits, but --likelihood {arguments.likelihood} is about grey pixels")
    if arguments.evaluation_k is None:
        arguments.evaluation_k = 5000 if arguments.data == "mnist" and not arguments.conv else 100
    return arguments


class Lesson:
    """The model, what trains it, the run that counts its steps, and the test images."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.training, self.test, self.arguments = training, test, arguments
        self.device = arguments.device
        self.name = f"{f'IWAE, k = {arguments.k}' if arguments.k > 1 else 'VAE'}, {training.name}"
        self.rng = Generator(arguments.seed, device=self.device)
        self.model = build_vae(training.images.shape[1:], arguments, self.rng)
        self.model.to(self.device)
        self.optimizer = Adam(self.model, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        self.order = Generator(arguments.seed + 2**32)
        self.batches = make_batches(training, arguments, self.order)
        self.snapshots = Snapshots(self.model)
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=self.name,
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "model": self.model,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": self.order,
                "snapshots": self.snapshots,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )
        self.seen = self.observe(test)  # (N, H, W, C)

    def learn(self) -> None:
        """Train until the run's last step."""
        warm_up, beta = self.arguments.warm_up, self.arguments.beta
        fit_likelihood(
            self.model,
            self.on_device(),
            self.optimizer,
            self.run,
            rng=self.rng,
            anneal={"beta": linear_warmup(beta, steps=warm_up)} if warm_up else None,
        )

    def on_device(self) -> Iterator[mg.Tensor]:
        """Yield images, (batch_size, H, W, C), and keep what the model draws after some epochs."""
        steps_per_epoch = len(self.training.images) // self.arguments.batch_size
        for images in self.batches:
            self.snapshots.look(self.run.step / steps_per_epoch)
            yield mg.tensor(images, device=self.device)

    def monitor(self) -> dict[str, float]:
        """Return the ELBO of some test images."""
        images = mg.tensor(self.seen[:MONITORED], device=self.device)
        with mg.no_grad():
            bound = self.model.bound(images, rng=self.judge())
        return {"test_elbo": mg.mean(bound.log_likelihood - bound.divergence).item()}

    def judge(self) -> Generator:
        """Return what draws in measuring and drawing: the same numbers each time, however training ended."""
        return Generator(EVALUATION_SEED, device=self.device)

    def observe(self, data: Images) -> NDArray[np.float32]:
        """Return images as the model sees them, (N, H, W, C): bits by the protocol, or grey values; the same at each call."""
        rng = Generator(EVALUATION_SEED)
        if self.arguments.binarization:
            return binarize(data.unit(), protocol=self.arguments.binarization, rng=rng)
        return dequantize(data, rng=rng)

    # -- the trained model on arrays of the CPU, some hundred at a time

    def codes(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the posterior means, (N, H, W, C) -> (N, d)."""
        return nn.in_batches(self.model.encode, images, device=self.device)

    def decode(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return E[x|z], (..., d) -> (..., H, W, C)."""
        images = nn.in_batches(self.model.mean_images, z.reshape(-1, self.model.latent), device=self.device)
        return images.reshape(*z.shape[:-1], *self.model.size)


def build_vae(size: tuple[int, ...], arguments: argparse.Namespace, rng: Generator) -> VAE:
    """Return the model with its initial weights."""
    height, width, channels = size
    names = ("latent", "likelihood", "full_covariance", "beta", "free_bits")
    settings = {name: getattr(arguments, name) for name in names}
    settings |= {"size": (height, width, channels), "samples": arguments.k, "rng": rng}
    return conv_vae(**settings) if arguments.conv else mlp_vae(hidden=tuple(arguments.hidden), **settings)


def make_batches(training: Images, arguments: argparse.Namespace, order: Generator) -> Batches:
    """Return what the model learns from: bits by the protocol, or grey values with noise between their levels."""
    if arguments.binarization:
        return BinaryBatches(
            training.unit(), protocol=arguments.binarization, batch_size=arguments.batch_size, rng=order
        )
    return DequantizedBatches(training, batch_size=arguments.batch_size, rng=order)


class Snapshots:
    """Images that the model gives for the same few codes, after some epochs of the training."""

    def __init__(self, model: VAE) -> None:
        self.model = model
        self.z = Generator(EVALUATION_SEED).normal((SHOWN, model.latent))
        self.images = np.zeros((len(EPOCHS_SHOWN), SHOWN, *model.size), np.float32)
        self.taken = 0  # how many of them are there

    def look(self, epoch: float) -> None:
        """Keep what the model draws now, if it is time."""
        if self.taken < len(EPOCHS_SHOWN) and epoch >= EPOCHS_SHOWN[self.taken]:
            self.images[self.taken] = self.draw()
            self.taken += 1

    def draw(self) -> NDArray[np.float32]:
        """Return E[x|z] of the codes, (N, H, W, C)."""
        return nn.in_batches(self.model.mean_images, self.z, device=self.model.parameters()[0].device)

    def state(self) -> dict[str, Any]:
        """Return the images, and how many there are."""
        return {"images": self.images, "taken": self.taken}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over a state."""
        self.images, self.taken = state["images"].copy(), state["taken"]


# ------------------------------------------------------------------------------------------------------------- what came out


def load_extractor(arguments: argparse.Namespace, model: VAE) -> ConvClassifier | None:
    """Return the classifier whose features a Fréchet distance is computed of, if one is given."""
    if not arguments.extractor:
        return None
    extractor = load_classifier(arguments.extractor)
    sizes = extractor.configuration
    size = (*sizes["size"], sizes["channels"])
    if size != model.size:
        raise ValueError(f"--extractor {arguments.extractor} is about images {size}, the model about {model.size}")
    return extractor


def measure(lesson: Lesson, extractor: ConvClassifier | None) -> dict:
    """Measure bounds and reconstructions on the test images, and how far samples are from images."""
    arguments, model, seen = lesson.arguments, lesson.model, mg.tensor(lesson.seen, device=lesson.device).data
    bound = metrics.elbo(model, seen, draws=DRAWS, rng=lesson.judge())
    likelihood = metrics.importance_log_likelihood(
        model, seen, samples=arguments.evaluation_k, rng=lesson.judge(), progress=True
    )
    codes = lesson.codes(lesson.seen)
    active = metrics.active_units(codes)
    errors = np.square(lesson.decode(codes) - lesson.seen).sum(axis=(1, 2, 3))
    drawn = lesson.decode(Generator(EVALUATION_SEED).normal((COMPARED, model.latent)))
    distances = {
        name: float(np.median(metrics.nearest_images(images, among=lesson.training.unit()).distances))
        for name, images in (("samples", drawn), ("test_images", lesson.test.unit()[:COMPARED]))
    }
    figures = lesson.run.configuration | {
        "steps": arguments.steps,
        "evaluation_k": likelihood.samples,
        "log_likelihood": likelihood.mean,
        "log_likelihood_standard_error": likelihood.standard_error,
        "bits_per_dimension": metrics.bits_per_dimension(
            likelihood.mean,
            dimensions=lesson.seen[0].size,
            levels=1 if arguments.binarization else lesson.test.levels,
        ),
        "elbo": bound.elbo,
        "elbo_standard_error": bound.standard_error,
        "reconstruction_term": bound.log_likelihood,
        "divergence": bound.divergence,
        "unit_divergences": bound.unit_divergences.tolist(),
        "active_units": active.number,
        "activity": active.activity.tolist(),
        "squared_error": float(errors.mean()),
        "nearest_training_image": distances,
        "test_images": len(lesson.seen),
        "parameters": sum(parameter.size for parameter in model.parameters()),
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }
    if extractor:
        z = Generator(EVALUATION_SEED).normal((len(lesson.seen) // 2, model.latent))
        figures["frechet"] = metrics.frechet_score(
            extractor.features(lesson.test.unit()), extractor.features(lesson.decode(z)),
            extractor=arguments.extractor.name, rng=Generator(EVALUATION_SEED),
        )._asdict()  # fmt: skip
    return figures


class Plane(NamedTuple):
    """What two latents can show: the codes of test images in the plane.

    Attributes:
        codes: with the distribution that new codes come from.
        drawn: images of such new codes.
        figures: continuity and completeness.
    """

    codes: plots.Codes
    drawn: NDArray[np.float32]
    figures: dict[str, float]


def plane(
    lesson: Lesson,
    encode: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    decode: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    has_prior: bool,
) -> Plane:
    """Judge the codes of a model; without a prior, new ones come from the normal distribution of its own codes."""
    noise, rng = Generator(EVALUATION_SEED), Generator(EVALUATION_SEED)

    def encode_grey(images: NDArray[np.float32]) -> NDArray[np.float32]:
        protocol = lesson.arguments.binarization
        return encode(binarize(images, protocol=protocol, rng=noise) if protocol else images)

    training, held_out = (
        (data.unit()[:most], data.labels[:most])
        for data, most in zip((lesson.training, lesson.test), JUDGED, strict=True)
    )
    own = encode_grey(training[0])  # (N, 2)
    places = rng.normal((COMPARED, 2)) if has_prior else metrics.normal_like(own, COMPARED, rng=rng)
    figures = metrics.regularity(encode_grey, decode, training=training, held_out=held_out, places=places, rng=rng)
    mean, covariance = (np.zeros(2), np.eye(2)) if has_prior else (own.mean(axis=0), np.cov(own.T))
    codes = plots.Codes(encode_grey(held_out[0]), mean, covariance)
    return Plane(codes, decode(places[:SHOWN]), figures._asdict())


def planes(lesson: Lesson, is_trained: bool) -> dict[str, Plane]:
    """Train an autoencoder, or load it, and judge its codes and the VAE's."""
    autoencoder = train_autoencoder(lesson, is_trained)

    def decode(z: NDArray[np.float32]) -> NDArray[np.float32]:
        return nn.in_batches(autoencoder.mean_images, z, device=lesson.device)

    return {
        "autoencoder": plane(lesson, autoencoder.codes, decode, has_prior=False),
        "VAE": plane(lesson, lesson.codes, lesson.decode, has_prior=True),
    }


def train_autoencoder(lesson: Lesson, is_trained: bool) -> Autoencoder:
    """Return an autoencoder with the VAE's networks, but no noise on its codes and no prior, trained on the same images as long."""
    arguments, device = lesson.arguments, lesson.device
    rng, order = Generator(arguments.seed, device=device), Generator(arguments.seed + 2**32)
    settings: dict[str, Any] = {"size": lesson.model.size, "likelihood": arguments.likelihood, "code": 2, "rng": rng}
    if arguments.conv:
        autoencoder = conv_autoencoder(**settings)
    else:
        autoencoder = mlp_autoencoder(hidden=tuple(arguments.hidden), activation=nn.Tanh, **settings)
    autoencoder.to(device)
    optimizer = Adam(autoencoder, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
    batches = make_batches(lesson.training, arguments, order)
    run = Run(
        steps=arguments.steps,
        every=lesson.run.every,
        label=f"autoencoder, {lesson.training.name}",
        checkpoint=arguments.out / "autoencoder.safetensors",
        parts={"model": autoencoder, "optimizer": optimizer, "batches": batches, "order": order},
        configuration=lesson.run.configuration,
    )
    with plain_errors():
        # The folder is this run's: that has been made sure of by the VAE's checkpoint.
        run.begin(resume=is_trained or (arguments.resume and run.checkpoint.is_file()), overwrite=True)
    images = (mg.tensor(images, device=device) for images in batches)
    if not is_trained:
        fit_likelihood(autoencoder, images, optimizer, run, rng=rng)
    return autoencoder


def write_samples(lesson: Lesson, n: int) -> None:
    """Write n codes from the prior, their images E[x|z], and images drawn from p(x|z)."""
    out, rng = lesson.arguments.out, lesson.judge()
    z = Generator(EVALUATION_SEED).normal((n, lesson.model.latent))
    arrays = {
        "z": z,
        "means": lesson.decode(z),
        "samples": nn.in_batches(lambda z: lesson.model.decode(z).sample(rng=rng), z, device=lesson.device),
    }
    write_arrays(out / "samples.npz", **arrays)
    figure = plots.image_grid(arrays["means"][:400], title=f"{lesson.name}: E[x|z], z from the prior")
    name = f"samples.{lesson.arguments.format}"
    plots.save(figure, out / name)
    print(f"written to {out}/: samples.npz, {name}")


# ----------------------------------------------------------------------------------------------------------------- the pictures


def draw(lesson: Lesson, judged: Mapping[str, Plane], figures: dict) -> None:
    """Write all pictures."""
    pictures = {
        "training": draw_training(lesson, figures),
        "samples-by-epoch": draw_samples_by_epoch(lesson),
        "reconstructions": draw_reconstructions(lesson),
        "inpainting": draw_inpainting(lesson),
        "interpolations": draw_interpolations(lesson),
        "arithmetic": draw_arithmetic(lesson),
        "traversal": draw_traversal(lesson, figures),
        "nearest": draw_nearest(lesson, figures),
        "latents": plots.unit_divergences(
            figures["unit_divergences"],
            active=np.array(figures["activity"]) > 0.01,
            title=f"{lesson.name}: what each latent tells of a test image",
        ),
    }
    if judged:
        pictures |= {
            "manifold": draw_manifold(lesson),
            "codes": draw_codes(lesson, judged),
            "new-codes": plots.image_rows(
                [(name, found.drawn) for name, found in judged.items()],
                title="Images of new codes",
            ),
        }
    for name, figure in pictures.items():
        plots.save(figure, lesson.arguments.out / f"{name}.{lesson.arguments.format}")


def draw_training(lesson: Lesson, figures: dict) -> Figure:
    history, k = lesson.run.history, lesson.arguments.k
    bounds = {"ELBO, batches": history.column("elbo"), "ELBO, test images": history.column("test_elbo")}
    if k > 1:
        bounds[f"$L_{{{k}}}$, batches"] = [-loss for loss in history.column("loss")]
    return plots.bound_curves(
        history.column("step"),
        bounds=bounds,
        levels={f"$L_{{{figures['evaluation_k']}}}$, test images": figures["log_likelihood"]},
        title=lesson.name,
    )


def draw_samples_by_epoch(lesson: Lesson) -> Figure:
    taken = lesson.snapshots.images[: lesson.snapshots.taken]
    rows = [(f"epoch {epoch}", images) for epoch, images in zip(EPOCHS_SHOWN, taken, strict=False)]
    return plots.image_rows([*rows, ("at the end", lesson.snapshots.draw())], title=f"{lesson.name}: samples by epoch")


def draw_reconstructions(lesson: Lesson) -> Figure:
    grey, seen = lesson.test.unit()[:SHOWN], lesson.seen[:SHOWN]
    rows = [("test images", grey), ("reconstructions", lesson.decode(lesson.codes(seen)))]
    if lesson.arguments.binarization:
        rows.insert(1, ("as bits", seen))
    return plots.image_rows(rows, title=f"{lesson.name}: reconstructions")


def draw_inpainting(lesson: Lesson) -> Figure:
    """Hide the lower half of test images, and let the model fill it in."""
    images = mg.tensor(lesson.seen[:SHOWN], device=lesson.device).data
    height = lesson.model.size[0]
    visible = mg.tensor(np.arange(height)[:, None, None] < height // 2, device=lesson.device).data  # (H, 1, 1)
    rows = [("test images", images), ("what is visible", images * visible + 0.5 * ~visible)]
    for steps in (1, 10, 100):
        filled = inpaint(lesson.model, images, visible, steps=steps, rng=lesson.judge())
        rows.append((f"{steps} step{'s' * (steps > 1)}", filled))
    on_cpu = [(label, mg.tensor(row).to("cpu").numpy()) for label, row in rows]
    return plots.image_rows(on_cpu, title=f"{lesson.name}: the lower half filled in by a Markov chain")


def first_of(lesson: Lesson, k: int) -> NDArray[np.float32]:
    """Return the code of the first test image of class k, (d,)."""
    place = int(np.argmax(lesson.test.labels == k))
    return lesson.codes(lesson.seen[place : place + 1])[0]


def draw_interpolations(lesson: Lesson) -> Figure:
    rows = []
    for a, b in PAIRS[:3]:
        for spherical in (False, True):
            z = interpolate(first_of(lesson, a), first_of(lesson, b), steps=SHOWN, spherical=spherical)
            rows.append(("spherical" if spherical else "straight", lesson.decode(z)))
    return plots.image_rows(rows, title=f"{lesson.name}: from one code to another")


def draw_arithmetic(lesson: Lesson) -> Figure:
    """Take the mean code of its class from an image's code, and add that of another class: the style stays."""
    codes = lesson.codes(lesson.seen)
    means = {k: codes[lesson.test.labels == k].mean(axis=0) for pair in PAIRS for k in pair}
    z = np.stack([first_of(lesson, a) for a, _ in PAIRS])  # (rows, d)
    minus, plus = (np.stack([means[pair[i]] for pair in PAIRS]) for i in (0, 1))
    terms = [("", "an image", z), ("-", "mean of its class", minus), ("+", "mean of another", plus)]
    return plots.vector_arithmetic(
        [(sign, name, lesson.decode(codes)) for sign, name, codes in terms],
        result=("decoded sum", lesson.decode(z - minus + plus)),
        title=f"{lesson.name}: sums of codes",
    )


def draw_traversal(lesson: Lesson, figures: dict) -> Figure:
    """Change one latent of a test image's code at a time, those that tell most."""
    values = np.linspace(-3, 3, SHOWN + 1, dtype=np.float32)
    code, rows = lesson.codes(lesson.seen[:1])[0], []
    for j in np.argsort(figures["unit_divergences"])[::-1][:8]:
        z = np.repeat(code[None], len(values), axis=0)  # (values, d)
        z[:, j] = values
        rows.append((f"$z_{{{j + 1}}}$, {figures['unit_divergences'][j]:.1f} nats", lesson.decode(z)))
    return plots.image_rows(
        rows,
        columns=[f"{v:g}" for v in values],
        columns_label="value of the latent",
        title=f"{lesson.name}: traversals",
    )


def draw_nearest(lesson: Lesson, figures: dict) -> Figure:
    drawn = lesson.decode(Generator(EVALUATION_SEED).normal((SHOWN, lesson.model.latent)))
    found = metrics.nearest_images(drawn, among=lesson.training.unit())
    typical = figures["nearest_training_image"]["test_images"]
    return plots.image_rows(
        [("samples", drawn), ("nearest\ntraining images", lesson.training.unit()[found.indices])],
        columns=[f"{distance:.1f}" for distance in found.distances],
        columns_label=f"distance; of a test image to its nearest: {typical:.1f} (median)",
        title=f"{lesson.name}: samples and what they may be copies of",
    )


def draw_manifold(lesson: Lesson) -> Figure:
    """Decode the quantiles of the prior along both axes."""
    shares = (np.arange(LATTICE) + 0.5) / LATTICE
    values = np.array([NormalDist().inv_cdf(share) for share in shares], np.float32)
    z = np.stack(np.meshgrid(values, values), axis=-1)  # (R, R, 2): z_1 along the columns
    return plots.latent_manifold(lesson.decode(z), values=values, title=f"{lesson.name}: images of the plane")


def draw_codes(lesson: Lesson, judged: Mapping[str, Plane]) -> Figure:
    codes = {
        f"{name}: agreement {found.figures['agreement']:.2f},\nevenness {found.figures['evenness']:.2f}, "
        f"completeness {found.figures['completeness']:.2f}": found.codes
        for name, found in judged.items()
    }
    return plots.latent_codes(
        codes,
        labels=lesson.test.labels[: JUDGED[1]],
        classes=lesson.test.classes,
        title=f"Codes of test images, {lesson.test.name}",
    )


def report(figures: dict, arguments: argparse.Namespace) -> None:
    rows = [
        (f"log p(x), by L_{figures['evaluation_k']} (nats per test image)",
         f"{figures['log_likelihood']:.2f} +- {figures['log_likelihood_standard_error']:.2f}"),
        ("ELBO", f"{figures['elbo']:.2f}"),
        ("  E[log p(x|z)]", f"{figures['reconstruction_term']:.2f}"),
        ("  KL(q(z|x) || p(z))", f"{figures['divergence']:.2f}"),
        ("bits per dimension", f"{figures['bits_per_dimension']:.4f}"),
        ("active latents", f"{figures['active_units']} of {arguments.latent}"),
        ("squared error of reconstructions", f"{figures['squared_error']:.2f}"),
        ("nearest training image: of a sample, of a test image",
         "{samples:.2f}, {test_images:.2f}".format(**figures["nearest_training_image"])),
    ]  # fmt: skip
    if "frechet" in figures:
        rows.append(
            ("Fréchet distance; real against real", "{value:.2f}; {real_against_real:.2f}".format(**figures["frechet"]))
        )
    for name, found in figures.get("latent_space", {}).items():
        rows.append(
            (
                f"{name}: agreement, evenness, completeness (test images)",
                "{agreement:.2f}, {evenness:.2f}, {completeness:.2f} ({held_out:.2f})".format(**found),
            )
        )
    rows += [("parameters", f"{figures['parameters']:,}"), ("seconds of training", f"{figures['seconds']:.1f}")]
    print(table(rows, f"VAE on {arguments.data}, {arguments.steps} steps, seed {arguments.seed}"))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
