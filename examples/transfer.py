"""See what an autoencoder and a VAE, trained without labels, are good for: classes from few labels, and anomalies.

Three questions, each with a baseline:

    features     a linear classifier learns from 100 labelled images: from their pixels, or from what an encoder makes of them
    fine-tuning  a network learns from the same labels: from random weights, or from the weights of an encoder
    anomalies    models that never saw one class score images by how badly they reconstruct them: is that class found?

The encoders were trained on all images by maximum likelihood. With a code z = E(x), or z ~ q(z|x):

    autoencoder  raise  log p(x | D(E(x)))                                      score of an anomaly: |x - D(E(x))|^2
    VAE          raise  ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || N(0, I))       score of an anomaly: -ELBO(x)

An area under the ROC curve (AUROC) says how well a score tells the class that was held out: 0.5 is chance, 1 is perfect. Labelled images
are drawn ten times, the same number of each class; every accuracy is a mean with its spread. The table also shows what did not help.

    python examples/transfer.py                                        # 8 x 8 digits, each digit held out once
    python examples/transfer.py --data mnist --out runs/transfer-mnist
    python examples/transfer.py --held-out 4 --labels 50 --out runs/transfer-4
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np

import minigen as mg
from minigen import lessons, metrics, nn, plots
from minigen.data import Batches, Images, balanced_draw
from minigen.lessons import Count, Range
from minigen.models import Together, mlp_autoencoder, mlp_vae
from minigen.random import Generator
from minigen.training import fit_likelihood

BOUND_DRAWS = 5  # of z, in a score


@dataclass(frozen=True, kw_only=True)
class Settings(lessons.ImageSettings):
    labels: Count = 100  # labelled images, the same number of each class
    draws: Annotated[int, Range(2)] = 10  # how often they are drawn anew
    held_out: tuple[Annotated[int, Range(0, 9)], ...] = tuple(range(10))  # classes to hold out, each in its turn
    hidden: tuple[Count, ...] = (128,)  # units of the encoders' hidden layers; the decoders have them in reverse
    latent: Count = 16  # length of a code
    steps: Count = 1500  # steps of Adam on all images
    anomaly_steps: Count = 700  # steps of Adam without one class
    learning_rate: lessons.Positive = 2e-3  # Adam's at the start; it falls to 0 along half a cosine

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hidden:
            raise ValueError("--hidden: the encoders need at least one hidden layer")
        if not self.held_out or len(set(self.held_out)) < len(self.held_out):
            raise ValueError("--held-out: name at least one class, and each of them once")


class Pair(lessons.ImageLesson[Settings]):
    """An autoencoder and a VAE of the same sizes that learn from the same images: from all, or from those of all classes but one."""

    evaluation_seed = 20140614

    def __init__(self, s: Settings, without: int | None = None) -> None:
        self.without = without
        super().__init__(s)
        sizes = {"size": self.size, "hidden": s.hidden, "rng": self.rng}
        self.autoencoder = mlp_autoencoder(code=s.latent, activation=nn.Tanh, **sizes)
        self.vae = mlp_vae(latent=s.latent, **sizes)
        self.both = Together(autoencoder=self.autoencoder, vae=self.vae).to(self.device)
        steps, file, what = s.steps, lessons.CHECKPOINT, "all classes"
        if without is not None:
            steps, file = s.anomaly_steps, f"without-{without}.safetensors"
            what = f"without {self.test.classes[without]}"
        self.optimizer = self.adam(self.both, steps=steps)
        self.batches = Batches(self.training.unit(), batch_size=s.batch_size, rng=self.order)
        parts = {"model": self.both, "optimizer": self.optimizer, "batches": self.batches}
        self.run = self.new_run(f"{self.training.name}, {what}", rows=50, steps=steps, file=file, parts=parts)

    def load(self) -> tuple[Images, Images]:
        training, test = super().load()
        return (training if self.without is None else training.take(training.labels != self.without)), test

    def train(self) -> None:
        """Add the losses of both models, so that each learns as it would alone."""
        fit_likelihood(self.both, self.on_device(self.batches), self.optimizer, self.run, rng=self.rng)

    def anomaly_scores(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Return how strange both models find images, (N,): the squared error of the one, the negative ELBO of the other."""
        x = mg.tensor(images, device=self.device)
        bound = metrics.elbo(self.vae, x, draws=BOUND_DRAWS, rng=self.evaluation_rng())
        difference = self.autoencoder.reconstruct(images).astype(np.float64) - images
        return {"autoencoder": (difference**2).sum(axis=(1, 2, 3)), "VAE": -bound.values}


class Lesson(Pair):
    """The pair that learns from all images, and those that never see one class."""

    def __init__(self, s: Settings) -> None:
        super().__init__(s)
        fewest = int(np.bincount(self.training.labels, minlength=10).min())
        if s.labels % 10 or s.labels > 10 * fewest:
            raise ValueError(f"--labels {s.labels}: expected a multiple of the 10 classes, up to {10 * fewest}")
        for k in s.held_out:
            if not 0 < (self.test.labels == k).sum() < len(self.test.labels):
                raise ValueError(f"--held-out {k}: the test images must be of this class and of others")
        self.others = [Pair(s, without=k) for k in s.held_out]
        self.runs += [pair.run for pair in self.others]

    def train(self) -> None:
        super().train()
        for pair in self.others:
            pair.train()

    # ------------------------------------------------------------------------------- what is measured, drawn and told

    def accuracies(self) -> dict[str, np.ndarray]:
        """Return the accuracies on test images after learning from few labels, (draws,), by what the classifier began with."""
        s, seed, encoders = self.settings, self.evaluation_seed, {"autoencoder": self.autoencoder, "VAE": self.vae}
        training, test = ((images.unit(), images.labels) for images in (self.training, self.test))
        rngs = [Generator(seed + i) for i in range(s.draws)]
        draws = [balanced_draw(training[1], s.labels, classes=10, rng=rng) for rng in rngs]

        def untrained(rng: Generator) -> nn.Sequential:
            return mlp_vae(latent=s.latent, size=self.size, hidden=s.hidden, rng=rng).encoder

        features: dict[str, Any] = {"pixels": nn.Flatten()}
        features |= {f"{name}, hidden layer": nn.Sequential(*e.encoder.layers[:-1]) for name, e in encoders.items()}
        features |= {f"{name}, code": e.encode for name, e in encoders.items()}
        probe = partial(metrics.probe_accuracies, training=training, test=test, draws=draws, device=self.device)
        tune = partial(metrics.tuning_accuracies, training=training, test=test, draws=draws, device=self.device)
        found = {f"linear: {name}": probe(function) for name, function in features.items()}
        found["fine-tuned: random weights"] = tune(untrained, seed=seed)
        for name, model in encoders.items():
            found[f"fine-tuned: {name}"] = tune(lambda rng, model=model: model.encoder, seed=seed)
        return found

    def measure(self) -> dict[str, Any]:
        self.found = self.accuracies()
        images, labels = self.test.unit(), self.test.labels
        self.scores = {pair.without: pair.anomaly_scores(images) for pair in self.others}
        baselines = {"linear": self.found["linear: pixels"], "fine-tuned": self.found["fine-tuned: random weights"]}
        gains = {}
        for name, values in self.found.items():  # from the same draws of labels
            gains[name] = metrics.paired_gain(values, baselines[name.partition(":")[0]])
        areas: dict[str, dict[str, float]] = {"autoencoder": {}, "VAE": {}}
        for k, scores in self.scores.items():
            for model, found in scores.items():
                areas[model][self.test.classes[k]] = metrics.auroc(found, labels == k)
        return {
            "accuracy": {name: float(values.mean()) for name, values in self.found.items()},
            "accuracy_spread": {name: float(values.std(ddof=1)) for name, values in self.found.items()},
            "gain": {name: gain.mean for name, gain in gains.items()},
            "gain_error": {name: gain.standard_error for name, gain in gains.items()},
            "auroc": areas,
            "test_images": len(images),
        }

    def samples(self, n: int) -> lessons.Samples:
        """Draw images from the VAE that saw all classes."""
        z = mg.tensor(self.evaluation_rng().normal((n, self.settings.latent)))
        images = self.to_cpu(self.vae.mean_images(z))
        return lessons.Samples({"images": images}, plots.image_grid(images[:100], title="samples of the VAE"))

    def pictures(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Picture]]:
        s, test, areas = self.settings, self.test, figures["auroc"]
        yield "accuracies", plots.accuracy_bars(self.found, title=f"{test.name}: {s.labels} labels, {s.draws} draws")
        if len(self.scores) > 1:
            figure = plots.paired_bars(
                {model: list(found.values()) for model, found in areas.items()},
                groups=list(areas["VAE"]),
                label="AUROC",
                group_label="class that was held out",
                chance=0.5,
                title=f"{test.name}: is a class found that was never seen?",
            )
            yield "auroc", figure
        by_area = sorted(self.scores, key=lambda k: areas["VAE"][test.classes[k]])
        names = {"autoencoder": "squared error of the autoencoder", "VAE": "negative ELBO of the VAE (nats)"}
        for k in dict.fromkeys((by_area[0], by_area[-1])):  # the class that is found worst, and the one found best
            held_out, name = test.labels == k, test.classes[k]
            figure = plots.score_histograms(
                {names[model]: (score[~held_out], score[held_out]) for model, score in self.scores[k].items()},
                labels=("seen in training", name),
                areas={names[model]: areas[model][name] for model in names},
                title=f"{test.name}: {name} was held out",
            )
            yield f"scores-{k}", figure

    def tables(self, figures: dict[str, Any]) -> Iterator[tuple[str, lessons.Rows]]:
        s, rows = self.settings, []
        for name, accuracy in figures["accuracy"].items():
            text = f"{100 * accuracy:.1f} +- {100 * figures['accuracy_spread'][name]:.1f} %"
            gain, error = 100 * figures["gain"][name], 100 * figures["gain_error"][name]
            rows.append((name, text + (f"   gain {gain:+.1f} +- {error:.1f}" if error else " " * 19)))
        for model, areas in figures["auroc"].items():
            worst = min(areas, key=areas.get)
            text = f"mean {np.mean(list(areas.values())):.3f}, lowest {areas[worst]:.3f} ({worst})"
            rows.append((f"AUROC of held-out classes, {model}", text))
        title = f"accuracy from {s.labels} labels over {s.draws} draws, its spread, gain over the baseline"
        yield f"{s.data}: {title}", rows


def defaults(data: lessons.ImageSet = "digits") -> Settings:
    """Return the settings for a data set."""
    if data == "digits":
        return Settings()
    return Settings(data=data, hidden=(500,), latent=50, steps=12_000, anomaly_steps=3000, batch_size=100)


if __name__ == "__main__":
    lessons.teach(Lesson, defaults, __doc__)
