"""See what an autoencoder and a VAE, trained without a label, are good for afterwards: classes from few labels, and what is strange.

Three questions, and a baseline for each:

    features     a linear classifier learns from 100 labelled images: from the pixels, or from what an encoder says of them
    fine-tuning  a network learns from the same labels: from random weights, or from the weights of an encoder
    anomalies    models that never saw one digit score images by how badly they reconstruct them: is that digit found?

Labelled images are drawn ten times, as many of each class, and every accuracy is a mean with its spread. What does not help stands in the
table too.

    python examples/transfer.py                                        # 8 x 8 digits, each digit held out once
    python examples/transfer.py --data mnist --out runs/transfer-mnist
    python examples/transfer.py --held-out 4 --labels 50 --out runs/transfer-4

It writes pictures, metrics.json and a checkpoint for each training into the folder --out. Ctrl-C ends a training after the step under way;
the same command with --resume goes on from there, to the same result bit by bit.
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigen as mg
from minigen import metrics, nn, plots
from minigen.data import IMAGE_SETS, Batches, Images, load_images
from minigen.distributions import Categorical
from minigen.models import Together, mlp_autoencoder, mlp_vae
from minigen.nn.init import xavier_uniform
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

EVALUATION_SEED = 20140614
ROWS = 50  # of the history
LINEAR_STEPS, LINEAR_RATE, WEIGHT_DECAY = 200, 3e-2, 0.03  # of every linear classifier
TUNING_STEPS, TUNING_RATE = 200, 3e-3  # of every network that is fine-tuned
BOUND_DRAWS = 5  # of z, in a score

# What makes a run what it is; a checkpoint keeps these, and a resumed run must have the same.
SETTINGS = (
    "data",
    "hidden",
    "latent",
    "held_out",
    "labels",
    "draws",
    "anomaly_steps",
    "batch_size",
    "learning_rate",
    "seed",
)
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": [128], "latent": 16, "steps": 1500, "anomaly_steps": 700, "batch_size": 64},
    "mnist": {"hidden": [500], "latent": 50, "steps": 12_000, "anomaly_steps": 3000, "batch_size": 100},
    "fashion": {"hidden": [500], "latent": 50, "steps": 12_000, "anomaly_steps": 3000, "batch_size": 100},
}


def main() -> None:
    arguments = parse_arguments()
    with plain_errors():
        is_trained = recall(arguments, SETTINGS)
        training, test = load_images(arguments.data, folder=arguments.data_dir)
        check_labels(training, arguments)
        everything = Pair(training, CHECKPOINT, arguments.steps, arguments)
        without = {
            k: Pair(
                only(training, training.labels != k), f"without-{k}.safetensors", arguments.anomaly_steps, arguments
            )
            for k in arguments.held_out
        }
        pairs = [everything, *without.values()]
        for pair in [everything] if arguments.sample else pairs:
            pair.begin(arguments, is_trained)
    if arguments.sample:
        write_samples(everything, arguments)
        return
    if not is_trained:
        for pair in pairs:
            pair.learn()
    accuracies = learn_from_few_labels(everything, training, test, arguments)
    scores = {k: anomaly_scores(pair, test) for k, pair in without.items()}
    figures = measure(everything, accuracies, scores, test, arguments)
    if not arguments.no_plots:
        draw(accuracies, scores, figures, test, arguments)
    write_metrics(arguments.out / "metrics.json", figures)
    report(figures, arguments)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options = parser.add_argument_group("settings (default)")
    options.add_argument("--data", choices=IMAGE_SETS, default="digits", help="images (digits)")
    options.add_argument("--data-dir", type=Path, metavar="FOLDER", help="of MNIST's or Fashion-MNIST's four files")
    options.add_argument("--labels", type=at_least(1), default=100, help="labelled images, as many of each class (100)")
    options.add_argument("--draws", type=at_least(2), default=10, help="how often they are drawn anew (10)")
    options.add_argument(
        "--held-out", type=classes, default=list(range(10)), metavar="CLASS", help="one class to hold out, or all (all)"
    )
    options.add_argument(
        "--hidden",
        type=at_least(1),
        nargs="+",
        metavar="UNITS",
        help="of the encoders' hidden layers; the decoders have them in reverse (128; mnist and fashion: 500)",
    )
    options.add_argument("--latent", type=at_least(1), metavar="D", help="length of a code (16; mnist and fashion: 50)")
    options.add_argument("--steps", type=at_least(1), help="of Adam, on all images (1,500; mnist and fashion: 12,000)")
    options.add_argument("--anomaly-steps", type=at_least(1), help="without one class (700; mnist and fashion: 3,000)")
    options.add_argument("--batch-size", type=at_least(1), help="images per step (64; mnist and fashion: 100)")
    options.add_argument(
        "--learning-rate", type=positive, default=2e-3, help="at first; it falls to 0 along half a cosine (0.002)"
    )
    add_run_options(parser, out="runs/transfer")
    arguments = parser.parse_args()
    for name, value in DEFAULTS[arguments.data].items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def classes(text: str) -> list[int]:
    """Be an argparse type for one class of ten, or "all"."""
    if text == "all":
        return list(range(10))
    if text not in list("0123456789"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a class, 0 to 9, nor all")
    return [int(text)]


def check_labels(training: Images, arguments: argparse.Namespace) -> None:
    """Refuse a number of labels that cannot be drawn, as many of each class."""
    k, fewest = len(training.classes), int(np.bincount(training.labels).min())
    if arguments.labels % k or arguments.labels // k > fewest:
        raise ValueError(f"--labels {arguments.labels}: expected a multiple of the {k} classes, up to {k * fewest}")


def only(data: Images, chosen: NDArray[np.bool_]) -> Images:
    """Return some of the images."""
    return data._replace(images=data.images[chosen], labels=data.labels[chosen])


# ---------------------------------------------------------------------------------------------- learning without labels


class Pair:
    """An autoencoder and a VAE of the same sizes, what trains them on the same images, and the run that counts their steps."""

    def __init__(self, training: Images, file: str, steps: int, arguments: argparse.Namespace) -> None:
        _, height, width, channels = training.images.shape
        self.device = arguments.device
        self.rng = Generator(arguments.seed, device=self.device)
        sizes: dict[str, Any] = {"size": (height, width, channels), "hidden": tuple(arguments.hidden), "rng": self.rng}
        self.autoencoder = mlp_autoencoder(code=arguments.latent, activation=nn.Tanh, **sizes)
        self.vae = mlp_vae(latent=arguments.latent, **sizes)
        self.both = Together(autoencoder=self.autoencoder, vae=self.vae)
        self.both.to(self.device)
        self.optimizer = Adam(self.both, learning_rate=cosine(arguments.learning_rate, steps=steps))
        self.order = Generator(arguments.seed + 2**32)
        self.batches = Batches(training.unit(), batch_size=arguments.batch_size, rng=self.order)
        self.run = Run(
            steps=steps,
            every=max(1, steps // ROWS),
            label=f"{training.name}, {Path(file).stem}",
            checkpoint=arguments.out / file,
            parts={
                "model": self.both,
                "optimizer": self.optimizer,
                "noise": self.rng,
                "batches": self.batches,
                "order": self.order,
            },
            configuration={name: getattr(arguments, name) for name in SETTINGS},
        )

    def begin(self, arguments: argparse.Namespace, is_trained: bool) -> None:
        """Look for an earlier run of this training."""
        there = (arguments.out / self.run.checkpoint.name).is_file()
        self.run.begin(resume=is_trained or (arguments.resume and there), overwrite=arguments.overwrite)

    def learn(self) -> None:
        """Train until the run's last step."""
        fit_likelihood(self.both, self.on_device(), self.optimizer, self.run, rng=self.rng)

    def on_device(self) -> Iterator[mg.Tensor]:
        """Yield grey images, (batch_size, H, W, C)."""
        for images in self.batches:
            yield mg.tensor(images, device=self.device)


# ------------------------------------------------------------------------------------------------------- few labels


def learn_from_few_labels(
    pair: Pair, training: Images, test: Images, arguments: argparse.Namespace
) -> dict[str, NDArray[np.float64]]:
    """Return the accuracies on the test images, (draws,), by what was learnt from."""
    draws = [labelled(training, arguments.labels, EVALUATION_SEED + i) for i in range(arguments.draws)]
    encoders = {"autoencoder": pair.autoencoder.encoder, "VAE": pair.vae.encoder}
    accuracies = {}

    features: dict[str, Callable[[mg.Tensor], Any]] = {"pixels": nn.Flatten()}
    features |= {f"{name}, hidden layer": nn.Sequential(*encoder.layers[:-1]) for name, encoder in encoders.items()}
    features |= {"autoencoder, code": pair.autoencoder.encode, "VAE, code": pair.vae.encode}
    for name, function in features.items():
        known, unknown = (
            nn.in_batches(function, data.unit(), device=pair.device) for data in (training, test)
        )  # (N, F)
        mean, scale = known.mean(axis=0), known.std(axis=0)
        scale = np.sqrt((scale * scale).mean())  # one for all features: noise in those that hardly vary is not blown up
        known, unknown = (known - mean) / scale, (unknown - mean) / scale
        accuracies[f"linear: {name}"] = [
            accuracy(pair, linear_classifier(known[i], training.labels[i], pair.device), unknown, test.labels)
            for i in draws
        ]

    height, width, channels = training.images.shape[1:]
    sizes: dict[str, Any] = {"size": (height, width, channels), "hidden": tuple(arguments.hidden)}
    images, unknown = training.unit(), test.unit()
    for name in ("random weights", *encoders):
        accuracies[f"fine-tuned: {name}"] = []
        for n, i in enumerate(draws):
            rng = Generator(EVALUATION_SEED + n, device=pair.device)
            encoder = encoders.get(name) or mlp_vae(latent=arguments.latent, rng=rng, **sizes).encoder
            network = fine_tuned(encoder, images[i], training.labels[i], rng=rng)
            accuracies[f"fine-tuned: {name}"].append(accuracy(pair, network, unknown, test.labels))
    return {name: np.array(found) for name, found in accuracies.items()}


def labelled(training: Images, count: int, seed: int) -> NDArray[np.int64]:
    """Draw the images whose labels are told, as many of each class; return their numbers."""
    rng, each = Generator(seed), count // len(training.classes)
    members = [np.flatnonzero(training.labels == k) for k in range(len(training.classes))]
    return np.concatenate([part[rng.permutation(len(part))[:each]] for part in members])


def linear_classifier(features: NDArray[np.float32], labels: NDArray[np.int64], device: str) -> nn.Linear:
    """Return a linear layer that gives the logits of ten classes: logistic regression with weight decay, from weights of 0."""
    network = nn.Linear(features.shape[1], 10, rng=Generator(0, device=device))
    network.weight.assign(mg.zeros(network.weight.shape, device=device).data)
    x, y = mg.tensor(features, device=device), mg.tensor(labels, device=device)

    def loss() -> mg.Tensor:
        penalty = 0.5 * WEIGHT_DECAY * mg.sum(network.weight * network.weight)
        return penalty - mg.mean(Categorical(logits=network(x)).log_prob(y))

    descend(network, loss, steps=LINEAR_STEPS, rate=LINEAR_RATE)
    return network


def fine_tuned(
    encoder: nn.Sequential, images: NDArray[np.float32], labels: NDArray[np.int64], *, rng: Generator
) -> nn.Sequential:
    """Return a classifier that begins as the hidden layers of an encoder, with a new last layer, all of it trained on the labels."""
    hidden = [copy.deepcopy(layer) for layer in encoder.layers[:-1]]
    width = encoder.layers[-1].weight.shape[0]
    network = nn.Sequential(*hidden, nn.Linear(width, 10, rng=rng, initialize=xavier_uniform))
    x, y = mg.tensor(images, device=rng.device), mg.tensor(labels, device=rng.device)
    descend(network, lambda: -mg.mean(Categorical(logits=network(x)).log_prob(y)), steps=TUNING_STEPS, rate=TUNING_RATE)
    return network


def descend(network: nn.Module, loss: Callable[[], mg.Tensor], *, steps: int, rate: float) -> None:
    """Take steps of Adam, all on the same few examples."""
    optimizer = Adam(network, learning_rate=cosine(rate, steps=steps))
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


def accuracy(pair: Pair, network: nn.Module, inputs: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the share of examples whose class has the largest logit."""
    return float((nn.in_batches(network, inputs, device=pair.device).argmax(axis=1) == labels).mean())


# -------------------------------------------------------------------------------------------------------- anomalies


def anomaly_scores(pair: Pair, test: Images) -> dict[str, NDArray[np.float64]]:
    """Return how strange two models find each test image, (N,): the squared error of the one, the negative ELBO of the other."""
    images = test.unit()
    difference = pair.autoencoder.reconstruct(images).astype(np.float64) - images
    evidence = metrics.elbo(
        pair.vae,
        mg.tensor(images, device=pair.device),
        draws=BOUND_DRAWS,
        rng=Generator(EVALUATION_SEED, device=pair.device),
    )
    return {"autoencoder": (difference**2).sum(axis=(1, 2, 3)), "VAE": -evidence.values}


# ---------------------------------------------------------------------------------------------------- what comes out


def measure(
    pair: Pair,
    accuracies: dict[str, NDArray[np.float64]],
    scores: dict[int, dict[str, NDArray[np.float64]]],
    test: Images,
    arguments: argparse.Namespace,
) -> dict[str, Any]:
    """Return accuracies with their spread, gains over the baseline of the same kind, and areas under the ROC curve."""
    baselines = {"linear": accuracies["linear: pixels"], "fine-tuned": accuracies["fine-tuned: random weights"]}
    gains = {name: found - baselines[name.partition(":")[0]] for name, found in accuracies.items()}  # of the same draws
    return pair.run.configuration | {
        "steps": arguments.steps,
        "accuracy": {name: float(found.mean()) for name, found in accuracies.items()},
        "accuracy_spread": {name: float(found.std(ddof=1)) for name, found in accuracies.items()},
        "gain": {name: float(found.mean()) for name, found in gains.items()},
        "gain_error": {name: float(found.std(ddof=1) / len(found) ** 0.5) for name, found in gains.items()},
        "auroc": {
            name: {test.classes[k]: metrics.auroc(found[name], test.labels == k) for k, found in scores.items()}
            for name in ("autoencoder", "VAE")
        },
        "test_images": len(test.images),
        "seconds": round(pair.run.seconds, 1),
        "versions": versions(),
    }


def draw(
    accuracies: dict[str, NDArray[np.float64]],
    scores: dict[int, dict[str, NDArray[np.float64]]],
    figures: dict[str, Any],
    test: Images,
    arguments: argparse.Namespace,
) -> None:
    """Write bars of accuracies, areas by class held out, and the scores of the class that is found worst and best."""
    figure = plots.accuracy_bars(accuracies, title=f"{test.name}: {arguments.labels} labels, {arguments.draws} draws")
    plots.save(figure, arguments.out / f"accuracies.{arguments.format}")
    areas = figures["auroc"]
    if len(scores) > 1:
        figure = plots.paired_bars(
            {name: list(found.values()) for name, found in areas.items()},
            groups=list(areas["VAE"]),
            label="AUROC",
            group_label="class that was held out",
            chance=0.5,
            title=f"{test.name}: is a class found that was never seen?",
        )
        plots.save(figure, arguments.out / f"auroc.{arguments.format}")
    by_area = sorted(scores, key=lambda k: areas["VAE"][test.classes[k]])
    for k in dict.fromkeys((by_area[0], by_area[-1])):
        held_out, name = test.labels == k, test.classes[k]
        labels = {"autoencoder": "squared error of the autoencoder", "VAE": "negative ELBO of the VAE (nats)"}
        figure = plots.score_histograms(
            {labels[model]: (found[~held_out], found[held_out]) for model, found in scores[k].items()},
            labels=("seen in training", name),
            areas={labels[model]: areas[model][name] for model in labels},
            title=f"{test.name}: {name} was held out",
        )
        plots.save(figure, arguments.out / f"scores-{k}.{arguments.format}")


def write_samples(pair: Pair, arguments: argparse.Namespace) -> None:
    """Write N images of the VAE that saw all classes."""
    rng = Generator(EVALUATION_SEED, device=pair.device)
    z = mg.tensor(rng.normal((arguments.sample, arguments.latent)))
    samples = mg.tensor(pair.vae.mean_images(z)).to("cpu").numpy()
    write_arrays(arguments.out / "samples.npz", images=samples)
    plots.save(
        plots.image_grid(samples[:100], title="samples of the VAE"), arguments.out / f"samples.{arguments.format}"
    )
    print(f"written to {arguments.out}/: samples.npz, samples.{arguments.format}")


def report(figures: dict[str, Any], arguments: argparse.Namespace) -> None:
    def row(name: str) -> tuple[str, str]:
        text = f"{100 * figures['accuracy'][name]:.1f} +- {100 * figures['accuracy_spread'][name]:.1f} %"
        gain, error = 100 * figures["gain"][name], 100 * figures["gain_error"][name]
        return name, text + (f"   gain {gain:+.1f} +- {error:.1f}" if error else " " * 19)

    rows = [row(name) for name in figures["accuracy"]]
    for model, areas in figures["auroc"].items():
        worst = min(areas, key=areas.get)
        text = f"mean {np.mean(list(areas.values())):.3f}, lowest {areas[worst]:.3f} ({worst})"
        rows.append((f"AUROC of held-out classes, {model}", text))
    rows.append(("seconds of training on all images", f"{figures['seconds']:.1f}"))
    title = f"{arguments.data}: accuracy from {arguments.labels} labels over {arguments.draws} draws, its spread, gain over the baseline"
    print(table(rows, title))
    print(f"written to {arguments.out}/: " + ", ".join(sorted(path.name for path in arguments.out.iterdir())))


if __name__ == "__main__":
    run_program(main)
