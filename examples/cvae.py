"""Complete images from a visible part, or draw digits of a given class: a conditional variational autoencoder, against a blurred guess.

Where one to three quadrants of a digit are visible, several digits fit. A network that predicts each pixel alone answers with their mean.
A CVAE has a latent z that chooses among them (Sohn, Lee & Yan 2015), and so gives the hidden pixels together a higher probability: the gap
between the two, in nats per image, is what this program measures. Both networks learn from the same batches; the baseline is as large as
the CVAE's decoder. The gap is given for three lower bounds of the CVAE's log p(y|c): the one it is trained on, importance sampling, and
draws from the prior, of which too few are near the truth where the KL is far above the logarithm of their number.

    python examples/cvae.py                                            # 8 x 8 digits, one quadrant visible
    python examples/cvae.py --task class --out runs/cvae-class         # each class in the same styles
    python examples/cvae.py --data mnist --visible 1 --out runs/cvae-mnist-1       # the setting of Sohn et al. 2015, section 5.1
    python examples/cvae.py --evaluate runs/cvae --evaluation-k 1000   # the figures of a finished run again, more exactly

It writes pictures, metrics.json and a checkpoint into the folder --out. Ctrl-C ends the training after the step under way; the same
command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigen as mg
from minigen import metrics, plots
from minigen.data import (
    BINARIZATIONS,
    IMAGE_SETS,
    BinaryBatches,
    Images,
    binarize,
    conceal,
    hidden_quadrants,
    load_images,
)
from minigen.metrics.likelihood import LogLikelihood
from minigen.models import Together, mlp_cvae, mlp_independent_pixels
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

EVALUATION_SEED = 20151207
MONITORED = 500  # test images whose bound is recorded during training
ROWS = 100  # of the history
BAYES_DRAWS = 10  # of z for each class, where an image is classified
COMPLETED, DRAWS, STYLES = 10, 4, 10  # in the pictures: images, completions of each; digits of each class
SHADE = 0.35  # of hidden pixels

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = (
    "task", "visible", "data", "binarization", "prior", "hidden", "latent", "samples", "alpha", "batch_size", "learning_rate", "seed",
)  # fmt: skip
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": [200, 200], "latent": 10, "steps": 2000, "batch_size": 64, "binarization": "threshold"},
    "mnist": {"hidden": [500, 500], "latent": 50, "steps": 20_000, "batch_size": 100, "binarization": "dynamic"},
    "fashion": {"hidden": [500, 500], "latent": 50, "steps": 20_000, "batch_size": 100, "binarization": "dynamic"},
}
PRIORS = {"class": "normal", "quadrants": "conditional"}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        lesson = Lesson(training, test, arguments)
        lesson.run.begin(resume=is_trained or arguments.resume, overwrite=arguments.overwrite)
    if arguments.sample:
        write_samples(lesson, arguments)
        return
    if not is_trained:
        fit_likelihood(lesson.both, lesson.batches_on_device(), lesson.optimizer, lesson.run, rng=lesson.rng)
    figures = measure(lesson, arguments)
    if not arguments.no_plots:
        draw(lesson, figures, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("task (default)")
    options.add_argument(
        "--task", choices=PRIORS, default="quadrants", help="what is known of an image: its class or a part (quadrants)"
    )
    options.add_argument("--visible", type=int, choices=(1, 2, 3), help="quadrants that are visible (1)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="what to learn (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument(
        "--binarization",
        choices=BINARIZATIONS,
        help="how grey pixels become bits (digits: threshold; mnist and fashion: dynamic)",
    )
    options = parser.add_argument_group("model (default)")
    options.add_argument(
        "--prior",
        choices=("conditional", "normal"),
        help="of z: learned, and dependent on what is known, or N(0, I) (quadrants: conditional; class: normal)",
    )
    options.add_argument("--latent", type=at_least(1), metavar="D", help="dimension of z (10; mnist and fashion: 50)")
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the hidden layers of every network (200 200; mnist and fashion: 500 500)",
    )
    options = parser.add_argument_group("training (default)")
    options.add_argument("--samples", type=at_least(1), default=1, metavar="L", help="draws of z for each image (1)")
    options.add_argument(
        "--alpha", type=share, default=1.0, help="of the hybrid objective; below 1, z is drawn from its prior too (1)"
    )
    options.add_argument("--steps", type=at_least(1), help="of Adam (2,000; mnist and fashion: 20,000)")
    options.add_argument("--batch-size", type=at_least(1), help="images per step (64; mnist and fashion: 100)")
    options.add_argument(
        "--learning-rate", type=positive, default=1e-3, help="at first; it falls to 0 along half a cosine (0.001)"
    )
    options = parser.add_argument_group("evaluation (default)")
    options.add_argument(
        "--evaluation-k",
        type=at_least(1),
        default=100,
        metavar="K",
        help="draws for each test image that estimate log p(y|c) (100, as Sohn et al. 2015)",
    )
    add_run_options(parser, out="runs/cvae")
    arguments = parser.parse_args()
    if arguments.task == "class" and arguments.visible:
        parser.error("--visible is about quadrants, but --task class shows none")
    if arguments.task == "quadrants":
        arguments.visible = arguments.visible or 1
    for name, value in (DEFAULTS[arguments.data] | {"prior": PRIORS[arguments.task]}).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def share(text: str) -> float:
    """Be an argparse type for numbers from 0 to 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not in [0, 1]")
    return number


class Lesson:
    """The two models, what trains them, the run that counts their steps, and the test images."""

    def __init__(self, training: Images, test: Images, arguments: argparse.Namespace) -> None:
        self.training, self.test, self.device = training, test, arguments.device
        self.size = height, width, channels = training.images.shape[1:]
        self.visible, self.classes = arguments.visible, len(training.classes)
        self.hidden = np.ones((1, height, width, 1), np.float32)
        if self.visible:
            self.hidden = hidden_quadrants(self.size, visible=self.visible)

        self.rng = Generator(arguments.seed, device=self.device)
        sizes: dict[str, Any] = {
            "size": (height, width, channels),
            "condition": math.prod(self.size) if self.visible else self.classes,
            "hidden": tuple(arguments.hidden),
            "rng": self.rng,
        }
        self.cvae = mlp_cvae(
            latent=arguments.latent,
            conditional_prior=arguments.prior == "conditional",
            samples=arguments.samples,
            alpha=arguments.alpha,
            **sizes,
        )
        self.baseline = mlp_independent_pixels(**sizes)
        self.both = Together(cvae=self.cvae, baseline=self.baseline)
        self.both.to(self.device)
        self.optimizer = Adam(self.both, learning_rate=cosine(arguments.learning_rate, steps=arguments.steps))
        self.order = Generator(arguments.seed + 2**32)
        self.batches = BinaryBatches(
            (training.unit(), training.labels),
            protocol=arguments.binarization,
            batch_size=arguments.batch_size,
            rng=self.order,
        )
        self.run = Run(
            steps=arguments.steps,
            every=max(1, arguments.steps // ROWS),
            label=f"CVAE, {training.name}",
            monitor=self.monitor,
            checkpoint=arguments.out / CHECKPOINT,
            parts={
                "model": self.both,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": self.order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )
        bits = binarize(test.unit(), protocol=arguments.binarization, rng=Generator(EVALUATION_SEED))
        self.seen = self.conditioned(bits, test.labels)  # the same in every run

    def known(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the conditions: visible parts, (N, H, W, C), or classes, (N, classes), a 1 in the place of each."""
        return conceal(images, self.hidden) if self.visible else np.eye(self.classes, dtype=np.float32)[labels]

    def conditioned(self, images: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[mg.Tensor, ...]:
        """Return images with their conditions and which of their pixels are hidden, on the device."""
        hidden = np.broadcast_to(self.hidden, (len(images), *self.hidden.shape[1:]))
        return tuple(mg.tensor(part, device=self.device) for part in (images, self.known(images, labels), hidden))

    def batches_on_device(self) -> Iterator[tuple[mg.Tensor, ...]]:
        """Yield what both models learn from."""
        for images, labels in self.batches:
            yield self.conditioned(images, labels)

    def monitor(self) -> dict[str, float]:
        """Return the bound of some test images, and what the baseline gives them."""
        batch = tuple(part[:MONITORED] for part in self.seen)
        with mg.no_grad():
            bound = self.cvae.bound(batch, rng=self.judge())
            guess = self.baseline.log_prob(batch)
        elbo = mg.mean(bound.log_likelihood - bound.divergence)
        return {"test_elbo": elbo.item(), "test_baseline": mg.mean(guess).item()}

    def judge(self) -> Generator:
        """Return what draws in measuring and drawing: the same numbers each time, however training ended."""
        return Generator(EVALUATION_SEED, device=self.device)


def measure(lesson: Lesson, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the bound, the estimates of log p(y|c), what the baseline gives, and the gaps, on all test images."""
    k = arguments.evaluation_k

    def estimate(log_weights: Any, samples: int) -> LogLikelihood:
        return metrics.importance_log_likelihood(
            SimpleNamespace(log_weights=log_weights),
            lesson.seen,
            samples=samples,
            rng=lesson.judge(),
            progress=samples > 1,
        )

    evidence = metrics.elbo(lesson.cvae, lesson.seen, rng=lesson.judge())
    importance = estimate(lesson.cvae.log_weights, k)
    predicted = estimate(lesson.cvae.prior_log_likelihoods, k)
    baseline = estimate(lambda batch, samples, rng: lesson.baseline.log_prob(batch)[None], 1)
    figures = lesson.run.configuration | {
        "steps": arguments.steps,
        "evaluation_k": k,
        "test_images": len(lesson.test.images),
        "hidden_pixels": int(lesson.hidden.sum()) * lesson.size[2],
        "elbo": evidence.elbo,
        "log_likelihood": evidence.log_likelihood,
        "divergence": evidence.divergence,
        "importance": importance.mean,
        "importance_error": importance.standard_error,
        "prediction": predicted.mean,
        "prediction_error": predicted.standard_error,
        "baseline": baseline.mean,
        "baseline_error": baseline.standard_error,
        "baseline_best_monitored": max(lesson.run.history.column("test_baseline")),  # lower now: it has overfitted
        "baseline_last_monitored": lesson.run.history.column("test_baseline")[-1],
    }
    for name, found in (("gap_bound", evidence), ("gap_importance", importance), ("gap_prediction", predicted)):
        gains = found.values - baseline.values  # of the same images, so much of the noise is common
        figures |= {name: float(gains.mean()), f"{name}_error": float(gains.std(ddof=1) / math.sqrt(len(gains)))}
    if not lesson.visible:
        figures["accuracy"] = accuracy_by_bayes(lesson)
    return figures | {
        "parameters": sum(parameter.size for parameter in lesson.cvae.parameters()),
        "baseline_parameters": sum(parameter.size for parameter in lesson.baseline.parameters()),
        "seconds": round(lesson.run.seconds, 1),
        "versions": versions(),
    }


def accuracy_by_bayes(lesson: Lesson) -> float:
    """Return the share of test images whose class has the highest p(class|y), which is proportional to p(y|class) p(class)."""
    images, _, hidden = lesson.seen
    n = len(images)
    log_joint = np.log(np.bincount(lesson.training.labels, minlength=lesson.classes) / len(lesson.training.labels))
    found = np.empty((n, lesson.classes))
    for k in range(lesson.classes):
        c = mg.tensor(lesson.known(images, np.full(n, k)), device=lesson.device)
        likelihood = metrics.importance_log_likelihood(
            lesson.cvae, (images, c, hidden), samples=BAYES_DRAWS, rng=lesson.judge()
        )
        found[:, k] = likelihood.values + log_joint[k]
    return float((found.argmax(axis=1) == lesson.test.labels).mean())


# ------------------------------------------------------------------------------------------------------------ pictures


def draw(lesson: Lesson, figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Write the course of the training, and what the models make of some conditions."""
    history = lesson.run.history
    figure = plots.bound_curves(
        history.column("step"),
        bounds={"CVAE, bound": history.column("test_elbo"), "independent pixels": history.column("test_baseline")},
        levels={f"CVAE, L_{figures['evaluation_k']}": figures["importance"]},
        label="log p(y|c) of test images (nats)",
        title=f"{lesson.test.name}: the hidden pixels, {described(arguments)}",
    )
    plots.save(figure, arguments.out / f"training.{arguments.format}")
    picture = completions if lesson.visible else classes_by_style
    plots.save(picture(lesson, arguments), arguments.out / f"{picture.__name__}.{arguments.format}")


def described(arguments: argparse.Namespace) -> str:
    """Say what is known."""
    if arguments.task == "class":
        return "given the class"
    return f"given {arguments.visible} of 4 quadrants"


def completions(lesson: Lesson, arguments: argparse.Namespace) -> Any:
    """Draw visible parts, several completions by the CVAE, the one of the baseline, and the originals."""
    first = [int(np.flatnonzero(lesson.test.labels == k)[0]) for k in range(lesson.classes)][:COMPLETED]
    images, c, _ = (part.to("cpu").numpy()[first] for part in lesson.seen)
    on_device = mg.tensor(c, device=lesson.device)
    z = lesson.cvae.prior(on_device).sample(DRAWS, rng=lesson.judge())  # (draws, N, d)
    answers = mg.tensor(lesson.cvae.mean_images(mg.tensor(z), on_device)).to("cpu").numpy()  # (draws, N, H, W, C)
    blurred = mg.tensor(lesson.baseline.mean_images(on_device)).to("cpu").numpy()

    def filled(hidden_part: Any) -> NDArray[np.float32]:
        return np.where(lesson.hidden == 1, hidden_part, images)

    rows = [("visible", filled(SHADE))]
    rows += [(f"draw {i + 1}", filled(answer)) for i, answer in enumerate(answers)]
    rows += [("pixel by\npixel", filled(blurred)), ("original", images)]
    return plots.image_rows(rows, title=f"{lesson.test.name}: completions, {described(arguments)}")


def classes_by_style(lesson: Lesson, arguments: argparse.Namespace) -> Any:
    """Draw each class in the same styles: a row has one class, a column one z; the first column is the baseline's."""
    c = mg.tensor(np.eye(lesson.classes, dtype=np.float32), device=lesson.device)
    noise = lesson.judge().normal((STYLES, 1, lesson.cvae.latent))
    p = lesson.cvae.prior(c)
    z = p.mean + p.scale * noise  # (styles, classes, d): one z for all classes where the prior is N(0, I)
    answers = mg.tensor(lesson.cvae.mean_images(z.detach(), c)).to("cpu").numpy()
    blurred = mg.tensor(lesson.baseline.mean_images(c)).to("cpu").numpy()
    rows = [
        (lesson.test.classes[k], np.concatenate([blurred[k : k + 1], answers[:, k]])) for k in range(lesson.classes)
    ]
    columns = ["mean", *(f"z{i + 1}" for i in range(STYLES))]
    return plots.image_rows(rows, columns=columns, title=f"{lesson.test.name}: each class in the same styles")


def write_samples(lesson: Lesson, arguments: argparse.Namespace) -> None:
    """Write N images of bits: completions of the test images in turn, or digits of the classes in turn."""
    n = arguments.sample
    chosen = np.arange(n) % (len(lesson.test.images) if lesson.visible else lesson.classes)
    if lesson.visible:
        images, c, _ = (part.to("cpu").numpy()[chosen] for part in lesson.seen)
    else:
        c = np.eye(lesson.classes, dtype=np.float32)[chosen]
    drawn = lesson.cvae.sample(1, mg.tensor(c, device=lesson.device), rng=lesson.judge())[0]
    samples = mg.tensor(drawn).to("cpu").numpy()
    if lesson.visible:
        samples = np.where(lesson.hidden == 1, samples, images)
    write_arrays(arguments.out / "samples.npz", images=samples, **{"completed" if lesson.visible else "labels": chosen})
    figure = plots.image_grid(samples[:100], title=f"{lesson.test.name}: samples, {described(arguments)}")
    plots.save(figure, arguments.out / f"samples.{arguments.format}")
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    def nats(name: str) -> str:
        error = figures.get(f"{name}_error")
        return f"{figures[name]:.2f}" + (f" +- {error:.2f}" if error else "")

    k = figures["evaluation_k"]
    rows = [
        ("bound on log p(y|c)", nats("elbo")),
        ("  log p(y|c, z)", nats("log_likelihood")),
        ("  KL(q || p(z|c))", nats("divergence")),
        (f"log p(y|c), {k} draws from q", nats("importance")),
        (f"log p(y|c), {k} draws from the prior", nats("prediction")),
        ("log p(y|c) of independent pixels", nats("baseline")),
        ("  lost by overfitting", f"{figures['baseline_best_monitored'] - figures['baseline_last_monitored']:.2f}"),
        ("gap between the bound and these", nats("gap_bound")),
        ("  by draws from q", nats("gap_importance")),
        ("  by draws from the prior", nats("gap_prediction")),
    ]
    if "accuracy" in figures:
        rows.append((f"class by Bayes' rule, {BAYES_DRAWS} draws", f"{100 * figures['accuracy']:.2f} %"))
    rows += [
        ("hidden pixels", f"{figures['hidden_pixels']}"),
        ("parameters, of the baseline", f"{figures['parameters']:,}, {figures['baseline_parameters']:,}"),
        ("seconds of training", f"{figures['seconds']:.1f}"),
    ]
    title = f"CVAE on {arguments.data} {described(arguments)}, {figures['binarization']} bits, nats per test image"
    print(table(rows, title))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
